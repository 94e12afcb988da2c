"""The first two lines of a tuning: what is sought, in which noise, and from where."""

from __future__ import annotations

from collections.abc import Iterator

from labcoat.model.baseline import Baseline
from labcoat.model.metric import THROUGHPUT, Metric
from labcoat.report.format import clock, counted, percent, rate, seconds, three_digits

LEAST_RATIO = 0.005
"""A layer with less of the CPU is not named."""


def opening(objective: Metric, budget_s: float, before: Baseline) -> Iterator[str]:
    """The study with its noise, and where it starts."""
    noise = before.noise
    floor = next((each for each in noise.metrics if each.metric == THROUGHPUT.name), None)
    known = "unknown" if floor is None or floor.floor_ratio is None else percent(floor.floor_ratio)
    measured = f"A/A, {counted(noise.blocks, 'block')}, steal {percent(noise.steal_ratio)}"
    yield (
        f"labcoat tune · {before.study} · objective {objective.title} · budget {clock(budget_s)}"
        f" · noise floor ± {known} ({measured})"
    )
    per_s, open_loop = before.saturation.throughput_per_s.value, before.responsiveness
    cpu_s = sum(layer.cpu_per_request_s for layer in before.layers)
    yield (
        f"baseline  {rate(per_s)} req/s"
        f" · p99 {seconds(open_loop.latency.p99_s)} at {rate(open_loop.rate_per_s)} req/s"
        f" · {three_digits(1e3 * cpu_s)} ms CPU/req: {' '.join(_layers(before, cpu_s))}"
        f" · {percent(before.ceiling.efficiency_ratio)} of the ceiling"
    )


def _layers(before: Baseline, cpu_s: float) -> Iterator[str]:
    """Each layer's share of the stack's CPU, the app apart from its server, the largest first."""
    shares = {part.name: part.per_request_s / cpu_s for part in before.waterfall.parts}
    stack = {layer.name for layer in before.layers}
    named = {
        name.removesuffix(" (server)"): share
        for name, share in shares.items()
        if name == "app" or name.removesuffix(" (server)") in stack
    }
    for name, share in sorted(named.items(), key=lambda each: -each[1]):
        if share >= LEAST_RATIO:
            yield f"{name} {percent(share)}"
