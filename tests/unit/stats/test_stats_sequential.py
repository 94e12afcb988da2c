from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import special, stats

from labcoat.stats.sequential import (
    first_look,
    log_evidence,
    log_sign_bet,
    log_t_mixture,
    log_t_sided,
)

X = np.array([0.3, -0.1, 0.4, 0.25, 0.05, -0.2, 0.6])

samples = npst.arrays(
    np.float64,
    st.integers(1, 30),
    elements=st.floats(-1.0, 1.0, allow_nan=False).map(lambda value: round(value, 6)),
)


@pytest.mark.parametrize(
    ("alpha", "blocks"), [(0.05, 6), (0.03, 7), (0.01, 8), (0.001, 11), (0.5, 6)]
)
def test_first_look(alpha: float, blocks: int) -> None:
    assert first_look(alpha) == blocks


@pytest.mark.parametrize("shift", [0.0, 0.1, -0.3])
@pytest.mark.parametrize("phi", [0.5, 2.0])
def test_t_mixture_is_the_formula_of_the_page(shift: float, phi: float) -> None:
    for n in range(1, X.size + 1):
        y = X[:n] - shift
        s, v = y.sum(), (y**2).sum()
        r = s**2 / ((n + phi) * v)
        both = math.sqrt(phi / (phi + n)) * (1 - r) ** (-n / 2)
        t = (s / (n + phi)) / math.sqrt(v * (1 - r) / (n * (n + phi)))
        above, below = log_t_sided(X, shift=shift, phi=phi)
        assert math.exp(log_t_mixture(X, shift=shift, phi=phi)[n - 1]) == pytest.approx(both)
        assert math.exp(above[n - 1]) == pytest.approx(2 * both * stats.t.cdf(t, n))
        assert math.exp(below[n - 1]) == pytest.approx(2 * both * stats.t.cdf(-t, n))


def test_t_mixture_by_hand() -> None:
    # n = 1, y = 1: S = V = 1, r = 1/1.5, E = √(0.5/1.5) (1/3)^(-1/2) = 1; one block tells nothing.
    assert log_t_mixture(np.array([1.0]))[0] == pytest.approx(0.0)
    # n = 2, y = 1, 1: r = 4/(2.5·2) = 0.8, E = √(0.5/2.5) / 0.2 = √5.
    assert log_t_mixture(np.array([1.0, 1.0]))[1] == pytest.approx(math.log(math.sqrt(5)))


def test_sign_bet_is_the_formula_of_the_page() -> None:
    above, below = log_sign_bet(X)
    for n in range(1, X.size + 1):
        up, down = [], []
        for bet in (0.5, 1.0, 2.0):
            stakes = [
                np.sign(X[i]) * 0.98 * math.tanh(bet * abs(X[i]) / np.median(np.abs(X[: i + 1])))
                for i in range(n)
            ]
            up.append(math.prod(1 + stake for stake in stakes))
            down.append(math.prod(1 - stake for stake in stakes))
        assert math.exp(above[n - 1]) == pytest.approx(np.mean(up))
        assert math.exp(below[n - 1]) == pytest.approx(np.mean(down))


def test_decision_process_is_the_mean_of_both() -> None:
    t, sign, both = log_t_sided(X), log_sign_bet(X), log_evidence(X)
    for side in (0, 1):
        assert np.exp(both[side]) == pytest.approx((np.exp(t[side]) + np.exp(sign[side])) / 2)


def test_below_one_per_cent_only_the_coin_is_asked() -> None:
    assert np.array_equal(log_evidence(X, alpha=0.005)[0], log_sign_bet(X)[0])


def test_six_equal_signs_are_enough_at_five_per_cent() -> None:
    x = 0.2 + 0.001 * np.array([1, -1, 2, -2, 0, 1.0])
    assert log_evidence(x)[0][-1] >= math.log(40)


