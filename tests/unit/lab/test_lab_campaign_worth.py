"""Worth: what another epoch promises rises with what is hoped, and falls with what is seen."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcoat.lab.campaign.worth import Means, worth, would_take_s

MEANS = Means(sd=0.03, point_s=10.0, left_s=600.0)
values = st.lists(st.floats(-0.3, 0.3), min_size=1, max_size=20)
shares = st.floats(0.01, 0.99)


def test_before_the_first_value_it_is_the_chance_of_what_is_hoped() -> None:
    found = worth((), prior=0.3, hope=0.2, bound=0.5, means=MEANS)
    assert found.chance == pytest.approx(0.3 * 0.8)
    assert found.gain_per_s > 0
    assert 0 < found.least < 0.2


def test_what_is_hoped_below_what_can_be_found_has_half_the_chance() -> None:
    found = worth((), prior=0.3, hope=0.001, bound=0.5, means=MEANS)
    assert found.chance == pytest.approx(0.3 * 0.4)


@pytest.mark.parametrize(
    ("left_s", "bound", "hope", "n"),
    [
        (59.0, 9.0, 0.5, 0),  # too few points for a look
        (0.0, 9.0, 0.5, 8),  # no point more
        (600.0, 0.001, 0.0005, 0),  # the most it could give cannot be found
        (600.0, 9.0, 0.0, 0),  # nothing is hoped
        (1e5, 9.0, 0.5, 40),  # the cap
    ],
)
def test_it_is_nothing_where_the_budget_cannot_find_it(
    left_s: float, bound: float, hope: float, n: int
) -> None:
    found = worth(
        [0.1, 0.12] * (n // 2),
        prior=0.5,
        hope=hope,
        bound=bound,
        means=replace(MEANS, left_s=left_s),
    )
    assert (found.chance, found.gain_per_s) == (0.0, 0.0)


def test_too_little_time_for_a_look_finds_nothing_however_large() -> None:
    found = worth((), prior=0.5, hope=0.5, bound=9.0, means=replace(MEANS, left_s=10.0))
    assert found.least == math.inf


@given(prior=st.tuples(shares, shares), hope=st.tuples(shares, shares), seen=values)
def test_it_rises_with_the_prior_and_with_what_is_hoped(
    prior: tuple[float, float], hope: tuple[float, float], seen: list[float]
) -> None:
    low, high = sorted(prior)
    less, more = sorted(hope)
    for seen_so_far in ((), seen):
        one, other = (
            worth(seen_so_far, prior=each, hope=more, bound=9.0, means=MEANS)
            for each in (low, high)
        )
        assert one.gain_per_s <= other.gain_per_s * (1 + 1e-9)
        assert one.chance <= other.chance * (1 + 1e-9)
    one, other = (worth((), prior=low, hope=each, bound=9.0, means=MEANS) for each in (less, more))
    assert one.gain_per_s <= other.gain_per_s * (1 + 1e-9)


@given(bound=st.tuples(shares, shares), seen=values)
def test_it_never_falls_with_the_bound(bound: tuple[float, float], seen: list[float]) -> None:
    low, high = sorted(bound)
    for seen_so_far in ((), seen):
        one, other = (
            worth(seen_so_far, prior=0.3, hope=low / 2, bound=each, means=MEANS)
            for each in (low, high)
        )
        assert one.gain_per_s <= other.gain_per_s * (1 + 1e-9)


@given(left=st.tuples(st.floats(0, 2000), st.floats(0, 2000)), hope=shares)
def test_with_more_time_no_chance_falls_and_no_effect_gets_out_of_reach(
    left: tuple[float, float], hope: float
) -> None:
    one, other = (
        worth((), prior=0.3, hope=hope, bound=9.0, means=replace(MEANS, left_s=each))
        for each in sorted(left)
    )
    assert one.chance <= other.chance
    assert one.least >= other.least


@given(seen=values, better=st.floats(0.001, 0.2))
def test_it_falls_when_values_are_bad_and_rises_when_they_are_good(
    seen: list[float], better: float
) -> None:
    def of(shift: float) -> float:
        shifted = [each + shift for each in seen]
        return worth(shifted, prior=0.3, hope=0.2, bound=9.0, means=MEANS).gain_per_s

    assert of(-better) <= of(0.0) * (1 + 1e-9)
    assert of(0.0) <= of(better) * (1 + 1e-9)


@given(seen=values, bound=shares)
def test_nothing_is_promised_beyond_certainty_and_the_bound(
    seen: list[float], bound: float
) -> None:
    found = worth(seen, prior=0.3, hope=bound / 2, bound=bound, means=MEANS)
    assert 0 <= found.chance <= 1
    assert 0 <= found.gain_per_s * MEANS.point_s <= math.log1p(bound)


def test_the_budget_that_would_decide() -> None:
    quick, slow = would_take_s(0.5, MEANS), would_take_s(0.05, MEANS)
    assert quick is not None
    assert slow is not None
    assert 60.0 <= quick < slow
    assert would_take_s(0.0001, MEANS) is None
    assert would_take_s(0.0, MEANS) is None
    assert would_take_s(math.inf, MEANS) is None
