"""Kept SSH connections: one per place, the least recently used given up first."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import asyncssh

from labcoat.watch.reach.connect import Dialler, Unreached
from labcoat.watch.reach.place import Place, SshSettings

SESSIONS = 8  # OpenSSH's MaxSessions is 10
LOGINS = 256
SPARE_FILES = 96  # for the journal, local orders, and whatever Python opens
FEWEST = 4


@dataclass(slots=True, eq=False)
class Kept:
    """The connection to one place, if there is one."""

    connection: asyncssh.SSHClientConnection | None = None
    users: int = 0
    gateway: Kept | None = None
    failed: tuple[float, Unreached] | None = None
    connecting: asyncio.Lock = field(default_factory=asyncio.Lock)
    sessions: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SESSIONS))

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return self.connection is not None and not self.connection.is_closed()


class Connections:
    """Leases connections, makes those that lack, and closes the idle ones beyond a limit."""

    def __init__(self, settings: SshSettings) -> None:
        self.limit = settings.connections or _limit_of_files()
        self._dialler = Dialler(settings)
        self._kept: OrderedDict[Place, Kept] = OrderedDict()
        self._logins = asyncio.Semaphore(min(LOGINS, self.limit))
        self._room = asyncio.Condition()
        self._open = 0
        self.made = 0

    @property
    def open_count(self) -> int:
        """How many connections there are now."""
        return self._open

    @contextlib.asynccontextmanager
    async def lease(self, place: Place) -> AsyncIterator[Kept]:
        """The connection to a place for a while, at most eight at once. Raises: Unreached."""
        kept = self._kept.setdefault(place, Kept())
        self._kept.move_to_end(place)
        kept.users += 1
        asked_s = time.monotonic()
        try:
            async with kept.sessions:
                async with kept.connecting:
                    if not kept.is_open:
                        # Who waited while a login failed shares its fate: a place that
                        # hangs costs all its runbooks one login's time, not one each.
                        if kept.failed is not None and kept.failed[0] > asked_s:
                            raise kept.failed[1]
                        await self._connect(place, kept)
                yield kept
        finally:
            kept.users -= 1
            async with self._room:
                self._room.notify()

    def kept(self, place: Place) -> Kept | None:
        """What is kept for a place."""
        return self._kept.get(place)

    async def drop(self, kept: Kept) -> None:
        """Give up a connection that is not to be trusted any more."""
        connection, kept.connection = kept.connection, None
        if connection is not None:
            self._open -= 1
            connection.abort()
        if kept.gateway is not None:
            kept.gateway.users -= 1
            kept.gateway = None

    async def close(self) -> None:
        """Give up all of them."""
        for kept in list(self._kept.values()):
            await self.drop(kept)
        self._kept.clear()

    async def _connect(self, place: Place, kept: Kept) -> None:
        await self.drop(kept)
        await self._make_room()
        try:
            async with self._logins, contextlib.AsyncExitStack() as stack:
                tunnel = None
                if place.gateway is not None:
                    gateway = await stack.enter_async_context(self.lease(place.gateway))
                    tunnel = gateway.connection
                    gateway.users += 1  # not idle while something goes through it
                    kept.gateway = gateway
                kept.connection = await self._dialler.connect(place, tunnel)
                self.made += 1
        except BaseException as error:
            self._open -= 1
            if kept.gateway is not None:
                kept.gateway.users -= 1
                kept.gateway = None
            if isinstance(error, Unreached):
                kept.failed = (time.monotonic(), error)
            raise

    async def _make_room(self) -> None:
        """Count one more connection in; waits for an idle one to close if there are many."""
        async with self._room:
            while self._open >= self.limit:
                idle = next(
                    (kept for kept in self._kept.values() if kept.users == 0 and kept.connection),
                    None,
                )
                if idle is not None:
                    await self.drop(idle)
                else:
                    await self._room.wait()
            self._open += 1


def _limit_of_files() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 1 << 16
    return max(FEWEST, soft - SPARE_FILES)
