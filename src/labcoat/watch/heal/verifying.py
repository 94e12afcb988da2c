"""CURED, NOT_CURED, HARMED; and after a rollback, no worse than before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from labcoat.watch.heal.attempts import concluded, judged, kept, known, not_restored
from labcoat.watch.heal.intents import Examine, Stepped
from labcoat.watch.heal.state import Attempt, HealState, Phase, Restored
from labcoat.watch.model.guards import Verify
from labcoat.watch.model.moment import Moment
from labcoat.watch.model.outcome import Outcome
from labcoat.watch.model.status import Status

HARMFUL_ROUNDS = 2


def is_waiting(attempt: Attempt) -> bool:
    """Whether verify rounds are awaited: of the cure, or of its rollback."""
    if attempt.phase is Phase.VERIFYING:
        return attempt.outcome is None
    return attempt.phase is Phase.ROLLBACK_DONE


def passed(state: HealState, attempt: Attempt, now: Moment) -> Stepped:
    """Time went on: the window is over, or a verify round is due, or neither."""
    verify = attempt.verify
    if verify is None or attempt.since_s is None or not is_waiting(attempt):
        return Stepped(state)
    if now.elapsed_s >= attempt.since_s + verify.window_s:
        if attempt.phase is Phase.VERIFYING:
            return judged(state, attempt, Outcome.NOT_CURED, now)
        return concluded(state, not_restored(attempt), known(attempt), now)
    if attempt.examine_s is not None and now.elapsed_s >= attempt.examine_s:
        attempt = replace(attempt, examine_s=None)
        return Stepped(kept(state, attempt), (Examine(attempt),))
    return Stepped(state)


def examined(
    state: HealState, attempt: Attempt, statuses: Mapping[str, Status], now: Moment
) -> Stepped:
    """What a verify round says."""
    verify = attempt.verify
    if verify is None or not is_waiting(attempt):
        return Stepped(state)
    if attempt.phase is Phase.ROLLBACK_DONE:
        return examined_after_rollback(state, attempt, verify, statuses, now)
    attempt = replace(
        attempt,
        ok_rounds=attempt.ok_rounds + 1 if are_all_ok(statuses) else 0,
        harm=harmed(attempt, statuses),
        examine_s=now.elapsed_s + verify.every_s,
    )
    if attempt.ok_rounds >= verify.ok:
        return judged(state, attempt, Outcome.CURED, now)
    if any(rounds >= HARMFUL_ROUNDS for rounds in attempt.harm.values()):
        return judged(state, attempt, Outcome.HARMED, now)
    return Stepped(kept(state, attempt))


def are_all_ok(statuses: Mapping[str, Status]) -> bool:
    return bool(statuses) and all(status is Status.OK for status in statuses.values())


def harmed(attempt: Attempt, statuses: Mapping[str, Status]) -> Mapping[str, int]:
    """Per check that was OK before the attempt, in how many verify rounds it was not."""
    return {
        check: attempt.harm.get(check, 0) + int(status is not Status.OK)
        for check, status in statuses.items()
        if attempt.before.get(check) is Status.OK
    }


def examined_after_rollback(
    state: HealState,
    attempt: Attempt,
    verify: Verify,
    statuses: Mapping[str, Status],
    now: Moment,
) -> Stepped:
    """RESTORED after as many rounds in which each check that was OK before is OK again."""
    was_ok = [check for check, status in attempt.before.items() if status is Status.OK]
    no_worse = all(statuses.get(check, Status.OK) is Status.OK for check in was_ok)
    attempt = replace(
        attempt,
        ok_rounds=attempt.ok_rounds + 1 if no_worse else 0,
        examine_s=now.elapsed_s + verify.every_s,
    )
    if attempt.ok_rounds < verify.ok:
        return Stepped(kept(state, attempt))
    restored = replace(attempt, restored=Restored.RESTORED)
    return concluded(state, restored, known(attempt), now)


def restarted(attempt: Attempt, now_s: float) -> Attempt:
    """The window from its beginning: what was seen during a partition proves nothing."""
    if attempt.verify is None or not is_waiting(attempt):
        return attempt
    return replace(
        attempt, since_s=now_s, examine_s=now_s + attempt.verify.delay_s, ok_rounds=0, harm={}
    )
