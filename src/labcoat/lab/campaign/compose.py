"""From the course of a campaign to its document. Measures nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from labcoat.lab.campaign.candidates import Candidate
from labcoat.lab.campaign.confirmation import Confirmed, planned_effect
from labcoat.lab.campaign.course import Course, Key, Taken
from labcoat.lab.campaign.screening import STOPPED
from labcoat.lab.campaign.worth import would_take_s
from labcoat.lab.experiment.experiment import Experiment
from labcoat.lab.experiment.guard import BROKEN, GuardAnswer
from labcoat.lab.experiment.online import discoveries
from labcoat.lab.experiment.told import Context, guardrail, tell
from labcoat.model.baseline import Baseline
from labcoat.model.domain import spelled
from labcoat.model.experiment import Arm
from labcoat.model.finding import ExperimentFinding
from labcoat.model.load import OpenLoop
from labcoat.model.metric import Better
from labcoat.model.stats import LabWarning, Verdict
from labcoat.model.tune import (
    SCHEMA,
    Change,
    Confirmation,
    Considered,
    Handover,
    Quantiles,
    Step,
    TuneFinding,
)

IMPROVED, NOTHING, UNCONFIRMED, INTERRUPTED, GUARDRAIL = (
    "improved",
    "nothing to change",
    "not confirmed",
    "interrupted",
    "guardrail",
)
QUANTILES = (*(step / 40 for step in range(1, 40)), 0.98, 0.99, 0.995, 0.999)
FEW_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a campaign ended. ``stopped``: why screening did."""

    at: datetime
    stopped: str
    confirmed: Confirmed | None
    after: Baseline | None
    handover: Handover


def outcome_of(course: Course, confirmed: Confirmed | None, stopped: str) -> str:
    """In one of the words of ``TuneFinding.outcome``."""
    if confirmed is None:
        return INTERRUPTED if stopped == STOPPED or course.incumbent.assignment else NOTHING
    if confirmed.decision.verdict is None:
        return INTERRUPTED
    if confirmed.decision.verdict is not Verdict.IMPROVED:
        return UNCONFIRMED
    return GUARDRAIL if any(each.answer == BROKEN for each in confirmed.guards) else IMPROVED


def compose_tune(course: Course, ending: Ending) -> TuneFinding:
    """The document."""
    course.holding = discoveries(course.bench.journal, course.bench.study_id)
    confirmed = ending.confirmed
    outcome = outcome_of(course, confirmed, ending.stopped)
    confirmation = None if confirmed is None else _confirmation(course, confirmed)
    return TuneFinding(
        schema=SCHEMA,
        study=course.bench.study.name,
        study_id=course.bench.study_id,
        at=ending.at.isoformat(timespec="seconds"),
        outcome=outcome,
        sentence=_sentence(course, outcome, confirmation, ending),
        stopped=ending.stopped,
        objective=course.asked.objective.name,
        margin_ratio=course.asked.margin,
        budget_s=course.asked.budget_s,
        spent_s=course.spending.spent_s,
        allowed=tuple(sorted(each.value for each in course.asked.allowed)),
        before=course.before,
        after=ending.after,
        steps=tuple(_step(course, step) for step in course.steps),
        considered=tuple(_considered(course)),
        controls=tuple(_told(course, each) for each in course.controls),
        confirmation=confirmation,
        handover=ending.handover,
        command=course.asked.command,
        seed=course.bench.study.seed,
        warnings=tuple(_warnings(course, confirmed)),
    )


def _told(
    course: Course,
    experiment: Experiment,
    change: Change | None = None,
    guards: Sequence[GuardAnswer] = (),
) -> ExperimentFinding:
    decision = course.decision_of(experiment)
    if decision.verdict is None:
        blocks = len(experiment.gathered.blocks)
        decision = replace(
            decision,
            verdict=Verdict.INCONCLUSIVE,
            reason=f"left after {blocks} block{'' if blocks == 1 else 's'}",
        )
    knob = next((each.knob for each in course.candidates if change and each.change == change), None)
    context = Context(
        origin_level=None if change is None else change.before,
        origin_is_said=change is not None and change.before_is_said,
        headroom_per_s=course.headroom_per_s,
        online=experiment.record.id in course.holding,
        knob=knob,
    )
    return tell(experiment, decision, guards, context)


