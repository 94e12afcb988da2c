"""Ratios of production to its baseline, as intervals, and what is too much.

A window is cut into slices of equal number of requests; each gives one value, compared with
the baseline at the load of that slice. All rows of a check share the error of 5 %: a check
with twenty routes accuses a healthy stack no more often than one with one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from labcoat.errors import AnalysisError
from labcoat.model.stats import Sample
from labcoat.stats.interval import anytime_effect, binomial_interval, mean_interval
from labcoat.watch.model.status import Status
from labcoat.watch.production.promises import Promise
from labcoat.watch.production.reference import Curve, Reference, spread_ms
from labcoat.watch.production.traffic import STRANGE, Traffic

if TYPE_CHECKING:
    import numpy.typing as npt

WARN = 1.05
CRIT = 1.20
ALPHA = 0.05
QUANTILES = (0.5, 0.95, 0.99)
LEAST_SLICES = 6
MOST_SLICES = 30
ERROR_FLOOR = 0.001
"""A baseline of some seconds cannot show that errors are rarer."""

KNOWN_LEAST = 0.5
"""The share of requests that must be of the workload's routes."""

ALL = "all routes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing that was compared, or promised. ``of``: which requests, ``what``: which metric.

    ``value``, ``expected``: in ``unit``, None where there is none. ``ratio``, ``low``: value over
    baseline at like loads, and the lower end of its interval; None for a promise.
    """

    of: str
    what: str
    status: Status
    text: str
    unit: str
    value: float | None = None
    expected: float | None = None
    ratio: float | None = None
    low: float | None = None
    n: int = 0


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something cannot be told, and the way out."""

    what: str
    way_out: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What came of a comparison: rows, what stands in the way, and what is worth knowing."""

    rows: tuple[Row, ...]
    troubles: tuple[Trouble, ...] = ()
    notes: tuple[str, ...] = ()


def least_for(q: float) -> int:
    """The fewest requests of a slice that such a quantile is taken of."""
    return max(20, math.ceil(4 / (1 - q)))


def compare(traffic: Traffic, reference: Reference, *, cpu: Cpu | None = None) -> Compared:
    """All of production's metrics with the baseline's."""
    known = traffic.route != STRANGE
    least = least_for(QUANTILES[0]) * LEAST_SLICES
    if known.sum() < least:
        return Compared(rows=(), troubles=(_too_few(traffic, known, least),))
    if known.mean() < KNOWN_LEAST:
        return Compared(rows=(), troubles=(_strange(known),))
    troubles: list[Trouble] = []
    notes: list[str] = []
    shares = {
        int(route): float(count) / int(known.sum())
        for route, count in zip(*np.unique(traffic.route[known], return_counts=True), strict=True)
    }
    plan = _plan(traffic, reference, shares, notes) if traffic.is_timed else []
    # Latencies, errors, CPU.
    alpha = ALPHA / (len(plan) + 2)
    rows: list[Row] = []
    for of, q, chosen, curve in plan:
        row = _latency(traffic, reference, of, q, chosen, curve, alpha=alpha)
        if isinstance(row, Row):
            rows.append(row)
        elif of == ALL:
            troubles.append(row)
    if not traffic.is_timed:
        notes.append(
            "the log's format holds no $request_time: latencies were not compared;"
            " add it to log_format"
        )
    rows.append(_errors(traffic, reference, alpha=alpha))
    if cpu is not None:
        judged = _cpu(cpu, reference, shares, alpha=alpha)
        if isinstance(judged, Row):
            rows.append(judged)
        else:
            troubles.append(judged)
    unknown = 1 - float(known.mean())
    if unknown > 0:
        notes.append(f"{unknown:.1%} of the requests are of no route of the workload")
    return Compared(rows=tuple(rows), troubles=tuple(dict.fromkeys(troubles)), notes=tuple(notes))


def kept(traffic: Traffic, promises: Sequence[Promise]) -> Iterator[Row | Trouble]:
    """Each promise, over all requests of the window: a fact, no estimate."""
    timed = traffic.took_ms[traffic.took_ms >= 0]
    for promise in promises:
        if promise.q is None:
            if not len(traffic):
                yield Trouble(f"no request to keep {promise.text} by", "give a longer --window")
                continue
            value, what, n = float(traffic.failed.mean()), "errors", len(traffic)
            unit = ""
        else:
            if timed.size < least_for(promise.q):
                yield Trouble(
                    f"{timed.size} timed requests are too few to tell whether {promise.text}",
                    "give a longer --window, and $request_time in the log_format",
                )
                continue
            value = float(np.quantile(timed, promise.q, method="inverted_cdf")) / 1e3
            what, n, unit = f"p{promise.q * 100:g}", int(timed.size), "s"
        broken = value > promise.limit
        shown = _shown(value, unit)
        yield Row(
            of=ALL,
            what=f"SLO {what}",
            status=Status.CRITICAL if broken else Status.OK,
            text=f"SLO {promise.text} {'broken' if broken else 'kept'}: {shown}",
            unit=unit,
            value=value,
            expected=promise.limit,
            n=n,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """CPU seconds of the worker tree and requests answered, slice by slice, ``(n,)``."""

    cpu_s: npt.NDArray[np.float64]
    requests: npt.NDArray[np.float64]
    each_s: float


def _plan(
    traffic: Traffic, reference: Reference, shares: Mapping[int, float], notes: list[str]
) -> list[tuple[str, float, npt.NDArray[np.bool_], Curve]]:
    """Which quantiles of which routes there are requests for, on both sides."""
    timed = traffic.took_ms >= 0
    sets: list[tuple[str, Mapping[int, float]]] = [(ALL, shares)]
    if len(shares) > 1:
        sets += [(reference.routes[route], {route: 1.0}) for route in sorted(shares)]
    found, short = [], []
    for of, weights in sets:
        chosen = timed & np.isin(traffic.route, list(weights))
        for q in QUANTILES:
            least = least_for(q)
            curve = None
            if chosen.sum() >= least * LEAST_SLICES:
                curve = reference.curve(q, weights, least=least)
            if curve is None:
                short.append(f"p{q * 100:g} of {of}")
            else:
                found.append((of, q, chosen, curve))
    if short:
        notes.append(
            f"too few requests, here or in the baseline, for {', '.join(short[:8])}"
            + (f" and {len(short) - 8} more" if len(short) > 8 else "")
        )
    return found


def _latency(
    traffic: Traffic,
    reference: Reference,
    of: str,
    q: float,
    chosen: npt.NDArray[np.bool_],
    curve: Curve,
    *,
    alpha: float,
) -> Row | Trouble:
    name = f"p{q * 100:g}"
    count = min(MOST_SLICES, int(chosen.sum()) // least_for(q))
    rng = np.random.default_rng(2)
    logs, expected, halves = [], [], []
    for rows in traffic.slices(chosen, count):
        rate_per_s = traffic.load_during(rows)
        if rate_per_s > reference.most_per_s:
            continue
        took = spread_ms(traffic.took_ms[rows], rng)
        level = curve.at(rate_per_s)
        logs.append(math.log(float(np.quantile(took, q, method="inverted_cdf")) / 1e3))
        expected.append(level.log)
        halves.append(level.half)
    if len(logs) < LEAST_SLICES:
        return Trouble(
            f"the load ({traffic.rate_per_s:,.0f} requests/s) is beyond the baseline's"
            f" ({reference.most_per_s:,.0f})",
            "measure at this load: raise users in labcoat.toml, then labcoat baseline;"
            " or the stack is at its limit, and needs more machines",
        )
    return _judged(of, name, "s", np.array(logs), np.array(expected), halves, alpha=alpha)


def _judged(
    of: str,
    what: str,
    unit: str,
    logs: npt.NDArray[np.float64],
    expected: npt.NDArray[np.float64],
    halves: Sequence[float],
    *,
    alpha: float,
) -> Row:
    """One row: the interval of the ratio, less what the baseline itself leaves open."""
    ratios = logs - expected
    half = float(np.mean(halves))
    try:
        effect = anytime_effect(Sample(metric=what, log_ratios=ratios), alpha=alpha)
        low = (1 + effect.low) * math.exp(-half) if effect.low > -1 else 0.0
    except AnalysisError:  # all alike: as below the clock's grain
        low = math.exp(float(ratios.mean()) - half)
    ratio = math.exp(float(ratios.mean()))
    value, usual = math.exp(float(logs.mean())), math.exp(float(expected.mean()))
    return Row(
        of=of,
        what=what,
        status=status_of(low),
        text=f"{what} of {of} is {ratio:.2f} times the baseline's (surely {low:.2f}):"
        f" {_shown(value, unit)}, expected {_shown(usual, unit)}",
        unit=unit,
        value=value,
        expected=usual,
        ratio=ratio,
        low=low,
        n=int(logs.size),
    )


def status_of(low: float) -> Status:
    """What the lower end of a ratio's interval says."""
    if low > CRIT:
        return Status.CRITICAL
    return Status.WARNING if low > WARN else Status.OK


