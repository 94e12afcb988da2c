"""What a baseline finds: the document that is journaled, reported and printed as JSON.

Field names are the JSON keys: documented in docs/reference/baseline-json.md, stable
within one ``schema``. Times are seconds, ratios are fractions (0.02 is 2 %).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from labcoat.model.stats import LabWarning

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value with its 95 % interval over ``n`` slices; None is unbounded or unknown."""

    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Percentiles of one set of requests, from merged records, never averaged."""

    count: int
    p50_s: float
    p90_s: float
    p95_s: float
    p99_s: float
    p999_s: float
    max_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteFinding:
    """One route of the mix under the saturation load."""

    name: str
    share_ratio: float
    latency: Latency
    errors: int
    mean_bytes: float
    call_cpu_s: float | None
    call_wall_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Saturation:
    """The closed loop with the study's users: how much."""

    users: int
    throughput_per_s: Estimate
    latency: Latency
    errors: int
    routes: tuple[RouteFinding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Responsiveness:
    """The open loop at a share of saturation: how fast, from the intended start."""

    rate_per_s: float
    share_ratio: float
    achieved_ratio: float
    latency: Latency
    errors: int
    send_lag_p99_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPoint:
    """Throughput and latency at one number of closed-loop users."""

    users: int
    throughput_per_s: Estimate
    latency_p50_s: float
    latency_p99_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """The Universal Scalability Law: X(N) = g N / (1 + a (N - 1) + b N (N - 1)).

    ``knee_users``: the fewest users whose fitted throughput reaches 95 % of the
    maximum over the swept range. ``peak_users``: sqrt((1 - a) / b), None where the
    data show no peak.
    """

    gamma: float
    alpha: float
    beta: float
    knee_users: int
    peak_users: float | None
    peak_per_s: float
    residual_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the waterfall: core-seconds of one request, and their share."""

    name: str
    per_request_s: float
    share_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Waterfall:
    """Where the cores' time goes, per request: parts measured apart, then added.

    ``closure_ratio``: sum of the parts over cores x wall time, minus one.
    """

    cores: int
    window_s: float
    requests: int
    parts: tuple[Part, ...]
    closure_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One upper bound on throughput, and what sets it."""

    name: str
    limit_per_s: float
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """How far the stack is from what the machine could give for this app.

    ``call_cpu_s``: CPU of one call in process, database behind it included.
    ``call_wall_s``: how long a lone caller waits for it; ``call_wait_s``: how much of that
    is no CPU of the app or the database (an upstream, a lock, a disk).
    ``ideal_per_s``: cores / call_cpu_s. ``efficiency_ratio``: saturation over ideal.
    """

    call_cpu_s: float
    call_app_cpu_s: float
    call_database_cpu_s: float
    call_wall_s: float
    call_wait_s: float
    ideal_per_s: float
    efficiency_ratio: float
    bounds: tuple[Bound, ...]
    binding: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricNoise:
    """A/A noise of one metric. ``floor_ratio``: half-width of the A/A interval."""

    metric: str
    sd_ratio: float
    floor_ratio: float | None
    effect_ratio: float
    low_ratio: float | None
    high_ratio: float | None
    adjusted_sd_ratio: float | None
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Detectable:
    """The smallest effect that a time budget finds with 80 % power."""

    budget_s: float
    blocks: int
    effect_ratio: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """The A/A experiment: two arms of the origin, side by side.

    ``blocks_per_restart``: the number that buys the most precision per second here;
    None where each epoch had only one.
    """

    epochs: int
    blocks: int
    voids: int
    slice_s: float
    block_s: float
    restart_s: float
    blocks_per_restart: int | None
    steal_ratio: float
    metrics: tuple[MetricNoise, ...]
    detectable: tuple[Detectable, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HonestyRow:
    """One check of the generator's honesty: worst reading over the slices of a phase."""

    phase: str
    check: str
    value: float
    limit: float
    passed: bool
    explanation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFinding:
    """One layer of the stack: what was measured, and what it costs.

    ``counters``: its own, after the load; ``peaks``: the highest seen while it was loaded.
    """

    name: str
    version: str
    source: str
    cpu_per_request_s: float
    pss_bytes: int
    processes: int
    counters: dict[str, float]
    peaks: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Everything that ``labcoat baseline`` found."""

    schema: int
    study: str
    study_id: str
    at: str
    elapsed_s: float
    bottleneck: str
    saturation: Saturation
    responsiveness: Responsiveness
    sweep: tuple[SweepPoint, ...]
    law: Law
    layers: tuple[LayerFinding, ...]
    waterfall: Waterfall
    ceiling: Ceiling
    noise: Noise
    headroom_ratio: float | None
    honesty: tuple[HonestyRow, ...]
    steady: bool
    rewired: tuple[str, ...]
    warnings: tuple[LabWarning, ...]
