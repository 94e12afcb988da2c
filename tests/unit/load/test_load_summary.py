"""Summaries: what counts, where the window's edges lie, what a percentile is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from labcoat.load.columns import GROWTH, Columns
from labcoat.load.summary import Latency, latencies_s, mean_in_flight, send_lags_s, summarise
from labcoat.model.load import (
    ClosedLoop,
    GeneratorUse,
    Measurement,
    OpenLoop,
    Outcome,
    Plan,
    Records,
    Window,
)

S = 1_000_000_000
Row = tuple[float, float, float, float, int, int, int, Outcome]


def records(rows: list[Row]) -> Records:
    """Times in seconds, negative for never."""
    columns = list(zip(*rows, strict=True)) or [()] * 8

    def times(column: int) -> np.ndarray:
        return np.array([-1 if t < 0 else round(t * S) for t in columns[column]], dtype=np.int64)

    return Records(
        intended=times(0),
        sent=times(1),
        first_byte=times(2),
        done=times(3),
        status=np.array(columns[4], dtype=np.int16),
        received=np.array(columns[5], dtype=np.int32),
        route=np.array(columns[6], dtype=np.int16),
        outcome=np.array(columns[7], dtype=np.int8),
    )


def measured(rows: list[Row], plan: Plan, *, warmup_s: float = 1.0) -> Measurement:
    return Measurement(
        plan=plan,
        window=Window(warmup_s=warmup_s, measure_s=2.0),
        started_ns=12345,
        records=records(rows),
        use=GeneratorUse(cpu_s=0.1, cores=2, loop_lag_p99_s=0.0, connects=0),
        routes=("a", "b"),
    )


OK, UNFINISHED = Outcome.OK, Outcome.UNFINISHED
ROWS: list[Row] = [
    (0.1, 0.1, 0.2, 0.3, 200, 10, 0, OK),  # in the warm-up
    (0.9, 0.9, 1.1, 1.2, 200, 10, 0, OK),  # begun before, ended inside
    (1.0, 1.1, 1.3, 1.4, 200, 20, 0, OK),
    (1.5, 1.5, 1.6, 1.7, 404, 5, 1, Outcome.WRONG_STATUS),
    (1.6, 1.6, -1, 2.6, 0, 0, 1, Outcome.TIMEOUT),
    (2.0, 2.2, -1, 2.3, 0, 0, 1, Outcome.RESET),
    (2.0, 2.0, 2.4, 2.4, 200, 30, 1, OK),
    (2.9, 2.9, 3.0, 3.1, 200, 40, 0, OK),  # begun inside, ended after
    (2.5, 2.5, -1, -1, 0, 0, 0, UNFINISHED),
    (2.8, -1, -1, -1, 0, 0, 1, UNFINISHED),  # never sent
    (3.0, 3.0, -1, -1, 0, 0, 1, UNFINISHED),  # intended at the very end: outside
]  # fmt: skip


def test_what_counts_in_an_open_loop() -> None:
    summary = summarise(measured(ROWS, OpenLoop(rate_per_s=4.0)))
    assert summary.requests == 8
    assert summary.outcomes == {
        OK: 3,
        Outcome.WRONG_STATUS: 1,
        Outcome.TIMEOUT: 1,
        Outcome.RESET: 1,
        UNFINISHED: 2,
    }
    assert summary.errors == 3
    assert summary.statuses == {200: 3, 404: 1}
    assert summary.throughput_per_s == pytest.approx(3 / 2.0)
    assert summary.received_bytes == 10 + 20 + 30
    assert summary.send_lag_p99_s == pytest.approx(0.2)
    assert [route.name for route in summary.routes] == ["a", "b"]
    assert [route.requests for route in summary.routes] == [3, 5]
    assert sum(route.throughput_per_s for route in summary.routes) == summary.throughput_per_s


def test_latencies_of_an_open_loop_count_from_the_intended_start() -> None:
    found = latencies_s(measured(ROWS, OpenLoop(rate_per_s=4.0)))
    assert sorted(found) == pytest.approx([0.2, 0.2, 0.4, 0.4, 0.5, 1.0])


def test_latencies_of_a_closed_loop_leave_the_unfinished_out() -> None:
    found = latencies_s(measured(ROWS, ClosedLoop(users=4)))
    assert sorted(found) == pytest.approx([0.2, 0.4, 0.4, 1.0])
    of_a = latencies_s(measured(ROWS, ClosedLoop(users=4)), route=0)
    assert sorted(of_a) == pytest.approx([0.2, 0.4])


def test_mean_in_flight_is_the_time_average_within_the_window() -> None:
    inside = 0.2 + 0.4 + 0.2 + 1.0 + 0.3 + 0.4 + 0.1 + 0.5 + 0.2
    found = mean_in_flight(measured(ROWS, OpenLoop(rate_per_s=4.0)))
    assert found == pytest.approx(inside / 2.0)


def test_a_request_that_was_never_sent_lags_until_the_end() -> None:
    found = send_lags_s(measured(ROWS, OpenLoop(rate_per_s=4.0)))
    assert sorted(found) == pytest.approx([0, 0, 0, 0, 0, 0.1, 0.2, 0.2])


def test_nothing_at_all() -> None:
    summary = summarise(measured([], ClosedLoop(users=1)))
    assert summary.requests == summary.errors == 0
    assert summary.throughput_per_s == 0
    assert summary.latency.n == 0
    assert math.isnan(summary.latency.p99_s)


@pytest.mark.parametrize(
    ("n", "p50", "p90", "p99", "p99_9"),
    [(1, 1, 1, 1, 1), (10, 5, 9, 10, 10), (100, 50, 90, 99, 100), (1000, 500, 900, 990, 999)],
)
def test_percentiles_are_values_that_were_measured(
    n: int, p50: float, p90: float, p99: float, p99_9: float
) -> None:
    shuffled = np.random.default_rng(n).permutation(np.arange(1, n + 1)).astype(np.float64)
    latency = Latency.of(shuffled)
    found = (latency.n, latency.p50_s, latency.p90_s, latency.p99_s, latency.p99_9_s)
    assert found == (n, p50, p90, p99, p99_9)
    assert (latency.mean_s, latency.max_s) == ((n + 1) / 2, n)


def test_columns_grow_and_know_what_never_happened() -> None:
    columns = Columns()
    for n in range(GROWTH + 10):
        columns.add(1000 + n, 2000 + n, 0, 3000 + n, 200, n, 1, int(OK))
    found = columns.records(1000)
    assert len(found) == GROWTH + 10
    assert found.intended[[0, -1]].tolist() == [0, GROWTH + 9]
    assert set(found.first_byte.tolist()) == {-1}
    assert found.done[-1] == 2000 + GROWTH + 9
    assert found.received[-1] == GROWTH + 9
    assert not columns.is_full
