"""From what was gathered to what was found: the baseline's document. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from labcoat.lab.baseline.attribution import Account, bottleneck, waterfall
from labcoat.lab.baseline.ceiling import CallCost
from labcoat.lab.baseline.phases import OPEN_SHARE
from labcoat.lab.trial.arms import SERVER_NAMES
from labcoat.lab.trial.workbench import ERRORS, Reading
from labcoat.load.honesty import HEADROOM, HonestyCheck
from labcoat.model.baseline import (
    SCHEMA,
    Baseline,
    Ceiling,
    Estimate,
    HonestyRow,
    Latency,
    Law,
    LayerFinding,
    Noise,
    Responsiveness,
    RouteFinding,
    Saturation,
    SweepPoint,
    Waterfall,
)
from labcoat.model.load import OpenLoop, Outcome
from labcoat.model.stats import LabWarning
from labcoat.model.study import Study
from labcoat.stack.standing import Standing
from labcoat.stats.ceiling import Demands, bounds, efficiency, ideal_per_s
from labcoat.stats.interval import mean_interval
from labcoat.stats.scalability import ScalabilityFit, fit_scalability

BUSY_RATIO = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """Everything that the phases of a baseline brought home.

    ``instances``: the slices of the saturation load, each with the booted instance that it
    was measured on. ``peaks``: the components' own counters, the highest seen under load.
    """

    standing: Standing
    steady: bool
    headroom_per_s: float | None
    swept: Mapping[int, Sequence[Reading]]
    instances: Sequence[tuple[object, Reading]]
    noise: Noise
    account: Account
    saturated: Sequence[Reading]
    explained: Mapping[str, Mapping[str, float]]
    peaks: Mapping[str, Mapping[str, float]]
    open_loop: Reading
    call_alone: CallCost
    calls: CallCost


def compose(
    study: Study,
    study_id: str,
    gathered: Gathered,
    *,
    at: str,
    elapsed_s: float,
) -> Baseline:
    """The document of the baseline."""
    server = next(layer.name for layer in gathered.standing.layers if layer.name in SERVER_NAMES)
    saturation = _saturation(study, gathered)
    throughput_per_s = saturation.throughput_per_s.value
    fit = _fit(study, gathered.swept)
    fall = waterfall(gathered.account, server=server, call_app_cpu_s=gathered.calls.app_cpu_s)
    ceiling, more = _ceiling(gathered, server, throughput_per_s)
    headroom_ratio = (
        None if gathered.headroom_per_s is None else gathered.headroom_per_s / throughput_per_s
    )
    honesty = tuple(_honesty(gathered))
    shares = {part.name: part.share_ratio for part in fall.parts}
    return Baseline(
        schema=SCHEMA,
        study=study.name,
        study_id=study_id,
        at=at,
        elapsed_s=elapsed_s,
        bottleneck=bottleneck(
            throughput_per_s,
            ceiling.bounds,
            idle_ratio=shares["idle"],
            steal_ratio=shares["stolen"],
            others_ratio=shares["other programs"],
        ),
        saturation=saturation,
        responsiveness=_responsiveness(gathered.open_loop),
        sweep=tuple(_point(users, readings) for users, readings in gathered.swept.items()),
        law=_law(fit),
        layers=tuple(_layers(gathered)),
        waterfall=fall,
        ceiling=ceiling,
        noise=gathered.noise,
        headroom_ratio=headroom_ratio,
        honesty=honesty,
        steady=gathered.steady,
        rewired=gathered.standing.rewired,
        warnings=(*fit.warnings, *more, *_own_warnings(gathered, fall, headroom_ratio)),
    )


def merged_latency(readings: Iterable[Reading], *, route: int | None = None) -> Latency:
    """Percentiles over all measured requests of several slices, merged."""
    values = np.concatenate(
        [
            reading.latencies_s if route is None else reading.latencies_s[reading.routes == route]
            for reading in readings
        ]
    )
    if not values.size:
        return Latency(count=0, p50_s=0, p90_s=0, p95_s=0, p99_s=0, p999_s=0, max_s=0)
    p50, p90, p95, p99, p999 = np.quantile(
        values, [0.5, 0.9, 0.95, 0.99, 0.999], method="inverted_cdf"
    ).tolist()
    return Latency(
        count=int(values.size),
        p50_s=p50,
        p90_s=p90,
        p95_s=p95,
        p99_s=p99,
        p999_s=p999,
        max_s=float(values.max()),
    )


def _estimate(values: Sequence[float]) -> Estimate:
    """Mean on the log scale with its t interval; no interval from fewer than two values.

    With a slice that answered nothing, which has no logarithm: the plain mean alone.
    """
    if min(values) <= 0:
        return Estimate(value=float(np.mean(values)), low=None, high=None, n=len(values))
    logs = np.log(np.asarray(values))
    if logs.size < 2 or np.ptp(logs) == 0:
        return Estimate(value=float(np.exp(logs.mean())), low=None, high=None, n=logs.size)
    found = mean_interval(logs)
    return Estimate(
        value=math.exp(found.point), low=math.exp(found.low), high=math.exp(found.high), n=found.n
    )


def _saturation(study: Study, gathered: Gathered) -> Saturation:
    """How much: the A/A slices, with each booted instance as one data point."""
    instances: dict[object, list[float]] = {}
    readings = [reading for _, reading in gathered.instances]
    for instance, reading in gathered.instances:
        instances.setdefault(instance, []).append(reading.summary.throughput_per_s)
    calls = gathered.calls.routes
    total = sum(request.weight for request in study.workload.requests)
    routes = []
    for index, request in enumerate(study.workload.requests):
        latency = merged_latency(readings, route=index)
        call = calls.get(request.name)
        parts = [reading.summary.routes[index] for reading in readings]
        answered = sum(part.answered for part in parts)
        received = sum(part.received_bytes for part in parts)
        routes.append(
            RouteFinding(
                name=request.name,
                share_ratio=request.weight / total,
                latency=latency,
                errors=sum(
                    part.outcomes.get(Outcome(each), 0) for part in parts for each in ERRORS
                ),
                mean_bytes=received / answered if answered else 0.0,
                call_cpu_s=None if call is None else call.cpu_s,
                call_wall_s=None if call is None else call.wall_s,
            )
        )
    return Saturation(
        users=study.users,
        throughput_per_s=_estimate([float(np.mean(each)) for each in instances.values()]),
        latency=merged_latency(readings),
        errors=sum(reading.errors for reading in readings),
        routes=tuple(routes),
    )


def _responsiveness(reading: Reading) -> Responsiveness:
    plan = reading.plan
    assert isinstance(plan, OpenLoop)
    summary = reading.summary
    return Responsiveness(
        rate_per_s=plan.rate_per_s,
        share_ratio=OPEN_SHARE,
        achieved_ratio=summary.throughput_per_s / plan.rate_per_s,
        latency=merged_latency([reading]),
        errors=reading.errors,
        send_lag_p99_s=summary.send_lag_p99_s,
    )


def _point(users: int, readings: Sequence[Reading]) -> SweepPoint:
    latency = merged_latency(readings)
    return SweepPoint(
        users=users,
        throughput_per_s=_estimate([reading.summary.throughput_per_s for reading in readings]),
        latency_p50_s=latency.p50_s,
        latency_p99_s=latency.p99_s,
    )


def _fit(study: Study, swept: Mapping[int, Sequence[Reading]]) -> ScalabilityFit:
    """The law through every slice of the sweep that was long enough to answer something."""
    points = [
        (users, reading.summary.throughput_per_s)
        for users, readings in swept.items()
        for reading in readings
        if reading.summary.throughput_per_s > 0
    ]
    return fit_scalability(
        [users for users, _ in points], [per_s for _, per_s in points], seed=study.seed
    )


def _law(fit: ScalabilityFit) -> Law:
    return Law(
        gamma=fit.gamma,
        alpha=fit.alpha,
        beta=fit.beta,
        knee_users=fit.knee_users,
        peak_users=None if fit.peak_users is None else fit.peak_users.point,
        peak_per_s=fit.peak_per_s.point,
        residual_ratio=fit.residual_ratio,
    )


def _layers(gathered: Gathered) -> Iterable[LayerFinding]:
    last = gathered.saturated[-1].usage.layers_after
    for layer in gathered.standing.layers:
        yield LayerFinding(
            name=layer.name,
            version=layer.located.version,
            source=layer.located.source,
            cpu_per_request_s=gathered.account.layers[layer.name]
            / max(gathered.account.requests, 1),
            pss_bytes=last[layer.name].pss_bytes,
            processes=last[layer.name].processes,
            counters=dict(gathered.explained.get(layer.name, {})),
            peaks=dict(gathered.peaks.get(layer.name, {})),
        )


def _ceiling(
    gathered: Gathered, server: str, throughput_per_s: float
) -> tuple[Ceiling, tuple[LabWarning, ...]]:
    """The bounds, the ideal, and how much of it the stack reaches.

    A request holds its worker for the call itself (as long as it takes a lone caller,
    waiting included) and for what the server spends around it.
    """
    account, calls = gathered.account, gathered.calls
    n = max(account.requests, 1)
    server_cpu_s = account.layers[server] / n
    around_s = max(0.0, server_cpu_s - calls.app_cpu_s)
    told = gathered.explained.get(server, {})
    processes, workers = told.get("processes"), told.get("slots")
    known = bounds(
        Demands(
            cores=account.cores,
            cpu_s=(sum(account.layers.values()) + account.generator_s) / n,
            workers=None if workers is None else int(workers),
            held_s=gathered.call_alone.wall_s + around_s,
            processes=None if processes is None else int(processes),
            gil_s=server_cpu_s,
        )
    )
    ideal = ideal_per_s(cores=account.cores, call_s=calls.cpu_s)
    eta, warnings = efficiency(throughput_per_s, ideal)
    return (
        Ceiling(
            call_cpu_s=calls.cpu_s,
            call_app_cpu_s=calls.app_cpu_s,
            call_database_cpu_s=calls.database_cpu_s,
            call_wall_s=gathered.call_alone.wall_s,
            call_wait_s=max(0.0, gathered.call_alone.wall_s - gathered.call_alone.cpu_s),
            ideal_per_s=ideal,
            efficiency_ratio=eta,
            bounds=known,
            binding=known[0].name,
        ),
        warnings,
    )


def _honesty(gathered: Gathered) -> Iterable[HonestyRow]:
    """Each check once for each phase, with the slice that came off worst."""
    phases: dict[str, list[Reading]] = {
        "A/A": [reading for _, reading in gathered.instances],
        "account": list(gathered.saturated),
        "open loop": [gathered.open_loop],
    }
    for phase, readings in phases.items():
        rows = [row for reading in readings for row in reading.honesty.rows]
        for name in dict.fromkeys(row.name for row in rows):
            same = [row for row in rows if row.name == name]
            failed = [row for row in same if not row.passed]
            # Failed: the farthest beyond its limit; else the nearest to it.
            worst = max(failed, key=_distance) if failed else min(same, key=_distance)
            yield HonestyRow(
                phase=phase,
                check=name,
                value=worst.value,
                limit=worst.limit,
                passed=not failed,
                explanation=worst.explanation
                + (f" ({len(failed)} of {len(same)} slices)" if failed and len(same) > 1 else ""),
            )


def _distance(row: HonestyCheck) -> float:
    return abs(row.value - row.limit)


def _own_warnings(
    gathered: Gathered, fall: Waterfall, headroom_ratio: float | None
) -> Iterable[LabWarning]:
    if not gathered.steady:
        yield LabWarning(
            code="not_steady",
            message="an instance was still getting faster after its warm-up",
            remedy="see what the app loads late; first requests may be slow in production too",
        )
    if abs(fall.closure_ratio) > 0.03:
        yield LabWarning(
            code="not_closed",
            message=f"the parts of the waterfall miss the whole by {fall.closure_ratio:+.1%}",
            remedy="read its shares with that in mind; other programs came and went meanwhile",
        )
    others = next(part.share_ratio for part in fall.parts if part.name == "other programs")
    if others > BUSY_RATIO:
        yield LabWarning(
            code="busy_machine",
            message=f"other programs took {others:.0%} of the CPU meanwhile",
            remedy="stop them and measure again; `labcoat doctor` names them",
        )
    if headroom_ratio is not None and headroom_ratio < HEADROOM:
        yield LabWarning(
            code="little_headroom",
            message=f"the generator reaches only {headroom_ratio:.1f} times this throughput",
            remedy="load from another machine, or bench with an external tool as well",
        )
    for told, readings in (
        ("the account of CPU", gathered.saturated),
        ("the open loop's latency", [gathered.open_loop]),
    ):
        dishonest = [row for each in readings for row in each.honesty.failed if row.voids]
        if dishonest:
            yield LabWarning(
                code="not_honest",
                message=f"{told} is not to be trusted: {dishonest[0].explanation}",
                remedy=dishonest[0].remedy,
            )
    if gathered.calls.refused:
        yield LabWarning(
            code="calls_refused",
            message=f"{gathered.calls.refused} of {gathered.calls.calls} calls in process were"
            " answered with status 400 or above",
            remedy="see whether the app needs something that only its server gives it",
        )
