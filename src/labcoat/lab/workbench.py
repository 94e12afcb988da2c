"""What a procedure works with, and the one thing it does all day: measure a slice."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from labcoat.host.base import Host
from labcoat.journal import Journal
from labcoat.lab.events import Listener
from labcoat.load.base import LoadGenerator
from labcoat.load.honesty import Honesty, judge
from labcoat.load.summary import Summary, summarise
from labcoat.model.experiment import Trial, Usage
from labcoat.model.load import Measurement, Plan, Window
from labcoat.model.study import Study
from labcoat.model.workload import Workload
from labcoat.stack.standing import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbench:
    """The study, the machine it stands on, and the instruments around it."""

    study: Study
    study_id: str
    host: Host
    generator: LoadGenerator
    journal: Journal
    tell: Listener


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One slice: raw records, what every layer used meanwhile, and what they say.

    ``usage`` spans the whole slice, warm-up included, as ``answered`` does: the
    requests that were answered from first to last.
    """

    measurement: Measurement
    usage: Usage
    summary: Summary
    honesty: Honesty

    @property
    def answered(self) -> int:
        """Requests answered in the whole slice, warm-up included."""
        return int((self.measurement.records.status > 0).sum())

    @property
    def wall_s(self) -> float:
        """Seconds between the two readings of the host."""
        return (self.usage.host_after.at_ns - self.usage.host_before.at_ns) / 1e9

    @property
    def steal_ratio(self) -> float:
        """Share of the machine's CPU time that its neighbours took."""
        before, after = self.usage.host_before, self.usage.host_after
        return max(0.0, after.steal_s - before.steal_s) / (after.cores * self.wall_s)

    @property
    def idle_ratio(self) -> float:
        """Share of the machine's CPU time that nobody used."""
        before, after = self.usage.host_before, self.usage.host_after
        idle_s = after.idle_s + after.iowait_s - before.idle_s - before.iowait_s
        return max(0.0, idle_s) / (after.cores * self.wall_s)

    def layer_cpu_s(self, layer: str) -> float:
        """CPU seconds that a layer spent in the slice."""
        return self.usage.layers_after[layer].cpu_s - self.usage.layers_before[layer].cpu_s

    @property
    def cpu_per_request_s(self) -> float:
        """CPU seconds of all layers for each answered request."""
        spent = sum(self.layer_cpu_s(layer) for layer in self.usage.layers_before)
        return spent / max(self.answered, 1)


def measure_slice(
    bench: Workbench,
    standing: Standing,
    plan: Plan,
    window: Window,
    *,
    seed: int,
    workload: Workload | None = None,
) -> Reading:
    """Load one arm for one window, with a reading of everything before and after.

    ``workload``: instead of the study's.
    Raises: Died if a component is gone before or after; LoadError if nothing was sent.
    """
    standing.check()
    host_before, layers_before = bench.host.counters(), standing.counters()
    measurement = bench.generator.load(
        standing.target,
        bench.study.workload if workload is None else workload,
        plan,
        window,
        seed=seed,
        timeout_s=bench.study.request_timeout_s,
    )
    standing.check()
    layers_after, host_after = standing.counters(), bench.host.counters()
    usage = Usage(
        host_before=host_before,
        host_after=host_after,
        layers_before=layers_before,
        layers_after=layers_after,
    )
    return Reading(
        measurement=measurement,
        usage=usage,
        summary=summarise(measurement),
        honesty=judge(measurement, host_before=host_before, host_after=host_after),
    )


def record_slice(bench: Workbench, trial: Trial, reading: Reading) -> None:
    """Commit a slice to the journal, before anything reads it."""
    bench.journal.record_trial(trial, reading.measurement, reading.usage)


def own_cpu_s() -> float:
    """CPU seconds of labcoat's own process so far, all threads."""
    times = os.times()
    return times.user + times.system


def now_s() -> float:
    """Seconds on the monotonic clock."""
    return time.monotonic()
