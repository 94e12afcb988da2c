"""A baseline as text: what it does, where the time goes, how far from the limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from textwrap import wrap

from labcoat.model.baseline import Baseline, Estimate, Latency
from labcoat.model.host import Facts
from labcoat.report.format import bar, clock, percent, rate, seconds, size, table

_VERDICTS = {
    "undecided": "no difference shown",
    "inconclusive": "no difference shown",
    "equivalent": "equivalent",
    "improved": "falsely improved",
    "regressed": "falsely regressed",
    "not_better": "no difference shown",
    "invalid": "invalid",
}
"""What an A/A verdict means: there is nothing to be found."""

WIDTH = 100
"""The widest line of prose, in columns; tables are as wide as their names."""


def baseline_text(found: Baseline, facts: Facts) -> str:
    """The whole baseline for a terminal or a file, plain text."""
    sections = (
        _folded(_head(found, facts)),
        _folded(_summary(found), below=15),
        _folded(_bottleneck(found)),
        _waterfall(found),
        _sweep(found),
        _routes(found),
        _noise(found),
        _folded(_honesty(found)),
        _folded(_warnings(found), below=4),
    )
    texts = ("\n".join(section) for section in sections)
    return "\n\n".join(text for text in texts if text) + "\n"


def _folded(lines: Iterable[str], *, below: int = 2) -> Iterator[str]:
    """Prose no wider than a page, broken between words; what goes on is indented so far."""
    for line in lines:
        yield from wrap(
            line,
            WIDTH,
            subsequent_indent=" " * below,
            break_long_words=False,
            break_on_hyphens=False,
        )


def _interval(value: Estimate) -> str:
    if value.low is None or value.high is None:
        return f"{rate(value.value)} req/s"
    return f"{rate(value.value)} req/s [{rate(value.low)}, {rate(value.high)}]"


def _percentiles(latency: Latency) -> str:
    if latency.count == 0:
        return "nothing was answered"
    return (
        f"p50 {seconds(latency.p50_s)} · p95 {seconds(latency.p95_s)}"
        f" · p99 {seconds(latency.p99_s)}"
    )


def _head(found: Baseline, facts: Facts) -> Iterator[str]:
    stack = " → ".join(f"{layer.name} {layer.version}" for layer in found.layers)
    yield f"labcoat baseline · {found.study} · {stack}"
    yield (
        f"{facts.cpus} CPUs ({facts.cpu_model}) · {size(facts.ram_bytes)} · Python {facts.python}"
        f" · steal {percent(found.noise.steal_ratio)} · {clock(found.elapsed_s)} min"
    )


def _summary(found: Baseline) -> Iterator[str]:
    top, open_loop, ceiling = found.saturation, found.responsiveness, found.ceiling
    yield (
        f"  throughput   {_interval(top.throughput_per_s)}, closed loop, {top.users} users,"
        f" {top.errors} errors"
    )
    yield (
        f"  latency      {_percentiles(open_loop.latency)} at {rate(open_loop.rate_per_s)} req/s"
        f" ({percent(open_loop.share_ratio)} of it), Poisson, from the intended start"
    )
    per_request = sum(layer.cpu_per_request_s for layer in found.layers)
    shares = " · ".join(
        f"{layer.name} {percent(layer.cpu_per_request_s / per_request if per_request else 0.0)}"
        for layer in found.layers
    )
    yield f"  CPU          {seconds(per_request)} per request: {shares}"
    memory = " · ".join(f"{layer.name} {size(layer.pss_bytes)}" for layer in found.layers)
    yield f"  memory       {memory}"
    yield (
        f"  efficiency   {percent(ceiling.efficiency_ratio)} of the ceiling: alone, in process on"
        f" {found.waterfall.cores} cores, the app does {rate(ceiling.ideal_per_s)} calls/s"
    )


def _bottleneck(found: Baseline) -> Iterator[str]:
    yield "Bottleneck"
    yield f"  {found.bottleneck}"


def _waterfall(found: Baseline) -> Iterator[str]:
    fall = found.waterfall
    total_s = sum(part.per_request_s for part in fall.parts)
    yield (
        f"Where the time goes: {seconds(total_s)} of {fall.cores} cores' time per request"
        f" (parts measured apart, closing to {percent(fall.closure_ratio, signed=True)})"
    )
    widest = max(part.share_ratio for part in fall.parts)
    rows = [
        (part.name, seconds(part.per_request_s), percent(part.share_ratio)) for part in fall.parts
    ]
    for line, part in zip(table(rows), fall.parts, strict=True):
        yield f"{line}  {bar(part.share_ratio / widest)}".rstrip()


def _where(answered: float, latency_s: float) -> str:
    """A latency, where anything was answered to have one."""
    return seconds(latency_s) if answered else "–"


def _sweep(found: Baseline) -> Iterator[str]:
    law = found.law
    yield "Throughput against users (closed loop)"
    top = max(point.throughput_per_s.value for point in found.sweep)
    rows = [("users", "req/s", "p50", "p99")]
    rows += [
        (
            str(point.users),
            rate(point.throughput_per_s.value),
            _where(point.throughput_per_s.value, point.latency_p50_s),
            _where(point.throughput_per_s.value, point.latency_p99_s),
        )
        for point in found.sweep
    ]
    head, *lines = table(rows, left=0)
    yield head
    for line, point in zip(lines, found.sweep, strict=True):
        yield f"{line}  {bar(point.throughput_per_s.value / top)}".rstrip()
    knee = (
        f"  knee at {law.knee_users} user{'s' if law.knee_users > 1 else ''}: 95 % of the law's"
        f" maximum; more users only wait longer (law: X(1) {rate(law.gamma)}/s, contention"
        f" {law.alpha:.3g}, crosstalk {law.beta:.2g}, residual {percent(law.residual_ratio)})"
    )
    yield from _folded((knee,))


def _routes(found: Baseline) -> Iterator[str]:
    yield f"Routes, at saturation ({found.saturation.users} users)"
    rows = [("route", "share", "p50", "p99", "bytes", "CPU of a call", "errors")]
    rows += [
        (
            route.name,
            percent(route.share_ratio),
            _where(route.latency.count, route.latency.p50_s),
            _where(route.latency.count, route.latency.p99_s),
            size(route.mean_bytes),
            "?" if route.call_cpu_s is None else seconds(route.call_cpu_s),
            str(route.errors),
        )
        for route in found.saturation.routes
    ]
    yield from table(rows)


def _noise(found: Baseline) -> Iterator[str]:
    noise = found.noise
    yield (
        f"Noise: the origin against itself, {noise.blocks} blocks, {noise.epochs} restarts of each"
        f" arm, {noise.voids} void"
    )
    rows = [("metric", "noise floor", "sd of a block", "the same against itself")]
    for metric in noise.metrics:
        floor = "unbounded" if metric.floor_ratio is None else f"±{percent(metric.floor_ratio)}"
        name, spread = metric.metric.replace("_", " "), percent(metric.sd_ratio)
        rows.append((name, floor, spread, _VERDICTS[metric.verdict]))
    yield from table(rows)
    found_by: dict[str, str] = {}  # a longer budget that finds nothing smaller is not told
    for each in noise.detectable:
        if each.effect_ratio is not None:
            found_by.setdefault(percent(each.effect_ratio), clock(each.budget_s))
    if found_by:
        told = ", ".join(f"{effect} in {budget}" for effect, budget in found_by.items())
        yield f"  smallest effect an experiment would find here: {told} min"
    else:
        longest_s = max(each.budget_s for each in noise.detectable)
        yield (
            f"  no experiment of {clock(longest_s)} min or less would reach a verdict here: one"
            f" restart takes {clock(noise.restart_s)} min"
        )


def _honesty(found: Baseline) -> Iterator[str]:
    failed = [row for row in found.honesty if not row.passed]
    headroom = found.headroom_ratio
    more = "" if headroom is None else f"; headroom {headroom:.0f} × the stack's throughput"
    if not failed:
        yield f"Load generator: honest, all {len(found.honesty)} checks passed{more}"
        return
    yield f"Load generator: {len(failed)} of {len(found.honesty)} checks failed{more}"
    for row in failed:
        yield f"  {row.phase}: {row.explanation}"


def _warnings(found: Baseline) -> Iterator[str]:
    if found.warnings:
        yield "Warnings"
        for warning in found.warnings:
            yield f"  {warning.message}; {warning.remedy}"
