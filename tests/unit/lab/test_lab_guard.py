"""Guardrails: held, broken or not shown, and at which rate they are asked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labcoat.lab.experiment.experiment import Experiment
from labcoat.lab.experiment.guard import baseline_rate, guard_memory, open_plan, weigh
from labcoat.lab.trial.question import Rule
from labcoat.model.load import Arrivals, OpenLoop
from labcoat.model.metric import LATENCY_P99, MEMORY
from labcoat.model.stats import Decision, Evidence, Verdict
from labcoat.testing.experiment import experiment, measured_block, question

NUDGE = 1e-9  # values that are all equal are no sample


def guarded(latency_ratio: float) -> Experiment:
    """A guardrail of p99, margin 10 %; the treatment is this many times as slow."""
    asked = question(kind="guard", rule=Rule(objective=LATENCY_P99, margin=0.10))
    guard = experiment((), asked=asked)
    guard.gathered.blocks = [
        measured_block(index, 1.0, latency_ratio=latency_ratio * (1 + index * NUDGE))
        for index in range(8)
    ]
    return guard


def decision(verdict: Verdict | None, *, not_worse: float | None = 0.0) -> Decision:
    evidence = (
        None
        if not_worse is None
        else Evidence(
            better=0.0, worse=0.0, not_better=0.0, not_worse=not_worse,
            needed=3.7, needed_for_margin=3.0,
        )
    )  # fmt: skip
    return Decision(verdict=verdict, reason="the reason", n=8, evidence=evidence)


@pytest.mark.parametrize(
    ("ratio", "decided", "answer", "reason"),
    [
        (1.2, decision(Verdict.REGRESSED), "broken", "worse by 20 %, 10 % allowed"),
        (
            1.05,
            decision(Verdict.REGRESSED),
            "not shown",
            "worse, by 5 % as far as is known",
        ),
        # Worse for certain, and for certain not by the margin.
        (
            1.05,
            decision(Verdict.REGRESSED, not_worse=3.1),
            "held",
            "not worse by 10 %, proven after 8 blocks",
        ),
        # Wrong answers end it without evidence, however fast the right ones were.
        (0.9, decision(Verdict.REGRESSED, not_worse=None), "broken", "the reason"),
        (0.9, decision(Verdict.IMPROVED), "held", "not worse by 10 %, proven after 8 blocks"),
        (1.0, decision(Verdict.EQUIVALENT), "held", "not worse by 10 %, proven after 8 blocks"),
        (
            1.0,
            decision(Verdict.INCONCLUSIVE, not_worse=3.0),
            "held",
            "not worse by 10 %, proven after 8 blocks",
        ),
        # A budget ended it before the first look.
        (
            1.0,
            replace(decision(Verdict.INCONCLUSIVE, not_worse=9.9), n=5),
            "not shown",
            "the reason",
        ),
        (1.0, decision(Verdict.INCONCLUSIVE, not_worse=2.9), "not shown", "the reason"),
        (1.0, decision(Verdict.INVALID, not_worse=None), "not shown", "the reason"),
        (1.2, decision(Verdict.INCONCLUSIVE), "not shown", "the reason"),
    ],
)
def test_what_became_of_a_guardrail(
    ratio: float, decided: Decision, answer: str, reason: str
) -> None:
    assert weigh(guarded(ratio), decided) == (answer, reason)


@pytest.mark.parametrize(
    ("saturation_per_s", "rate_per_s"),
    [(104.77, 73.3), (1234.5, 864.0), (9.87, 6.91), (150_000.0, 105_000.0), (0.5, 0.35)],
)
def test_the_rate_is_a_share_of_saturation_with_three_digits(
    saturation_per_s: float, rate_per_s: float
) -> None:
    assert open_plan(saturation_per_s, 8) == OpenLoop(
        rate_per_s=rate_per_s, arrivals=Arrivals.POISSON, connections=64
    )


def test_many_users_have_connections_enough() -> None:
    assert open_plan(100.0, 32).connections == 256


def test_the_rate_comes_from_the_baseline_alone() -> None:
    assert baseline_rate(experiment((2.0, 3.0))) == 100.0


@pytest.mark.parametrize(
    ("ram_bytes", "answer", "reason"),
    [
        # Three layers of 40 MB each.
        (1_000_000_000, "held", "12 % of the machine's memory, 80 % allowed"),
        (150_000_000, "held", "80 % of the machine's memory, 80 % allowed"),
        (149_000_000, "broken", "81 % of the machine's memory, 80 % allowed"),
    ],
)
def test_memory_has_a_cap(ram_bytes: int, answer: str, reason: str) -> None:
    found = guard_memory(experiment((1.1,)), metric=MEMORY, ram_bytes=ram_bytes)
    assert (found.metric, found.margin, found.rate_per_s) == (MEMORY, 0.8, None)
    assert (found.answer, found.reason) == (answer, reason)


def test_nothing_measured_takes_no_memory() -> None:
    assert guard_memory(experiment(()), metric=MEMORY, ram_bytes=1).answer == "held"


def test_a_guardrail_is_weighed_by_its_own_margin() -> None:
    guard = guarded(1.2)
    wide = replace(guard.question, rule=replace(guard.question.rule, margin=0.3))
    guard.question = wide
    assert weigh(guard, decision(Verdict.REGRESSED))[0] == "not shown"
