"""Several tools on one target, in turn: rounds in an order drawn by coin."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from labcoat.host.base import Host
from labcoat.load.base import LoadGenerator
from labcoat.load.summary import summarise
from labcoat.load.tools.base import Told, ToolOrder
from labcoat.load.tools.running import OWN, Found, ToolSlice, idle_ratio, insist, run_tool
from labcoat.model.load import ClosedLoop, Outcome, Target, Window
from labcoat.model.workload import Workload

SETTLE = Window(measure_s=0.5)
"""A first load before the first round: nobody shall meet a target that is still cold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnGenerator:
    """labcoat's own generator beside the tools: the same request, in its own terms."""

    generator: LoadGenerator
    target: Target
    workload: Workload
    seed: int


def compare_tools(
    found: Sequence[Found],
    order: ToolOrder,
    *,
    rounds: int,
    host: Host,
    own: OwnGenerator | None,
    seed: int,
    tell: Callable[[int, str], None] = lambda _round, _name: None,
) -> dict[str, list[ToolSlice]]:
    """Slices of each tool, one for each round, labcoat's own first if it is asked.

    ``tell``: called before each slice with the round, from 0, and the tool's name.
    Raises: LoadError if a tool gave no result.
    """
    cores = len(os.sched_getaffinity(0))
    by_name = {each.tool.name: each for each in found}
    names = [OWN, *by_name] if own is not None else list(by_name)
    slices: dict[str, list[ToolSlice]] = {name: [] for name in names}
    if own is not None:
        _own_slice(own, order, SETTLE, host)
    for number in range(rounds):
        drawn = names[:]
        random.Random(f"{seed}/{number}").shuffle(drawn)
        for name in drawn:
            tell(number, name)
            if own is not None and name == OWN:
                window = Window(measure_s=float(order.seconds))
                slices[name].append(_own_slice(own, order, window, host))
            else:
                slices[name].append(run_tool(by_name[name], order, host, cores=cores))
    return slices


def _own_slice(own: OwnGenerator, order: ToolOrder, window: Window, host: Host) -> ToolSlice:
    before = host.counters()
    measurement = own.generator.load(
        own.target,
        own.workload,
        ClosedLoop(users=order.users),
        window,
        seed=own.seed,
        keep_alive=order.keep_alive,
        timeout_s=order.timeout_s,
    )
    after = host.counters()
    own.generator.forget(own.target)  # the next tool meets nobody's idle connections
    summary = summarise(measurement)
    ok = round(summary.throughput_per_s * window.measure_s)
    wrong = summary.outcomes.get(Outcome.WRONG_STATUS, 0)
    latency = summary.latency
    quantiles = (
        {0.5: latency.p50_s, 0.9: latency.p90_s, 0.95: latency.p95_s, 0.99: latency.p99_s}
        if latency.n
        else {}
    )
    told = Told(
        ok=ok,
        wrong_status=wrong,
        failed=summary.errors - wrong,
        elapsed_s=window.measure_s,
        own_per_s=summary.throughput_per_s,
        latencies_s=quantiles,
        max_s=latency.max_s if latency.n else None,
    )
    return ToolSlice(
        tool=OWN,
        told=insist(told, OWN, order.url),
        cpu_s=measurement.use.cpu_s,
        wall_s=window.measure_s,
        cores=1.0,
        idle_ratio=idle_ratio(before, after),
    )
