"""The rule of a confirmation: one look, at a number of points that was fixed before."""

from __future__ import annotations

import math

import numpy as np
import pytest

from labcoat.errors import AnalysisError
from labcoat.model.metric import Better
from labcoat.model.stats import Sample, Verdict
from labcoat.stats.decide import decide_planned

WIDE = np.array([-0.02, 0.02, -0.03, 0.03])
NARROW = WIDE / 100


def sample(values: object) -> Sample:
    return Sample(metric="throughput", log_ratios=np.asarray(values, dtype=np.float64))


@pytest.mark.parametrize(
    ("values", "better", "verdict"),
    [
        (WIDE + 0.10, Better.HIGHER, Verdict.IMPROVED),
        (WIDE - 0.10, Better.HIGHER, Verdict.REGRESSED),
        (WIDE + 0.10, Better.LOWER, Verdict.REGRESSED),
        (WIDE - 0.10, Better.LOWER, Verdict.IMPROVED),
        (NARROW, Better.HIGHER, Verdict.EQUIVALENT),
        (NARROW, Better.LOWER, Verdict.EQUIVALENT),
        (WIDE, Better.HIGHER, Verdict.INCONCLUSIVE),
        (WIDE, Better.LOWER, Verdict.INCONCLUSIVE),
        # The margin is the same ratio both ways: 1.02 up, 1/1.02 down.
        (NARROW + math.log(1.019), Better.HIGHER, Verdict.IMPROVED),
        (NARROW - math.log(1.019), Better.HIGHER, Verdict.REGRESSED),
    ],
)
def test_the_interval_decides(values: object, better: Better, verdict: Verdict) -> None:
    found = decide_planned(sample(values), planned=4, margin=0.02, better=better)
    assert found.verdict is verdict
    assert found.n == 4
    assert "4 blocks planned before" in found.reason
    assert found.evidence is None


def test_before_its_end_there_is_no_look() -> None:
    found = decide_planned(sample([0.5, 0.51, 0.49]), planned=4)
    assert (found.verdict, found.reason, found.n) == (None, "3 of the 4 blocks planned", 3)
    assert decide_planned(sample([]), planned=4).verdict is None


def test_what_was_measured_past_it_is_not_looked_at() -> None:
    whole = [*(WIDE + 0.1), -5.0, -5.1, -4.9]
    assert decide_planned(sample(whole), planned=4) == decide_planned(sample(WIDE + 0.1), planned=4)


@pytest.mark.parametrize(
    ("values", "why"),
    [([0.1, math.nan, 0.1, 0.2], "block 2 is not finite"), ([0.1] * 4, "the same value")],
)
def test_what_cannot_be_judged_is_invalid(values: list[float], why: str) -> None:
    found = decide_planned(sample(values), planned=4)
    assert found.verdict is Verdict.INVALID
    assert why in found.reason


@pytest.mark.parametrize(
    "rule", [{"planned": 1}, {"planned": 4, "alpha": 0.0}, {"planned": 4, "margin": 0.0}]
)
def test_what_is_no_rule_is_refused(rule: dict[str, float]) -> None:
    with pytest.raises(AnalysisError, match="no rule has"):
        decide_planned(sample(WIDE), **rule)  # type: ignore[arg-type]
