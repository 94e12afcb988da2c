"""One round judged; and what an action's start, end and verdict change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import assert_never

from labcoat.watch.decide import compat, corrected
from labcoat.watch.decide.decision import Condition, Decision, Deliberation
from labcoat.watch.decide.standing import Memory, Standing
from labcoat.watch.model.flapping import Flap, observed
from labcoat.watch.model.outcome import Outcome
from labcoat.watch.model.rounds import UNREACHABLE, Round
from labcoat.watch.model.runbook import Action, Place, Runbook, Semantics
from labcoat.watch.model.status import Status


def decide(runbook: Runbook, standing: Standing, round_: Round) -> Deliberation:
    """The standing after a round, and a decision per action.

    The round's results are those of the runbook's checks. A round of an unreachable target
    is lost in compat: nothing is counted and nothing fires.
    """
    if round_.unreachable and runbook.semantics is Semantics.COMPAT:
        return Deliberation(standing=standing, decisions=lost(runbook))
    after = observe(runbook, standing, round_)
    return Deliberation(
        standing=after,
        decisions=tuple(judge(runbook, action, after, round_) for action in runbook.actions),
    )


def lost(runbook: Runbook) -> tuple[Decision, ...]:
    """No action fires on a round that could not be made."""
    condition = Condition("round", False, "the target does not answer: the round is lost")
    return tuple(
        Decision(action=action.name, conditions=(condition,), held=UNREACHABLE)
        for action in runbook.actions
    )


def observe(runbook: Runbook, standing: Standing, round_: Round) -> Standing:
    """What both semantics remember, then what each does."""
    well = round_.is_all_ok
    since = round_.elapsed_s if standing.incident_s is None else standing.incident_s
    common = replace(
        standing,
        last={result.check: result.status for result in round_.results},
        flaps={
            result.check: observed(standing.flaps.get(result.check, Flap()), result.status)
            for result in round_.results
        },
        incident_s=None if well else since,
    )
    match runbook.semantics:
        case Semantics.COMPAT:
            return compat.observe(common, round_)
        case Semantics.LABCOAT:
            return corrected.observe(runbook, common, round_)
        case _:
            assert_never(runbook.semantics)


def judge(runbook: Runbook, action: Action, standing: Standing, round_: Round) -> Decision:
    """The decision about one action; the standing already contains the round."""
    needs_target = action.body.place is Place.TARGET
    return Decision(
        action=action.name,
        conditions=tuple(all_conditions(runbook.semantics, action, standing, round_)),
        held=UNREACHABLE if round_.unreachable and needs_target else None,
    )


def all_conditions(
    semantics: Semantics, action: Action, standing: Standing, round_: Round
) -> Iterator[Condition]:
    if action.guards.manual:
        yield Condition("manual", False, "starts by an escalation or by watch apply only")
    rules = compat if semantics is Semantics.COMPAT else corrected
    yield from rules.conditions(action, standing, round_)


def started(standing: Standing, action: Action, at_s: float) -> Standing:
    """After the body was sent."""
    memory = standing.memory(action.name)
    return remember(
        standing,
        action.name,
        replace(memory, last_start_s=at_s, spent=action.run_once, recovering=False),
    )


def ended(standing: Standing, action: Action, at_s: float, status: int | None) -> Standing:
    """After the body ended; only exit 0 counts as compat's ``last_run``."""
    if status != 0:
        return standing
    return remember(
        standing, action.name, replace(standing.memory(action.name), last_success_s=at_s)
    )


def concluded(standing: Standing, action: Action, outcome: Outcome) -> Standing:
    """After the verdict: a cure zeroes all streaks, a failure makes ``after`` eligible."""
    if outcome is Outcome.CURED:
        return replace(standing, streaks={})
    if not outcome.is_failure:
        return standing
    return remember(standing, action.name, replace(standing.memory(action.name), failed=True))


def remember(standing: Standing, action: str, memory: Memory) -> Standing:
    return replace(standing, memories={**standing.memories, action: memory})


def statuses_of(round_: Round) -> dict[str, Status]:
    """Per check, its status: what ``Fires.before`` and ``Examined.statuses`` want."""
    return {result.check: result.status for result in round_.results}
