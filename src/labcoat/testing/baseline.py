"""What a baseline gathers, with numbers that can be checked by hand; and a lab without time.

``gathered`` is made of round numbers: 1,000 requests in 10 s of 2 cores. ``TimedLoad`` puts a
simulated load on a simulated stack, on a clock that nobody waits for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labcoat.lab.baseline.aa import AaOutcome
from labcoat.lab.baseline.attribution import Account
from labcoat.lab.baseline.ceiling import CallCost, RouteCost
from labcoat.lab.baseline.findings import Gathered
from labcoat.lab.baseline.noise import BUDGETS_S, noise_of
from labcoat.lab.baseline.pace import QUICK, Pace
from labcoat.lab.trial.blocks import UNSTOLEN
from labcoat.lab.trial.workbench import Reading
from labcoat.load.honesty import Honesty, HonestyCheck
from labcoat.load.summary import Latency, RouteSummary, Summary
from labcoat.model.experiment import Arm, Usage
from labcoat.model.host import HostCounters, TreeCounters
from labcoat.model.load import (
    Arrivals,
    ClosedLoop,
    Measurement,
    OpenLoop,
    Outcome,
    Plan,
    Target,
    Window,
)
from labcoat.model.metric import CPU_PER_REQUEST, THROUGHPUT
from labcoat.model.study import App, Interface, Study
from labcoat.model.workload import RequestTemplate, Workload
from labcoat.testing.clock import FakeClock
from labcoat.testing.host import FakeHost
from labcoat.testing.load import SimulatedLoad
from labcoat.testing.stack import SimulatedStack

LAYERS = {"nginx": 0.1, "uwsgi": 0.8, "postgres": 0.3}
"""CPU seconds of each layer in one simulated slice of a second."""

AA_LOG_RATIOS = (0.01, -0.01, 0.02, -0.02, 0.005, -0.005)


def two_routes(root: Path = Path("/project"), *, users: int = 8) -> Study:
    """A study of two routes: three requests in four go home, one buys."""
    return Study(
        name="shop",
        file=root / "labcoat.toml",
        root=root,
        app=App(
            interface=Interface.WSGI,
            target="shop:app",
            directory=root,
            python=Path("/usr/bin/python3"),
        ),
        components=(),
        workload=Workload(
            requests=(
                RequestTemplate(path="/", name="home", weight=3.0),
                RequestTemplate(path="/buy", name="buy", method="POST", body="item=1"),
            )
        ),
        users=users,
    )


def host_reading(at_s: float, *, steal_s: float = 0.0, throttled_n: int = 0) -> HostCounters:
    """Two cores, half busy, at a moment."""
    return HostCounters(
        at_ns=round(at_s * 1e9),
        cores=2,
        busy_s=at_s - steal_s,
        system_s=0.0,
        irq_s=0.0,
        idle_s=at_s,
        iowait_s=0.0,
        steal_s=steal_s,
        listen_overflows=0,
        listen_drops=0,
        syn_retransmits=0,
        time_wait=0,
        throttled_s=0.0,
        throttled_n=throttled_n,
    )


def tree_reading(at_s: float, cpu_s: float) -> TreeCounters:
    """One process of 40 MB."""
    return TreeCounters(
        at_ns=round(at_s * 1e9),
        cpu_s=cpu_s,
        system_s=0.0,
        rss_bytes=50_000_000,
        pss_bytes=40_000_000,
        processes=1,
        threads=1,
        switches_voluntary=0,
        switches_involuntary=0,
    )


def honesty_row(name: str, *, passed: bool = True, value: float = 0.5) -> HonestyCheck:
    """One check of the generator's honesty."""
    return HonestyCheck(
        name=name,
        value=value,
        limit=1.0,
        unit="ratio",
        passed=passed,
        explanation=f"{name} is {value:g}",
        remedy="look again",
    )


