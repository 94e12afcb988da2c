"""An experiment as the lab holds it, made of readings that can be checked by hand.

The baseline answers 100 requests in each slice of a second and spends 1.2 s of CPU on them;
the treatment answers 100 times the ratio that is given for its epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from labcoat.lab.experiment.experiment import Experiment
from labcoat.lab.experiment.guard import HELD, MARGIN, RHYTHM, GuardAnswer
from labcoat.lab.experiment.history import History
from labcoat.lab.experiment.recorded import Gathered
from labcoat.lab.trial.pairing import MeasuredBlock, VoidBlock
from labcoat.lab.trial.question import Question, Rhythm, Rule
from labcoat.model.experiment import Arm, Order
from labcoat.model.journal import ExperimentRecord
from labcoat.model.load import Arrivals, ClosedLoop, OpenLoop
from labcoat.model.metric import LATENCY_P99, THROUGHPUT
from labcoat.model.variant import ORIGIN, Level, Variant
from labcoat.testing.baseline import reading

BASELINE_PER_S = 100.0
GAINS = (1.10, 1.21, 1.10, 1.21, 1.10, 1.21)
"""Six epochs; their effect is √(1.10 · 1.21) - 1 = 15.4 %."""


def question(
    levels: Mapping[str, Level] | None = None, *, kind: str = "try", **changed: Any
) -> Question:
    """Whether two uWSGI processes are better than one; ``levels`` {} asks the A/A question."""
    treatment = Variant.of({"uwsgi.processes": 2} if levels is None else levels)
    given: dict[str, Any] = {
        "plan": ClosedLoop(users=8),
        "rule": Rule(objective=THROUGHPUT, margin=0.02),
        "rhythm": Rhythm(),
        **changed,
    }
    return Question(
        kind=kind, baseline=ORIGIN, treatment=treatment, origin="0", machine="here", **given
    )


def record_of(asked: Question) -> ExperimentRecord:
    """The record of an experiment that asks this."""
    return ExperimentRecord(
        id="experiment-1",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        study_id="study-1",
        kind=asked.kind,
        question=asked.document(),
        baseline=asked.baseline,
        treatment=asked.treatment,
        seed=1,
    )


def measured_block(
    index: int,
    ratio: float,
    *,
    epoch: int | None = None,
    latency_ratio: float = 1.0,
    **of_reading: Any,
) -> MeasuredBlock:
    """ABBA: the treatment answers ``ratio`` times as much, ``latency_ratio`` times as late."""
    factors = {Arm.BASELINE: (1.0, 1.0), Arm.TREATMENT: (ratio, latency_ratio)}
    slices = []
    for arm in Order.ABBA.arms:
        rate, late = factors[arm]
        slices.append(
            (
                arm,
                reading(
                    per_s=BASELINE_PER_S * rate,
                    latencies_s=[late * each for each in (0.01, 0.02, 0.03, 0.04)],
                    **of_reading,
                ),
            )
        )
    return MeasuredBlock(
        index=index, epoch=index if epoch is None else epoch, slices=tuple(slices), took_s=7.0
    )


def experiment(
    ratios: Sequence[float] = GAINS,
    *,
    asked: Question | None = None,
    latency_ratio: float = 1.0,
    voids: Sequence[VoidBlock] = (),
    **of_reading: Any,
) -> Experiment:
    """An experiment that has measured one block per epoch; a restart took 12 seconds."""
    asked = question() if asked is None else asked
    return Experiment(
        question=asked,
        record=record_of(asked),
        history=History(),
        gathered=Gathered(
            blocks=[
                measured_block(index, ratio, latency_ratio=latency_ratio, **of_reading)
                for index, ratio in enumerate(ratios)
            ],
            voids=list(voids),
        ),
        compared=2 * len(ratios),
        restart_s=[12.0] * len(ratios),
    )


def latency_guard(
    *, ratios: Sequence[float] = (1.0, 1.01) * 4, answer: str = HELD, reason: str = ""
) -> GuardAnswer:
    """The guardrail of p99 at 70 requests per second; ``ratios``: of its latencies, by epoch."""
    plan = OpenLoop(rate_per_s=70.0, arrivals=Arrivals.POISSON, connections=64)
    asked = question(
        kind="guard", plan=plan, rule=Rule(objective=LATENCY_P99, margin=MARGIN), rhythm=RHYTHM
    )
    guard = experiment((), asked=asked)
    guard.gathered.blocks = [
        measured_block(index, 1.0, latency_ratio=late, plan=plan)
        for index, late in enumerate(ratios)
    ]
    return GuardAnswer(
        metric=LATENCY_P99,
        margin=MARGIN,
        rate_per_s=plan.rate_per_s,
        answer=answer,
        reason=reason or "not worse by 10 %, proven after 8 blocks",
        experiment=guard,
    )
