"""What a procedure works with, and the one thing it does all day: measure a slice."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from labcoat.host.base import Host
from labcoat.journal import Journal
from labcoat.lab.trial.events import Listener
from labcoat.load.base import LoadGenerator
from labcoat.load.honesty import Honesty, judge
from labcoat.load.summary import Summary, is_counted, latencies_s, summarise
from labcoat.model.experiment import Trial, Usage
from labcoat.model.load import Measurement, Outcome, Plan, Window
from labcoat.model.study import Study
from labcoat.model.workload import Workload
from labcoat.stack.standing import Standing

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbench:
    """The study, the machine it stands on, and the instruments around it."""

    study: Study
    study_id: str
    host: Host
    generator: LoadGenerator
    journal: Journal
    tell: Listener


ERRORS = tuple(int(each) for each in Outcome if each not in (Outcome.OK, Outcome.UNFINISHED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One slice, as small as it can be kept: the raw records are in the journal.

    ``usage`` spans the whole slice, warm-up included, as ``answered``, ``errors`` and
    ``per_second`` do: requests answered, ended wrongly, and answered in each whole
    second. ``latencies_s``, ``routes``: of the measured part, float32 and int16 ``(n,)``,
    as ``load.summary`` counts latencies.
    """

    plan: Plan
    usage: Usage
    summary: Summary
    honesty: Honesty
    generator_cpu_s: float
    answered: int
    errors: int
    per_second: npt.NDArray[np.int64]
    latencies_s: npt.NDArray[np.float32]
    routes: npt.NDArray[np.int16]

    @classmethod
    def of(cls, measurement: Measurement, usage: Usage) -> Reading:
        """What is kept of a slice."""
        records, window = measurement.records, measurement.window
        answered = records.status > 0
        seconds = max(1, int(window.warmup_s + window.measure_s))
        done = records.done[answered]
        counts, _ = np.histogram(done, bins=seconds, range=(0, seconds * 1_000_000_000))
        return cls(
            plan=measurement.plan,
            usage=usage,
            summary=summarise(measurement),
            honesty=judge(measurement, host_before=usage.host_before, host_after=usage.host_after),
            generator_cpu_s=measurement.use.cpu_s,
            answered=int(answered.sum()),
            errors=int(np.isin(records.outcome, ERRORS).sum()),
            per_second=counts.astype(np.int64),
            latencies_s=latencies_s(measurement).astype(np.float32),
            routes=records.route[is_counted(measurement)],
        )

    @property
    def faults(self) -> int:
        """Errors; one where nothing at all was answered, which is no better."""
        return self.errors or int(self.summary.throughput_per_s == 0)

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

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, front to back."""
        return tuple(self.usage.layers_before)

    def layer_cpu_s(self, layer: str) -> float:
        """CPU seconds that a layer spent in the slice."""
        return self.usage.layers_after[layer].cpu_s - self.usage.layers_before[layer].cpu_s

    @property
    def pss_bytes(self) -> int:
        """Memory of all layers after the slice."""
        return sum(after.pss_bytes for after in self.usage.layers_after.values())

    @property
    def cpu_per_request_s(self) -> float:
        """CPU seconds of all layers for each answered request."""
        spent = sum(self.layer_cpu_s(layer) for layer in self.layers)
        return spent / max(self.answered, 1)


def measure_slice(
    bench: Workbench,
    standing: Standing,
    plan: Plan,
    window: Window,
    *,
    seed: int,
    trial: Trial | None = None,
    workload: Workload | None = None,
) -> Reading:
    """Load one arm for one window, with a reading of everything before and after.

    ``trial``: its place in an experiment; committed with its raw records before anything
    is read from them. None for what is no evidence (warm-ups, a first look).
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
    if trial is not None:
        bench.journal.record_trial(trial, measurement, usage)
    return Reading.of(measurement, usage)


def own_cpu_s() -> float:
    """CPU seconds of labcoat's own process so far, all threads."""
    times = os.times()
    return times.user + times.system
