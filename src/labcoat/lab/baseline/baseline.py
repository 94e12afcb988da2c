"""The baseline: what the stack does, where the time goes, how far from the limit.

    boot · ask each route · warm up · sweep of users · A/A with restarts ·
    account of every core second · open loop · the app alone in process

Everything measured is in the journal before it is read; the findings are one
document, journaled last.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime

from labcoat.host.base import Host
from labcoat.host.sandbox import Sandbox
from labcoat.journal import Journal
from labcoat.lab.baseline.aa import measure_aa
from labcoat.lab.baseline.ceiling import CallCost, measure_calls
from labcoat.lab.baseline.findings import Gathered, compose
from labcoat.lab.baseline.noise import BUDGETS_S, noise_of
from labcoat.lab.baseline.pace import FULL, Pace
from labcoat.lab.baseline.peaks import Peaks
from labcoat.lab.baseline.phases import account, mean_rate, open_loop, sweep
from labcoat.lab.trial.arms import ask_each, boot, warm_up
from labcoat.lab.trial.events import Listener, PhaseFinished, PhaseStarted
from labcoat.lab.trial.headroom import measure_headroom
from labcoat.lab.trial.workbench import Workbench
from labcoat.load.base import LoadGenerator
from labcoat.model.baseline import Baseline
from labcoat.model.study import Study
from labcoat.stack.companions import COMPANIONS
from labcoat.stack.components import DATABASES
from labcoat.stack.rig import Rig
from labcoat.stack.standing import Standing

BEHIND = frozenset(component.name for component in (*COMPANIONS, *DATABASES))


def measure_baseline(
    study: Study,
    *,
    host: Host,
    journal: Journal,
    generator: LoadGenerator,
    tell: Listener,
    pace: Pace = FULL,
    budgets_s: Sequence[float] = BUDGETS_S,
) -> Baseline:
    """Start the study's stack, measure it, take it down, journal what was found.

    ``budgets_s``: lengths of an experiment to say the smallest effect for.
    Raises: StackError, LoadError, PreflightError; what was measured stays in the journal.
    """
    started = time.monotonic()
    at = datetime.now(UTC).isoformat(timespec="seconds")
    record = journal.begin_study(study)
    bench = Workbench(
        study=study,
        study_id=record.id,
        host=host,
        generator=generator,
        journal=journal,
        tell=tell,
    )
    journal.record_facts(record.id, host.facts())
    with ExitStack() as open_things:
        logs = study.root / ".labcoat" / "logs"
        sandbox = open_things.enter_context(Sandbox.open(host, keep_logs_in=logs))
        rig = open_things.enter_context(Rig(host, sandbox, study))
        gathered = gather(bench, rig, sandbox, pace, budgets_s)
        elapsed_s = time.monotonic() - started
    found = compose(study, record.id, gathered, at=at, elapsed_s=elapsed_s)
    journal.record_finding(record.id, "baseline", asdict(found))
    return found


def gather(
    bench: Workbench, rig: Rig, sandbox: Sandbox, pace: Pace, budgets_s: Sequence[float]
) -> Gathered:
    """Every phase in its order. Raises: StackError, LoadError, PreflightError."""
    headroom_per_s = measure_headroom(bench, sandbox)
    bench.tell(PhaseStarted(name="boot", expected_s=10.0))
    standing = boot(bench, rig, "a")
    ask_each(bench, standing)
    bench.tell(PhaseFinished(name="boot", summary=f"serving at {standing.target.url}"))
    warm = warm_up(bench, standing)
    with Peaks(standing) as peaks:
        swept = sweep(bench, standing, pace)
    bench.generator.forget(standing.target)
    rig.stop(standing)
    outcome = measure_aa(bench, rig, pace)
    standing = boot(bench, rig, "a")
    warm_again = warm_up(bench, standing)
    accounted, saturated = account(bench, standing, pace)
    explained = standing.explain()
    rate_per_s = mean_rate([reading for _, reading in outcome.readings])
    answered = open_loop(bench, standing, rate_per_s, pace)
    alone, together = calls_of(bench, sandbox, standing, pace.call_s)
    return Gathered(
        standing=standing,
        steady=warm.is_steady and warm_again.is_steady and outcome.unsteady == 0,
        headroom_per_s=headroom_per_s,
        swept=swept,
        instances=outcome.readings,
        noise=noise_of(outcome, bench.study, pace, budgets_s),
        account=accounted,
        saturated=saturated,
        explained=explained,
        peaks=peaks.seen,
        open_loop=answered,
        call_alone=alone,
        calls=together,
    )


def calls_of(
    bench: Workbench, sandbox: Sandbox, standing: Standing, call_s: float
) -> tuple[CallCost, CallCost]:
    """The app without its server, against the same database: one caller alone, then one on
    each CPU at once.

    Alone, a call takes the least time: that bounds what a worker can do. All at once, it
    costs what the machine's cores must give for it when they are all busy.
    """
    bench.tell(PhaseStarted(name="ceiling", expected_s=2 * call_s + 4.0))
    behind = [each.process for each in standing.layers if each.name in BEHIND]
    cpus = sorted(os.sched_getaffinity(0))
    alone, together = (
        measure_calls(sandbox, bench.study, standing.app_env, behind, cpus=group, seconds=call_s)
        for group in (cpus[:1], cpus)
    )
    bench.tell(
        PhaseFinished(
            name="ceiling", summary=f"{together.cpu_s * 1e3:.2f} ms CPU per call in process"
        )
    )
    return alone, together
