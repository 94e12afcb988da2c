"""From what was gathered to what was found, with numbers checked by hand."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

import pytest
from pydantic import TypeAdapter

from labcoat.errors import AnalysisError
from labcoat.lab.baseline.findings import Gathered, compose, merged_latency
from labcoat.lab.baseline.pace import FULL
from labcoat.load.honesty import Honesty
from labcoat.model.baseline import Baseline
from labcoat.model.host import HostCounters
from labcoat.testing.baseline import (
    aa_outcome,
    call_cost,
    gathered,
    honesty_row,
    reading,
    two_routes,
)

LATE = honesty_row("lag", passed=False, value=3.0)


def found(of: Gathered | None = None) -> Baseline:
    return compose(
        two_routes(),
        "study-1",
        of or gathered(),
        at="2026-01-01T00:00:00",
        elapsed_s=160.0,
    )


def codes(of: Gathered) -> set[str]:
    return {warning.code for warning in found(of).warnings}


def test_throughput_is_the_geometric_mean_over_instances_not_slices() -> None:
    top = found().saturation
    assert top.throughput_per_s.n == 12  # six restarts of two arms, each of two slices
    assert top.throughput_per_s.value == pytest.approx(math.sqrt(140 * 160))
    assert top.throughput_per_s.low is not None
    assert top.throughput_per_s.high is not None
    assert 140 < top.throughput_per_s.low < top.throughput_per_s.value < top.throughput_per_s.high
    assert (top.users, top.errors, top.latency.count) == (8, 0, 24 * 4)


def test_routes_carry_their_share_their_latency_and_the_cost_of_a_call() -> None:
    home, buy = found().saturation.routes
    assert (home.name, home.share_ratio, buy.share_ratio) == ("home", 0.75, 0.25)
    assert (home.latency.count, buy.latency.count) == (24 * 3, 24)
    assert home.latency.p50_s == pytest.approx(0.02)
    assert buy.latency.p50_s == pytest.approx(0.04)
    assert (home.call_cpu_s, home.call_wall_s) == (0.006, 0.012)
    assert (buy.call_cpu_s, buy.call_wall_s) == (None, None)
    assert (home.mean_bytes, buy.mean_bytes) == (1000.0, 1000.0)


def test_a_route_that_never_answered_has_no_bytes_and_counts_its_errors() -> None:
    outcome = aa_outcome()
    outcome.readings = [
        (instance, reading(latencies_s=(0.04,), routes=(1,), errors=2))
        for instance, _ in outcome.readings
    ]
    home, buy = found(gathered(outcome)).saturation.routes
    assert (home.errors, home.mean_bytes, home.latency.count, home.latency.max_s) == (48, 0, 0, 0)
    assert (buy.errors, buy.mean_bytes) == (0, 1000.0)


def test_merged_percentiles_are_latencies_that_were_seen() -> None:
    latency = merged_latency([reading(latencies_s=(0.001,) * 4), reading(latencies_s=(0.009,) * 4)])
    assert (latency.p50_s, latency.p90_s) == pytest.approx((0.001, 0.009))
    assert latency.count == 8
    assert latency.max_s == pytest.approx(0.009)


def test_the_bounds_the_binding_one_and_the_ceiling() -> None:
    ceiling = found().ceiling
    limits = {bound.name: bound.limit_per_s for bound in ceiling.bounds}
    # 2 cores / (12 s of layers + 0.5 s of generator) per 1,000 requests
    assert limits["cpu"] == pytest.approx(2 / 0.0125)
    # 2 workers / (9 ms alone + what uWSGI spends beyond the app: 8 - 6 ms)
    assert limits["workers"] == pytest.approx(2 / 0.011)
    assert limits["gil"] == pytest.approx(2 / 0.008)
    assert ceiling.binding == "cpu"
    assert ceiling.call_cpu_s == pytest.approx(0.008)
    assert ceiling.call_wall_s == 0.009
    assert ceiling.ideal_per_s == pytest.approx(250.0)
    assert ceiling.efficiency_ratio == pytest.approx(math.sqrt(140 * 160) / 250)
    assert found().bottleneck.startswith("The cores are the limit")


def test_a_server_that_tells_no_workers_is_bound_by_the_cores_only() -> None:
    ceiling = found(replace(gathered(), explained={})).ceiling
    assert [bound.name for bound in ceiling.bounds] == ["cpu"]


def test_a_call_dearer_than_the_server_holds_its_worker_no_shorter() -> None:
    alone, calls = call_cost(wall_s=0.009), replace(call_cost(wall_s=0.012), app_cpu_s=0.050)
    ceiling = found(replace(gathered(), call_alone=alone, calls=calls)).ceiling
    assert {b.name: b.limit_per_s for b in ceiling.bounds}["workers"] == pytest.approx(2 / 0.009)


def test_layers_cost_cpu_per_request_and_tell_their_counters() -> None:
    layers = {layer.name: layer for layer in found().layers}
    costs = [layer.cpu_per_request_s for layer in found().layers]
    assert list(layers) == ["nginx", "uwsgi", "postgres"]
    assert costs == pytest.approx([0.001, 0.008, 0.003])
    assert layers["uwsgi"].counters == {"processes": 2.0, "slots": 2.0}
    assert layers["nginx"].counters == {}
    assert layers["postgres"].pss_bytes == 40_000_000
    assert sum(costs) == pytest.approx(
        sum(p.per_request_s for p in found().waterfall.parts[:4])  # nginx, server, app, postgres
    )


def test_noise_is_told_of_both_metrics_and_of_each_budget() -> None:
    noise = found().noise
    assert (noise.epochs, noise.blocks, noise.voids) == (6, 6, 0)
    assert (noise.block_s, noise.restart_s, noise.blocks_per_restart) == (4.0, 12.0, None)
    throughput, cpu = noise.metrics
    assert throughput.effect_ratio == pytest.approx(0.0, abs=1e-9)
    assert throughput.floor_ratio == pytest.approx(cpu.floor_ratio)
    assert throughput.low_ratio is not None
    assert throughput.low_ratio < 0
    assert throughput.verdict not in {"improved", "regressed"}
    # A block and its restart take 16 s: 300 s hold 18 of them, 600 s hold 37, then the cap.
    assert [(each.budget_s, each.blocks) for each in noise.detectable] == [
        (300.0, 18), (600.0, 37), (1200.0, 40), (3600.0, 40),
    ]  # fmt: skip
    smallest = [each.effect_ratio for each in noise.detectable]
    assert None not in smallest
    assert smallest == sorted(smallest, key=lambda each: -(each or 0))


def test_several_blocks_for_each_restart_advise_how_many() -> None:
    outcome = aa_outcome()
    outcome.epochs = [
        [*epoch, {name: -v for name, v in epoch[0].items()}] for epoch in outcome.epochs
    ]
    for place, epoch in enumerate(outcome.epochs):
        epoch[1] = {name: value + 0.001 * place for name, value in epoch[1].items()}
    noise = found(gathered(outcome, FULL)).noise
    assert noise.blocks == 12
    assert noise.blocks_per_restart is not None
    assert noise.blocks_per_restart >= 1


def test_honesty_tells_the_slice_that_came_off_worst() -> None:
    outcome = aa_outcome()
    rows = [(honesty_row("lag"), honesty_row("cpu"))] * 24
    rows[3] = (honesty_row("lag", passed=False, value=1.5), honesty_row("cpu", value=0.7))
    rows[5] = (honesty_row("lag", passed=False, value=3.0), honesty_row("cpu"))
    rows[9] = (honesty_row("lag", passed=False, value=2.0), honesty_row("cpu"))
    outcome.readings = [
        (instance, reading(rows=each))
        for (instance, _), each in zip(outcome.readings, rows, strict=True)
    ]
    lag, cpu = found(gathered(outcome)).honesty
    assert (lag.phase, lag.check, lag.passed, lag.value) == ("A/A", "lag", False, 3.0)
    assert lag.explanation == "lag is 3 (3 of 24 slices)"
    assert (cpu.passed, cpu.explanation) == (True, "cpu is 0.7")


def test_the_open_loop_tells_what_it_offered_and_achieved() -> None:
    answered = found().responsiveness
    assert (answered.rate_per_s, answered.share_ratio) == (105.0, 0.7)
    assert answered.achieved_ratio == pytest.approx(104 / 105)


def test_a_quiet_baseline_warns_of_nothing_but_its_five_levels() -> None:
    assert codes(gathered()) <= {"few_levels", "linear", "no_peak", "misfit"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"steady": False}, "not_steady"),
        ({"account": replace(gathered().account, idle_s=2.0)}, "not_closed"),
        (
            {"account": replace(gathered().account, programs_s=3.0, idle_s=3.2)},
            "busy_machine",
        ),
        ({"headroom_per_s": 300.0}, "little_headroom"),
        ({"saturated": [reading(), reading(rows=[LATE])]}, "not_honest"),
        ({"open_loop": replace(gathered().open_loop, honesty=Honesty(rows=(LATE,)))}, "not_honest"),
        ({"calls": call_cost(wall_s=0.012, refused=3)}, "calls_refused"),
        ({"calls": replace(call_cost(wall_s=0.02), database_cpu_s=0.02)}, "call_mismeasured"),
    ],
)
def test_what_spoils_a_baseline_is_warned_of(change: dict[str, object], code: str) -> None:
    assert code not in codes(gathered())
    spoilt = replace(gathered(), **change)  # type: ignore[arg-type]
    assert code in codes(spoilt)


def test_a_failed_check_that_voids_nothing_is_told_without_a_warning() -> None:
    told = replace(LATE, voids=False)
    late = replace(gathered().open_loop, honesty=Honesty(rows=(told,)))
    baseline = found(replace(gathered(), open_loop=late))
    assert "not_honest" not in {warning.code for warning in baseline.warnings}
    (row,) = (row for row in baseline.honesty if row.phase == "open loop")
    assert (row.passed, row.explanation) == (False, "lag is 3")


def test_a_dishonest_open_loop_is_told_with_what_to_do() -> None:
    late = replace(gathered().open_loop, honesty=Honesty(rows=(LATE,)))
    warnings = found(replace(gathered(), open_loop=late)).warnings
    (warning,) = (each for each in warnings if each.code == "not_honest")
    assert warning.message == "the open loop's latency is not to be trusted: lag is 3"
    assert warning.remedy == "look again"


def test_without_nginx_there_is_no_headroom_and_no_warning_of_it() -> None:
    without = replace(gathered(), headroom_per_s=None)
    assert found(without).headroom_ratio is None
    assert "little_headroom" not in codes(without)


def strict(of: Baseline) -> None:
    """As the command prints it, and as the journal gives it back."""
    text = json.dumps(asdict(of), allow_nan=False)
    assert TypeAdapter(Baseline).validate_python(json.loads(text)) == of


def degenerate() -> dict[str, Gathered]:
    whole = gathered()
    silent = reading(latencies_s=(), routes=(), per_s=0.0)
    swept = {**whole.swept, 16: [silent, silent], 8: [whole.swept[8][0], silent]}
    rates = aa_outcome()
    rates.readings = [(each, reading(latencies_s=(), routes=())) for each, _ in rates.readings]
    noisy = aa_outcome()
    noisy.epochs = [
        [{name: 60 * value for name, value in block.items()} for block in epoch]
        for epoch in noisy.epochs
    ]
    return {
        "as usual": whole,
        "a level of the sweep answered nothing": replace(whole, swept=swept),
        "no latency was counted": replace(gathered(rates), saturated=[silent]),
        "the open loop answered nothing": replace(
            whole, open_loop=replace(silent, plan=whole.open_loop.plan)
        ),
        "no request was accounted for": replace(whole, account=replace(whole.account, requests=0)),
        "noise without bounds": gathered(noisy),
        "nothing is told": replace(whole, explained={}, headroom_per_s=None),
    }


@pytest.mark.parametrize("name", degenerate())
def test_every_baseline_is_strict_json(name: str) -> None:
    strict(found(degenerate()[name]))


def test_a_level_that_answered_nothing_is_told_and_not_fitted() -> None:
    baseline = found(degenerate()["a level of the sweep answered nothing"])
    points = {point.users: point.throughput_per_s for point in baseline.sweep}
    assert (points[16].value, points[16].low, points[16].n) == (0.0, None, 2)
    assert points[8].value == pytest.approx(gathered().swept[8][0].summary.throughput_per_s / 2)
    assert points[8].low is None
    whole = found().law
    assert baseline.law.gamma == pytest.approx(whole.gamma, rel=1e-3)


def test_a_sweep_of_silence_is_an_error_that_says_so() -> None:
    silent = {users: [reading(per_s=0.0)] for users in (1, 2, 4)}
    with pytest.raises(AnalysisError, match="levels of concurrency"):
        found(replace(gathered(), swept=silent))


def test_the_machine_of_the_builders_is_half_idle() -> None:
    slice_ = reading(steal_ratio=0.25)
    assert isinstance(slice_.usage.host_after, HostCounters)
    assert (slice_.steal_ratio, slice_.idle_ratio, slice_.wall_s) == (0.25, 0.5, 1.0)
    assert slice_.cpu_per_request_s == pytest.approx(1.2 / 150)