def _step(course: Course, step: Taken) -> Step:
    """A step as it stands in the end; of several knobs that were accepted together, the kept."""
    levels = dict(course.incumbent.assignment)
    kept = [each for each in step.candidates if levels.get(each.knob.name) == each.level]
    shown = (kept or step.candidates)[-1]
    removal = course.removals.get(shown.knob.name)
    if removal is not None and shown.key not in removal.question.changes:
        removal = None  # of a later level
    return Step(
        change=shown.change,
        experiment=_told(course, step.experiment, shown.change),
        removal=None if removal is None else _told(course, removal),
        is_kept=bool(kept),
        reason=_why_kept(course, step, removal) if kept else _why_not(course, step),
        works_with=tuple(each.knob.name for each in (kept or step.candidates) if each != shown),
    )


def _why_kept(course: Course, step: Taken, removal: Experiment | None) -> str:
    reason = "leaving it out loses what it gives"
    if removal is None:
        is_alone = len(course.incumbent.assignment) == 1
        reason = (
            "it is all that changes: the confirmation is its measure"
            if is_alone
            else "it was accepted, and not left out again yet"
        )
    left_out = [each for each in step.knobs if each not in dict(course.incumbent.assignment)]
    more = [f"{each}, accepted with it, was left out: {course.dropped[each]}" for each in left_out]
    return "; ".join((reason, *more))


def _why_not(course: Course, step: Taken) -> str:
    levels = dict(course.incumbent.assignment)
    later = [each for each in step.knobs if each in levels]
    if later:
        return f"a later step went on to {spelled(levels[later[-1]])}"
    return next(course.dropped[each] for each in step.knobs if each in course.dropped)


def _considered(course: Course) -> Iterable[Considered]:
    taken = {each.key for step in course.steps for each in step.candidates}
    rows = [_of_candidate(course, each) for each in course.candidates if each.key not in taken]
    rows += [
        _of_several(course, key, experiment)
        for (key, _), experiment in course.experiments.items()
        if len(key) > 1 and not taken.issuperset(key) and experiment.gathered.blocks
    ]
    yield from sorted(rows, key=lambda row: -(row.bound_ratio or 0.0))
    for left_out in course.left_out:
        yield Considered(
            change=left_out.change,
            outcome="skipped",
            reason=left_out.reason,
            bound_ratio=None,
            would_take_s=None,
        )


def _of_candidate(course: Course, candidate: Candidate) -> Considered:
    key: Key = (candidate.key,)
    bound = course.bound(key)
    experiments = [
        each
        for each in course.of_key(key)
        if each.gathered.blocks or course.decision_of(each).verdict is not None
    ]
    decisions = [course.decision_of(each) for each in experiments]
    # Better than an earlier incumbent is no answer: it was not asked of the last.
    answered = [each for each in decisions if each.verdict not in {None, Verdict.IMPROVED}]
    would_s = None
    if key in course.refused:
        outcome, reason = Verdict.REGRESSED.value, course.refused[key]
    elif answered and answered[-1].verdict is not None:
        outcome, reason = answered[-1].verdict.value, answered[-1].reason
    elif bound < course.asked.margin:
        outcome = "skipped"
        reason = f"it acts on too little of a request to give {course.asked.margin:.1%}"
    else:
        outcome = "undecided"
        reason, would_s = _undecided(course, candidate, experiments)
    return Considered(
        change=candidate.change,
        outcome=outcome,
        reason=reason,
        bound_ratio=bound if math.isfinite(bound) else None,
        would_take_s=would_s,
        experiments=tuple(_told(course, each, candidate.change) for each in experiments),
    )


def _of_several(course: Course, key: Key, experiment: Experiment) -> Considered:
    """Levels that were asked about together, and not accepted."""
    *others, last = course.candidates_of(key)
    decision = course.decision_of(experiment)
    outcome = "undecided" if decision.verdict is None else decision.verdict.value
    reason = decision.reason
    if decision.verdict is Verdict.IMPROVED:
        outcome = "undecided"
        reason = "better than an earlier incumbent, and not asked of the last"
    with_ = _listed([f"{each.knob.name} = {spelled(each.level)}" for each in others])
    bound = course.bound(key)
    return Considered(
        change=last.change,
        outcome=outcome,
        reason=f"together with {with_}: {reason}",
        bound_ratio=bound if math.isfinite(bound) else None,
        would_take_s=None,
        experiments=(_told(course, experiment, last.change),),
    )


def _undecided(
    course: Course, candidate: Candidate, experiments: Sequence[Experiment]
) -> tuple[str, float | None]:
    """Why nothing was decided, and the time that would decide it four times in five."""
    means = course.means
    if experiments:
        effect = experiments[-1].effect(course.asked.objective.name)
        blocks = len(experiments[-1].gathered.blocks)
        seen = "" if effect is None else f" at {100 * effect.point:+.1f} %"
        sought = max(abs(effect.point) if effect is not None else 0.0, course.asked.margin)
        left = f"left after {blocks} block{'' if blocks == 1 else 's'}{seen}"
        return f"{left}: other levels promised more per minute", would_take_s(sought, means)
    sought = max(course.hope((candidate.key,)), course.asked.margin)
    chance = f"this one has a chance of {candidate.prior:.0%}"
    return f"not asked: other levels promised more, {chance}", would_take_s(sought, means)


