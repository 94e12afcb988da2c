"""The rule of a confirmation: false verdicts at its one look, and its power."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from labcoat.model.stats import Sample, Verdict
from labcoat.stats.decide import decide_planned

SAMPLES = 4_000
NOISE = 0.05

Agree = Callable[..., None]


def verdicts(effect: float, planned: int) -> list[Verdict | None]:
    rng = np.random.default_rng(planned)
    x = NOISE * rng.standard_normal((SAMPLES, planned)) + effect
    return [
        decide_planned(Sample(metric="throughput", log_ratios=row), planned=planned).verdict
        for row in x
    ]


@pytest.mark.parametrize("planned", [10, 20])
def test_type_one_error_of_a_confirmation(planned: int, agree: Agree) -> None:
    found = verdicts(0.0, planned)
    for verdict in (Verdict.IMPROVED, Verdict.REGRESSED):
        hits = np.array([each is verdict for each in found])
        agree(f"{planned} points planned, no effect, {verdict.value}", hits, page=0.025)


@pytest.mark.parametrize(("effect", "power"), [(0.02, 0.40), (0.05, 0.99)])
def test_power_of_a_confirmation_of_twenty(effect: float, power: float, agree: Agree) -> None:
    """Science.md section 5: the last column of its table (effects in sd: 0.4 and 1)."""
    hits = np.array([each is Verdict.IMPROVED for each in verdicts(effect, 20)])
    agree(f"20 points planned, effect {effect:.0%}, improved", hits, page=power, digit=0.01)
