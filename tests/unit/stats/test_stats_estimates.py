from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from labcoat.errors import AnalysisError
from labcoat.model.stats import Sample
from labcoat.stats.block import by_epoch, log_ratio
from labcoat.stats.covariate import adjust, learn_beta
from labcoat.stats.forecast import critical
from labcoat.stats.interval import (
    anytime_effect,
    binomial_interval,
    fixed_effect,
    mean_interval,
    noise_floor,
    percentile_interval,
    percentile_ranks,
)
from labcoat.stats.sequential import log_t_mixture
from labcoat.stats.variance import Components, blocks_per_restart, variance_components
from labcoat.stats.window import allan_variance, choose_window

D = np.array([0.02, -0.01, 0.03, 0.00, 0.01, 0.025])


def sample(d: np.ndarray, c: np.ndarray | None = None) -> Sample:
    return Sample(metric="throughput", log_ratios=d, covariate=c)


# block


def test_value_of_a_block() -> None:
    assert log_ratio([100.0, 400.0], [200.0, 800.0]) == pytest.approx(math.log(2))


@pytest.mark.slow
@given(
    st.lists(st.floats(0.1, 1e6), min_size=2, max_size=2),
    st.lists(st.floats(0.1, 1e6), min_size=2, max_size=2),
    st.floats(1e-6, 1e6),
)
def test_a_change_of_unit_changes_nothing(a: list[float], b: list[float], unit: float) -> None:
    changed = log_ratio([unit * y for y in a], [unit * y for y in b])
    assert changed == pytest.approx(log_ratio(a, b), abs=1e-9)
    assert log_ratio(b, a) == pytest.approx(-log_ratio(a, b), abs=1e-12)


@pytest.mark.parametrize(
    ("a", "b", "arm"),
    [([], [1.0], "baseline"), ([1.0], [0.0], "treatment"), ([1.0, math.nan], [1.0], "baseline")],
)
def test_slices_without_a_logarithm_are_refused(a: list[float], b: list[float], arm: str) -> None:
    with pytest.raises(AnalysisError) as caught:
        log_ratio(a, b)
    assert caught.value.where == f"the {arm} of a block"


def test_epoch_means_keep_their_order() -> None:
    means = by_epoch(
        sample(np.array([1.0, 3.0, 5.0, 9.0]), np.array([0.0, 2.0, 4.0, 4.0])), [7, 7, 2, 2]
    )
    assert means.log_ratios.tolist() == [2.0, 7.0]
    assert means.covariate is not None
    assert means.covariate.tolist() == [1.0, 4.0]
    assert by_epoch(sample(D), range(6)).log_ratios.tolist() == D.tolist()


def test_epochs_must_match_the_blocks() -> None:
    with pytest.raises(AnalysisError, match="2 epochs for 6 blocks"):
        by_epoch(sample(D), [1, 2])


# interval


def test_anytime_interval_by_hand() -> None:
    n, phi, alpha = 6, 0.5, 0.05
    k = ((phi + n) / (phi * alpha**2)) ** (1 / n)
    half = D.std(ddof=1) / math.sqrt(n) * math.sqrt((n - 1) * (k - 1) / (1 - phi / (phi + n) * k))
    effect = anytime_effect(sample(D))
    assert effect.point == pytest.approx(math.expm1(D.mean()))
    assert effect.low == pytest.approx(math.expm1(D.mean() - half))
    assert effect.high == pytest.approx(math.expm1(D.mean() + half))
    assert effect.warnings == ()


def test_anytime_interval_is_where_the_evidence_stops() -> None:
    effect = anytime_effect(sample(D))
    for end in (effect.low, effect.high):
        assert log_t_mixture(D, shift=math.log1p(end))[-1] == pytest.approx(math.log(20))


def test_two_blocks_are_unbounded() -> None:
    effect = anytime_effect(sample(D[:2]))
    assert (effect.low, effect.high) == (-1.0, math.inf)


def test_fixed_interval_is_scipys() -> None:
    low, high = stats.ttest_1samp(D, 0.0).confidence_interval(0.95)
    effect = fixed_effect(sample(D))
    assert [effect.low, effect.high] == pytest.approx([math.expm1(low), math.expm1(high)])


def test_interval_of_a_mean_is_scipys() -> None:
    expected = stats.ttest_1samp(D, 0.0).confidence_interval(0.95)
    seen = mean_interval(D)
    assert [seen.low, seen.high] == pytest.approx([expected.low, expected.high])
    assert (seen.point, seen.n, seen.confidence) == (D.mean(), 6, 0.95)
    assert mean_interval(np.array([2.0, 2.0])).high == 2.0


@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.nan]])
def test_values_without_a_mean_interval_are_refused(values: list[float]) -> None:
    with pytest.raises(AnalysisError):
        mean_interval(np.array(values))


def test_anytime_is_wider_than_fixed() -> None:
    anytime, fixed = anytime_effect(sample(D)), fixed_effect(sample(D))
    assert anytime.low < fixed.low < fixed.high < anytime.high


