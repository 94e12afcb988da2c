"""Coverage of the intervals, and what the steal covariate is worth."""

# ruff: noqa: T201  the tables are what `make calibrate` is for
from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from labcoat.model.stats import Sample
from labcoat.stats.covariate import adjust, learn_beta
from labcoat.stats.forecast import critical
from labcoat.stats.interval import anytime_effect, fixed_effect, percentile_interval

Agree = Callable[..., None]


def test_the_anytime_interval_covers_at_every_look_at_once(agree: Agree) -> None:
    x = np.random.default_rng(1).standard_normal((10_000, 40))
    n = np.arange(1, 41)
    mean = x.cumsum(axis=1) / n
    sd = np.sqrt(np.maximum((x**2).cumsum(axis=1) - n * mean**2, 0) / np.maximum(n - 1, 1))
    half = sd[:, 1:] * np.array([critical(int(k), 0.05) for k in n[1:]])
    outside = (np.abs(mean[:, 1:]) > half).any(axis=1)
    agree("anytime interval misses the truth at some look, 2..40", outside, at_most=0.05)
    agree(
        "anytime interval misses the truth at block 40",
        np.abs(mean[:, -1]) > half[:, -1],
        at_most=0.05,
    )


@pytest.mark.parametrize("n", [6, 20])
def test_the_fixed_interval_covers_at_its_one_look(n: int, agree: Agree) -> None:
    x = 0.05 * np.random.default_rng(2).standard_normal((4000, n))
    effects = [fixed_effect(Sample(metric="throughput", log_ratios=row)) for row in x]
    missed = np.array([not effect.low <= 0 <= effect.high for effect in effects])
    agree(f"fixed interval of {n} blocks misses the truth", missed, page=0.05)


def test_the_closed_form_is_the_function_that_users_call() -> None:
    row = np.random.default_rng(3).standard_normal(12)
    effect = anytime_effect(Sample(metric="throughput", log_ratios=row))
    half = row.std(ddof=1) * critical(12, 0.05)
    assert np.log1p(effect.high) - row.mean() == pytest.approx(half)


@pytest.mark.parametrize(("n", "q"), [(200, 0.5), (2000, 0.99)])
def test_order_statistics_enclose_a_percentile(n: int, q: float, agree: Agree) -> None:
    draws = np.random.default_rng(4).exponential(size=(3000, n))
    truth = -np.log(1 - q)
    intervals = [percentile_interval(row, q) for row in draws]
    missed = np.array([not each.low <= truth <= each.high for each in intervals])
    agree(f"interval of quantile {q:g} of {n} misses it", missed, at_most=0.05)


def test_steal_explains_what_the_page_says_it_explains() -> None:
    """sd of D 12.8 % with steal, under 6 % without: worth a factor of four in blocks."""
    rng = np.random.default_rng(5)
    plain, adjusted = [], []
    for _ in range(300):
        steal = 0.114 * rng.standard_normal(40)
        d = 1.0 * steal + 0.058 * rng.standard_normal(40)
        beta = learn_beta(Sample(metric="throughput", log_ratios=d[:20], covariate=steal[:20]))
        fresh = Sample(metric="throughput", log_ratios=d[20:], covariate=steal[20:])
        plain.append(fresh.log_ratios.var(ddof=1))
        adjusted.append(adjust(fresh, beta).log_ratios.var(ddof=1))
    before, after = float(np.mean(plain)), float(np.mean(adjusted))
    print(f"steal adjustment: sd {before**0.5:.1%} -> {after**0.5:.1%}  page 12.8 % -> < 6.0 %")
    assert after**0.5 < 0.063
    assert before / after > 4
