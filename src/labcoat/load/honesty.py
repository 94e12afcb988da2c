"""The honesty verdict: whether a slice measured the stack or the generator.

Pure: readings in, rows out. Each row is one check of the method's section on honest
generators, with its value, its limit, and what to do when it fails.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

import numpy as np

from labcoat.load.summary import Summary, bounds_ns, is_measured, send_lags_s, summarise
from labcoat.model.load import ClosedLoop, OpenLoop, Outcome

if TYPE_CHECKING:
    import numpy.typing as npt

    from labcoat.model.host import HostCounters
    from labcoat.model.load import Measurement

CLOSED_IN_FLIGHT_RATIO = 0.02
OPEN_IN_FLIGHT_RATIO = 0.05
ACHIEVED_RATIO = 0.99
SEND_LAG_S = 0.001
SEND_LAG_OF_P50 = 0.05
LOOP_LAG_S = 0.010
STALLED_RATIO = 0.5
OWN_CORE_RATIO = 0.70
SHARED_CORE_RATIO = 0.95
FREE_RATIO = 0.99
HEADROOM = 3.0
PORTS_RATIO = 0.60
PORT_RANGE = (32_768, 60_999)


@dataclass(frozen=True, slots=True, kw_only=True)
class HonestyCheck:
    """One row of the verdict.

    ``value`` against ``limit``, both in ``unit``. ``explanation``: what was found.
    ``remedy``: what to do when it failed. ``voids``: a failure means that the numbers do
    not say what they seem to; else it is only to be told with them.
    """

    name: str
    value: float
    limit: float
    unit: str
    passed: bool
    explanation: str
    remedy: str
    voids: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Honesty:
    """Every check that applied to a slice."""

    rows: tuple[HonestyCheck, ...]

    @property
    def failed(self) -> tuple[HonestyCheck, ...]:
        """Checks that failed, those that only need telling included."""
        return tuple(row for row in self.rows if not row.passed)

    @property
    def is_honest(self) -> bool:
        """Whether the numbers may be believed."""
        return not any(row.voids for row in self.failed)


def judge(
    measurement: Measurement,
    *,
    host_before: HostCounters | None = None,
    host_after: HostCounters | None = None,
    headroom_ratio: float | None = None,
    target_cpu_s: float | None = None,
    has_own_cores: bool = False,
    port_range: tuple[int, int] = PORT_RANGE,
) -> Honesty:
    """The verdict on one slice.

    ``host_before``, ``host_after``: readings of the machine around it, when target and
    generator share it. ``headroom_ratio``: the generator's own limit, over the target's
    throughput. ``target_cpu_s``: CPU seconds of the target in the slice.
    ``has_own_cores``: the generator is pinned to cores that nobody else uses.
    """
    summary = summarise(measurement)
    rows: list[HonestyCheck] = []
    match measurement.plan:
        case ClosedLoop():
            rows.append(_little_closed(measurement, measurement.plan, summary))
        case OpenLoop():
            rows += _open(measurement, measurement.plan, summary)
        case _:
            assert_never(measurement.plan)
    rows.append(_loop_lag(measurement, summary))
    rows.append(_stalled(measurement))
    rows.append(_cpu(measurement, target_cpu_s, has_own_cores=has_own_cores))
    again = measurement.use.syn_retransmits
    rows.append(
        _counter(
            "syn_retransmits",
            again,
            f"{again} connection requests had to be repeated",
            "a listen queue overflowed or packets were lost; each costs a second",
        )
    )
    if Outcome.NOT_CAPTURED in summary.outcomes:
        rows.append(_captures(summary))
    if headroom_ratio is not None:
        rows.append(_headroom(headroom_ratio))
    if host_before is not None and host_after is not None:
        rows += _network(host_before, host_after, port_range)
    return Honesty(rows=tuple(rows))


def _little_closed(measurement: Measurement, plan: ClosedLoop, summary: Summary) -> HonestyCheck:
    """|L - C'| / C' with L the mean in flight and C' = users R / (R + think time).

    The operational form of Little's law: without think time every user has a request in
    flight at every moment, or the generator kept it waiting.
    """
    mean_s = 0.0 if math.isnan(summary.latency.mean_s) else summary.latency.mean_s
    cycle_s = mean_s + plan.think_s
    expected = plan.users * (mean_s / cycle_s if plan.think_s else 1.0)
    value = abs(summary.mean_in_flight - expected) / expected if expected else 1.0
    edges = cycle_s / measurement.window.measure_s if plan.think_s else 0.0
    limit = max(CLOSED_IN_FLIGHT_RATIO, edges)
    return HonestyCheck(
        name="littles_law",
        value=value,
        limit=limit,
        unit="ratio",
        passed=value < limit,
        explanation=f"{summary.mean_in_flight:.2f} requests in flight, {expected:.2f} expected",
        remedy="users waited for the generator or for connections: look at the errors, or lower -c",
    )


def _open(measurement: Measurement, plan: OpenLoop, summary: Summary) -> Iterator[HonestyCheck]:
    begin, end = bounds_ns(measurement)
    records = measurement.records
    rows = is_measured(measurement)
    offered = int(rows.sum())
    sent = int((rows & (records.sent >= 0) & (records.sent < end)).sum())
    achieved = sent / offered if offered else 0.0
    yield HonestyCheck(
        name="achieved_ratio",
        value=achieved,
        limit=ACHIEVED_RATIO,
        unit="ratio",
        passed=achieved >= ACHIEVED_RATIO,
        explanation=f"{sent} of {offered} intended requests were sent in time",
        remedy="the target or the generator cannot keep up: lower the rate",
    )
    waited = _found_none_free(measurement, plan)[rows]
    free = 1.0 - float(waited.mean()) if waited.size else 1.0
    yield HonestyCheck(
        name="free_connections",
        value=free,
        limit=FREE_RATIO,
        unit="ratio",
        passed=free >= FREE_RATIO,
        explanation=f"{int(waited.sum())} requests found all {plan.connections} connections busy",
        remedy="their wait counts as latency; lower the rate, or allow more connections",
        voids=False,
    )
    lags = send_lags_s(measurement)[~waited]
    lag = float(np.quantile(lags, 0.99)) if lags.size else 0.0
    limit = worst = SEND_LAG_S
    if summary.latency.n:
        limit = max(SEND_LAG_S, SEND_LAG_OF_P50 * summary.latency.p50_s)
        worst = max(SEND_LAG_S, SEND_LAG_OF_P50 * summary.latency.p99_s)
    yield HonestyCheck(
        name="send_lag_p99",
        value=lag,
        limit=limit,
        unit="s",
        passed=lag < limit,
        explanation=f"99 % of the requests were sent at most {lag * 1e3:.3f} ms late",
        remedy="give the generator a core of its own, or lower the rate",
        # The lag is part of every latency. Past the limit the median is in doubt, which is
        # told; only where it could make up the tail as well is nothing left to believe.
        voids=lag >= worst,
    )
    yield _little_open(summary, offered, (end - begin) / 1e9)


def _little_open(summary: Summary, offered: int, measured_s: float) -> HonestyCheck:
    """|L - lambda R| / (lambda R); at the edges of the window R / T of it may be missing."""
    mean_s = summary.latency.mean_s if summary.latency.n else 0.0
    expected = offered / measured_s * mean_s
    value = abs(summary.mean_in_flight - expected) / expected if expected else 1.0
    limit = max(OPEN_IN_FLIGHT_RATIO, mean_s / measured_s)
    return HonestyCheck(
        name="littles_law",
        value=value,
        limit=limit,
        unit="ratio",
        passed=value < limit,
        explanation=f"{summary.mean_in_flight:.2f} requests in flight, {expected:.2f} expected",
        remedy="the load was not steady: look at the errors, or measure longer",
        voids=False,
    )


def _found_none_free(measurement: Measurement, plan: OpenLoop) -> npt.NDArray[np.bool_]:
    """Which requests met an intended start with every connection busy, shape ``(n,)``."""
    records = measurement.records
    _, end = bounds_ns(measurement)
    carried = records.sent >= 0
    begun = np.sort(records.sent[carried])
    ended = np.sort(np.where(records.done < 0, end, records.done)[carried])
    # A request that took over a connection was sent as its predecessor ended; at its own
    # intended start it was not yet sent, and the predecessor not yet done.
    in_flight = np.searchsorted(begun, records.intended, "left") - np.searchsorted(
        ended, records.intended, "right"
    )
    return np.asarray(in_flight >= plan.connections, dtype=np.bool_)


def _loop_lag(measurement: Measurement, summary: Summary) -> HonestyCheck:
    lag = measurement.use.loop_lag_p99_s
    limit = LOOP_LAG_S
    if summary.latency.n:
        limit = max(LOOP_LAG_S, SEND_LAG_OF_P50 * summary.latency.p50_s)
    return HonestyCheck(
        name="loop_lag_p99",
        value=lag,
        limit=limit,
        unit="s",
        passed=lag < limit,
        explanation=f"the generator's loop woke at most {lag * 1e3:.3f} ms late, 99 times of 100",
        remedy="latencies carry this lag: give the generator a core of its own",
        voids=False,
    )


def _stalled(measurement: Measurement) -> HonestyCheck:
    """The share of the slice in which the generator wanted a core and had none.

    On cores that it shares with the stack it waits its turn, which is part of every answer
    alike; kept from them for most of the time (a quota, a stopped process) it measures
    its own wait, whatever the stack does.
    """
    ratio = measurement.use.stalled_ratio
    return HonestyCheck(
        name="generator_stalled",
        value=ratio,
        limit=STALLED_RATIO,
        unit="ratio",
        passed=ratio < STALLED_RATIO,
        explanation=f"the generator was kept from its work for {ratio:.0%} of the time",
        remedy="it is starved of CPU: lift its quota, or load from another machine",
    )


def _cpu(
    measurement: Measurement, target_cpu_s: float | None, *, has_own_cores: bool
) -> HonestyCheck:
    """CPU seconds of the generator per second; its work is done by one thread."""
    cpu_s = measurement.use.cpu_s
    lasted_s = measurement.window.warmup_s + measurement.window.measure_s
    value = cpu_s / lasted_s
    limit = OWN_CORE_RATIO if has_own_cores else SHARED_CORE_RATIO
    per_request_s = cpu_s / max(len(measurement.records), 1)
    where = "its own" if has_own_cores else "shared"
    explanation = (
        f"the generator used {value:.0%} of a core ({where}),"
        f" {per_request_s * 1e6:.1f} µs per request"
    )
    if not has_own_cores and target_cpu_s:
        seen = target_cpu_s / (target_cpu_s + cpu_s)
        explanation += f"; where the CPU is the limit, a true gain shows as {seen:.0%} of it"
    return HonestyCheck(
        name="generator_cpu",
        value=value,
        limit=limit,
        unit="ratio",
        passed=value < limit,
        explanation=explanation,
        remedy="the generator is the limit, not the target: the throughput is a lower bound",
    )


def _captures(summary: Summary) -> HonestyCheck:
    """Right answers that lacked what they were to give; what came after used an older value."""
    lacking = {
        route.name: route.outcomes[Outcome.NOT_CAPTURED]
        for route in summary.routes
        if Outcome.NOT_CAPTURED in route.outcomes
    }
    named = ", ".join(f"{count} of {name}" for name, count in lacking.items())
    return HonestyCheck(
        name="captures",
        value=float(sum(lacking.values())),
        limit=0.0,
        unit="1",
        passed=False,
        explanation=f"answers lacked what was to be captured: {named}",
        remedy="mend the expression of the capture, or let the route expect what tells it apart",
    )


def _headroom(ratio: float) -> HonestyCheck:
    return HonestyCheck(
        name="headroom",
        value=ratio,
        limit=HEADROOM,
        unit="ratio",
        passed=ratio >= HEADROOM,
        explanation=f"alone, the generator reaches {ratio:.1f} times the target's throughput",
        remedy="differences may hide behind the generator: compare CPU per request as well",
        voids=False,
    )


def _network(
    before: HostCounters, after: HostCounters, port_range: tuple[int, int]
) -> Iterator[HonestyCheck]:
    overflows = after.listen_overflows - before.listen_overflows
    yield _counter(
        "listen_overflows",
        overflows,
        f"{overflows} connections found a listen queue full",
        "raise the server's backlog and net.core.somaxconn; each costs its client a second",
    )
    ports = port_range[1] - port_range[0] + 1
    used = after.time_wait / ports
    yield HonestyCheck(
        name="ports",
        value=used,
        limit=PORTS_RATIO,
        unit="ratio",
        passed=used < PORTS_RATIO,
        explanation=f"{after.time_wait} connections in TIME_WAIT, {ports} ephemeral ports",
        remedy="keep connections alive, wait a minute, or widen net.ipv4.ip_local_port_range",
        voids=False,  # running out of them shows as connections that failed, which does void
    )


def _counter(name: str, value: int, explanation: str, remedy: str) -> HonestyCheck:
    """A counter that should not have moved; the stack's doing, so it voids nothing."""
    return HonestyCheck(
        name=name,
        value=float(value),
        limit=0.0,
        unit="1",
        passed=value <= 0,
        explanation=explanation,
        remedy=remedy,
        voids=False,
    )