def _confirmation(course: Course, confirmed: Confirmed) -> Confirmation:
    objective = course.asked.objective
    sample = confirmed.experiment.sample(objective.name)
    effect = planned_effect(sample, confirmed.planned)
    latency = confirmed.latency
    plan = None if latency is None else latency.question.plan
    return Confirmation(
        experiment=_told(course, confirmed.experiment, guards=confirmed.guards),
        claimed_ratio=course.gain,
        confirmed_ratio=None if effect is None else effect.point,
        low_ratio=None if effect is None else effect.low,
        high_ratio=None if effect is None else effect.high,
        epochs=len(confirmed.experiment.gathered.epochs()),
        planned_epochs=confirmed.planned,
        is_confirmed=confirmed.decision.verdict is Verdict.IMPROVED,
        guardrails=tuple(guardrail(each) for each in confirmed.guards),
        rate_per_s=plan.rate_per_s if isinstance(plan, OpenLoop) else None,
        before=None if latency is None else _quantiles(latency, Arm.BASELINE),
        after=None if latency is None else _quantiles(latency, Arm.TREATMENT),
    )


def _quantiles(experiment: Experiment, arm: Arm) -> Quantiles | None:
    """Of all requests of an arm, merged."""
    merged = [
        reading.latencies_s
        for block in experiment.gathered.blocks
        for mine, reading in block.slices
        if mine is arm
    ]
    values = np.concatenate(merged) if merged else np.array([])
    if not values.size:
        return None
    seconds = np.quantile(values, QUANTILES, method="inverted_cdf")
    return Quantiles(
        count=int(values.size), q=QUANTILES, seconds=tuple(float(each) for each in seconds)
    )


def _sentence(
    course: Course, outcome: str, confirmation: Confirmation | None, ending: Ending
) -> str:
    """The whole in one sentence, for a person."""
    levels = course.incumbent.assignment
    what = _listed([f"{knob} = {spelled(level)}" for knob, level in levels])
    title = course.asked.objective.title
    if outcome == NOTHING:
        return f"Nothing to change: {ending.stopped}."
    if outcome == INTERRUPTED:
        known = f"; {what} looks better so far, and is not confirmed" if levels else ""
        return f"Interrupted{known}. The same command goes on from here."
    assert confirmation is not None
    gain = ""
    if confirmation.confirmed_ratio is not None:
        gain = (
            f"{title} {100 * confirmation.confirmed_ratio:+.0f} %"
            f" [{100 * (confirmation.low_ratio or 0):+.0f},"
            f" {100 * (confirmation.high_ratio or 0):+.0f}]"
        )
    if outcome == UNCONFIRMED:
        seen = f" ({gain})" if gain else ""
        return f"Not confirmed: on fresh data {what} was not shown to be better{seen}."
    if outcome == GUARDRAIL:
        broken = next(each for each in confirmation.guardrails if each.answer == BROKEN)
        return f"A guardrail broke with {what} ({gain}): {broken.metric}, {broken.reason}."
    return f"{gain[:1].upper()}{gain[1:]} with {what}, confirmed on fresh processes."


def _listed(words: Sequence[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    return ", ".join(words[:-1]) + " and " + words[-1]


def _warnings(course: Course, confirmed: Confirmed | None) -> Iterable[LabWarning]:
    if confirmed is not None and confirmed.planned < 20:
        yield LabWarning(
            code="few_epochs",
            message=f"the budget allowed {confirmed.planned} epochs of confirmation, not 20, so"
            " the interval is wider than it could be",
            remedy="raise --budget",
        )
    if course.spending.spent_s > course.asked.budget_s + FEW_S:
        over_s = course.spending.spent_s - course.asked.budget_s
        yield LabWarning(
            code="over_budget",
            message=f"the budget was exceeded by {over_s:.0f} s: epochs took longer than the"
            " baseline's",
            remedy="what was begun was measured to its end; give a larger --budget next time",
        )
    if course.asked.objective.better is Better.LOWER:
        yield LabWarning(
            code="unbounded_objective",
            message=f"no bound is known for {course.asked.objective.title}, so no level was left"
            " out for acting on too little",
            remedy="tune for throughput first",
        )
