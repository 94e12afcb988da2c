"""Metrics: what is measured, in which unit, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Better(Enum):
    """Which way a metric should go."""

    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A named quantity with its unit and better-direction.

    Units are SI base units (``s``, ``1/s``, ``bytes``, ``ratio``); formatting
    into ms or MB happens in ``report`` and ``cli`` only.
    """

    name: str
    unit: str
    better: Better
    title: str


THROUGHPUT = Metric(name="throughput", unit="1/s", better=Better.HIGHER, title="throughput")
CPU_PER_REQUEST = Metric(
    name="cpu_per_request", unit="s", better=Better.LOWER, title="CPU per request"
)
LATENCY_P50 = Metric(name="latency_p50", unit="s", better=Better.LOWER, title="p50 latency")
LATENCY_P95 = Metric(name="latency_p95", unit="s", better=Better.LOWER, title="p95 latency")
LATENCY_P99 = Metric(name="latency_p99", unit="s", better=Better.LOWER, title="p99 latency")
MEMORY = Metric(name="memory", unit="bytes", better=Better.LOWER, title="memory (PSS)")

METRICS: tuple[Metric, ...] = (
    THROUGHPUT,
    CPU_PER_REQUEST,
    LATENCY_P50,
    LATENCY_P95,
    LATENCY_P99,
    MEMORY,
)
