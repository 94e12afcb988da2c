"""What a measurement says: throughput, latencies, outcomes. Pure functions of its records."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from labcoat.model.load import OpenLoop, Outcome

if TYPE_CHECKING:
    import numpy.typing as npt

    from labcoat.model.load import Measurement

NS = 1_000_000_000
IN_FLIGHT_AT_END = int(Outcome.UNFINISHED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Latencies of ``n`` requests, seconds; all are NaN when n is 0.

    A percentile is the least latency that at least that share of the requests does not
    exceed: one of the latencies themselves, never between two.
    """

    n: int
    mean_s: float
    p50_s: float
    p90_s: float
    p95_s: float
    p99_s: float
    p99_9_s: float
    max_s: float

    @classmethod
    def of(cls, latencies_s: npt.NDArray[np.float64]) -> Latency:
        """Percentiles of raw latencies, shape ``(n,)``."""
        n = int(latencies_s.size)
        if n == 0:
            values = [math.nan] * 7
        else:
            quantiles = np.quantile(
                latencies_s, (0.5, 0.9, 0.95, 0.99, 0.999), method="inverted_cdf"
            )
            values = [float(latencies_s.mean()), *quantiles.tolist(), float(latencies_s.max())]
        mean, p50, p90, p95, p99, p99_9, longest = values
        return cls(
            n=n,
            mean_s=mean,
            p50_s=p50,
            p90_s=p90,
            p95_s=p95,
            p99_s=p99,
            p99_9_s=p99_9,
            max_s=longest,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSummary:
    """What one kind of request endured; fields as in Summary.

    ``answered``: OK answers that ended in the measured part; ``received_bytes`` are theirs.
    """

    name: str
    requests: int
    answered: int
    throughput_per_s: float
    latency: Latency
    outcomes: Mapping[Outcome, int]
    received_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the measured part of a slice says; the warm-up is left out.

    ``requests``: those whose intended start lies in the measured part; ``outcomes`` and
    ``statuses`` count them. ``throughput_per_s``: OK answers that ended in the measured
    part, whenever they began, per second. ``received_bytes``: bodies of these.
    ``latency``: see ``latencies_s``. ``send_lag_p99_s``: sent - intended; 0 in a closed
    loop. ``mean_in_flight``: time average of requests begun and not ended.
    """

    requests: int
    throughput_per_s: float
    latency: Latency
    outcomes: Mapping[Outcome, int]
    statuses: Mapping[int, int]
    received_bytes: int
    send_lag_p99_s: float
    mean_in_flight: float
    routes: tuple[RouteSummary, ...]

    @property
    def errors(self) -> int:
        """Requests that ended, and not well."""
        good = (Outcome.OK, Outcome.UNFINISHED)
        return sum(count for outcome, count in self.outcomes.items() if outcome not in good)


def bounds_ns(measurement: Measurement) -> tuple[int, int]:
    """Begin and end of the measured part, nanoseconds since the slice's start."""
    begin = round(measurement.window.warmup_s * NS)
    return begin, begin + round(measurement.window.measure_s * NS)


def is_measured(measurement: Measurement) -> npt.NDArray[np.bool_]:
    """Which rows belong to the measured part: by intended start, shape ``(n,)``."""
    begin, end = bounds_ns(measurement)
    intended = measurement.records.intended
    return (intended >= begin) & (intended < end)


def is_counted(measurement: Measurement) -> npt.NDArray[np.bool_]:
    """Which rows have a latency that counts, shape ``(n,)``; see ``latencies_s``."""
    outcome = measurement.records.outcome
    counted = np.isin(outcome, (int(Outcome.OK), int(Outcome.TIMEOUT)))
    if isinstance(measurement.plan, OpenLoop):
        counted |= outcome == IN_FLIGHT_AT_END
    return is_measured(measurement) & counted


def latencies_s(measurement: Measurement, *, route: int | None = None) -> npt.NDArray[np.float64]:
    """Latencies of the measured part, seconds, from the intended start; order of records.

    Counted are requests that were answered well, and timeouts with the time that they
    took. In an open loop an unfinished request counts with the time that it had waited
    when the slice ended, a lower bound: leaving it out would hide a stall at the end.
    Other errors are left out: a fast error is no fast answer.
    """
    records = measurement.records
    counted = is_counted(measurement)
    if route is not None:
        counted &= records.route == route
    _, end = bounds_ns(measurement)
    ended = np.where(records.done < 0, np.maximum(end, records.intended), records.done)
    return np.asarray((ended - records.intended)[counted] / NS, dtype=np.float64)


def send_lags_s(measurement: Measurement) -> npt.NDArray[np.float64]:
    """How late each request of the measured part was sent, seconds.

    One that was never sent counts with the time that it had waited at the end.
    """
    _, end = bounds_ns(measurement)
    records = measurement.records
    rows = is_measured(measurement)
    sent = np.where(records.sent < 0, end, records.sent)
    return np.asarray((sent - records.intended)[rows] / NS, dtype=np.float64)


def mean_in_flight(measurement: Measurement) -> float:
    """Time average, over the measured part, of requests begun and not ended.

    Begun means intended in an open loop and sent in a closed one, where they are equal.
    """
    begin, end = bounds_ns(measurement)
    records = measurement.records
    ended = np.where(records.done < 0, end, records.done)
    overlap = np.minimum(ended, end) - np.maximum(records.intended, begin)
    return float(np.maximum(overlap, 0).sum()) / (end - begin)


def summarise(measurement: Measurement) -> Summary:
    """The measurement in numbers; a pure function of it."""
    records = measurement.records
    rows = is_measured(measurement)
    lags = send_lags_s(measurement)
    everything = _of_route(measurement, None, "")
    statuses, counts = np.unique(records.status[rows & (records.status > 0)], return_counts=True)
    return Summary(
        requests=everything.requests,
        throughput_per_s=everything.throughput_per_s,
        latency=everything.latency,
        outcomes=everything.outcomes,
        statuses=dict(zip(statuses.tolist(), counts.tolist(), strict=True)),
        received_bytes=everything.received_bytes,
        send_lag_p99_s=float(np.quantile(lags, 0.99)) if lags.size else 0.0,
        mean_in_flight=mean_in_flight(measurement),
        routes=tuple(
            _of_route(measurement, index, name) for index, name in enumerate(measurement.routes)
        ),
    )


def _of_route(measurement: Measurement, route: int | None, name: str) -> RouteSummary:
    records = measurement.records
    begin, end = bounds_ns(measurement)
    chosen = np.ones(len(records), dtype=bool) if route is None else records.route == route
    rows = is_measured(measurement) & chosen
    ended_well = (
        chosen
        & (records.outcome == int(Outcome.OK))
        & (records.done >= begin)
        & (records.done < end)
    )
    counts = np.bincount(records.outcome[rows], minlength=len(Outcome))
    return RouteSummary(
        name=name,
        requests=int(rows.sum()),
        answered=int(ended_well.sum()),
        throughput_per_s=int(ended_well.sum()) / measurement.window.measure_s,
        latency=Latency.of(latencies_s(measurement, route=route)),
        outcomes={outcome: int(counts[outcome]) for outcome in Outcome if counts[outcome]},
        received_bytes=int(records.received[ended_well].sum(dtype=np.int64)),
    )
