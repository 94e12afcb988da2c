"""Which rounds are due now: one plan per runbook and target, by the wall clock."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from labcoat.watch.model.moment import Moment
from labcoat.watch.model.runbook import Runbook
from labcoat.watch.record.journal import Key
from labcoat.watch.schedule.spread import offset_s
from labcoat.watch.schedule.ticking import Planned, jump_s, plan, tick


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A round to be made now. ``skipped``: slots before it that went by without one."""

    key: Key
    planned: Planned
    skipped: int


@dataclass(slots=True)
class _Job:
    runbook: Runbook
    offset_s: float
    planned: Planned


@dataclass(slots=True)
class Planner:
    """The plans. ``spread_s``: the site's width of spreading; None is what the period allows."""

    spread_s: float | None = None
    _jobs: dict[Key, _Job] = field(default_factory=dict)
    _heap: list[tuple[float, Key]] = field(default_factory=list)
    _looked: Moment | None = None

    def put(self, key: Key, runbook: Runbook, now: Moment) -> None:
        """Plan a runbook on a target; the same schedule again changes no plan."""
        known = self._jobs.get(key)
        if known is not None and (known.runbook.schedule, known.runbook.spread_s) == (
            runbook.schedule,
            runbook.spread_s,
        ):
            known.runbook = runbook
            return
        spread_s = self.spread_s if runbook.spread_s is None else runbook.spread_s
        offset = offset_s(runbook.schedule, f"{key[0]}\0{key[1]}", spread_s)
        planned = plan(runbook.schedule, offset, now.wall_s)
        if planned is None:
            self._jobs.pop(key, None)
            return
        self._jobs[key] = _Job(runbook, offset, planned)
        heapq.heappush(self._heap, (planned.due_s, key))

    def drop(self, key: Key) -> None:
        """Plan it no more."""
        self._jobs.pop(key, None)

    def next_of(self, key: Key) -> Planned | None:
        """The next round under a key."""
        job = self._jobs.get(key)
        return None if job is None else job.planned

    def wait_s(self, now: Moment) -> float | None:
        """How long until the next round is due; None if there is none."""
        self._tidy()
        return None if not self._heap else max(0.0, self._heap[0][0] - now.wall_s)

    def look(self, now: Moment) -> tuple[list[Due], float | None]:
        """The rounds that are due, and by how much the clock was set since the last look."""
        before = self._looked or now
        self._looked = now
        jump = jump_s(before, now)
        keys = self._all() if jump is not None and jump < 0 else self._ripe(now)
        due = []
        for key in keys:
            job = self._jobs[key]
            ticked = tick(job.runbook.schedule, job.offset_s, job.planned, before, now)
            if ticked.due is not None:
                due.append(Due(key=key, planned=ticked.due, skipped=ticked.skipped))
            if ticked.planned is None:
                del self._jobs[key]
                continue
            job.planned = ticked.planned
            heapq.heappush(self._heap, (job.planned.due_s, key))
        return due, jump

    def _ripe(self, now: Moment) -> list[Key]:
        keys = []
        while self._heap and self._heap[0][0] <= now.wall_s:
            due_s, key = heapq.heappop(self._heap)
            if self._is_current(due_s, key):
                keys.append(key)
        return keys

    def _all(self) -> list[Key]:
        self._heap.clear()
        return list(self._jobs)

    def _tidy(self) -> None:
        while self._heap and not self._is_current(*self._heap[0]):
            heapq.heappop(self._heap)

    def _is_current(self, due_s: float, key: Key) -> bool:
        job = self._jobs.get(key)
        return job is not None and job.planned.due_s == due_s
