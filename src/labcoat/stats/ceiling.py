"""The ceiling: what the machine could give, as arithmetic.

    X <= min( c / D_cpu,  W / H,  C_db / H_db,  P / S_gil,  1 / D_lock )      X_ideal = c / S_call

Every demand is seconds per request. Source: Lazowska et al. 1984, Quantitative
System Performance, chapter 5 (asymptotic bounds).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from labcoat.errors import AnalysisError
from labcoat.model.baseline import Bound
from labcoat.model.stats import LabWarning


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """What a request needs, and how much of each there is; None where unknown.

    ``cores`` (c), ``cpu_s`` (D_cpu: all layers of the stack together); ``workers`` (W:
    processes x threads), ``held_s`` (H: how long a request holds one);
    ``connections`` (C_db), ``connection_s`` (H_db); ``processes`` (P), ``gil_s``
    (S_gil: the part under the interpreter lock); ``lock_s`` (D_lock: under the one lock
    that all share).
    """

    cores: int
    cpu_s: float | None = None
    workers: int | None = None
    held_s: float | None = None
    connections: int | None = None
    connection_s: float | None = None
    processes: int | None = None
    gil_s: float | None = None
    lock_s: float | None = None


def bounds(demands: Demands) -> tuple[Bound, ...]:
    """Every upper bound that the known demands give, the tightest first.

    A demand of 0 bounds nothing. Raises: AnalysisError if one is negative.
    """
    rows = (
        ("cpu", demands.cores, demands.cpu_s, "{n:g} core{es}, {s:.2f} ms of CPU per request"),
        (
            "workers",
            demands.workers,
            demands.held_s,
            "{n:g} worker{es}, held {s:.2f} ms for each request",
        ),
        (
            "connections",
            demands.connections,
            demands.connection_s,
            "{n:g} database connection{es}, held {s:.2f} ms for each request",
        ),
        (
            "gil",
            demands.processes,
            demands.gil_s,
            "{n:g} interpreter{es}, {s:.2f} ms under its lock for each request",
        ),
        ("lock", 1, demands.lock_s, "{n:g} lock that all share, held for {s:.2f} ms"),
    )
    found: list[Bound] = []
    for name, count, each_s, because in rows:
        if count is None or each_s is None:
            continue
        if count < 0 or not each_s >= 0:
            raise AnalysisError(
                f"a demand is negative: {count:g} of {each_s:g} s",
                where=f"bound {name!r}",
                way_out="measure it again: a counter went backwards",
            )
        if each_s > 0:
            text = because.format(n=count, es="" if count == 1 else "s", s=each_s * 1e3)
            found.append(Bound(name=name, limit_per_s=count / each_s, because=text))
    return tuple(sorted(found, key=lambda bound: bound.limit_per_s))


def ideal_per_s(*, cores: int, call_s: float) -> float:
    """Throughput if the cores did nothing but call the app: c / S_call."""
    if not (cores >= 1 and call_s > 0):
        raise AnalysisError("a call must cost time on a core", way_out="time more calls")
    return cores / call_s


def efficiency(saturation_per_s: float, ideal: float) -> tuple[float, tuple[LabWarning, ...]]:
    """Stack efficiency eta = X_sat / X_ideal; above 1 the call was mismeasured, and warned of."""
    eta = saturation_per_s / ideal
    if eta <= 1:
        return eta, ()
    return eta, (
        LabWarning(
            code="call_mismeasured",
            message=f"the stack reaches {eta:.0%} of what the bare app can: the app's "
            "cost in process was measured too high",
            remedy="measure the call again on an idle machine, with the same requests",
        ),
    )


def seen_gain(true_gain: float, *, sut_s: float, generator_s: float) -> float:
    """The gain that shows while the generator shares the cores.

    seen = true · D_sut / (D_sut + D_gen); CPU seconds per request of the stack and of
    the generator. Gains are ratios.
    """
    return true_gain * sut_s / (sut_s + generator_s)


def true_gain(seen: float, *, sut_s: float, generator_s: float) -> float:
    """The gain of the stack alone behind a gain seen beside the generator."""
    return seen * (sut_s + generator_s) / sut_s


def amdahl_gain(share: float) -> float:
    """The most that a layer can give if it cost nothing: f / (1 - f), a ratio.

    ``share``: its part of the cost of a request. Source: Amdahl 1967.
    """
    if not 0 <= share <= 1:
        raise AnalysisError(f"a share of {share:g} is no part of a whole", way_out="0 <= f <= 1")
    return share / (1 - share) if share < 1 else math.inf


def closure(parts_s: Sequence[float], total_s: float) -> float:
    """How far the parts of a waterfall are from the whole: sum / total - 1.

    ``total_s``: cores x window / requests, measured apart from the parts.
    Raises: AnalysisError unless total_s > 0.
    """
    if not total_s > 0:
        raise AnalysisError("a waterfall needs a total", way_out="measure at least one request")
    return math.fsum(parts_s) / total_s - 1
