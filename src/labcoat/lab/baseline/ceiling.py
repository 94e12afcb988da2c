"""What one call of the app costs with no server around it, all cores busy at once."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labcoat.errors import StackError
from labcoat.host.base import Launch, Process
from labcoat.host.sandbox import Sandbox
from labcoat.lab.trial.spoken import Spoken, spoken, spoken_setup
from labcoat.load import captures
from labcoat.model.study import Study

PROBE = Path(__file__).with_name("probe.py")
CALLS = 500
WARMUP_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteCost:
    """Mean cost of one call of a route, in process. Seconds."""

    cpu_s: float
    wall_s: float
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCost:
    """Mean cost of one call of the mix: S_call of science.md section 8. Seconds.

    ``app_cpu_s``: CPU of the app's own process. ``database_cpu_s``: CPU spent behind
    it. ``wall_s``: how long the call takes, waiting included. ``refused``: answers
    with status 400 and above. All means over the calls of ``cpus`` callers at once.
    """

    app_cpu_s: float
    database_cpu_s: float
    wall_s: float
    calls: int
    refused: int
    routes: Mapping[str, RouteCost]

    @property
    def cpu_s(self) -> float:
        """CPU seconds of one call, database included: what the cores must give for it."""
        return self.app_cpu_s + self.database_cpu_s


def call_cost(
    results: list[dict[str, Any]], shares: Mapping[str, float], database_cpu_s: float
) -> CallCost:
    """The mix's cost from the probes' results.

    Each route's mean is weighted by its nominal share, so that a rare and heavy route
    weighs what it should however often it came up in the window. ``database_cpu_s``:
    CPU seconds of the database over the window, spread over the calls made in it.
    """
    routes: dict[str, RouteCost] = {}
    for route in shares:
        calls = sum(each["calls"].get(route, 0) for each in results)
        if calls:
            routes[route] = RouteCost(
                cpu_s=sum(each["cpu_s"].get(route, 0.0) for each in results) / calls,
                wall_s=sum(each["wall_s"].get(route, 0.0) for each in results) / calls,
                calls=calls,
            )
    weight = sum(shares[route] for route in routes)
    total = sum(cost.calls for cost in routes.values())
    return CallCost(
        app_cpu_s=sum(shares[name] * cost.cpu_s for name, cost in routes.items()) / weight,
        wall_s=sum(shares[name] * cost.wall_s for name, cost in routes.items()) / weight,
        database_cpu_s=database_cpu_s / total,
        calls=total,
        refused=sum(each["refused"] for each in results),
        routes=routes,
    )


def measure_calls(
    sandbox: Sandbox,
    study: Study,
    env: Mapping[str, str],
    behind: Sequence[Process],
    *,
    cpus: Sequence[int],
    seconds: float,
) -> CallCost:
    """Call the app in one process pinned to each of these CPUs, all at once.

    ``behind``: what the app asks, whose CPU counts too.
    Raises: StackError with the app's own last lines if it does not load or a call raises.
    """
    probes = [_start_probe(sandbox, study, env, cpu, seconds) for cpu in cpus]
    before = sum(each.counters().cpu_s for each in behind)
    for folder, _ in probes:
        sandbox.write(folder / "go", "")
    deadline = time.monotonic() + 3 * seconds + study.request_timeout_s
    while any(process.status() is None for _, process in probes):
        if time.monotonic() > deadline:
            raise StackError(
                "a call of the app in process does not come back",
                where=study.app.target,
                way_out="see whether the app needs its server (a worker's hook, a thread)",
            )
        time.sleep(0.02)
    after = sum(each.counters().cpu_s for each in behind)
    results = [_result(study, folder, process) for folder, process in probes]
    for _, process in probes:
        sandbox.stop(process)
    total = sum(request.weight for request in study.workload.requests)
    shares = {request.name: request.weight / total for request in study.workload.requests}
    return call_cost(results, shares, after - before)


def _start_probe(
    sandbox: Sandbox, study: Study, env: Mapping[str, str], cpu: int, seconds: float
) -> tuple[Path, Process]:
    folder = sandbox.directory(f"probe-{cpu}-{time.monotonic_ns()}")
    order = {
        "cpu": cpu,
        "directory": str(study.app.directory),
        "target": study.app.target,
        "interface": study.app.interface.value,
        "cookies": study.workload.cookies,
        "seconds": seconds,
        "warmup_s": WARMUP_S,
        "captures": captures.__file__,
        "user": cpu + 1,
        "setup": setup_of(study, user=cpu + 1),
        "calls": calls_of(study, seed=study.seed + cpu),
    }
    sandbox.write(folder / "order.json", json.dumps(order))
    launch = Launch(
        name=f"probe-{cpu}",
        argv=(str(study.app.python), str(PROBE), str(folder)),
        cwd=study.app.directory,
        log=folder / "log",
        env=env,
    )
    ready = folder / "ready"
    process = sandbox.start(
        launch, ready=lambda _process: ready.exists(), timeout_s=study.ready_timeout_s
    )
    return folder, process


def calls_of(study: Study, *, seed: int) -> list[dict[str, Any]]:
    """The requests of the mix as a server would hand them to the app."""
    return [_call(each) for each in spoken(study.workload, seed=seed, count=CALLS)]


def setup_of(study: Study, *, user: int) -> list[dict[str, Any]]:
    """What this user sends before the mix, and what it takes from the answers."""
    return [
        {
            **_call(each),
            # In process nobody unpacks: an app that packs what it is asked to would hide it.
            "headers": [h for h in each.headers if h[0].lower() != "accept-encoding"],
            "captures": [(c.name, c.source.value, c.expression) for c in each.captures],
            "statuses": list(step.expect.statuses),
        }
        for each, step in zip(
            spoken_setup(study.workload, user=user), study.workload.setup, strict=True
        )
    ]


def _call(each: Spoken) -> dict[str, Any]:
    return {
        "route": each.route,
        "method": each.method,
        "path": each.path,
        "headers": each.headers,
        "body": each.body.decode("utf-8"),
    }


def _result(study: Study, folder: Path, process: Process) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads((folder / "result.json").read_text())
    except FileNotFoundError as error:
        raise StackError(
            "the app failed when it was called in process",
            where=study.app.target,
            log=process.tail(),
            way_out="mend the error above; labcoat calls the app as its server does",
        ) from error
    return document
