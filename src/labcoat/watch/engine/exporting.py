"""The overview in the words of others: Prometheus' text format, Automatron's ``/api/status``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from labcoat.watch.engine.overview import Overview
from labcoat.watch.model.status import Status
from labcoat.watch.record.series import Latest

PREFIX = "labcoat_watch"


def prometheus(overview: Overview, latest: Iterable[Latest]) -> str:
    """Text exposition format 0.0.4."""
    return "\n".join((*_statuses(overview), *_work(overview), *_perfdata(latest))) + "\n"


def status_document(overview: Overview) -> dict[str, Any]:
    """Shaped as Automatron's ``/api/status``: counters of each runbook on each target."""
    totals: Counter[str] = Counter()
    events = []
    for line in overview.lines:
        counts = line.standing.counts or Counter(line.standing.last.values())
        for status in Status:
            count = counts.get(status, 0)
            if count:
                totals[status.name] += 1
                events.append(
                    {
                        "status": status.name,
                        "target": line.target,
                        "runbook": line.name,
                        "count": count,
                    }
                )
    return {
        "targets": overview.board.get("targets", len({line.target for line in overview.lines})),
        "runbooks": {status.name: totals.get(status.name, 0) for status in Status},
        "events": events,
    }


def _statuses(overview: Overview) -> Iterator[str]:
    yield f"# HELP {PREFIX}_status Latest status: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN."
    yield f"# TYPE {PREFIX}_status gauge"
    for line in overview.lines:
        for check, status in line.standing.last.items():
            labels = _labels(target=line.target, runbook=line.runbook, check=check)
            yield f"{PREFIX}_status{labels} {int(status)}"


def _work(overview: Overview) -> Iterator[str]:
    board = overview.board
    late = board.get("lateness")
    if late is None:
        return
    yield f"# HELP {PREFIX}_lateness_seconds From when a round was due to its first check."
    yield f"# TYPE {PREFIX}_lateness_seconds histogram"
    total = 0
    for edge, count in zip([*late["edges_s"], "+Inf"], late["buckets"], strict=True):
        total += count
        yield f'{PREFIX}_lateness_seconds_bucket{{le="{edge}"}} {total}'
    yield f"{PREFIX}_lateness_seconds_sum {late['late_sum_s']}"
    yield f"{PREFIX}_lateness_seconds_count {late['rounds']}"
    yield f"# HELP {PREFIX}_skipped_total Slots without a round."
    yield f"# TYPE {PREFIX}_skipped_total counter"
    yield f"{PREFIX}_skipped_total {late['skipped']}"
    yield f"# HELP {PREFIX}_attempts_total Attempts that ended, by outcome."
    yield f"# TYPE {PREFIX}_attempts_total counter"
    for outcome, count in sorted(board.get("outcomes", {}).items()):
        yield f"{PREFIX}_attempts_total{_labels(outcome=outcome)} {count}"
    yield f"# HELP {PREFIX}_breaker_open Breakers that are not closed."
    yield f"# TYPE {PREFIX}_breaker_open gauge"
    for lane in board.get("breakers", ()):
        labels = _labels(target=lane["target"], runbook=lane["runbook"], action=lane["action"])
        yield f"{PREFIX}_breaker_open{labels} 1"
    yield f"# HELP {PREFIX}_degraded Whether the journal cannot be written: no action is begun."
    yield f"# TYPE {PREFIX}_degraded gauge"
    yield f"{PREFIX}_degraded {int(board.get('degraded') is not None)}"


def _perfdata(latest: Iterable[Latest]) -> Iterator[str]:
    yield f"# HELP {PREFIX}_perfdata Latest performance data of a check, in its own unit."
    yield f"# TYPE {PREFIX}_perfdata gauge"
    for sample in latest:
        of = sample.of
        labels = _labels(
            target=of.target, runbook=of.runbook, check=of.check, label=of.label, uom=sample.uom
        )
        yield f"{PREFIX}_perfdata{labels} {sample.value:.15g}"


def _labels(**labels: str) -> str:
    return "{" + ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
