"""An attempt from its INTENT to its end."""

from __future__ import annotations

from dataclasses import replace

from labcoat.watch.heal import lanes, rolling
from labcoat.watch.heal.escalation import escalated, relieved
from labcoat.watch.heal.events import Exited, Recorded
from labcoat.watch.heal.intents import Conclude, Execute, Intent, Record, Stepped
from labcoat.watch.heal.state import Attempt, BreakerState, Cause, HealState, Phase, Restored
from labcoat.watch.model.moment import Moment
from labcoat.watch.model.outcome import Outcome

UNSENT = (Phase.DECIDED, Phase.INTENT)


def recorded(state: HealState, attempt: Attempt, event: Recorded, now: Moment) -> Stepped:
    """A phase is committed: the next one, or, after SENT, the execution.

    The phase in the state is the one committed before, so that a Recorded that comes
    twice, or late, changes nothing and executes nothing.
    """
    frozen = state.partition.frozen_since_s is not None
    if frozen and attempt.phase in UNSENT and attempt.cause is not Cause.ESCALATION:
        return concluded(state, attempt, Outcome.NEVER_STARTED, now)
    match attempt.phase, event.phase:
        case Phase.DECIDED, Phase.INTENT:
            return committed(state, attempt, Phase.INTENT, Phase.SENT)
        case Phase.INTENT, Phase.SENT:
            return sent(state, replace(attempt, phase=Phase.SENT, sent_s=now.elapsed_s))
        case Phase.VERIFYING, Phase.ROLLBACK_INTENT if attempt.outcome is not None:
            return committed(state, attempt, Phase.ROLLBACK_INTENT, Phase.ROLLBACK_SENT)
        case Phase.ROLLBACK_INTENT, Phase.ROLLBACK_SENT:
            return sent(state, replace(attempt, phase=Phase.ROLLBACK_SENT))
        case _:
            return Stepped(state)


def committed(state: HealState, attempt: Attempt, done: Phase, ahead: Phase) -> Stepped:
    """One phase is committed; commit the next."""
    attempt = replace(attempt, phase=done)
    return Stepped(kept(state, attempt), (Record(replace(attempt, phase=ahead), ahead),))


def sent(state: HealState, attempt: Attempt) -> Stepped:
    """The body, or the rollback, may be executed: once."""
    rollback = attempt.action.rollback if attempt.phase is Phase.ROLLBACK_SENT else None
    body = attempt.action.body if rollback is None else rollback
    marker = attempt.id if rollback is None else f"{attempt.id}.rollback"
    return Stepped(kept(state, attempt), (Execute(attempt=attempt, body=body, marker=marker),))


def given_up(state: HealState, attempt: Attempt, now: Moment) -> Stepped:
    """It is certain that what was intended did not start, and never will."""
    if attempt.phase in (*UNSENT, Phase.SENT):
        return concluded(state, attempt, Outcome.NEVER_STARTED, now)
    if is_rolling_back(attempt):
        return concluded(state, not_restored(attempt), known(attempt), now)
    return Stepped(state)


def lost(state: HealState, attempt: Attempt, note: str, now: Moment) -> Stepped:
    """Nobody can tell whether it was carried out: a failure, and never sent again."""
    if attempt.phase in UNSENT:
        return concluded(state, attempt, Outcome.NEVER_STARTED, now)
    if attempt.phase is Phase.SENT:
        indoubt = replace(attempt, phase=Phase.INDOUBT, note=note)
        return concluded(state, indoubt, Outcome.INDOUBT, now)
    if is_rolling_back(attempt):
        return concluded(state, replace(not_restored(attempt), note=note), known(attempt), now)
    return Stepped(state)


def is_rolling_back(attempt: Attempt) -> bool:
    """Its rollback is intended or sent, and has not ended."""
    intended = attempt.phase is Phase.VERIFYING and attempt.outcome is not None
    return intended or attempt.phase in (Phase.ROLLBACK_INTENT, Phase.ROLLBACK_SENT)