def test_zero_values_bet_nothing() -> None:
    above, below = log_evidence(np.zeros(5))
    assert np.isfinite(above).all()
    assert np.array_equal(above, below)
    assert log_sign_bet(np.zeros(5))[0] == pytest.approx(np.zeros(5))


def test_a_jump_after_zeros_is_a_full_stake() -> None:
    assert log_sign_bet(np.array([0.0, 0.0, 0.0, 1.0]))[0][-1] == pytest.approx(math.log(1.98))


def test_hundreds_of_blocks_on_one_side_stay_finite() -> None:
    x = 3.0 + 1e-6 * np.sin(np.arange(900.0))
    above, below = log_t_sided(x)
    assert np.isfinite(above).all()
    assert np.isfinite(below).all()
    # The identity E+ + E- = 2 E holds on both sides of the switch to the series.
    assert np.allclose(np.logaddexp(above, below), np.log(2) + log_t_mixture(x))
    # Evidence for the wrong side falls without a step where the series takes over.
    steps = np.diff(below)
    assert (steps < 0).all()
    assert (np.diff(steps)[20:] > -1e-6).all()


def test_series_of_the_tail_agrees_with_the_incomplete_beta() -> None:
    n, x = 500.0, 0.1  # I_0.1(250, ½) ~ 1e-251: both can be had
    series = (
        n / 2 * math.log(x)
        + 0.5 * math.log1p(-x)
        - special.betaln(n / 2, 0.5)
        - math.log(n / 2)
        + math.log(special.hyp2f1(n / 2 + 0.5, 1.0, n / 2 + 1, x))
    )
    assert series == pytest.approx(math.log(special.betainc(n / 2, 0.5, x)))


@pytest.mark.slow
@given(samples)
def test_swapped_arms_swap_the_sides(x: np.ndarray) -> None:
    there, back = log_evidence(x), log_evidence(-x)
    assert np.allclose(there[0], back[1])
    assert np.allclose(there[1], back[0])


@pytest.mark.slow
@given(samples, st.floats(0.01, 100.0))
def test_evidence_against_nothing_is_free_of_scale(x: np.ndarray, scale: float) -> None:
    assert np.allclose(log_evidence(x)[0], log_evidence(scale * x)[0])


@pytest.mark.slow
@given(samples, st.integers(1, 29))
def test_evidence_never_looks_ahead(x: np.ndarray, cut: int) -> None:
    assume(cut < x.size)
    assert np.allclose(log_evidence(x)[0][:cut], log_evidence(x[:cut])[0])


@pytest.mark.slow
@given(samples)
def test_the_t_mixture_does_not_mind_the_order_of_blocks(x: np.ndarray) -> None:
    assert log_t_sided(x)[0][-1] == pytest.approx(log_t_sided(x[::-1])[0][-1], abs=1e-9)


@pytest.mark.slow
@given(samples, st.floats(0.0, 0.5), st.floats(0.0, 0.5))
def test_evidence_below_a_higher_shift_is_never_weaker(
    x: np.ndarray, low: float, more: float
) -> None:
    nearer, further = log_t_sided(x, shift=low)[1][-1], log_t_sided(x, shift=low + more)[1][-1]
    mean, sd = x.mean(), x.std()
    assume(mean < low)
    assume(sd > 1e-3)
    assert further >= nearer - 1e-9


def test_samples_side_by_side_are_judged_as_alone() -> None:
    many = np.random.default_rng(1).standard_normal((3, 2, 12))
    above, below = log_evidence(many, shift=0.1)
    for i in range(3):
        for j in range(2):
            alone = log_evidence(many[i, j], shift=0.1)
            assert np.allclose(above[i, j], alone[0])
            assert np.allclose(below[i, j], alone[1])


def test_one_more_agreeing_block_adds_evidence() -> None:
    x = np.full(20, 0.1) + 0.01 * np.cos(np.arange(20.0))
    assert (np.diff(log_evidence(x)[0]) > 0).all()
    assert (np.diff(log_evidence(x)[1][3:]) < 0).all()
