"""Rounds: made when they are due, judged, recorded, and answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from labcoat.watch.decide.deciding import decide
from labcoat.watch.engine.clock import WatchClock
from labcoat.watch.engine.executing import Executor
from labcoat.watch.engine.healing import Healer
from labcoat.watch.engine.ledger import Ledger
from labcoat.watch.engine.meters import Meters
from labcoat.watch.engine.observing import Observation, observe
from labcoat.watch.engine.planner import Due
from labcoat.watch.engine.sampling import Sampler
from labcoat.watch.engine.targets import Target
from labcoat.watch.engine.telling import decision_entry, round_entry
from labcoat.watch.heal.events import Contact, Flapping
from labcoat.watch.heal.maintenance import quiet_now
from labcoat.watch.heal.site import Quiet
from labcoat.watch.model.runbook import Runbook
from labcoat.watch.record.entry import Entry, Kind
from labcoat.watch.record.journal import Key
from labcoat.watch.record.recorder import Recorder


@dataclass(slots=True, kw_only=True)
class Rounds:
    """At most one round at a time per runbook and target. ``on_contact``: a target that was
    lost, or never vetted, answers.
    """

    clock: WatchClock
    recorder: Recorder
    executor: Executor
    ledger: Ledger
    healer: Healer
    sampler: Sampler | None
    meters: Meters
    on_contact: Callable[[Target], None]
    _running: dict[Key, asyncio.Task[None]] = field(default_factory=dict)
    _answers: dict[str, bool] = field(default_factory=dict)

    def begin(self, due: Due) -> None:
        """Make a round, unless the one before is still at work or a window forbids it."""
        key = due.key
        runbook, target = self.ledger.runbooks.get(key), self.ledger.targets.get(key[1])
        if runbook is None or target is None:
            return
        now = self.clock.now()
        if due.skipped:
            self._skip(key, "the clock was set forward, or this machine slept", due.skipped)
        if key in self._running:
            self._skip(key, "the round before is still at work", 1)
            return
        if quiet_now(self.healer.site(), target.id, now.wall_s) is Quiet.NO_CHECK:
            self._skip(key, "maintenance", 1)
            return
        due_s = now.elapsed_s - (now.wall_s - due.planned.due_s)
        task = asyncio.get_running_loop().create_task(self._make(runbook, target, due_s))
        self._running[key] = task
        task.add_done_callback(lambda done: self._ended(key, done))

    async def finish(self) -> None:
        """Give up the rounds that are under way: a check that is cut short says nothing."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    @property
    def lost(self) -> tuple[str, ...]:
        """The targets that did not answer last."""
        return tuple(sorted(name for name, answers in self._answers.items() if not answers))

    async def _make(self, runbook: Runbook, target: Target, due_s: float) -> None:
        began_s: list[float] = []

        def on_start() -> None:
            began_s.append(self.clock.now().elapsed_s)

        observation = await observe(self.executor, runbook, target, self.clock, on_start=on_start)
        # A place that was never reached has no start: its lateness is nobody's.
        lateness_s = max(0.0, began_s[0] - due_s) if began_s else 0.0
        self.meters.late(lateness_s)
        self._judge(runbook, target, observation, lateness_s)

    def _judge(
        self, runbook: Runbook, target: Target, observation: Observation, lateness_s: float
    ) -> None:
        key, at_s = (runbook.path, target.id), self.clock.now().wall_s
        if observation.answers is not None:
            self._contact(target, answers=observation.answers)
        before = self.ledger.standing(key)
        deliberation = decide(runbook, before, observation.round)
        self.ledger.stand(key, deliberation.standing)
        self.recorder.note(
            round_entry(runbook, target.id, observation, at_s=at_s, lateness_s=lateness_s)
        )
        self.recorder.note(
            *(
                decision_entry(runbook, target.id, decision, at_s=at_s)
                for decision in deliberation.decisions
                if decision.is_called_for
            )
        )
        if self.sampler is not None:
            self.sampler.take(runbook, target.id, observation, at_s)
        if deliberation.standing.flapping != before.flapping:
            self.healer.feed(Flapping(runbook, target.id, deliberation.standing.flapping))
        for action in deliberation.fired:
            self.healer.fire(runbook, target.id, action)

    def _contact(self, target: Target, *, answers: bool) -> None:
        if self._answers.get(target.id) == answers:
            return
        is_new = target.id not in self._answers
        self._answers[target.id] = answers
        if not answers or not is_new:
            self.healer.feed(Contact(target.id, answers))
        if answers:
            self.on_contact(target)

    def _skip(self, key: Key, why: str, count: int) -> None:
        self.meters.skipped += count
        body = {"why": why, "slots": count}
        at_s = self.clock.now().wall_s
        self.recorder.note(
            Entry(kind=Kind.SKIPPED, at_s=at_s, target=key[1], runbook=key[0], body=body)
        )

    def _ended(self, key: Key, task: asyncio.Task[None]) -> None:
        self._running.pop(key, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.healer.say(f"a defect in labcoat, please report it: {error!r}")
            asyncio.get_running_loop().call_exception_handler(
                {"message": "watch: a round failed", "exception": error, "task": task}
            )
