"""Confirmation: origin against what is handed over, on fresh processes and fresh data.

The number of epochs was fixed before the first, and there is one look, at the end: what chose
the changes has no say in what is claimed for them. On the same boots the guardrail is asked:
p99 from the intended start, at one rate for both arms.
"""

from __future__ import annotations

from dataclasses import dataclass

from labcoat.lab.campaign.course import Course
from labcoat.lab.campaign.screening import tell_course
from labcoat.lab.experiment.epoch import measure_epoch
from labcoat.lab.experiment.experiment import Experiment
from labcoat.lab.experiment.guard import (
    BROKEN,
    HELD,
    LATENCIES,
    MARGIN,
    NOT_SHOWN,
    GuardAnswer,
    guard_memory,
    open_plan,
)
from labcoat.lab.experiment.race import tell_decision
from labcoat.lab.trial.question import Rule
from labcoat.model.metric import LATENCY_P99, MEMORY
from labcoat.model.stats import Decision, Effect, Sample, Verdict
from labcoat.model.variant import ORIGIN
from labcoat.stats.interval import fixed_effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """What came of it. ``decision`` None within: it was stopped before its end.

    ``latency``: None where the objective itself is a latency.
    """

    experiment: Experiment
    decision: Decision
    planned: int
    latency: Experiment | None
    guards: tuple[GuardAnswer, ...]


def confirm(course: Course) -> Confirmed:
    """Measure the planned epochs, or go on with them. Raises: StackError, LoadError."""
    planned = course.confirming_epochs
    objective = course.asked.objective
    closed = course.begun(
        course.question(
            ORIGIN,
            course.incumbent,
            kind="confirmation",
            rule=Rule(objective=objective, margin=course.asked.margin, planned=planned),
        )
    )
    latency = None
    if objective not in LATENCIES:
        per_s = course.before.saturation.throughput_per_s.value
        latency = course.begun(
            course.question(
                ORIGIN,
                course.incumbent,
                kind="guard",
                rule=Rule(objective=LATENCY_P99, margin=MARGIN, planned=planned),
                plan=open_plan(per_s, course.bench.study.users),
                rhythm=course.open_rhythm,
            )
        )
    _measure(course, closed, latency)
    decision = course.decision_of(closed)
    guards = [guard_memory(closed, metric=MEMORY, ram_bytes=course.facts.ram_bytes)]
    if latency is not None:
        guards.insert(0, _answer(latency, course.decision_of(latency)))
    return Confirmed(
        experiment=closed,
        decision=decision,
        planned=planned,
        latency=latency,
        guards=tuple(guards),
    )


def _measure(course: Course, closed: Experiment, latency: Experiment | None) -> None:
    both = [closed] if latency is None else [closed, latency]
    bench = course.bench
    course.tell_asked(closed)
    for each in both:
        decision = course.decision_of(each)
        if decision.verdict is not None:  # a crash may have come before it was journaled
            course.settle(each, decision)
    while True:
        left = [each for each in both if course.decision_of(each).verdict is None]
        if not left or (closed.ended is not None and closed not in left) or course.asked.stops():
            return
        tell_course(course, "confirming")
        measure_epoch(bench, course.rig, *left)
        for each in left:
            decision = course.judge(each)
            if decision.verdict is not None:
                course.settle(each, decision)
        tell_decision(bench, closed, course.decision_of(closed))


def _answer(latency: Experiment, decision: Decision) -> GuardAnswer:
    """Whether p99 held, by the fixed-n interval of its effect."""
    plan = latency.question.plan
    sample = latency.sample(LATENCY_P99.name)
    effect = planned_effect(sample, latency.question.rule.planned)
    answer, reason = NOT_SHOWN, decision.reason
    if effect is None and decision.verdict is Verdict.REGRESSED:
        answer = BROKEN  # it answers wrongly: no margin is allowed for that
    if effect is not None and decision.verdict not in {None, Verdict.INVALID}:
        seen = (
            f"{100 * effect.point:+.0f} % [{100 * effect.low:+.0f}, {100 * effect.high:+.0f}],"
            f" {100 * MARGIN:+.0f} % allowed"
        )
        if effect.low > 0 and effect.point > MARGIN:
            answer, reason = BROKEN, f"worse: {seen}"
        elif effect.high < MARGIN:
            answer, reason = HELD, f"not worse by the margin: {seen}"
        else:
            reason = f"neither held nor broken: {seen}"
    return GuardAnswer(
        metric=LATENCY_P99,
        margin=MARGIN,
        rate_per_s=getattr(plan, "rate_per_s", None),
        answer=answer,
        reason=reason,
        experiment=latency,
    )


def planned_effect(sample: Sample | None, planned: int | None) -> Effect | None:
    """The effect with its fixed-n interval, where all points that were planned are there."""
    if sample is None or planned is None or sample.log_ratios.size < planned:
        return None
    return fixed_effect(Sample(metric=sample.metric, log_ratios=sample.log_ratios[:planned]))