def known(attempt: Attempt) -> Outcome:
    """The verdict that a rollback followed."""
    assert attempt.outcome is not None
    return attempt.outcome


def not_restored(attempt: Attempt) -> Attempt:
    return replace(attempt, restored=Restored.NOT_RESTORED)


def exited(state: HealState, attempt: Attempt, event: Exited, now: Moment) -> Stepped:
    """The body, or the rollback, ended: verify, whatever its exit code was."""
    if attempt.phase is Phase.SENT:
        done = replace(attempt, phase=Phase.DONE, status=event.status, note=event.note)
        if done.verify is None:
            outcome = Outcome.SUCCEEDED if event.status == 0 else Outcome.FAILED
            stepped = concluded(state, done, outcome, now)
            return replace(stepped, intents=(Record(done, Phase.DONE), *stepped.intents))
        verifying = replace(
            done,
            phase=Phase.VERIFYING,
            since_s=now.elapsed_s,
            examine_s=now.elapsed_s + done.verify.delay_s,
        )
        records = (Record(done, Phase.DONE), Record(verifying, Phase.VERIFYING))
        return Stepped(kept(state, verifying), records)
    if attempt.phase is Phase.ROLLBACK_SENT and attempt.verify is not None:
        done = replace(
            attempt,
            phase=Phase.ROLLBACK_DONE,
            since_s=now.elapsed_s,
            examine_s=now.elapsed_s + attempt.verify.delay_s,
            ok_rounds=0,
            harm={},
        )
        return Stepped(kept(state, done), (Record(done, Phase.ROLLBACK_DONE),))
    return Stepped(state)


def judged(state: HealState, attempt: Attempt, outcome: Outcome, now: Moment) -> Stepped:
    """The verdict of the verification: roll back where that was asked for, else the end."""
    if outcome is Outcome.CURED or attempt.action.rollback is None:
        return concluded(state, attempt, outcome, now)
    attempt = replace(attempt, outcome=outcome, examine_s=None)
    intended = replace(attempt, phase=Phase.ROLLBACK_INTENT)
    return Stepped(kept(state, attempt), (Record(intended, Phase.ROLLBACK_INTENT),))


def concluded(state: HealState, attempt: Attempt, outcome: Outcome, now: Moment) -> Stepped:
    """The end of an attempt: lane, wave, and whom to tell."""
    now_s, key = now.elapsed_s, attempt.key
    ended = replace(attempt, phase=Phase.ENDED, outcome=outcome, examine_s=None)
    before = state.lane(key)
    heals = attempt.cause is not Cause.ESCALATION
    lane = lanes.after(before, attempt, outcome, now_s) if heals else replace(before, attempt=None)
    attempts = {id_: other for id_, other in state.attempts.items() if id_ != attempt.id}
    state = replace(state, lanes={**state.lanes, key: lane}, attempts=attempts)
    state = rolling.after(state, attempt, outcome, now_s)
    intents: list[Intent] = [Record(ended, Phase.ENDED), Conclude(ended, outcome)]
    reason = worth_telling(ended, before.breaker, lane.breaker)
    if heals and outcome is Outcome.CURED:
        state = relieved(state, key)
    elif heals and reason is not None:
        state, escalate = escalated(state, key, attempt.action, reason, now_s)
        intents.append(escalate)
    return Stepped(state, tuple(intents))


def worth_telling(ended: Attempt, before: BreakerState, after: BreakerState) -> str | None:
    """Why people must be told of this end, if they must."""
    if ended.restored is Restored.NOT_RESTORED:
        return "the rollback failed"
    if ended.outcome is Outcome.INDOUBT:
        return "nobody can tell whether the action was carried out"
    if after is not before and after in (BreakerState.OPEN, BreakerState.MANUAL):
        return f"the breaker is {after.value}"
    if ended.is_canary and ended.outcome is not None and ended.outcome.is_failure:
        return f"the canary of {ended.group} was not cured"
    return None


def kept(state: HealState, attempt: Attempt) -> HealState:
    """The state with this attempt as it is now."""
    return replace(state, attempts={**state.attempts, attempt.id: attempt})
