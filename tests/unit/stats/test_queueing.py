"""Workers on cores: the closed network against simulation, its limits, and what is refused."""

from __future__ import annotations

import heapq
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcoat.errors import AnalysisError
from labcoat.stats.queueing import ENOUGH, closed_throughput, enough_workers

SECONDS = st.floats(0.001, 1.0)


def simulated(workers: int, cores: int, work_s: float, wait_s: float, *, seed: int) -> float:
    """Events by hand: exponential work and waiting, one queue before the cores."""
    draw = random.Random(seed)
    events = [(draw.expovariate(1 / wait_s), "comes") for _ in range(workers)]
    heapq.heapify(events)
    queue = busy = done = 0
    now = 0.0
    while done < 40_000:
        now, what = heapq.heappop(events)
        if what == "comes":
            queue += 1
        else:
            done += 1
            busy -= 1
            heapq.heappush(events, (now + draw.expovariate(1 / wait_s), "comes"))
        while queue and busy < cores:
            queue -= 1
            busy += 1
            heapq.heappush(events, (now + draw.expovariate(1 / work_s), "leaves"))
    return done / now


@pytest.mark.parametrize(
    ("workers", "cores", "work_s", "wait_s"),
    [(1, 2, 0.007, 0.001), (2, 2, 0.007, 0.001), (4, 2, 0.01, 0.02), (12, 4, 0.01, 0.05)],
)
def test_it_is_what_a_simulation_gives(
    workers: int, cores: int, work_s: float, wait_s: float
) -> None:
    expected = closed_throughput(workers, cores=cores, work_s=work_s, wait_s=wait_s)
    found = simulated(workers, cores, work_s, wait_s, seed=workers)
    assert found == pytest.approx(expected, rel=0.03)


@given(workers=st.integers(1, 60), cores=st.integers(1, 16), work_s=SECONDS, wait_s=SECONDS)
def test_it_keeps_to_its_bounds_and_grows(
    workers: int, cores: int, work_s: float, wait_s: float
) -> None:
    found = closed_throughput(workers, cores=cores, work_s=work_s, wait_s=wait_s)
    more = closed_throughput(workers + 1, cores=cores, work_s=work_s, wait_s=wait_s)
    assert 0 < found <= more * (1 + 1e-9)
    assert found <= min(cores / work_s, workers / (work_s + wait_s)) * (1 + 1e-9)


@given(cores=st.integers(1, 16), work_s=SECONDS)
def test_without_waiting_there_is_a_worker_for_each_core(cores: int, work_s: float) -> None:
    assert closed_throughput(cores, cores=cores, work_s=work_s, wait_s=0.0) == cores / work_s
    assert enough_workers(cores=cores, work_s=work_s, wait_s=0.0) == cores


def test_who_waits_ten_times_as_long_as_he_works_wants_company() -> None:
    alone = enough_workers(cores=2, work_s=0.01, wait_s=0.1)
    assert alone > 22
    before = closed_throughput(alone - 1, cores=2, work_s=0.01, wait_s=0.1)
    assert before < ENOUGH * 200 <= closed_throughput(alone, cores=2, work_s=0.01, wait_s=0.1)


@pytest.mark.parametrize(
    "wrong", [{"workers": 0}, {"cores": 0}, {"work_s": 0.0}, {"work_s": -1.0}, {"wait_s": -1.0}]
)
def test_what_is_no_queue_is_refused(wrong: dict[str, float]) -> None:
    given_: dict[str, float] = {"workers": 1, "cores": 1, "work_s": 1.0, "wait_s": 1.0}
    given_ |= wrong
    with pytest.raises(AnalysisError, match="no such queue"):
        closed_throughput(**given_)  # type: ignore[arg-type]
