"""Arms: booted, asked one of everything, warmed up, ready to be measured."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

import numpy as np

from labcoat.errors import NotReady
from labcoat.lab.trial.events import ComponentUp, WarmingUp
from labcoat.lab.trial.steady import BINS, CAP_S, steadiness
from labcoat.lab.trial.workbench import ERRORS, Workbench, measure_slice
from labcoat.model.load import ClosedLoop, Outcome, Window
from labcoat.model.variant import ORIGIN, Variant
from labcoat.stack.rig import Rig
from labcoat.stack.servers import SERVERS
from labcoat.stack.standing import Layer, Standing

SERVER_NAMES = frozenset(server.name for server in SERVERS)
POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Warm:
    """An instance after its warm-up. ``is_steady``: whether its rate stopped rising."""

    standing: Standing
    is_steady: bool
    warmup_s: float


def boot(
    bench: Workbench,
    rig: Rig,
    arm: str,
    variant: Variant = ORIGIN,
    *,
    own_database: bool = False,
) -> Standing:
    """Start one arm's instance and say which components are up."""
    standing = rig.boot(arm, variant, own_database=own_database)
    for layer in standing.layers:
        bench.tell(
            ComponentUp(
                name=layer.name, arm=arm, version=layer.located.version, pid=layer.process.pid
            )
        )
    return standing


def warm_up(bench: Workbench, standing: Standing) -> Warm:
    """Load an instance until every worker has served and its rate stops rising.

    Five seconds at least, sixty at most (science.md section 3). Rates are corrected
    for steal, which no instance can help.
    """
    rates = np.array([])
    spent_s = 0.0
    length_s = float(BINS)
    while True:
        bench.tell(WarmingUp(arm=standing.arm, spent_s=spent_s))
        reading = measure_slice(
            bench,
            standing,
            ClosedLoop(users=bench.study.users),
            Window(measure_s=length_s),
            seed=bench.study.seed,
        )
        unstolen = max(1e-9, 1 - reading.steal_ratio)
        rates = np.concatenate([rates, reading.per_second / unstolen])
        spent_s += length_s
        found = steadiness(rates)
        if (found.is_steady and all_served(standing)) or spent_s >= CAP_S:
            return Warm(standing=standing, is_steady=found.is_steady, warmup_s=spent_s)
        length_s = 1.0


def warm_up_both(bench: Workbench, arms: Sequence[Standing]) -> tuple[Warm, ...]:
    """Warm two instances up side by side: nothing is compared yet, and time is dear.

    Each by a generator of its own, where there can be two. Afterwards nobody is connected
    to either, so that the first slices of both begin alike. Raises: Died, LoadError.
    """
    first, second = arms
    other = bench.generator.another()
    if other is None:
        warmed = (warm_up(bench, first), warm_up(bench, second))
    else:
        with other, ThreadPoolExecutor(max_workers=1) as pool:
            warming = pool.submit(warm_up, replace(bench, generator=other), second)
            try:
                warm = warm_up(bench, first)
            except BaseException:
                # Ends the load that the pool would wait for, and the next if it came between.
                while not warming.done():
                    other.__exit__()
                    wait((warming,), timeout=POLL_S)
                raise
            warmed = (warm, warming.result())
    for standing in arms:
        bench.generator.forget(standing.target)
    return warmed


def all_served(standing: Standing) -> bool:
    """Whether every worker has served, where the server tells; else True."""
    for counters in standing.explain().values():
        processes = counters.get("processes")
        if processes is not None and counters.get("processes_served", processes) < processes:
            return False
    return True


def server_layer(standing: Standing) -> Layer:
    """The layer that holds the app."""
    return next(layer for layer in standing.layers if layer.name in SERVER_NAMES)


def ask_each(bench: Workbench, standing: Standing) -> None:
    """Ask one user's worth of every route, evenly, and insist on right answers.

    An app that answers wrongly must stop the study here, with the route's name, and
    not as a puzzle among thousands of records later.
    Raises: NotReady naming the routes, what was expected and what came.
    """
    mix = bench.study.workload
    evenly = replace(mix, requests=tuple(replace(each, weight=1.0) for each in mix.requests))
    reading = measure_slice(
        bench,
        standing,
        ClosedLoop(users=1),
        Window(measure_s=2.0),
        seed=bench.study.seed,
        workload=evenly,
    )
    wrong = [
        f"{route.name}: {errors} of {route.requests} requests ended wrongly"
        f" ({', '.join(found.name.lower().replace('_', ' ') for found in route.outcomes)})"
        for route in reading.summary.routes
        if (errors := sum(route.outcomes.get(Outcome(each), 0) for each in ERRORS))
    ]
    if not wrong:
        return
    statuses = ", ".join(
        f"{status} {count} times" for status, count in reading.summary.statuses.items()
    )
    raise NotReady(
        "the app answers wrongly",
        where=standing.target.url,
        log=(*wrong, f"statuses: {statuses}", *server_layer(standing).process.tail()),
        way_out="mend the app or the workload's `expect` until every route answers as expected",
    )
