from __future__ import annotations

import math

import numpy as np
import pytest

from labcoat.errors import AnalysisError
from labcoat.stats.ceiling import (
    Demands,
    amdahl_gain,
    bounds,
    closure,
    efficiency,
    ideal_per_s,
    seen_gain,
    true_gain,
)
from labcoat.stats.histogram import histogram, merge, percentile_s
from labcoat.stats.power import Costs, budget_for, detectable, smallest_ratio
from labcoat.stats.scalability import fit_scalability

LEVELS = [1, 2, 4, 8, 16, 32, 64]


def usl(n: int, g: float, a: float, b: float) -> float:
    return g * n / (1 + a * (n - 1) + b * n * (n - 1))


# scalability


@pytest.mark.parametrize(
    ("g", "a", "b"), [(100, 0.05, 0.001), (5, 0.5, 0.01), (900, 0.0, 0.002), (40, 0.9, 0.01)]
)
def test_a_law_without_noise_is_found_again(g: float, a: float, b: float) -> None:
    fit = fit_scalability(LEVELS, [usl(n, g, a, b) for n in LEVELS])
    assert [fit.gamma, fit.alpha, fit.beta] == pytest.approx([g, a, b], abs=1e-6)
    assert fit.peak_users is not None
    assert fit.peak_users.point == pytest.approx(math.sqrt((1 - a) / b))
    assert fit.throughput(10) == pytest.approx(usl(10, g, a, b))
    assert fit.residual_ratio == pytest.approx(0.0, abs=1e-6)
    assert fit.warnings == ()


def test_knee_is_the_fewest_users_with_95_percent() -> None:
    fit = fit_scalability(LEVELS, [usl(n, 100, 0.05, 0.001) for n in LEVELS])
    fitted = [usl(n, 100, 0.05, 0.001) for n in range(1, 65)]
    expected = next(n for n, x in enumerate(fitted, start=1) if x >= 0.95 * max(fitted))
    assert fit.knee_users == expected
    assert fit.peak_per_s.point == pytest.approx(max(fitted))


def test_intervals_hold_the_truth_under_noise() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(20):
        users = np.repeat(LEVELS, 3)
        x = [usl(int(n), 100, 0.05, 0.001) for n in users] * np.exp(
            0.03 * rng.standard_normal(users.size)
        )
        fit = fit_scalability(users.tolist(), [float(each) for each in x])
        assert fit.peak_users is not None
        held += fit.peak_users.low <= math.sqrt(0.95 / 0.001) <= fit.peak_users.high
    assert held >= 16  # 95 % of 20 is 19; fewer than 16 happens once in four hundred


def test_without_a_turn_no_peak_is_quoted() -> None:
    fit = fit_scalability(LEVELS, [usl(n, 100, 0.3, 0.0) for n in LEVELS])
    assert fit.peak_users is None
    assert [warning.code for warning in fit.warnings] == ["no_peak"]
    assert fit.peak_per_s.point == pytest.approx(usl(64, 100, 0.3, 0.0))


def test_a_turn_outside_the_sweep_is_no_peak() -> None:
    fit = fit_scalability(LEVELS, [usl(n, 100, 0.1, 1e-5) for n in LEVELS])
    assert fit.peak_users is None


def test_waiting_makes_a_line_and_is_said_so() -> None:
    fit = fit_scalability(LEVELS, [50.0 * n for n in LEVELS])
    assert [warning.code for warning in fit.warnings] == ["linear"]
    assert [fit.alpha, fit.beta] == pytest.approx([0, 0], abs=1e-9)
    assert fit.knee_users == 61


def test_a_flat_plateau_has_its_knee_at_one_user() -> None:
    fit = fit_scalability(LEVELS, [200.0] * 7)
    assert fit.alpha == pytest.approx(1.0)
    assert fit.knee_users == 1


def test_three_points_carry_no_interval() -> None:
    fit = fit_scalability([1, 4, 16], [100.0, 300.0, 400.0])
    assert "few_levels" in [warning.code for warning in fit.warnings]
    assert (fit.peak_per_s.low, fit.peak_per_s.high) == (-math.inf, math.inf)


def test_points_off_the_law_are_a_misfit() -> None:
    fit = fit_scalability(LEVELS, [100.0, 200, 250, 900, 250, 1200, 250])
    assert "misfit" in [warning.code for warning in fit.warnings]


def test_weights_decide_which_points_count() -> None:
    users = [*LEVELS, 8]
    points = [*(usl(n, 100, 0.05, 0.001) for n in LEVELS), 10.0]
    fit = fit_scalability(users, points, weights=[1.0] * 7 + [1e-9])
    assert fit.alpha == pytest.approx(0.05, abs=1e-3)


