"""The honesty verdict: each check passes and fails where it should."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from labcoat.load import Honesty, judge
from labcoat.load.honesty import HonestyCheck
from labcoat.model.host import HostCounters
from labcoat.model.load import (
    ClosedLoop,
    GeneratorUse,
    Measurement,
    OpenLoop,
    Outcome,
    Plan,
    Records,
    Target,
    Window,
)
from labcoat.model.workload import RequestTemplate, Workload
from labcoat.testing.load import ServiceModel, SimulatedLoad

MS = 1_000_000
ONE = Workload(requests=(RequestTemplate(path="/", name="one"),))
CLOSED = ClosedLoop(users=4)
OPEN = OpenLoop(rate_per_s=200.0, connections=8)


def simulated(plan: Plan, model: ServiceModel = ServiceModel()) -> Measurement:  # noqa: B008 frozen
    load = SimulatedLoad(model=model)
    window = Window(warmup_s=0.5, measure_s=2.0)
    return load.load(Target(url="http://a"), ONE, plan, window, seed=1)


def late(measurement: Measurement, by_ns: int) -> Measurement:
    """The same with every request sent later than it was intended."""
    records = measurement.records
    moved = replace(
        records,
        sent=np.where(records.sent < 0, -1, records.sent + by_ns),
        done=np.where(records.done < 0, -1, records.done + by_ns),
    )
    return replace(measurement, records=moved)


def used(measurement: Measurement, **changes: float) -> Measurement:
    return replace(measurement, use=replace(measurement.use, **changes))  # type: ignore[arg-type]


def row(verdict: Honesty, name: str) -> HonestyCheck:
    (found,) = [each for each in verdict.rows if each.name == name]
    return found


def test_an_honest_closed_loop() -> None:
    verdict = judge(simulated(CLOSED))
    assert verdict.is_honest
    assert verdict.failed == ()
    assert {each.name for each in verdict.rows} == {
        "littles_law",
        "loop_lag_p99",
        "generator_stalled",
        "generator_cpu",
        "syn_retransmits",
    }
    assert row(verdict, "littles_law").value < 0.001


def test_an_honest_open_loop() -> None:
    verdict = judge(simulated(OPEN))
    assert verdict.is_honest
    assert verdict.failed == ()
    assert {each.name for each in verdict.rows} >= {
        "achieved_ratio",
        "free_connections",
        "send_lag_p99",
        "littles_law",
    }


def test_users_kept_waiting_break_littles_law() -> None:
    """The generator takes 4 % of each cycle for itself: requests are sent late and overlap less."""
    measurement = simulated(CLOSED)
    records = measurement.records
    cycle = records.done - records.sent
    begun = records.sent + np.where(records.done > 0, cycle // 25, 0)
    slower = replace(measurement, records=replace(records, intended=begun, sent=begun))
    check = row(judge(slower), "littles_law")
    assert not check.passed
    assert check.value == pytest.approx(0.04, abs=0.005)
    assert not judge(slower).is_honest


def test_thinking_users_are_no_breach() -> None:
    assert judge(simulated(ClosedLoop(users=4, think_s=0.01))).is_honest


def test_late_sending_is_dishonest() -> None:
    honest, dishonest = (judge(late(simulated(OPEN), by * MS // 10)) for by in (5, 30))
    assert honest.is_honest
    assert not row(dishonest, "send_lag_p99").passed
    assert row(dishonest, "send_lag_p99").value == pytest.approx(0.003)


def test_five_percent_of_a_long_median_is_allowed() -> None:
    slow = ServiceModel(service_s=0.1, workers=100)
    plan = OpenLoop(rate_per_s=200.0, connections=400)
    assert row(judge(late(simulated(plan, slow), 3 * MS)), "send_lag_p99").passed


def test_a_target_that_cannot_keep_up_is_told_apart_from_a_late_generator() -> None:
    overloaded = ServiceModel(service_s=0.1, workers=2)
    verdict = judge(simulated(OPEN, overloaded))
    assert not verdict.is_honest
    assert not row(verdict, "achieved_ratio").passed
    assert not row(verdict, "free_connections").passed
    assert row(verdict, "free_connections").value < 0.3
    assert row(verdict, "send_lag_p99").passed


@pytest.mark.parametrize(
    ("cpu_s", "own", "passed"),
    [(1.7, True, True), (1.8, True, False), (1.8, False, True), (2.4, False, False)],
)
def test_cpu_of_the_generator(*, cpu_s: float, own: bool, passed: bool) -> None:
    """The slice lasted 2.5 s: 70 % of an own core is 1.75 s, 95 % of a shared one 2.375 s."""
    verdict = judge(used(simulated(CLOSED), cpu_s=cpu_s), has_own_cores=own)
    assert row(verdict, "generator_cpu").passed is passed
    assert verdict.is_honest is passed


@pytest.mark.parametrize(("stalled", "passed"), [(0.3, True), (0.5, False), (0.9, False)])
def test_a_generator_that_is_kept_from_its_work_is_not_honest(
    *, stalled: float, passed: bool
) -> None:
    verdict = judge(used(simulated(CLOSED), stalled_ratio=stalled))
    assert row(verdict, "generator_stalled").passed is passed
    assert verdict.is_honest is passed


def test_the_gain_that_shared_cores_hide() -> None:
    verdict = judge(used(simulated(CLOSED), cpu_s=1.0), target_cpu_s=3.0)
    assert "a true gain shows as 75% of it" in row(verdict, "generator_cpu").explanation


def test_what_is_only_told_voids_nothing() -> None:
    verdict = judge(
        used(simulated(CLOSED), loop_lag_p99_s=0.5, syn_retransmits=1), headroom_ratio=2.9
    )
    assert [each.name for each in verdict.failed] == ["loop_lag_p99", "syn_retransmits", "headroom"]
    assert verdict.is_honest
    assert judge(simulated(CLOSED), headroom_ratio=3.0).failed == ()


QUIET = HostCounters(
    at_ns=0,
    cores=2,
    busy_s=0,
    system_s=0,
    irq_s=0,
    idle_s=0,
    iowait_s=0,
    steal_s=0,
    listen_overflows=7,
    listen_drops=7,
    syn_retransmits=3,
    time_wait=100,
    throttled_s=0,
    throttled_n=0,
)


@pytest.mark.parametrize(
    ("after", "failed"),
    [
        (QUIET, []),
        (replace(QUIET, listen_overflows=8), ["listen_overflows"]),
        (replace(QUIET, time_wait=600), ["ports"]),
        (replace(QUIET, time_wait=599), []),
    ],
)
def test_the_network_meanwhile_is_told_and_voids_nothing(
    after: HostCounters, failed: list[str]
) -> None:
    verdict = judge(
        simulated(CLOSED), host_before=QUIET, host_after=after, port_range=(10_000, 10_999)
    )
    assert [each.name for each in verdict.failed] == failed
    assert verdict.is_honest


@pytest.mark.parametrize("plan", [CLOSED, OPEN])
def test_nothing_measured_is_not_honest(plan: Plan) -> None:
    nothing = np.array([], dtype=np.int64)
    measurement = Measurement(
        plan=plan,
        window=Window(measure_s=1.0),
        started_ns=0,
        records=Records(
            intended=nothing,
            sent=nothing,
            first_byte=nothing,
            done=nothing,
            status=nothing.astype(np.int16),
            received=nothing.astype(np.int32),
            route=nothing.astype(np.int16),
            outcome=nothing.astype(np.int8),
        ),
        use=GeneratorUse(cpu_s=0.0, cores=1, loop_lag_p99_s=0.0, connects=0),
        routes=("one",),
    )
    assert not judge(measurement).is_honest


def test_every_failure_says_what_to_do() -> None:
    measurement = used(
        late(simulated(OPEN, ServiceModel(service_s=0.1, workers=2)), 50 * MS),
        cpu_s=9.0,
        loop_lag_p99_s=9.0,
    )
    verdict = judge(measurement, headroom_ratio=1.0)
    assert len(verdict.failed) >= 5
    assert all(each.remedy and each.explanation for each in verdict.failed)
    assert Outcome.UNFINISHED in set(measurement.records.outcome.tolist())
