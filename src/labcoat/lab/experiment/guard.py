"""Guardrails: what must not get worse while the objective improves."""

from __future__ import annotations

import math
from dataclasses import dataclass

from labcoat.lab.baseline.phases import OPEN_SHARE
from labcoat.lab.experiment.experiment import Experiment, begin
from labcoat.lab.experiment.race import race
from labcoat.lab.trial.question import Question, Rhythm, Rule
from labcoat.lab.trial.workbench import Workbench
from labcoat.model.experiment import Arm
from labcoat.model.load import Arrivals, OpenLoop
from labcoat.model.metric import LATENCY_P50, LATENCY_P95, LATENCY_P99, Metric
from labcoat.model.stats import Decision, Verdict
from labcoat.stack.rig import Rig
from labcoat.stats.sequential import first_look

LATENCIES = (LATENCY_P50, LATENCY_P95, LATENCY_P99)
MARGIN = 0.10
EPOCHS = 8
RHYTHM = Rhythm(slice_s=2.5, discard_s=0.5, blocks_per_epoch=1)
MEMORY_RATIO = 0.8
"""Of the machine's memory: what a stack may fill (worst-case arithmetic of the catalogue)."""

HELD, BROKEN, NOT_SHOWN = "held", "broken", "not shown"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardAnswer:
    """What became of a guardrail. ``experiment``: where it was measured, if in one of its own."""

    metric: Metric
    margin: float
    rate_per_s: float | None
    answer: str
    reason: str
    experiment: Experiment | None = None


def open_plan(rate_per_s: float, users: int) -> OpenLoop:
    """Poisson arrivals at a share of saturation, the same for both arms."""
    share = OPEN_SHARE * rate_per_s
    digits = 2 - math.floor(math.log10(share))  # a rate that a person can repeat
    return OpenLoop(
        rate_per_s=round(share, digits),
        arrivals=Arrivals.POISSON,
        connections=max(64, 8 * users),
    )


def baseline_rate(experiment: Experiment) -> float:
    """Mean throughput of the baseline's slices, requests per second."""
    rates = [
        reading.summary.throughput_per_s
        for block in experiment.gathered.blocks
        for arm, reading in block.slices
        if arm is Arm.BASELINE
    ]
    return sum(rates) / len(rates)


def guard_latency(
    bench: Workbench, rig: Rig, experiment: Experiment, *, budget_s: float
) -> GuardAnswer:
    """p99 from the intended start at 70 % of the baseline's saturation, both arms.

    A closed loop cannot say how fast: it asks less of a slower stack. Measured on fresh
    boots, in paired blocks like any experiment. Raises: StackError, LoadError.
    """
    asked = experiment.question
    plan = open_plan(baseline_rate(experiment), bench.study.users)
    question = Question(
        kind="guard",
        baseline=asked.baseline,
        treatment=asked.treatment,
        plan=plan,
        rule=Rule(objective=LATENCY_P99, margin=MARGIN),
        rhythm=RHYTHM,
        origin=asked.origin,
        machine=asked.machine,
    )
    guard = begin(bench, question, experiment.history, anew=False)
    guard.cap, guard.least_chance = EPOCHS, 0.0
    (decision,) = race(bench, rig, [guard], budget_s=budget_s, headroom_per_s=None)
    answer, reason = weigh(guard, decision)
    return GuardAnswer(
        metric=LATENCY_P99,
        margin=MARGIN,
        rate_per_s=plan.rate_per_s,
        answer=answer,
        reason=reason,
        experiment=guard,
    )


def weigh(guard: Experiment, decision: Decision) -> tuple[str, str]:
    """Whether a guardrail held, and why: worse by more than its margin breaks it."""
    effect = guard.effect(guard.question.rule.objective.name)
    margin = guard.question.rule.margin
    evidence = decision.evidence
    is_worse = decision.verdict is Verdict.REGRESSED
    if is_worse and (evidence is None or effect is None):
        return BROKEN, decision.reason  # it answers wrongly: no margin is allowed for that
    if is_worse and effect is not None and effect.point > margin:
        return BROKEN, f"worse by {_percent(effect.point)}, {_percent(margin)} allowed"
    is_no_worse = (
        evidence is not None
        and decision.n >= first_look(guard.question.rule.alpha)  # a budget may end it before
        and evidence.not_worse >= evidence.needed_for_margin
    )
    if is_no_worse or decision.verdict in {Verdict.IMPROVED, Verdict.EQUIVALENT}:
        return HELD, f"not worse by {_percent(margin)}, proven after {decision.n} blocks"
    if is_worse and effect is not None:
        return NOT_SHOWN, f"worse, by {_percent(effect.point)} as far as is known"
    return NOT_SHOWN, decision.reason


def guard_memory(experiment: Experiment, *, metric: Metric, ram_bytes: int) -> GuardAnswer:
    """Whether the treatment's memory stays under its cap."""
    used = max(
        (
            reading.pss_bytes
            for block in experiment.gathered.blocks
            for arm, reading in block.slices
            if arm is Arm.TREATMENT
        ),
        default=0,
    )
    is_held = used <= MEMORY_RATIO * ram_bytes
    return GuardAnswer(
        metric=metric,
        margin=MEMORY_RATIO,
        rate_per_s=None,
        answer=HELD if is_held else BROKEN,
        reason=f"{_percent(used / ram_bytes)} of the machine's memory,"
        f" {_percent(MEMORY_RATIO)} allowed",
    )


def _percent(ratio: float) -> str:
    return f"{ratio * 100:.0f} %"
