"""What ``labcoat bench`` shows: the live line, the tables, the JSON document."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Self, assert_never

from rich.console import Console
from rich.live import Live
from rich.text import Text

from labcoat.load.summary import Latency, Summary, summarise
from labcoat.model.load import ClosedLoop, OpenLoop, Outcome
from labcoat.report.format import percent, rate, seconds, size, table

if TYPE_CHECKING:
    from types import TracebackType

    from labcoat.load.honesty import Honesty, HonestyCheck
    from labcoat.load.messages import Progress
    from labcoat.model.load import Measurement, Plan

SCHEMA = 1


class LiveLine:
    """Shows progress on one line of the terminal; a context manager and a listener."""

    def __init__(self, *, total_s: float) -> None:
        self._total_s = total_s
        self._last = (0.0, 0)
        console = Console(stderr=True, highlight=False)
        self._live = Live(Text(""), console=console, refresh_per_second=10, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def __call__(self, progress: Progress) -> None:
        """Show this."""
        before_s, before = self._last
        now = (progress.ended - before) / max(progress.elapsed_s - before_s, 1e-9)
        self._last = (progress.elapsed_s, progress.ended)
        self._live.update(
            Text(
                f"{progress.elapsed_s:5.1f} of {self._total_s:g} s · "
                f"{progress.ended:,} requests · {rate(now)}/s"
            )
        )


def plan_text(plan: Plan) -> str:
    """A plan in few words."""
    match plan:
        case ClosedLoop():
            return f"closed loop, {plan.users} users"
        case OpenLoop():
            return f"open loop, {rate(plan.rate_per_s)} req/s ({plan.arrivals.value})"
    assert_never(plan)


def bench_text(url: str, measurement: Measurement, verdict: Honesty) -> str:
    """The tables for people."""
    summary = summarise(measurement)
    use = measurement.use
    is_open = isinstance(measurement.plan, OpenLoop)
    from_where = "from the intended start" if is_open else "closed loop: not what users see"
    lines = [
        f"{url} · {plan_text(measurement.plan)} · {measurement.window.measure_s:g} s",
        "",
        (
            f"  {rate(summary.throughput_per_s)} OK answers per second"
            f" · {size(summary.received_bytes / measurement.window.measure_s)}/s"
        ),
        "",
        f"latency ({from_where})",
        *_latency_lines(summary.latency),
        "",
        "outcomes",
        *table(
            [
                (outcome.name.lower(), f"{count:,}", percent(count / max(summary.requests, 1)))
                for outcome, count in summary.outcomes.items()
            ]
            + [(f"status {status}", f"{count:,}", "") for status, count in summary.statuses.items()]
        ),
        "",
        *_route_lines(summary),
        (
            f"generator: {'honest' if verdict.is_honest else 'NOT TO BE TRUSTED'}"
            f" · {use.cpu_s / max(len(measurement.records), 1) * 1e6:.1f} µs CPU per request"
        ),
        *(line for row in verdict.rows for line in _check_lines(row)),
        *(f"  note: {note}" for note in measurement.notes),
    ]
    return "\n".join(lines) + "\n"


def _route_lines(summary: Summary) -> list[str]:
    """The routes of a mix: OK answers per second, p50 and p99, errors by their names."""
    if len(summary.routes) < 2:
        return []
    rows = [("route", "per second", "p50", "p99", "errors")]
    for route in summary.routes:
        wrong = {
            k: n for k, n in route.outcomes.items() if k not in (Outcome.OK, Outcome.UNFINISHED)
        }
        latency = route.latency
        p50, p99 = (seconds(s) if latency.n else "" for s in (latency.p50_s, latency.p99_s))
        errors = ", ".join(f"{count:,} {outcome.name.lower()}" for outcome, count in wrong.items())
        rows.append((route.name, rate(route.throughput_per_s), p50, p99, errors))
    return ["routes", *table(rows), ""]


def _latency_lines(latency: Latency) -> list[str]:
    if latency.n == 0:
        return ["  no request was answered well"]
    named = (
        ("mean", latency.mean_s),
        ("p50", latency.p50_s),
        ("p90", latency.p90_s),
        ("p95", latency.p95_s),
        ("p99", latency.p99_s),
        ("p99.9", latency.p99_9_s),
        ("max", latency.max_s),
    )
    return table([(name, seconds(value)) for name, value in named])


def _check_lines(row: HonestyCheck) -> list[str]:
    mark = "✓" if row.passed else "✗" if row.voids else "!"
    lines = [f"  {mark} {row.explanation}"]
    if not row.passed:
        lines.append(f"      {row.remedy}")
    return lines


def bench_document(
    url: str, method: str | None, measurement: Measurement, verdict: Honesty
) -> dict[str, object]:
    """The document of ``--json``; seconds, bytes, ratios; null where there is no number."""
    summary = summarise(measurement)
    plan = measurement.plan
    kind = "open" if isinstance(plan, OpenLoop) else "closed"
    fields = {name: getattr(value, "value", value) for name, value in asdict(plan).items()}
    return {
        "schema": SCHEMA,
        "url": url,
        "method": None if method is None else method.upper(),
        "plan": {"loop": kind, **fields},
        "window": asdict(measurement.window),
        "requests": summary.requests,
        "throughput_per_s": summary.throughput_per_s,
        "received_bytes": summary.received_bytes,
        "latency": _latency_document(summary.latency),
        "outcomes": {outcome.name.lower(): count for outcome, count in summary.outcomes.items()},
        "statuses": {str(status): count for status, count in summary.statuses.items()},
        "errors": summary.errors,
        "routes": [
            {
                "name": route.name,
                "requests": route.requests,
                "throughput_per_s": route.throughput_per_s,
                "latency": _latency_document(route.latency),
                "outcomes": {o.name.lower(): count for o, count in route.outcomes.items()},
            }
            for route in summary.routes
        ],
        "send_lag_p99_s": summary.send_lag_p99_s,
        "mean_in_flight": summary.mean_in_flight,
        "generator": asdict(measurement.use),
        "honest": verdict.is_honest,
        "checks": [asdict(row) for row in verdict.rows],
        "notes": list(measurement.notes),
    }


def _latency_document(latency: Latency) -> dict[str, float | int | None]:
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in asdict(latency).items()
    }
