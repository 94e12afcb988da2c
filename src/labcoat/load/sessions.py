"""Sessions: what a user has once it is set up, and how it gets there.

A user takes the steps of the workload's set-up before its first slice on a target, and
keeps what they left for as long as the target is known: each slice begins with it. The
steps are no part of any slice: nothing of them is measured.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic_ns
from typing import TYPE_CHECKING

from labcoat.errors import LoadError
from labcoat.load.binding import bind_setup
from labcoat.load.placeholders import USER
from labcoat.model.load import Outcome

if TYPE_CHECKING:
    from labcoat.load.binding import Bound
    from labcoat.load.lane import Lane
    from labcoat.load.messages import Order

AT_ONCE = 32
"""Users set up together: a login is heavy, and a crowd of them would measure the login."""

LONGEST_S = 300.0
"""How long the set-up of all users may take."""

ATTEMPTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Cookies and captured values of one user."""

    jar: dict[bytes, bytes] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)


async def set_up(order: Order, lanes: Sequence[Lane], *, first: int) -> list[Session]:
    """The sessions of the users that these lanes carry; ``first`` is the first one's number.

    A user that fails is given a second attempt. Raises: LoadError naming the step.
    """
    sessions: list[Session] = []
    deadline = asyncio.get_running_loop().time() + LONGEST_S
    for start in range(0, len(lanes), AT_ONCE):
        users = [
            _User(order, lane, number=first + start + index)
            for index, lane in enumerate(lanes[start : start + AT_ONCE])
        ]
        together = [asyncio.create_task(user.prepare()) for user in users]
        left_s = max(deadline - asyncio.get_running_loop().time(), 0.0)
        _, late = await asyncio.wait(together, timeout=left_s)
        for task in late:
            task.cancel()
        if late:
            raise LoadError(
                f"the set-up of the users takes longer than {LONGEST_S:g} s",
                where=order.target.url,
                way_out="take fewer users, or a lighter login",
            )
        sessions += [task.result() for task in together]
    return sessions


class _User:
    """One user on its way through the set-up; what its lane belongs to meanwhile."""

    def __init__(self, order: Order, lane: Lane, *, number: int) -> None:
        self._order = order
        self._lane = lane
        self._number = number
        self._steps: Iterator[Bound] = iter(())
        self._left = 0
        self._ended = (Outcome.UNFINISHED, 0, 0)  # outcome, status, step
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.next_request: Callable[[], Bound] = self._next
        self.add: Callable[[int, int, int, int, int, int, int, int], None] = self._add
        self.keeps_cookies = order.workload.cookies
        self.keep_alive = order.keep_alive
        self.is_over = False
        self.connects = 0
        self.resent = 0

    async def prepare(self) -> Session:
        """Take the steps. Raises: LoadError when the last attempt fails too."""
        loop = asyncio.get_running_loop()
        for _ in range(ATTEMPTS):
            steps = bind_setup(
                self._order.workload,
                self._order.target,
                user=self._number,
                keep_alive=self.keep_alive,
            )
            self._steps, self._left = iter(steps), len(steps)
            self._ended = (Outcome.UNFINISHED, 0, 0)
            self._done = loop.create_future()
            self._lane.join(self, Session(values={USER: str(self._number)}))
            self._lane.begin()
            try:
                await asyncio.wait({self._done}, timeout=self._order.timeout_s * len(steps))
            finally:
                if self._lane.is_busy:
                    self._ended = (Outcome.TIMEOUT, 0, len(steps) - self._left - 1)
                    self._lane.close()
            while self._lane.is_parting:  # noqa: ASYNC110 ended by the loop itself
                await asyncio.sleep(0)
            if self._ended[0] is Outcome.OK:
                return self._lane.session()
        raise self._failed()

    def _next(self) -> Bound:
        self._left -= 1
        return next(self._steps)

    def _add(self, *row: int) -> None:
        status, route, outcome = row[4], row[6], row[7]
        self._ended = (Outcome(outcome), status, route)

    def idle(self, lane: Lane, now: int) -> None:
        """Take the next step; done after the last, or the first that failed."""
        del now
        if self._done.done():
            return
        if self._ended[0] is Outcome.OK and self._left:
            lane.begin()
        else:
            self._done.set_result(None)

    def rest(self, lane: Lane) -> None:
        """A refused connection: this attempt has failed."""
        self.idle(lane, monotonic_ns())

    def _failed(self) -> LoadError:
        outcome, status, index = self._ended
        step = self._order.workload.setup[index]
        what = outcome.name.lower().replace("_", " ")
        if outcome is Outcome.NOT_CAPTURED:
            names = ", ".join(capture.name for capture in step.captures)
            what = f"the answer does not hold what it is to give ({names})"
        answered = f", status {status}" if status else ""
        return LoadError(
            f"user {self._number} cannot be set up: {what}{answered}",
            where=f"step {step.name!r} ({step.method} {step.path})",
            way_out="mend the step, or the app; labcoat workload show tells what is sent",
        )
