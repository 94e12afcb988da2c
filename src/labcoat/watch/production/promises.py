"""SLOs: what was promised, whatever the baseline says."""

from __future__ import annotations

import re
from dataclasses import dataclass

from labcoat.errors import UsageError

_LATENCY = re.compile(r"p(\d{2}(?:\.\d+)?)=(\d+(?:\.\d+)?)(ms|s)")
_ERRORS = re.compile(r"errors=(\d+(?:\.\d+)?)%")


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A limit. ``q``: of which quantile of time taken, None of the share of errors.

    ``limit``: seconds, or a ratio.
    """

    text: str
    q: float | None
    limit: float


def promise_of(text: str) -> Promise:
    """``p99=300ms``, ``errors=1%``. Raises: UsageError."""
    latency = _LATENCY.fullmatch(text.strip())
    if latency is not None and 0 < float(latency[1]) < 100:
        unit = 1e-3 if latency[3] == "ms" else 1.0
        return Promise(text=text, q=float(latency[1]) / 100, limit=float(latency[2]) * unit)
    errors = _ERRORS.fullmatch(text.strip())
    if errors is not None and float(errors[1]) <= 100:
        return Promise(text=text, q=None, limit=float(errors[1]) / 100)
    raise UsageError(
        f"{text!r} is no SLO",
        where="--slo",
        way_out="write p99=300ms, p95=0.2s or errors=1%",
    )
