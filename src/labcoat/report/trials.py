"""What the journal holds behind the numbers: experiments, their blocks, their trials."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from labcoat.journal import Journal
from labcoat.model.domain import spelled
from labcoat.model.experiment import Usage
from labcoat.model.host import Facts
from labcoat.model.journal import BlockRecord, ExperimentRecord, TrialRecord
from labcoat.model.load import Measurement, OpenLoop, Outcome
from labcoat.report.format import counted

NS = 1_000_000_000
FULL_BLOCKS = 3000
"""Blocks whose trials are told one by one; of later ones only how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """One trial in a line. The numbers are None where they were not asked for, or there is none.

    ``throughput_per_s``, ``latency_p99_s``: of the slice's measured part; ``steal_ratio``: of
    all of it, as the lab reads it.
    """

    id: str
    arm: str
    slot: int
    position: int
    throughput_per_s: float | None = None
    latency_p99_s: float | None = None
    steal_ratio: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRow:
    """One block as it was drawn; ``void``: why it does not count. ``id`` is "" for loose trials."""

    id: str
    index: int
    attempt: int
    epoch: int
    order: str
    void: str | None
    trials: tuple[TrialRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentTrials:
    """One experiment of the journal. ``untold``: blocks past what is told one by one."""

    id: str
    at: datetime
    kind: str
    asks: str
    blocks: tuple[BlockRow, ...]
    untold: int = 0

    @property
    def trials(self) -> int:
        """How many trials are told."""
        return sum(len(block.trials) for block in self.blocks)

    @property
    def paired(self) -> int:
        """How many blocks there are, void ones too."""
        return sum(bool(block.id) for block in self.blocks) + self.untold

    @property
    def size(self) -> str:
        """``6 blocks, 24 trials``; trials alone where they are not paired."""
        trials = counted(self.trials, "trial")
        return f"{counted(self.paired, 'block')}, {trials}" if self.paired else trials


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """What a report needs beside a finding: the machine, labcoat's version, the trials."""

    facts: Facts | None
    labcoat: str
    experiments: tuple[ExperimentTrials, ...]


def read_background(journal: Journal, study_id: str, *, in_full: bool = True) -> Background:
    """Facts and trials of a study. ``in_full``: with the numbers of each trial, which takes
    reading all that was measured. Raises: JournalError if there is no such study.
    """
    facts = journal.facts(study_id)
    left, experiments = FULL_BLOCKS, []
    for record in journal.experiments(study_id):
        experiment = _experiment(journal, record, most=left, in_full=in_full)
        left -= len(experiment.blocks)
        experiments.append(experiment)
    return Background(
        facts=facts[-1] if facts else None,
        labcoat=journal.study(study_id).labcoat,
        experiments=tuple(experiments),
    )


def _experiment(
    journal: Journal, record: ExperimentRecord, *, most: int, in_full: bool
) -> ExperimentTrials:
    rows: dict[str, list[TrialRow]] = {}
    blocks = journal.blocks(record.id)
    told = {block.id for block in blocks[: max(most, 0)]} | ({""} if most > 0 else set())
    for trial in journal.trials(record.id):
        block = trial.trial.block or ""
        if block in told:
            rows.setdefault(block, []).append(_trial(journal, trial, in_full=in_full))
    loose = (_block(None, rows[""]),) if "" in rows else ()
    return ExperimentTrials(
        id=record.id,
        at=record.at,
        kind=record.kind,
        asks=_asks(record),
        blocks=(
            *loose,
            *(_block(each, rows.get(each.id, [])) for each in blocks if each.id in told),
        ),
        untold=sum(each.id not in told for each in blocks),
    )


def _block(record: BlockRecord | None, trials: list[TrialRow]) -> BlockRow:
    if record is None:
        return BlockRow(
            id="", index=0, attempt=0, epoch=0, order="", void=None, trials=tuple(trials)
        )
    return BlockRow(
        id=record.id,
        index=record.index,
        attempt=record.attempt,
        epoch=record.epoch,
        order=record.order.value,
        void=record.void,
        trials=tuple(sorted(trials, key=lambda each: each.position)),
    )


def _trial(journal: Journal, record: TrialRecord, *, in_full: bool) -> TrialRow:
    place = record.trial
    per_s, p99_s, steal = None, None, None
    if in_full:
        measurement = journal.measurement(record.id)
        per_s, p99_s = throughput_per_s(measurement), latency_p99_s(measurement)
        steal = steal_ratio(journal.usage(record.id))
    return TrialRow(
        id=record.id,
        arm=place.arm.value,
        slot=place.slot,
        position=place.position,
        throughput_per_s=per_s,
        latency_p99_s=p99_s,
        steal_ratio=steal,
    )


def _asks(record: ExperimentRecord) -> str:
    """The levels in which treatment and baseline differ, in few words."""
    before, after = dict(record.baseline.assignment), dict(record.treatment.assignment)
    changed = [
        f"{knob} {_said(before.get(knob))} → {_said(after.get(knob))}"
        for knob in sorted(before.keys() | after.keys())
        if before.get(knob) != after.get(knob)
    ]
    return ", ".join(changed)


def _said(level: str | float | bool | None) -> str:  # noqa: FBT001 - a Level may be a switch
    return "as it was" if level is None else spelled(level)


def throughput_per_s(measurement: Measurement) -> float:
    """OK answers that ended in the measured part, per second: as the lab counts them."""
    begin = round(measurement.window.warmup_s * NS)
    end = begin + round(measurement.window.measure_s * NS)
    of = measurement.records
    good = (of.outcome == int(Outcome.OK)) & (of.done >= begin) & (of.done < end)
    return int(good.sum()) / measurement.window.measure_s


def latency_p99_s(measurement: Measurement) -> float | None:
    """p99 of the measured part from the intended start, None where nothing was answered.

    Counted are good answers and timeouts, and in an open loop what was still unfinished, with
    the time that it had waited: as the lab counts them.
    """
    begin = round(measurement.window.warmup_s * NS)
    end = begin + round(measurement.window.measure_s * NS)
    of = measurement.records
    outcomes = [int(Outcome.OK), int(Outcome.TIMEOUT)]
    if isinstance(measurement.plan, OpenLoop):
        outcomes.append(int(Outcome.UNFINISHED))
    chosen = (of.intended >= begin) & (of.intended < end) & np.isin(of.outcome, outcomes)
    if not chosen.any():
        return None
    ended = np.where(of.done < 0, np.maximum(end, of.intended), of.done)
    return float(np.quantile((ended - of.intended)[chosen] / NS, 0.99, method="inverted_cdf"))


def steal_ratio(usage: Usage) -> float | None:
    """Share of the machine's CPU time that its neighbours took, None for no time at all."""
    before, after = usage.host_before, usage.host_after
    whole_s = after.cores * (after.at_ns - before.at_ns) / NS
    return max(0.0, after.steal_s - before.steal_s) / whole_s if whole_s > 0 else None
