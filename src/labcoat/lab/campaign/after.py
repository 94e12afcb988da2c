"""After: the tuned stack described as the baseline was, so that both can be held side by side."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime

from labcoat.host.sandbox import Sandbox
from labcoat.lab.baseline.baseline import calls_of
from labcoat.lab.baseline.findings import Gathered, compose
from labcoat.lab.baseline.pace import Pace
from labcoat.lab.baseline.peaks import Peaks
from labcoat.lab.baseline.phases import account, open_loop, sweep
from labcoat.lab.campaign.course import Course
from labcoat.lab.experiment.experiment import Experiment
from labcoat.lab.trial.arms import boot, warm_up
from labcoat.lab.trial.events import PhaseFinished, PhaseStarted
from labcoat.model.baseline import Baseline
from labcoat.model.experiment import Arm


def describe_tuned(course: Course, sandbox: Sandbox, confirmed: Experiment, pace: Pace) -> Baseline:
    """Sweep, account, open loop and ceiling of the incumbent.

    How much it gives is the confirmation's to say: its slices are taken, with one instance
    for each epoch. The open loop has the rate of the baseline's. Noise is what the baseline's
    A/A experiment found. Raises: StackError, LoadError.
    """
    bench, rig = course.bench, course.rig
    started = time.monotonic()
    at = datetime.now(UTC).isoformat(timespec="seconds")
    bench.tell(PhaseStarted(name="tuned", expected_s=10.0))
    standing = boot(bench, rig, "a", course.incumbent)
    warm = warm_up(bench, standing)
    bench.tell(PhaseFinished(name="tuned", summary=f"serving at {standing.target.url}"))
    with Peaks(standing) as peaks:
        swept = sweep(bench, standing, pace)
    accounted, saturated = account(bench, standing, pace)
    explained = standing.explain()
    answered = open_loop(bench, standing, course.before.saturation.throughput_per_s.value, pace)
    alone, together = calls_of(bench, sandbox, standing, pace.call_s)
    instances = tuple(
        (block.epoch, reading)
        for block in confirmed.gathered.blocks
        for arm, reading in block.slices
        if arm is Arm.TREATMENT
    )
    gathered = Gathered(
        standing=standing,
        steady=warm.is_steady,
        headroom_per_s=course.headroom_per_s,
        swept=swept,
        instances=instances,
        noise=course.before.noise,
        account=accounted,
        saturated=saturated,
        explained=explained,
        peaks=peaks.seen,
        open_loop=answered,
        call_alone=alone,
        calls=together,
    )
    found = compose(
        bench.study, bench.study_id, gathered, at=at, elapsed_s=time.monotonic() - started
    )
    bench.generator.forget(standing.target)
    rig.stop(standing)
    return replace(found, rewired=())