def reading(
    *,
    per_s: float = 150.0,
    latencies_s: Sequence[float] = (0.01, 0.02, 0.03, 0.04),
    routes: Sequence[int] = (0, 0, 0, 1),
    plan: Plan | None = None,
    steal_ratio: float = 0.0,
    throttled_n: int = 0,
    errors: int = 0,
    rows: Sequence[HonestyCheck] = (),
) -> Reading:
    """One slice of a second; ``errors`` are answers of ``home`` with a wrong status."""
    values = np.asarray(latencies_s, dtype=np.float64)
    index = np.asarray(routes, dtype=np.int16)
    outcomes = {Outcome.WRONG_STATUS: errors} if errors else {}
    return Reading(
        plan=plan or ClosedLoop(users=8),
        usage=Usage(
            host_before=host_reading(0.0),
            host_after=host_reading(1.0, steal_s=2 * steal_ratio, throttled_n=throttled_n),
            layers_before={name: tree_reading(0.0, 0.0) for name in LAYERS},
            layers_after={name: tree_reading(1.0, cpu_s) for name, cpu_s in LAYERS.items()},
        ),
        summary=Summary(
            requests=int(values.size) + errors,
            throughput_per_s=per_s,
            latency=Latency.of(values),
            outcomes={Outcome.OK: int(values.size), **outcomes},
            statuses={200: int(values.size)} | ({500: errors} if errors else {}),
            received_bytes=1000 * int(values.size),
            send_lag_p99_s=0.0,
            mean_in_flight=8.0,
            routes=tuple(
                RouteSummary(
                    name=name,
                    requests=int((index == place).sum()) + (errors if place == 0 else 0),
                    answered=int((index == place).sum()),
                    throughput_per_s=float((index == place).sum()),
                    latency=Latency.of(values[index == place]),
                    outcomes={Outcome.OK: int((index == place).sum())}
                    | (outcomes if place == 0 else {}),
                    received_bytes=1000 * int((index == place).sum()),
                )
                for place, name in enumerate(("home", "buy"))
            ),
        ),
        honesty=Honesty(rows=tuple(rows)),
        generator_cpu_s=0.05,
        answered=round(per_s),
        errors=errors,
        per_second=np.array([round(per_s)], dtype=np.int64),
        latencies_s=values.astype(np.float32),
        routes=index,
    )


def aa_outcome() -> AaOutcome:
    """Six restarts of one block; the first of them with instances of 140 and 160 requests/s."""
    outcome = AaOutcome()
    for epoch, log_ratio in enumerate(AA_LOG_RATIOS):
        outcome.epochs.append(
            [{THROUGHPUT.name: log_ratio, CPU_PER_REQUEST.name: -log_ratio, UNSTOLEN: 0.0}]
        )
        for arm, per_s in ((Arm.BASELINE, 140.0), (Arm.TREATMENT, 160.0)):
            outcome.readings += [((epoch, arm), reading(per_s=per_s))] * 2
        outcome.restart_s.append(12.0)
        outcome.block_s.append(4.0)
    return outcome


def gathered(outcome: AaOutcome | None = None, pace: Pace = QUICK) -> Gathered:
    """What the phases bring home from a stack of nginx, uWSGI (two workers) and Postgres."""
    study = two_routes()
    outcome = aa_outcome() if outcome is None else outcome
    host = FakeHost()
    return Gathered(
        standing=SimulatedStack(study=study, host=host, shares=LAYERS).boot("a"),
        steady=True,
        headroom_per_s=600.0,
        swept={
            users: [
                reading(per_s=users * 60 / (1 + 0.3 * (users - 1) + 0.01 * users * (users - 1)))
            ]
            * 2
            for users in (1, 2, 4, 8, 16)
        },
        instances=outcome.readings,
        noise=noise_of(outcome, study, pace, BUDGETS_S),
        account=Account(
            cores=2,
            wall_s=10.0,
            requests=1000,
            layers={"nginx": 1.0, "uwsgi": 8.0, "postgres": 3.0},
            generator_s=0.5,
            lab_s=0.1,
            programs_s=0.2,
            kernel_s=0.2,
            idle_s=6.0,
            steal_s=1.0,
        ),
        saturated=[reading()],
        explained={"uwsgi": {"processes": 2.0, "slots": 2.0}},
        peaks={"uwsgi": {"processes": 2.0, "slots": 2.0, "busy": 2.0}},
        open_loop=reading(
            per_s=104.0,
            plan=OpenLoop(rate_per_s=105.0, arrivals=Arrivals.POISSON, connections=64),
        ),
        call_alone=call_cost(wall_s=0.009),
        calls=call_cost(wall_s=0.012),
    )


def call_cost(*, wall_s: float, refused: int = 0) -> CallCost:
    """A call of 6 ms in the app and 2 ms behind it; only ``home`` came up in the window."""
    return CallCost(
        app_cpu_s=0.006,
        database_cpu_s=0.002,
        wall_s=wall_s,
        calls=1000,
        refused=refused,
        routes={"home": RouteCost(cpu_s=0.006, wall_s=wall_s, calls=1000)},
    )


@dataclass(slots=True, kw_only=True)
class TimedLoad(SimulatedLoad):
    """A simulated load that takes time of a FakeClock and CPU of a SimulatedStack."""

    clock: FakeClock
    stack: SimulatedStack

    def load(
        self,
        target: Target,
        workload: Workload,
        plan: Plan,
        window: Window,
        *,
        seed: int,
        keep_alive: bool = True,
        timeout_s: float = 30.0,
    ) -> Measurement:
        """One slice, of which the stack and the clock know."""
        measurement = SimulatedLoad.load(
            self,
            target,
            workload,
            plan,
            window,
            seed=seed,
            keep_alive=keep_alive,
            timeout_s=timeout_s,
        )
        self.clock.advance(window.warmup_s + window.measure_s)
        self.stack.serve(target, int((measurement.records.status > 0).sum()))
        return measurement
