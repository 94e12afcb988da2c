"""The phases of a baseline that load one arm: sweep, account, open loop, headroom."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from labcoat.host.census import spent, take_census
from labcoat.lab.baseline.attribution import Account
from labcoat.lab.baseline.pace import Pace
from labcoat.lab.trial.events import PhaseFinished, PhaseStarted, SliceMeasured
from labcoat.lab.trial.workbench import Reading, Workbench, measure_slice, own_cpu_s
from labcoat.model.experiment import Arm, Trial
from labcoat.model.load import Arrivals, ClosedLoop, OpenLoop, Plan, Window
from labcoat.stack.standing import Standing

OPEN_SHARE = 0.7


def sweep_levels(users: int) -> tuple[int, ...]:
    """Users to try: powers of two up to twice the study's, at least up to 8."""
    top = max(8, 2 * users)
    levels = [1]
    while levels[-1] * 2 <= top:
        levels.append(levels[-1] * 2)
    return tuple(levels)


def load_phase(
    bench: Workbench,
    standing: Standing,
    name: str,
    plans: Sequence[Plan],
    window: Window,
) -> list[Reading]:
    """Measure one slice for each plan, in this order, each committed as it ends."""
    experiment = bench.journal.begin_experiment(
        bench.study_id,
        kind=name,
        question={"slices": len(plans)},
        baseline=standing.variant,
        treatment=standing.variant,
        seed=bench.study.seed,
    )
    each_s = window.warmup_s + window.measure_s
    bench.tell(PhaseStarted(name=name, expected_s=each_s * len(plans)))
    readings = []
    for position, plan in enumerate(plans):
        trial = Trial(
            experiment=experiment.id,
            arm=Arm.BASELINE,
            position=position,
            variant=standing.variant,
        )
        seed = bench.study.seed + position
        reading = measure_slice(bench, standing, plan, window, seed=seed, trial=trial)
        tell_slice(bench, name, position + 1, len(plans), reading)
        readings.append(reading)
    return readings


def tell_slice(bench: Workbench, phase: str, done: int, total: int, reading: Reading) -> None:
    """Tell of a slice that is in the journal."""
    bench.tell(
        SliceMeasured(
            phase=phase,
            done=done,
            total=total,
            throughput_per_s=reading.summary.throughput_per_s,
            latency_p99_s=reading.summary.latency.p99_s,
            steal_ratio=reading.steal_ratio,
        )
    )


def sweep(bench: Workbench, standing: Standing, pace: Pace) -> dict[int, list[Reading]]:
    """Throughput at each number of users, in rounds of random order.

    Every round visits every level once, so that drift over the sweep spreads over all.
    """
    levels = sweep_levels(bench.study.users)
    coin = random.Random(f"{bench.study.seed}/sweep")
    order = [users for _ in range(pace.sweep_rounds) for users in coin.sample(levels, len(levels))]
    plans = [ClosedLoop(users=users) for users in order]
    readings = load_phase(bench, standing, "sweep", plans, pace.sweep)
    found: dict[int, list[Reading]] = {users: [] for users in levels}
    for users, reading in zip(order, readings, strict=True):
        found[users].append(reading)
    most = max(found, key=lambda users: mean_rate(found[users]))
    bench.tell(
        PhaseFinished(
            name="sweep", summary=f"most with {most} users: {mean_rate(found[most]):,.0f} req/s"
        )
    )
    return found


def account(bench: Workbench, standing: Standing, pace: Pace) -> tuple[Account, list[Reading]]:
    """Saturate the stack and account for every core second meanwhile."""
    before, own_before_s = take_census(), own_cpu_s()
    host_before, layers_before = bench.host.counters(), standing.counters()
    plans = [ClosedLoop(users=bench.study.users)] * pace.account_slices
    readings = load_phase(bench, standing, "account", plans, pace.account)
    layers_after, host_after = standing.counters(), bench.host.counters()
    bench.tell(PhaseFinished(name="account", summary=f"{mean_rate(readings):,.0f} req/s"))
    lab_s, whole = own_cpu_s() - own_before_s, spent(before, take_census())
    layers = {name: layers_after[name].cpu_s - was.cpu_s for name, was in layers_before.items()}
    generator_s = sum(reading.generator_cpu_s for reading in readings)
    # The generator's own CPU is read inside its process, as part of each slice.
    attributed_s = sum(layers.values()) + generator_s + lab_s
    return (
        Account(
            cores=host_after.cores,
            wall_s=(host_after.at_ns - host_before.at_ns) / 1e9,
            requests=sum(reading.answered for reading in readings),
            layers=layers,
            generator_s=generator_s,
            lab_s=lab_s,
            programs_s=whole.programs_s - attributed_s,
            kernel_s=whole.kernel_s,
            idle_s=host_after.idle_s
            + host_after.iowait_s
            - host_before.idle_s
            - host_before.iowait_s,
            steal_s=host_after.steal_s - host_before.steal_s,
        ),
        readings,
    )


def open_loop(bench: Workbench, standing: Standing, saturation_per_s: float, pace: Pace) -> Reading:
    """Latency at 70 % of saturation, Poisson arrivals, from the intended start."""
    plan = OpenLoop(
        rate_per_s=max(1.0, OPEN_SHARE * saturation_per_s),
        arrivals=Arrivals.POISSON,
        connections=max(64, 8 * bench.study.users),
    )
    (reading,) = load_phase(bench, standing, "open loop", [plan], pace.open_loop)
    latency = reading.summary.latency
    bench.tell(
        PhaseFinished(
            name="open loop",
            summary=f"p50 {latency.p50_s * 1e3:.1f} ms, p99 {latency.p99_s * 1e3:.1f} ms",
        )
    )
    return reading


def mean_rate(readings: Sequence[Reading]) -> float:
    """Mean throughput of slices, requests per second."""
    return float(np.mean([reading.summary.throughput_per_s for reading in readings]))
