"""The machine of healing, driven: its intents carried out, its questions answered."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never

from labcoat.errors import JournalError
from labcoat.journal.ids import Ids
from labcoat.watch.decide.deciding import concluded, ended, started
from labcoat.watch.engine.attempting import (
    Sent,
    Settled,
    Unprepared,
    prepare,
    settle,
    settled_at_once,
)
from labcoat.watch.engine.clock import WatchClock
from labcoat.watch.engine.executing import Executor
from labcoat.watch.engine.ledger import Ledger
from labcoat.watch.engine.observing import observe
from labcoat.watch.engine.targets import Target
from labcoat.watch.engine.telling import attempt_entry, lane_entry, round_entry, verdict_entry
from labcoat.watch.heal.events import Event, Examined, Exited, NotRecorded, Recorded, Tick
from labcoat.watch.heal.intents import (
    Advise,
    Alert,
    Conclude,
    Escalate,
    Examine,
    Execute,
    Hold,
    Intent,
    Record,
)
from labcoat.watch.heal.site import Site
from labcoat.watch.heal.state import EMPTY, Attempt, Cause, Fires, HealState, LaneKey, Phase
from labcoat.watch.heal.step import step, wake_s
from labcoat.watch.heal.stored import to_document
from labcoat.watch.model.outcome import Outcome
from labcoat.watch.model.runbook import Body, Place, Runbook
from labcoat.watch.model.status import worst
from labcoat.watch.record.entry import Entry, Kind
from labcoat.watch.record.recorder import Recorder

HEAL = "heal"
INTENDED = (Phase.INTENT, Phase.ROLLBACK_INTENT)
AWAITED = (*INTENDED, Phase.SENT, Phase.ROLLBACK_SENT)
ROLLING_BACK = (Phase.ROLLBACK_INTENT, Phase.ROLLBACK_SENT, Phase.ROLLBACK_DONE)


@dataclass(slots=True, kw_only=True)
class Healer:
    """Feeds events to the machine, one at a time, and does what it asks, in its order.

    ``site``: the rules as they are now. ``say``: tells the person at the terminal.
    """

    clock: WatchClock
    recorder: Recorder
    executor: Executor
    ledger: Ledger
    site: Callable[[], Site]
    say: Callable[[str], None]
    state: HealState = EMPTY
    ids: Ids = field(default_factory=Ids)
    advised: dict[str, LaneKey] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    _held: dict[LaneKey, str] = field(default_factory=dict)
    _boots: dict[str, str] = field(default_factory=dict)
    _revisions: dict[str, Runbook] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _executing: dict[asyncio.Task[None], str] = field(default_factory=dict)

    def feed(self, *events: Event) -> None:
        """Tell the machine what happened; what it asks for is begun at once."""
        for event in events:
            before = self.state
            stepped = step(self.site(), self.state, event, self.clock.now())
            self.state = stepped.state
            if isinstance(event, Fires) and event.attempt_id in self.state.attempts:
                self._revisions[event.attempt_id] = event.runbook
            if self.state != before:
                self.recorder.keep_document(HEAL, lambda: to_document(self.state))
            for intent in stepped.intents:
                self._carry_out(intent)
        self.woken.set()

    def fire(
        self,
        runbook: Runbook,
        target: str,
        action: str,
        *,
        cause: Cause = Cause.DECISION,
    ) -> str:
        """An action is called for; the id that its attempt will have."""
        standing = self.ledger.standing((runbook.path, target))
        attempt_id = self.ids.new()
        self.feed(
            Fires(
                attempt_id=attempt_id,
                runbook=runbook,
                target=target,
                action=action,
                cause=cause,
                before=dict(standing.last),
                flapping=standing.flapping,
            )
        )
        return attempt_id

    def held(self, key: LaneKey) -> str | None:
        """The guard that held an action last, if one did."""
        return self._held.get(key)

    def wake_in_s(self) -> float | None:
        """How long until time alone changes something."""
        at_s = wake_s(self.state)
        return None if at_s is None else max(0.0, at_s - self.clock.now().elapsed_s)

    def tick(self) -> None:
        """Time passed."""
        self.feed(Tick())

    def resume(self, attempt: Attempt, sent: Sent) -> None:
        """Settle what a watch that was killed had sent."""
        self._begin(self._settle(attempt, sent))

    def take_up(self, intent: Intent) -> None:
        """Carry out an intent of a watch that was killed before it could."""
        self._carry_out(intent)

    async def rest(self) -> None:
        """Until nothing is under way but time."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def abandon(self) -> list[asyncio.Task[None]]:
        """Drop what is under way, as a crash would; the tasks, which are being cancelled."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        return tasks

    async def finish(self, patience_s: float) -> None:
        """Let what is being executed end; what does not is interrupted, and recorded so."""
        if self._executing:
            await asyncio.wait(list(self._executing), timeout=patience_s)
        for task, attempt_id in list(self._executing.items()):
            task.cancel()
            self.feed(Exited(attempt_id, None, "interrupted"))
        await asyncio.gather(*self.abandon(), return_exceptions=True)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._tasks and not self.state.attempts

    def _carry_out(self, intent: Intent) -> None:  # noqa: C901, PLR0912 - one case each
        at_s = self.clock.now().wall_s
        match intent:
            case Record(attempt, phase):
                if phase in AWAITED:
                    self._begin(self._record(attempt, phase))
                else:
                    self.recorder.note(attempt_entry(attempt, phase, at_s=at_s))
            case Execute(attempt, body, marker):
                self._execute(attempt, body, marker)
            case Examine(attempt):
                self._begin(self._examine(attempt))
            case Conclude(attempt, outcome):
                self._conclude(attempt, outcome, at_s)
            case Hold(key, guard, text, _):
                if self._held.get(key) != guard:
                    self._held[key] = guard
                    self.recorder.note(
                        lane_entry(Kind.HELD, key, "", at_s=at_s, guard=guard, text=text)
                    )
            case Advise(advice_id, key, hidden):
                if not hidden and self.advised.get(advice_id) is None:
                    self.advised[advice_id] = key
                    self.recorder.note(lane_entry(Kind.ADVICE, key, advice_id, at_s=at_s))
                    self.say(f"advice {advice_id}: {key.action} on {key.target} ({key.runbook})")
            case Escalate():
                self._escalate(intent, at_s)
            case Alert(kind, text):
                told = {"kind": kind, "text": text}
                self.recorder.note(Entry(kind=Kind.ALERT, at_s=at_s, body=told))
                self.say(f"{kind}: {text}")
            case _:
                assert_never(intent)

    async def _record(self, attempt: Attempt, phase: Phase) -> None:
        """Commit a phase that something hangs on, and answer."""
        boot_id = None
        if phase in INTENDED:
            target = self._target(attempt)
            try:
                boot_id = await prepare(self.executor, body_of(attempt, phase), target)
            except Unprepared as error:
                self.recorder.note(
                    lane_entry(
                        Kind.HELD,
                        attempt.key,
                        attempt.id,
                        at_s=self.clock.now().wall_s,
                        guard="unprepared",
                        text=str(error),
                    )
                )
                self.feed(NotRecorded(attempt.id))
                return
            self._boots[attempt.id] = boot_id
        entry = attempt_entry(attempt, phase, at_s=self.clock.now().wall_s, boot_id=boot_id)
        try:
            await self.recorder.write(entry)
        except JournalError as error:
            self.say(f"no journal, no action: {error.what}")
            self.feed(NotRecorded(attempt.id))
        else:
            self.feed(Recorded(attempt.id, phase))

    def _execute(self, attempt: Attempt, body: Body, marker: str) -> None:
        self._held.pop(attempt.key, None)
        now = self.clock.now()
        if attempt.phase not in ROLLING_BACK:
            key = (attempt.key.runbook, attempt.key.target)
            standing = started(self.ledger.standing(key), attempt.action, now.elapsed_s)
            self.ledger.stand(key, standing)
        sent = Sent(
            attempt_id=attempt.id,
            marker=marker,
            body=body,
            target=self._target(attempt),
            boot_id=self._boots.get(attempt.id, ""),
            sent_s=now.elapsed_s,
        )
        task = self._begin(self._send(attempt, sent))
        self._executing[task] = attempt.id
        task.add_done_callback(lambda done: self._executing.pop(done, None))

    async def _send(self, attempt: Attempt, sent: Sent) -> None:
        """Hand the wrapper over, once."""
        environment, stdin = self._notice(attempt, sent.body)
        answer = await self.executor.execute(
            sent.body,
            sent.target,
            folder="actions",
            attempt=sent.marker,
            environment=environment,
            stdin=stdin,
        )
        at_once = settled_at_once(sent, answer)
        if at_once is None:
            await self._settle(attempt, sent)
        else:
            self._settled(attempt, at_once)

    async def _settle(self, attempt: Attempt, sent: Sent) -> None:
        self._settled(attempt, await settle(self.executor, self.clock, sent))

    def _settled(self, attempt: Attempt, event: Settled) -> None:
        if isinstance(event, Exited) and attempt.phase not in ROLLING_BACK:
            key = (attempt.key.runbook, attempt.key.target)
            status = 1 if event.status is None else event.status
            now_s = self.clock.now().elapsed_s
            self.ledger.stand(key, ended(self.ledger.standing(key), attempt.action, now_s, status))
        self.feed(event)

    async def _examine(self, attempt: Attempt) -> None:
        """A verify round: by the revision that the attempt began with, if it is known."""
        runbook = self._revisions.get(attempt.id) or self.ledger.runbooks.get(
            (attempt.key.runbook, attempt.key.target)
        )
        if runbook is None:
            self.feed(Examined(attempt.id, {}))
            return
        target = self._target(attempt)
        observation = await observe(self.executor, runbook, target, self.clock)
        told = round_entry(
            runbook, target.id, observation, at_s=self.clock.now().wall_s, lateness_s=0.0
        )
        self.recorder.note(
            lane_entry(Kind.VERIFYING, attempt.key, attempt.id, at_s=told.at_s, **told.body)
        )
        self.feed(Examined(attempt.id, {r.check: r.status for r in observation.round.results}))

    def _conclude(self, attempt: Attempt, outcome: Outcome, at_s: float) -> None:
        key = (attempt.key.runbook, attempt.key.target)
        standing = self.ledger.standing(key)
        self.ledger.stand(key, concluded(standing, attempt.action, outcome))
        self.outcomes[outcome.value] += 1
        self.recorder.note(verdict_entry(attempt, outcome, at_s=at_s))
        self.say(f"{outcome.value}: {attempt.key.action} on {attempt.key.target}, {attempt.id}")
        self._boots.pop(attempt.id, None)
        self._revisions.pop(attempt.id, None)
        if outcome is Outcome.CURED:
            self.advised = {i: lane for i, lane in self.advised.items() if lane != attempt.key}

    def _escalate(self, told: Escalate, at_s: float) -> None:
        key = told.key
        entry = lane_entry(
            Kind.ESCALATION,
            key,
            told.id,
            at_s=at_s,
            reason=told.reason,
            actions=list(told.actions),
        )
        self.recorder.note(entry)
        self.say(f"escalated: {key.action} on {key.target}: {told.reason}")
        runbook = self.ledger.runbooks.get((key.runbook, key.target))
        if runbook is None:
            return
        known = {action.name for action in runbook.actions}
        for name in told.actions:
            if name in known:
                self.fire(runbook, key.target, name, cause=Cause.ESCALATION)

    def _notice(self, attempt: Attempt, body: Body) -> tuple[Mapping[str, str], str]:
        """What an action on the watching machine learns of why it is called."""
        if body.place is not Place.REMOTE:
            return {}, ""
        key = attempt.key
        standing = self.ledger.standing((key.runbook, key.target))
        ill = [check for check, status in attempt.before.items() if status]
        told: dict[str, Any] = {
            "incident": attempt.id,
            "target": key.target,
            "runbook": key.runbook,
            "check": ",".join(ill),
            "status": worst(attempt.before.values()).name,
            "outcome": "" if attempt.outcome is None else attempt.outcome.value,
            "advice": next((i for i, lane in self.advised.items() if lane == key), ""),
        }
        environment = {f"LABCOAT_{name.upper()}": text for name, text in told.items()}
        told["cause"] = attempt.cause.value
        told["checks"] = {check: status.name for check, status in standing.last.items()}
        escalation = next(
            (e.reason for lane, e in self.state.escalations.items() if lane.target == key.target),
            None,
        )
        told["reason"] = escalation
        return environment, json.dumps(told, ensure_ascii=False)

    def _target(self, attempt: Attempt) -> Target:
        """The target, also when it is not discovered any more."""
        known = self.ledger.targets.get(attempt.key.target)
        return known or Target(id=attempt.key.target, address=attempt.key.target)

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        """A task ended; a defect in it is told, and must not pass in silence."""
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            error = task.exception()
            self.say(f"a defect in labcoat, please report it: {type(error).__name__}: {error}")
            asyncio.get_running_loop().call_exception_handler(
                {"message": "watch: a task failed", "exception": error, "task": task}
            )


def body_of(attempt: Attempt, phase: Phase) -> Body:
    """What is carried out in a phase: the action's body, or its rollback."""
    rollback = attempt.action.rollback
    if phase in ROLLING_BACK and rollback is not None:
        return rollback
    return attempt.action.body