@pytest.mark.parametrize(
    ("users", "per_s"),
    [
        ([1, 2], [10.0, 20.0]),
        ([1, 1, 2, 2], [10.0, 11.0, 20.0, 21.0]),
        ([1, 2, 4], [10.0, 20.0]),
        ([1, 2, 4], [10.0, 0.0, 30.0]),
        ([0, 2, 4], [10.0, 20.0, 30.0]),
        ([1, 2, 4], [10.0, math.nan, 30.0]),
    ],
)
def test_sweeps_that_carry_no_law_are_refused(users: list[int], per_s: list[float]) -> None:
    with pytest.raises(AnalysisError) as caught:
        fit_scalability(users, per_s)
    assert caught.value.where == "concurrency sweep"


def test_collapse_from_the_first_level_is_refused() -> None:
    with pytest.raises(AnalysisError, match="falls from the first level"):
        fit_scalability([10, 20, 40], [1000.0 / 9, 1000.0 / 19, 1000.0 / 39])


# power


@pytest.mark.slow
def test_detectable_effect_grows_with_noise_and_falls_with_budget() -> None:
    costs = Costs(block_s=8.0)
    calm = detectable(sd=0.03, costs=costs, budget_s=200.0)
    noisy = detectable(sd=0.06, costs=costs, budget_s=200.0)
    longer = detectable(sd=0.06, costs=costs, budget_s=320.0)
    assert calm.blocks == noisy.blocks == 25
    assert longer.blocks == 40
    assert calm.effect_ratio is not None
    assert noisy.effect_ratio is not None
    assert longer.effect_ratio is not None
    assert calm.effect_ratio < longer.effect_ratio < noisy.effect_ratio
    assert math.log1p(noisy.effect_ratio) == pytest.approx(2 * math.log1p(calm.effect_ratio))


def test_restarts_eat_the_budget() -> None:
    costs = Costs(block_s=8.0, restart_s=14.0, blocks_per_epoch=2)
    assert costs.point_s == 30.0
    assert detectable(sd=0.05, costs=costs, budget_s=310.0).blocks == 20


def test_too_small_a_budget_finds_nothing() -> None:
    assert detectable(sd=0.05, costs=Costs(block_s=8.0), budget_s=47.0).effect_ratio is None
    assert detectable(sd=0.05, costs=Costs(block_s=8.0), budget_s=0.0).blocks == 0


def test_the_cap_bounds_what_any_budget_finds() -> None:
    costs = Costs(block_s=8.0)
    assert detectable(sd=0.05, costs=costs, budget_s=320.0).effect_ratio == pytest.approx(
        detectable(sd=0.05, costs=costs, budget_s=1e9).effect_ratio
    )


@pytest.mark.parametrize("effect", [0.04, 0.05, 0.10, 0.5])
def test_the_budget_is_the_inverse(effect: float) -> None:
    costs = Costs(block_s=8.0, restart_s=3.0)
    budget = budget_for(sd=0.05, costs=costs, effect=effect)
    assert budget is not None
    enough = detectable(sd=0.05, costs=costs, budget_s=budget)
    assert enough.effect_ratio is not None
    assert enough.effect_ratio <= effect
    less = detectable(sd=0.05, costs=costs, budget_s=budget - costs.point_s).effect_ratio
    assert less is None or less > effect


def test_what_the_cap_hides_no_budget_finds() -> None:
    assert budget_for(sd=0.10, costs=Costs(block_s=8.0), effect=0.02) is None
    assert budget_for(sd=0.10, costs=Costs(block_s=8.0), effect=9.0, cap=5) is None


@pytest.mark.slow
def test_more_blocks_never_need_a_larger_effect() -> None:
    ratios = [smallest_ratio(n) for n in range(6, 41)]
    assert ratios == sorted(ratios, reverse=True)
    assert smallest_ratio(5) == smallest_ratio(0) == math.inf
    assert smallest_ratio(3, cap=4) == math.inf
    # Thirty-one coins, none staked whole, cannot reach odds of two billion.
    assert smallest_ratio(31, alpha=1e-9) == math.inf


@pytest.mark.parametrize("sd", [0.0, -1.0, math.nan, math.inf])
def test_what_is_no_noise_is_refused(sd: float) -> None:
    with pytest.raises(AnalysisError):
        detectable(sd=sd, costs=Costs(block_s=1.0), budget_s=100.0)


@pytest.mark.parametrize("wrong", [{"block_s": 0.0}, {"restart_s": -1.0}, {"blocks_per_epoch": 0}])
def test_costs_that_cannot_be_do_not_construct(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="a data point needs"):
        Costs(**{"block_s": 1.0, **wrong})  # type: ignore[arg-type]