def test_noise_floor_is_half_the_interval() -> None:
    effect = anytime_effect(sample(D))
    assert noise_floor(sample(D)) == pytest.approx(
        math.sqrt((1 + effect.high) / (1 + effect.low)) - 1
    )
    assert noise_floor(sample(D)) == pytest.approx(math.expm1(D.std(ddof=1) * critical(6, 0.05)))
    assert noise_floor(sample(D[:2])) == math.inf


@pytest.mark.parametrize(("k", "n"), [(0, 20), (1, 20), (10, 20), (20, 20), (3, 1000)])
def test_binomial_interval_is_scipys(k: int, n: int) -> None:
    expected = stats.binomtest(k, n).proportion_ci(0.95, "exact")
    seen = binomial_interval(k, n)
    assert [seen.low, seen.high] == pytest.approx([expected.low, expected.high])
    assert seen.point == k / n


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_what_is_no_rate_is_refused(k: int, n: int) -> None:
    with pytest.raises(AnalysisError):
        binomial_interval(k, n)


@pytest.mark.parametrize(
    ("n", "q"), [(5, 0.5), (6, 0.5), (100, 0.5), (100, 0.99), (1000, 0.99), (10, 0.05)]
)
def test_percentile_ranks_cover_as_promised_and_no_rank_tighter_does(n: int, q: float) -> None:
    low, high = percentile_ranks(n, q)
    if low is not None:
        assert stats.binom.cdf(low - 1, n, q) <= 0.025 < stats.binom.cdf(low, n, q)
    else:
        assert stats.binom.cdf(0, n, q) > 0.025
    if high is not None:
        assert stats.binom.sf(high - 1, n, q) <= 0.025 < stats.binom.sf(high - 2, n, q)
    else:
        assert stats.binom.sf(n - 1, n, q) > 0.025


def test_percentile_interval() -> None:
    seen = percentile_interval(np.arange(1, 101)[::-1], 0.5)
    assert (seen.low, seen.point, seen.high) == (40.0, 50.0, 61.0)
    assert seen.warnings == ()


def test_a_percentile_beyond_the_values_is_unbounded_and_warned_of() -> None:
    seen = percentile_interval([3.0, 1.0, 2.0], 0.99)
    assert (seen.point, seen.high) == (3.0, math.inf)
    assert [warning.code for warning in seen.warnings] == ["few_values"]
    assert percentile_interval([3.0, 1.0, 2.0], 0.01).low == -math.inf


@pytest.mark.parametrize(
    ("values", "q"), [([], 0.5), ([1.0], 0.0), ([1.0], 1.0), ([math.nan], 0.5)]
)
def test_percentiles_that_do_not_exist_are_refused(values: list[float], q: float) -> None:
    with pytest.raises(AnalysisError):
        percentile_interval(values, q)


# covariate


def test_beta_is_the_slope() -> None:
    c = np.linspace(-0.3, 0.2, 12)
    beta = learn_beta(sample(0.01 + 0.8 * c, c))
    assert beta.value == pytest.approx(0.8)
    assert beta.adjusted_sd == pytest.approx(0.0, abs=1e-12)
    fresh = adjust(sample(D, np.full(6, 0.1)), beta)
    assert fresh.log_ratios == pytest.approx(D - 0.08)


def test_beta_leaves_one_out() -> None:
    rng = np.random.default_rng(1)
    c = rng.standard_normal(15)
    d = 0.5 * c + 0.2 * rng.standard_normal(15)
    errors = []
    for i in range(15):
        others = np.delete(np.arange(15), i)
        slope, level = np.polyfit(c[others], d[others], 1)
        errors.append(d[i] - level - slope * c[i])
    beta = learn_beta(sample(d, c))
    assert beta.adjusted_sd == pytest.approx(math.sqrt(np.mean(np.square(errors))))
    assert beta.adjusted_sd < beta.sd


def test_a_covariate_that_explains_nothing_is_not_used() -> None:
    c = np.array([1.0, -1, 1, -1, 1, -1, 1, -1])
    d = np.array([1.0, 1, -1, -1, 1, 1, -1, -1])
    beta = learn_beta(sample(d, c))
    assert (beta.value, beta.adjusted_sd) == (0.0, beta.sd)


@pytest.mark.parametrize(
    "c", [np.zeros(9), np.array([0.4] + [0.0] * 8)], ids=["no steal", "steal in one block only"]
)
def test_steal_that_teaches_nothing_is_not_used(c: np.ndarray) -> None:
    assert learn_beta(sample(np.linspace(0, 1, 9) + c, c)).value == 0.0


def test_few_aa_blocks_teach_nothing() -> None:
    beta = learn_beta(sample(D, D * 2))
    assert beta.value == 0.0
    assert [warning.code for warning in beta.warnings] == ["few_blocks"]


def test_beta_needs_a_covariate_and_finite_values() -> None:
    with pytest.raises(AnalysisError, match="no covariate"):
        learn_beta(sample(D))
    with pytest.raises(AnalysisError, match="not finite"):
        learn_beta(sample(D, np.full(6, math.nan)))
    with pytest.raises(AnalysisError, match="no covariate"):
        adjust(sample(D, np.zeros(3)), learn_beta(sample(D, D)))


