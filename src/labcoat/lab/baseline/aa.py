"""The A/A experiment of a baseline: the origin against itself, a fixed number of epochs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count

from labcoat.errors import PreflightError
from labcoat.lab.baseline.pace import Pace
from labcoat.lab.baseline.phases import tell_slice
from labcoat.lab.trial.arms import boot, warm_up_both
from labcoat.lab.trial.events import BlockVoided, PhaseFinished, PhaseStarted
from labcoat.lab.trial.pairing import MeasuredBlock, Terms, measure_block, slots_of
from labcoat.lab.trial.schedule import PlannedBlock, redraw, schedule
from labcoat.lab.trial.workbench import Reading, Workbench
from labcoat.model.experiment import Arm
from labcoat.model.load import ClosedLoop
from labcoat.model.variant import ORIGIN
from labcoat.stack.rig import Rig
from labcoat.stack.standing import Standing

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
    terms = Terms(
        experiment=experiment.id,
        plan=ClosedLoop(users=bench.study.users),
        discard_s=pace.discard_s,
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
        arms = {arm: boot(bench, rig, slot) for arm, slot in slots_of(epoch.first_slot).items()}
        warmed = warm_up_both(bench, tuple(arms.values()))
        outcome.unsteady += sum(not warm.is_steady for warm in warmed)
        outcome.restart_s.append(time.monotonic() - started)
        outcome.epochs.append(
            [
                _good_block(bench, arms, terms, epoch.index, block, outcome, pace).values
                for block in epoch.blocks
            ]
        )
        for standing in arms.values():
            bench.generator.forget(standing.target)
        rig.stop(*arms.values())
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
    terms: Terms,
    epoch: int,
    block: PlannedBlock,
    outcome: AaOutcome,
    pace: Pace,
) -> MeasuredBlock:
    """One block, drawn anew as long as it is void."""
    total = pace.epochs * pace.blocks_per_epoch * len(block.slices)

    def told(position: int, reading: Reading) -> None:
        tell_slice(bench, "A/A", len(outcome.readings) + position + 1, total, reading)

    for attempt in count():
        measured = measure_block(bench, arms, terms, block, epoch=epoch, attempt=attempt, told=told)
        if isinstance(measured, MeasuredBlock):
            outcome.readings += [((epoch, arm), reading) for arm, reading in measured.slices]
            outcome.block_s.append(measured.took_s)
            return measured
        outcome.voids.append(measured.reason)
        bench.tell(BlockVoided(index=block.index, reason=measured.reason))
        if len(outcome.voids) > max(3.0, VOIDS_RATIO * pace.epochs * pace.blocks_per_epoch):
            break
        block = redraw(bench.study.seed, block, attempt=attempt + 1, slice_s=pace.slice_s)
    raise PreflightError(
        f"{len(outcome.voids)} blocks were void: this host cannot measure now",
        where=f"A/A of {bench.study.name}",
        log=tuple(dict.fromkeys(outcome.voids)),
        way_out="see `labcoat doctor`; try again when the machine is quieter",
    )
