"""The A/A experiment: the origin against itself, decided like any other."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count

from labcoat.errors import PreflightError
from labcoat.lab.arms import boot, warm_up
from labcoat.lab.blocks import UNSTOLEN, block_values
from labcoat.lab.events import BlockVoided, PhaseFinished, PhaseStarted
from labcoat.lab.pace import Pace
from labcoat.lab.phases import tell_slice
from labcoat.lab.schedule import PlannedBlock, redraw, schedule
from labcoat.lab.validity import void_reason
from labcoat.lab.workbench import Reading, Workbench, measure_slice
from labcoat.model.experiment import Arm, Trial
from labcoat.model.journal import ExperimentRecord
from labcoat.model.load import ClosedLoop, Window
from labcoat.model.metric import CPU_PER_REQUEST, THROUGHPUT
from labcoat.model.variant import ORIGIN
from labcoat.stack.rig import Rig
from labcoat.stack.standing import Standing

SLOTS = ("a", "b")
VOIDS_RATIO = 0.5
"""More void blocks than this share of the good ones, and the machine is no laboratory."""


@dataclass(slots=True, kw_only=True)
class AaOutcome:
    """What the A/A experiment gathered, in order.

    ``epochs``: for each epoch its good blocks, metric -> log ratio. ``readings``: every
    good slice, with its instance (epoch, arm). ``restart_s``: seconds of each restart of
    both arms, warm-up included. ``block_s``: seconds of each block.
    """

    epochs: list[list[Mapping[str, float]]] = field(default_factory=list)
    readings: list[tuple[tuple[int, Arm], Reading]] = field(default_factory=list)
    voids: list[str] = field(default_factory=list)
    restart_s: list[float] = field(default_factory=list)
    block_s: list[float] = field(default_factory=list)
    unsteady: int = 0


def measure_aa(bench: Workbench, rig: Rig, pace: Pace) -> AaOutcome:
    """Boot the origin twice, compare it with itself, restart both, and again.

    Raises: PreflightError when too many blocks are void to call this a laboratory.
    """
    experiment = bench.journal.begin_experiment(
        bench.study_id,
        kind="aa",
        question={"epochs": pace.epochs, "blocks_per_epoch": pace.blocks_per_epoch},
        baseline=ORIGIN,
        treatment=ORIGIN,
        seed=bench.study.seed,
    )
    bench.tell(PhaseStarted(name="A/A", expected_s=pace.aa_s))
    outcome = AaOutcome()
    for epoch in schedule(
        bench.study.seed,
        epochs=pace.epochs,
        blocks_per_epoch=pace.blocks_per_epoch,
        slice_s=pace.slice_s,
    ):
        started = time.monotonic()
        arms = _boot_both(bench, rig, epoch.first_slot, outcome)
        outcome.restart_s.append(time.monotonic() - started)
        outcome.epochs.append(
            [
                _good_block(bench, arms, experiment, epoch.index, block, outcome, pace)
                for block in epoch.blocks
            ]
        )
        for standing in arms.values():
            bench.generator.forget(standing.target)
            rig.stop(standing)
    bench.tell(
        PhaseFinished(
            name="A/A",
            summary=f"{len(outcome.block_s)} blocks, {len(outcome.voids)} void,"
            f" {pace.epochs} restarts",
        )
    )
    return outcome


def _good_block(
    bench: Workbench,
    arms: Mapping[Arm, Standing],
    experiment: ExperimentRecord,
    epoch: int,
    block: PlannedBlock,
    outcome: AaOutcome,
    pace: Pace,
) -> Mapping[str, float]:
    """The log ratios of one block, drawn anew as long as it is void."""
    for attempt in count():
        values = _measure_block(bench, arms, experiment, epoch, block, attempt, outcome, pace)
        if values is not None:
            return values
        if len(outcome.voids) > max(3.0, VOIDS_RATIO * pace.epochs * pace.blocks_per_epoch):
            break
        block = redraw(bench.study.seed, block, attempt=attempt + 1, slice_s=pace.slice_s)
    raise PreflightError(
        f"{len(outcome.voids)} blocks were void: this host cannot measure now",
        where=f"A/A of {bench.study.name}",
        log=tuple(dict.fromkeys(outcome.voids)),
        way_out="see `labcoat doctor`; try again when the machine is quieter",
    )


def _boot_both(bench: Workbench, rig: Rig, first: Arm, outcome: AaOutcome) -> dict[Arm, Standing]:
    arms = {
        arm: boot(bench, rig, slot) for arm, slot in ((first, SLOTS[0]), (first.other, SLOTS[1]))
    }
    for standing in arms.values():
        outcome.unsteady += not warm_up(bench, standing).is_steady
    return arms


def _measure_block(
    bench: Workbench,
    arms: Mapping[Arm, Standing],
    experiment: ExperimentRecord,
    epoch: int,
    block: PlannedBlock,
    attempt: int,
    outcome: AaOutcome,
    pace: Pace,
) -> Mapping[str, float] | None:
    """One block: its log ratios, or None when a slice is void."""
    started = time.monotonic()
    total_slices = pace.epochs * pace.blocks_per_epoch * len(block.slices)
    drawn = bench.journal.record_block(
        experiment.id,
        block.index,
        block.order,
        attempt=attempt,
        epoch=epoch,
        seed=block.seed,
    )
    values: list[tuple[Arm, Mapping[str, float]]] = []
    good: list[tuple[tuple[int, Arm], Reading]] = []
    for position, each in enumerate(block.slices):
        standing = arms[each.arm]
        trial = Trial(
            experiment=experiment.id,
            block=drawn.id,
            arm=each.arm,
            slot=SLOTS.index(standing.arm),
            position=position,
            variant=standing.variant,
        )
        reading = measure_slice(
            bench,
            standing,
            ClosedLoop(users=bench.study.users),
            Window(warmup_s=pace.discard_s, measure_s=each.measure_s),
            seed=block.seed,
            trial=trial,
        )
        reason = void_reason(reading)
        if reason is not None:
            outcome.voids.append(reason)
            bench.journal.record_void(drawn.id, reason)
            bench.tell(BlockVoided(index=block.index, reason=reason))
            return None
        done = len(outcome.readings) + position + 1
        tell_slice(bench, "A/A", done, total_slices, reading)
        good.append(((epoch, each.arm), reading))
        values.append((each.arm, slice_values(reading)))
    outcome.readings += good
    outcome.block_s.append(time.monotonic() - started)
    return block_values(values)


def slice_values(reading: Reading) -> dict[str, float]:
    """The metrics of a slice that an experiment compares, and its covariate."""
    return {
        THROUGHPUT.name: reading.summary.throughput_per_s,
        CPU_PER_REQUEST.name: reading.cpu_per_request_s,
        UNSTOLEN: max(1.0 - reading.steal_ratio, 0.01),
    }