def _errors(traffic: Traffic, reference: Reference, *, alpha: float) -> Row:
    """The share of 5xx. Errors come in bursts, so slices have to agree with the count."""
    failed = traffic.failed
    bad, n = int(failed.sum()), len(traffic)
    value = bad / n
    expected = ERROR_FLOOR
    if reference.answered:
        own = binomial_interval(reference.errors, reference.answered, alpha=alpha).high
        expected = max(own if reference.errors else 0.0, ERROR_FLOOR)
    low = binomial_interval(bad, n, alpha=alpha).low
    rates = np.array(
        [failed[rows].mean() for rows in np.array_split(np.arange(n), min(MOST_SLICES, n // 20))]
    )
    low = max(0.0, min(low, mean_interval(rates, alpha=alpha).low))
    return Row(
        of=ALL,
        what="errors",
        status=status_of(low / expected),
        text=f"errors are {value:.2%} (surely {low:.2%}), expected at most {expected:.2%}",
        unit="",
        value=value,
        expected=expected,
        ratio=value / expected,
        low=low / expected,
        n=n,
    )


def _cpu(
    cpu: Cpu, reference: Reference, shares: Mapping[int, float], *, alpha: float
) -> Row | Trouble:
    curve = reference.cpu_curve(shares)
    used = (cpu.requests > 0) & (cpu.cpu_s > 0)
    if curve is None:
        return Trouble(
            "the baseline holds no CPU of an app server", "measure it again: labcoat baseline"
        )
    if used.sum() < LEAST_SLICES or cpu.requests.sum() < 20 * LEAST_SLICES:
        return Trouble(
            f"{cpu.requests.sum():.0f} requests came while CPU was read: too few",
            "give a longer --sample, or --stub-status URL if the log is buffered",
        )
    levels = [curve.at(float(n) / cpu.each_s) for n in cpu.requests[used]]
    return _judged(
        ALL,
        "CPU per request",
        "s",
        np.log(cpu.cpu_s[used] / cpu.requests[used]),
        np.array([level.log for level in levels]),
        [level.half for level in levels],
        alpha=alpha,
    )


def _too_few(traffic: Traffic, known: npt.NDArray[np.bool_], least: int) -> Trouble:
    if len(traffic) and not known.any():
        return _strange(known)
    window_s = traffic.until_s - traffic.since_s
    return Trouble(
        f"{int(known.sum())} requests of known routes in the last {window_s:.0f} s:"
        f" fewer than {least} say nothing",
        "give a longer --window, or check that nginx writes this log",
    )


def _strange(known: npt.NDArray[np.bool_]) -> Trouble:
    return Trouble(
        f"only {known.mean():.0%} of the requests are of the baseline's workload",
        "draft it from this log (labcoat workload from-access-log), then labcoat baseline",
    )


def _shown(value: float, unit: str) -> str:
    if unit != "s":
        return f"{value:.2%}"
    return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.3g} ms"
