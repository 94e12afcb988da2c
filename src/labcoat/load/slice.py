"""Slices: what happens between the start of a load and its end, in the worker's loop."""

from __future__ import annotations

import asyncio
import resource
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from time import monotonic_ns
from typing import TYPE_CHECKING

from labcoat.load.arrivals import intended_starts
from labcoat.load.columns import Columns
from labcoat.load.ticker import Alarm
from labcoat.model.load import ClosedLoop, OpenLoop, Outcome

if TYPE_CHECKING:
    from labcoat.load.binding import Bound
    from labcoat.load.lane import Lane
    from labcoat.load.messages import Order

TICK_NS = 10_000_000
"""How often the loop's lag is read and the end is looked for."""

SWEEP_TICKS = 10
"""Timeouts are found by a sweep every so many ticks: one timer, not one per request."""

REST_S = 0.1
"""How long a user waits after a connection was refused before it tries again."""

DRAIN_S = 1.0
"""How long answers are awaited after the end, so that their connections can be kept."""

NS = 1_000_000_000


def cpu_s() -> float:
    """CPU seconds of this process so far."""
    use = resource.getrusage(resource.RUSAGE_SELF)
    return use.ru_utime + use.ru_stime


class Slice(ABC):
    """One slice: the requests, the columns, the clock, and what the lanes ask of it.

    A lane that is idle is given to ``idle``; what happens next is the plan's business
    (the sub-classes). Holds no connection: lanes outlive it.
    """

    def __init__(self, order: Order, lanes: Sequence[Lane], requests: Iterator[Bound]) -> None:
        self.next_request: Callable[[], Bound] = requests.__next__
        self.keeps_cookies = order.workload.cookies
        self.keep_alive = order.keep_alive
        self.columns = Columns()
        self.add: Callable[[int, int, int, int, int, int, int, int], None] = self.columns.add
        self.is_over = False
        self.connects = 0
        self.resent = 0
        self.lags_ns: list[int] = []
        self.stalled_ns = 0
        self.cpu_s = 0.0
        self.started_ns = 0
        self._length_ns = round((order.window.warmup_s + order.window.measure_s) * NS)
        self._timeout_ns = round(order.timeout_s * NS)
        self._over_ns = 0
        self._due_ns = 0
        self._ticks = 0
        self._lanes = lanes
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._loop, self._tick)
        self._drained = self._loop.create_future()
        self.on_tick: Callable[[], None] | None = None

    async def play(self) -> None:
        """From the first request to the last answer, or until the drain's bound."""
        before = cpu_s()
        self.started_ns = monotonic_ns()
        self._over_ns = self.started_ns + self._length_ns
        self._due_ns = self.started_ns
        self._set_alarm()
        self.start()
        await asyncio.wait({self._drained})
        self._alarm.close()
        self.cpu_s = cpu_s() - before
        for lane in self._lanes:
            if lane.is_busy:
                lane.close()
        while any(lane.is_parting for lane in self._lanes):  # noqa: ASYNC110 ended by the loop
            await asyncio.sleep(0)

    @abstractmethod
    def start(self) -> None:
        """Send the first requests."""

    @abstractmethod
    def idle(self, lane: Lane, now: int) -> None:
        """Take over a lane that has no request in flight any more."""

    def rest(self, lane: Lane) -> None:
        """Let a lane wait whose connection was refused, or refusals come in thousands."""
        self._loop.call_later(REST_S, self._rested, lane)

    def _rested(self, lane: Lane) -> None:
        if not lane.is_busy:
            self.idle(lane, monotonic_ns())

    # -- the clock ---------------------------------------------------------------------

    def _set_alarm(self) -> None:
        self._due_ns = min(self._due_ns + TICK_NS, self._over_ns)
        self._alarm.at(self._due_ns)

    def _tick(self) -> None:
        now = monotonic_ns()
        self.lags_ns.append(now - self._due_ns)
        self.stalled_ns += now - self._due_ns
        # Ticks that were missed were late too: leaving them out would hide a long pause.
        while self._due_ns + TICK_NS <= min(now, self._over_ns):
            self._due_ns += TICK_NS
            self.lags_ns.append(now - self._due_ns)
        if now >= self._over_ns or self.columns.is_full:
            self._end(now)
            return
        self._ticks += 1
        if self._ticks % SWEEP_TICKS == 0:
            self._sweep(now)
            if self.on_tick is not None:
                self.on_tick()
        self._set_alarm()

    def _sweep(self, now: int) -> None:
        oldest = now - self._timeout_ns
        for lane in self._lanes:
            if lane.is_busy and lane.sent < oldest:
                lane.give_up(Outcome.TIMEOUT)

    def _end(self, now: int) -> None:
        self._over_ns = min(self._over_ns, now)
        for lane in self._lanes:
            if lane.is_busy:
                lane.leave_unfinished()
        self.leave_unsent()
        self.is_over = True
        self.add = _ignore
        self._loop.call_later(DRAIN_S, self._end_drain)
        self.drain()

    def elapsed_ns(self) -> int:
        """How long it has lasted so far."""
        return monotonic_ns() - self.started_ns

    @property
    def length_ns(self) -> int:
        """How long it really lasted."""
        return self._over_ns - self.started_ns

    @abstractmethod
    def leave_unsent(self) -> None:
        """Write the rows of requests that should have started and did not."""

    def drain(self) -> None:
        """Called for each lane that falls idle after the end: are all?"""
        if not any(lane.is_busy for lane in self._lanes):
            self._end_drain()

    def _end_drain(self) -> None:
        if not self._drained.done():
            self._drained.set_result(None)


