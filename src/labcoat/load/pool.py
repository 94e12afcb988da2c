"""Pools: the lanes of one target, kept for as long as the target is known."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from labcoat.errors import LoadError
from labcoat.load.dialler import Dialler
from labcoat.load.lane import Lane
from labcoat.load.sessions import Session, set_up
from labcoat.model.load import ClosedLoop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labcoat.load.heads import Head
    from labcoat.load.messages import Order
    from labcoat.model.load import Plan, Target
    from labcoat.model.workload import RequestTemplate

AT_ONCE = 32
"""Connections opened together: fewer than the shortest listen queue of any server."""

CONNECT_S = 5.0
"""How long a server may take to accept before the slice."""


@dataclass(slots=True, kw_only=True)
class Pool:
    """Lanes to one target; with ``keep_alive`` their connections are open before a slice."""

    target: Target
    dialler: Dialler
    keep_alive: bool
    known: dict[bytes, Head] = field(default_factory=dict)
    lanes: list[Lane] = field(default_factory=list)
    sessions: dict[tuple[RequestTemplate, ...], list[Session]] = field(default_factory=dict)

    @classmethod
    def of(cls, target: Target, *, keep_alive: bool) -> Pool:
        """A pool with no lane yet. Raises: UsageError, LoadError (address)."""
        return cls(target=target, dialler=Dialler.of(target), keep_alive=keep_alive)

    async def ready(self, plan: Plan, *, timeout_s: float) -> Sequence[Lane]:
        """The lanes that a plan needs, connected where connections are kept; no others stay open.

        An open loop opens connections as it needs them, beyond one that shows that
        somebody listens. Raises: LoadError if no connection can be opened at all.
        """
        wanted = plan.users if isinstance(plan, ClosedLoop) else plan.connections
        while len(self.lanes) < wanted:
            self.lanes.append(Lane(self.dialler, self.known))
        await self._close(self.lanes[wanted:])
        del self.lanes[wanted:]
        await self._probe(min(timeout_s, CONNECT_S))
        if self.keep_alive and isinstance(plan, ClosedLoop):
            missing = [lane for lane in self.lanes if not lane.is_connected]
            for first in range(0, len(missing), AT_ONCE):
                together = missing[first : first + AT_ONCE]
                _, late = await asyncio.wait(
                    [lane.dial() for lane in together], timeout=min(timeout_s, CONNECT_S)
                )
                if late:
                    await self._close([lane for lane in together if not lane.is_connected])
        return tuple(self.lanes)

    async def set_up(self, order: Order) -> int:
        """Set up the users that have not been, one for each lane; how many these were.

        Raises: LoadError if one cannot be.
        """
        known = self.sessions.setdefault(order.workload.setup, [])
        fresh = self.lanes[len(known) :]
        known += await set_up(order, fresh, first=len(known) + 1)
        return len(fresh)

    async def _probe(self, timeout_s: float) -> None:
        """Open one connection where none is open. Raises: LoadError."""
        if any(lane.is_connected for lane in self.lanes):
            return
        lane = self.lanes[0]
        try:
            async with asyncio.timeout(timeout_s):
                await self.dialler.connect(lane)
        except OSError as error:  # TimeoutError is one
            where = self.target.url if self.target.uds is None else f"unix:{self.target.uds}"
            raise LoadError(
                f"cannot connect: {reason_of(error)}",
                where=where,
                way_out="start the server, or mend the address",
            ) from error
        if not self.keep_alive:
            await self._close([lane])

    async def close(self) -> None:
        """Close every connection; all are closed when this returns."""
        await self._close(self.lanes)

    @staticmethod
    async def _close(lanes: Sequence[Lane]) -> None:
        for lane in lanes:
            lane.close()
        while any(lane.is_connected for lane in lanes):  # noqa: ASYNC110 ended by the loop itself
            await asyncio.sleep(0)


def reason_of(error: OSError) -> str:
    """Why a connection could not be opened, in words."""
    if isinstance(error, TimeoutError):
        return "nobody accepted it in time"
    return error.strerror or str(error)