# variance


def test_components_by_hand() -> None:
    # Means 2 and 5, grand 3.5: MSB = 2·(1.5² + 1.5²)/1 = 9; MSW = (2 + 2)/2 = 2; n0 = 2.
    seen = variance_components([[1.0, 3.0], [4.0, 6.0]])
    assert [seen.within, seen.between] == pytest.approx([2.0, 3.5])
    assert seen.of_epoch_mean(2) == pytest.approx(4.5)


def test_components_are_recovered_from_unequal_epochs() -> None:
    rng = np.random.default_rng(1)
    epochs = [
        0.02 * rng.standard_normal() + 0.05 * rng.standard_normal(2 + i % 3) for i in range(4000)
    ]
    seen = variance_components(epochs)
    assert math.sqrt(seen.within) == pytest.approx(0.05, rel=0.05)
    assert math.sqrt(seen.between) == pytest.approx(0.02, rel=0.15)


def test_variance_between_is_never_negative() -> None:
    assert variance_components([[1.0, -1.0], [1.0, -1.0]]).between == 0.0


@pytest.mark.parametrize(
    "epochs", [[], [[1.0, 2.0]], [[1.0], [2.0]], [[1.0, 2.0], []], [[1.0, math.nan], [2.0]]]
)
def test_epochs_that_show_no_components_are_refused(epochs: list[list[float]]) -> None:
    with pytest.raises(AnalysisError):
        variance_components(epochs)


@pytest.mark.parametrize(
    ("within", "between", "restart_s", "block_s", "ideal"),
    [(1.0, 1.0, 9.0, 1.0, 3), (4.0, 1.0, 16.0, 4.0, 4), (1.0, 4.0, 1.0, 1.0, 1)],
)
def test_blocks_per_restart_is_the_formula(
    within: float, between: float, restart_s: float, block_s: float, ideal: int
) -> None:
    assert math.sqrt(restart_s / block_s * within / between) == pytest.approx(ideal, abs=0.5)
    parts = Components(within=within, between=between, epochs=6, n=12)
    assert blocks_per_restart(parts, restart_s=restart_s, block_s=block_s, most=20) == ideal
    assert blocks_per_restart(parts, restart_s=restart_s, block_s=block_s) == min(ideal, 2)


def test_without_restart_variance_as_many_blocks_as_allowed() -> None:
    parts = Components(within=1.0, between=0.0, epochs=6, n=12)
    assert blocks_per_restart(parts, restart_s=5.0, block_s=5.0, most=7) == 7


# window


def test_allan_variance_by_hand() -> None:
    assert allan_variance([1.0, 2.0, 4.0], 1) == pytest.approx(0.5 * (1 + 4) / 2)
    assert allan_variance([1.0, 3.0, 5.0, 7.0], 2) == pytest.approx(0.5 * 16)
    with pytest.raises(AnalysisError):
        allan_variance([1.0, 2.0, 3.0], 2)


def test_allan_variance_of_white_noise_falls_with_the_window() -> None:
    white = np.random.default_rng(1).standard_normal(20_000)
    assert allan_variance(white, 100) == pytest.approx(1 / 100, rel=0.3)


def test_drift_shortens_the_window_and_warmup_lengthens_it() -> None:
    rng = np.random.default_rng(1)
    walk = (0.01 * rng.standard_normal(4000)).cumsum()
    rates = np.exp(0.05 * rng.standard_normal(4000) + walk)
    short = choose_window(rates, bin_s=0.1, warmup_s=0.0, gap_s=0.0, least_s=0.2)
    long = choose_window(rates, bin_s=0.1, warmup_s=2.0, gap_s=0.0, least_s=0.2)
    assert short.measure_s < long.measure_s < 5.0
    assert long.warnings == ()


def test_no_window_is_shorter_than_twenty_pauses() -> None:
    rates = np.exp(np.random.default_rng(1).standard_normal(800).cumsum() * 0.1)
    assert choose_window(rates, bin_s=0.1, warmup_s=0.0, gap_s=0.0, least_s=2.0).measure_s >= 2.0


def test_windows_that_cannot_be_compared_are_warned_of() -> None:
    rng = np.random.default_rng(1)
    rates = np.exp(0.1 * rng.standard_normal(80))
    short = choose_window(rates, bin_s=0.1, warmup_s=0.1, gap_s=0.0, least_s=2.0)
    assert short.measure_s == 2.0
    assert [warning.code for warning in short.warnings] == ["short_recording"]
    falling = choose_window(rates, bin_s=0.1, warmup_s=100.0, gap_s=0.0, least_s=0.1)
    assert [warning.code for warning in falling.warnings] == ["still_falling"]


@pytest.mark.parametrize("rates", [[1.0] * 15, [1.0] * 15 + [0.0]])
def test_rates_that_choose_nothing_are_refused(rates: list[float]) -> None:
    with pytest.raises(AnalysisError):
        choose_window(rates, bin_s=0.1, warmup_s=0.0, gap_s=0.0)