def _ignore(*_row: int) -> None:
    """What becomes of rows after the end: their UNFINISHED row is written already."""


class ClosedSlice(Slice):
    """A closed loop: each lane is a user; answered, it thinks, and sends again."""

    def __init__(
        self, plan: ClosedLoop, order: Order, lanes: Sequence[Lane], requests: Iterator[Bound]
    ) -> None:
        super().__init__(order, lanes, requests)
        self._think_s = plan.think_s

    def start(self) -> None:
        """All users at once."""
        for lane in self._lanes:
            lane.begin()

    def idle(self, lane: Lane, now: int) -> None:
        """Think, then send the next request."""
        if now >= self._over_ns or self.is_over:
            if self.is_over:
                self.drain()
        elif self._think_s:
            self._loop.call_later(self._think_s, self._thought, lane)
        else:
            lane.begin()

    def leave_unsent(self) -> None:
        """Nothing: a user who waits intends nothing meanwhile."""

    def _thought(self, lane: Lane) -> None:
        if not self.is_over:
            lane.begin()


class OpenSlice(Slice):
    """An open loop: requests start by plan; lanes are what carries them.

    An intended start takes the lane that fell idle last (few connections stay warm, as
    a pool's do), else it waits for one, first come first served; the wait is latency.
    """

    def __init__(
        self, plan: OpenLoop, order: Order, lanes: Sequence[Lane], requests: Iterator[Bound]
    ) -> None:
        super().__init__(order, lanes, requests)
        self._starts = intended_starts(plan, seed=order.seed)
        self._next_ns = 0
        self._idle = list(reversed(lanes))
        self._waiting: deque[int] = deque()
        self._dispatcher = Alarm(self._loop, self._dispatch)

    def start(self) -> None:
        """Set the first alarm."""
        self._advance()
        self._dispatcher.at(self._next_ns)

    def _advance(self) -> None:
        self._next_ns = self.started_ns + next(self._starts)

    def _dispatch(self) -> None:
        """Send all that is due."""
        now = monotonic_ns()
        while self._next_ns <= now and self._next_ns < self._over_ns:
            if self._idle:
                self._idle.pop().begin(self._next_ns)
            else:
                self._waiting.append(self._next_ns)
            self._advance()
        if self._next_ns < self._over_ns:
            self._dispatcher.at(self._next_ns)

    def idle(self, lane: Lane, now: int) -> None:
        """Carry the request that has waited longest, or wait for one."""
        del now
        if self.is_over:
            self.drain()
        elif self._waiting:
            lane.begin(self._waiting.popleft())
        else:
            self._idle.append(lane)

    def leave_unsent(self) -> None:
        """Requests still waiting for a lane: never sent."""
        self._dispatcher.close()
        while self._next_ns < self._over_ns:
            self._waiting.append(self._next_ns)
            self._advance()
        for intended in self._waiting:
            route = self.next_request()[1]
            self.add(intended, 0, 0, 0, 0, 0, route.index, int(Outcome.UNFINISHED))