# histogram


def test_merged_percentiles_are_those_of_all_requests() -> None:
    rng = np.random.default_rng(1)
    fast, slow = rng.exponential(0.01, 20_000), 0.5 + rng.exponential(0.1, 2_000)
    merged = merge([histogram(fast), histogram(slow)])
    everything = np.concatenate((fast, slow))
    assert merged.get_total_count() == 22_000
    for q in (0.01, 0.5, 0.9, 0.95, 0.99, 1.0):
        exact = float(np.quantile(everything, q, method="inverted_cdf"))
        assert percentile_s(merged, q) == pytest.approx(exact, rel=2e-3, abs=2e-6)
    averaged = (percentile_s(histogram(fast), 0.95) + percentile_s(histogram(slow), 0.95)) / 2
    assert abs(averaged / percentile_s(merged, 0.95) - 1) > 0.1


def test_cutting_bits_first_changes_no_bucket() -> None:
    values = np.concatenate((np.arange(1, 5000), np.geomspace(5e3, 3.5e9, 3000).astype(int))) / 1e6
    quick = histogram(values)
    for micros in np.rint(values * 1e6).astype(int)[::97].tolist():
        assert quick.get_count_at_value(micros) >= 1
    assert quick.get_total_count() == values.size


def test_ends_of_the_scale_are_kept() -> None:
    made = histogram([0.0, 1e-9, 7200.0])
    assert made.get_total_count() == 3
    assert percentile_s(made, 0.5) == pytest.approx(1e-6)
    assert percentile_s(made, 1.0) == pytest.approx(3600.0, rel=1e-3)


@pytest.mark.parametrize("values", [[-0.1], [math.nan]])
def test_latencies_that_cannot_be_are_refused(values: list[float]) -> None:
    with pytest.raises(AnalysisError):
        histogram(values)


@pytest.mark.parametrize(("values", "q"), [([], 0.5), ([0.1], 1.5), ([0.1], -0.1)])
def test_quantiles_that_do_not_exist_are_refused(values: list[float], q: float) -> None:
    with pytest.raises(AnalysisError):
        percentile_s(histogram(values), q)


# ceiling


def test_bounds_are_the_page_and_the_tightest_comes_first() -> None:
    found = bounds(
        Demands(
            cores=2, cpu_s=0.004, workers=4, held_s=0.010, connections=10, connection_s=0.005,
            processes=2, gil_s=0.008, lock_s=0.001,
        )
    )  # fmt: skip
    assert {each.name: each.limit_per_s for each in found} == {
        "cpu": 500.0, "workers": 400.0, "connections": 2000.0, "gil": 250.0, "lock": 1000.0,
    }  # fmt: skip
    assert found[0].name == "gil"
    assert found[0].because == "2 interpreters, 8.00 ms under its lock for each request"


def test_what_is_unknown_or_free_bounds_nothing() -> None:
    assert bounds(Demands(cores=2)) == ()
    assert bounds(Demands(cores=2, cpu_s=0.0, workers=4)) == ()


@pytest.mark.parametrize("wrong", [{"cpu_s": -0.001}, {"workers": -1, "held_s": 0.1}])
def test_negative_demands_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(AnalysisError):
        bounds(Demands(cores=2, **wrong))  # type: ignore[arg-type]


def test_efficiency() -> None:
    ideal = ideal_per_s(cores=2, call_s=0.002)
    assert ideal == 1000.0
    assert efficiency(410.0, ideal) == (0.41, ())
    eta, warnings = efficiency(1100.0, ideal)
    assert eta == pytest.approx(1.1)
    assert [warning.code for warning in warnings] == ["call_mismeasured"]
    with pytest.raises(AnalysisError):
        ideal_per_s(cores=2, call_s=0.0)


def test_the_generator_hides_a_part_of_the_gain() -> None:
    assert seen_gain(0.10, sut_s=0.003, generator_s=0.001) == pytest.approx(0.075)
    assert true_gain(0.075, sut_s=0.003, generator_s=0.001) == pytest.approx(0.10)


@pytest.mark.parametrize(("share", "gain"), [(0.0, 0.0), (0.5, 1.0), (0.2, 0.25), (1.0, math.inf)])
def test_a_layer_cannot_give_more_than_its_share(share: float, gain: float) -> None:
    assert amdahl_gain(share) == pytest.approx(gain)


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan])
def test_what_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(AnalysisError):
        amdahl_gain(share)


def test_closure() -> None:
    assert closure([1.0, 0.5, 0.4], 2.0) == pytest.approx(-0.05)
    assert closure([1.0, 1.1], 2.0) == pytest.approx(0.05)
    with pytest.raises(AnalysisError):
        closure([1.0], 0.0)
