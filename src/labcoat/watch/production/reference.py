"""What the baseline's requests took, as nginx would have logged them.

nginx counts whole milliseconds between two readings of a coarse clock: 2.3 ms is logged as 2 or
as 3. The baseline's nanoseconds are put through the same clock, and both sides then spread
over the millisecond that they may come from; so two equal stacks look equal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from labcoat.stats.interval import mean_interval

if TYPE_CHECKING:
    import numpy.typing as npt

FLOOR_MS = 1.0
"""What is faster cannot be told from it in an access log."""

LEAST_SLICES = 3
MOST_SLICES = 12
RANGE = 1.05
"""Loads up to so many times the baseline's own are like it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Requests at one load: ``took_s`` float64 and ``route`` int16, ``(n,)``, in order.

    ``cpu_per_request_s``: of the app server, one value for each trial.
    """

    rate_per_s: float
    took_s: npt.NDArray[np.float64]
    route: npt.NDArray[np.int16]
    cpu_per_request_s: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A reference in logs, with the half-width of its 95 % interval."""

    log: float
    half: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A reference at any load: from one request at a time to the baseline's open loop.

        1/R(x) = (1 - f)/R_alone + f/R_loaded,    f = x / X_loaded

    Symbols: R time taken, x load, X_loaded the open loop's rate. Exact for one server with
    a queue (M/M/1); with several servers R stays lower at first, so what is expected is
    rather too long than too short, and accuses nobody.
    """

    alone: Level
    loaded: Level
    rate_per_s: float

    def at(self, rate_per_s: float) -> Level:
        f = min(rate_per_s / self.rate_per_s, RANGE)
        parts = ((1 - f) * math.exp(-self.alone.log), f * math.exp(-self.loaded.log))
        whole = sum(parts)
        if whole <= 0 or f > 1:  # beyond the open loop, within the range: as the open loop
            return self.loaded
        half = (parts[0] * self.alone.half + parts[1] * self.loaded.half) / whole
        return Level(log=-math.log(whole), half=half)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A baseline, as production is compared with it.

    ``state``: of the user's files when it was measured. ``requests``: of the workload, as
    journaled. ``alone``: one request at a time; ``loaded``: the open loop. ``errors`` of
    ``answered`` were 5xx. ``calls_cpu_s``: CPU of one call of each route, None where unknown.
    """

    at: datetime
    state: int
    routes: tuple[str, ...]
    requests: tuple[Mapping[str, Any], ...]
    alone: Phase
    loaded: Phase
    saturation_per_s: float
    errors: int
    answered: int
    calls_cpu_s: tuple[float | None, ...]

    @property
    def most_per_s(self) -> float:
        """The greatest load that latencies are compared at."""
        return self.loaded.rate_per_s * RANGE

    def curve(self, q: float, weights: Mapping[int, float], *, least: int) -> Curve | None:
        """Quantile q of these routes, each with its share; None if too few were measured.

        ``least``: the fewest requests that such a quantile is taken of.
        """
        alone = quantile_level(self.alone, q, weights, least=least)
        loaded = quantile_level(self.loaded, q, weights, least=least)
        if alone is None or loaded is None:
            return None
        return Curve(alone=alone, loaded=loaded, rate_per_s=self.loaded.rate_per_s)

    def cpu_curve(self, shares: Mapping[int, float]) -> Curve | None:
        """CPU per request of a mix of routes, in which the workload's own may differ."""
        if not self.alone.cpu_per_request_s or not self.loaded.cpu_per_request_s:
            return None
        alone = np.log(self.alone.cpu_per_request_s)
        # One trial of the open loop has no spread of its own: that of the others stands for it.
        half = 0.1
        if alone.size > 1 and np.ptp(alone) > 0:
            found = mean_interval(alone)
            half = min(found.high - found.point, half)
        shift = [self._mix_shift(phase, shares) for phase in (self.alone, self.loaded)]
        return Curve(
            alone=Level(log=float(alone.mean()) + shift[0], half=half),
            loaded=Level(
                log=float(np.log(self.loaded.cpu_per_request_s).mean()) + shift[1], half=half
            ),
            rate_per_s=self.loaded.rate_per_s,
        )

    def _mix_shift(self, phase: Phase, shares: Mapping[int, float]) -> float:
        """How much dearer this mix is than the phase's, in logs; 0 where a cost is unknown."""
        costs = self.calls_cpu_s
        if len(costs) != len(self.routes) or any(cost is None or cost <= 0 for cost in costs):
            return 0.0
        own = np.bincount(phase.route, minlength=len(costs)) / max(phase.route.size, 1)
        known = np.array(costs, dtype=np.float64)
        mix = np.array([shares.get(index, 0.0) for index in range(len(costs))])
        if mix.sum() <= 0 or own.sum() <= 0:
            return 0.0
        return float(np.log((mix / mix.sum()) @ known) - np.log((own / own.sum()) @ known))


def logged_ms(took_s: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """The whole milliseconds that nginx would log."""
    return np.floor(took_s * 1e3 + rng.random(took_s.size)).astype(np.int32)


def spread_ms(logged: npt.NDArray[np.int32], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Logged milliseconds, each somewhere in the one that it may come from."""
    return np.maximum(logged + rng.random(logged.size) - 0.5, FLOOR_MS)


def quantile_level(
    phase: Phase, q: float, weights: Mapping[int, float], *, least: int
) -> Level | None:
    """Quantile q of some routes of a phase, log seconds, over slices of equal number.

    ``weights``: the share that each route is to have. None: fewer than three slices.
    """
    chosen = np.isin(phase.route, list(weights))
    rows = np.flatnonzero(chosen)
    count = min(MOST_SLICES, rows.size // least)
    if count < LEAST_SLICES:
        return None
    rng = np.random.default_rng(1)
    took = spread_ms(logged_ms(phase.took_s[rows], rng), rng)
    route = phase.route[rows]
    own = np.bincount(route) / route.size
    each = np.array([weights.get(index, 0.0) for index in range(own.size)])
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(own > 0, each / own, 0.0)
    logs = [
        math.log(weighted_quantile(took[part], factor[route[part]], q) / 1e3)
        for part in np.array_split(np.arange(rows.size), count)
    ]
    found = mean_interval(np.array(logs))
    return Level(log=found.point, half=found.high - found.point)


def weighted_quantile(
    values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64], q: float
) -> float:
    """The least value that at least the share q of the weight does not exceed."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    index = int(np.searchsorted(reached, q * reached[-1] * (1 - 1e-12)))
    return float(values[order][min(index, values.size - 1)])
