"""Pairing: both arms booted and warm, and the blocks that compare them.

What the A/A experiment of a baseline and every other experiment have in common.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from labcoat.lab.trial.blocks import UNSTOLEN, block_values
from labcoat.lab.trial.schedule import PlannedBlock
from labcoat.lab.trial.validity import void_reason
from labcoat.lab.trial.workbench import Reading, Workbench, measure_slice
from labcoat.model.experiment import Arm, Trial
from labcoat.model.load import Plan, Window
from labcoat.model.metric import (
    CPU_PER_REQUEST,
    LATENCY_P50,
    LATENCY_P95,
    LATENCY_P99,
    MEMORY,
    THROUGHPUT,
)
from labcoat.stack.standing import Standing

SLOTS = ("a", "b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How the blocks of an experiment are measured, the same for both arms.

    ``discard_s``: the warm-up of each slice.
    """

    experiment: str
    plan: Plan
    discard_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredBlock:
    """A good block: its slices in order, each with its arm. ``took_s``: all four together.

    ``values``: the log ratio of each metric, and of the covariate.
    """

    index: int
    epoch: int
    slices: tuple[tuple[Arm, Reading], ...]
    took_s: float
    values: Mapping[str, float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        values = block_values([(arm, slice_values(reading)) for arm, reading in self.slices])
        object.__setattr__(self, "values", values)


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidBlock:
    """A block that does not count: on which arm's slice it ended, and why.

    ``errors``: the faults of that slice.
    """

    index: int
    arm: Arm
    reason: str
    errors: int = 0


def slots_of(first: Arm) -> dict[Arm, str]:
    """Which arm stands in which slot, in the order in which they are booted."""
    return {first: SLOTS[0], first.other: SLOTS[1]}


def measure_block(
    bench: Workbench,
    arms: Mapping[Arm, Standing],
    terms: Terms,
    block: PlannedBlock,
    *,
    epoch: int,
    attempt: int,
    told: Callable[[int, Reading], None],
) -> MeasuredBlock | VoidBlock:
    """Four slices in the drawn order; the first void one ends the block.

    ``told`` hears of each good slice, with its position, once it is in the journal.
    Raises: Died, LoadError.
    """
    started = time.monotonic()
    drawn = bench.journal.record_block(
        terms.experiment, block.index, block.order, attempt=attempt, epoch=epoch, seed=block.seed
    )
    slices: list[tuple[Arm, Reading]] = []
    for position, each in enumerate(block.slices):
        standing = arms[each.arm]
        trial = Trial(
            experiment=terms.experiment,
            block=drawn.id,
            arm=each.arm,
            slot=SLOTS.index(standing.arm),
            position=position,
            variant=standing.variant,
        )
        reading = measure_slice(
            bench,
            standing,
            terms.plan,
            Window(warmup_s=terms.discard_s, measure_s=each.measure_s),
            seed=block.seed,
            trial=trial,
        )
        reason = void_reason(reading)
        if reason is not None:
            bench.journal.record_void(drawn.id, reason)
            return VoidBlock(index=block.index, arm=each.arm, reason=reason, errors=reading.faults)
        told(position, reading)
        slices.append((each.arm, reading))
    took_s = time.monotonic() - started
    return MeasuredBlock(index=block.index, epoch=epoch, slices=tuple(slices), took_s=took_s)


def slice_values(reading: Reading) -> dict[str, float]:
    """The metrics of a slice that an experiment compares, and its covariate.

    What is not above zero has no logarithm and is left out: one metric that could not be
    read does not spoil the others.
    """
    latency = reading.summary.latency
    values = {
        THROUGHPUT.name: reading.summary.throughput_per_s,
        CPU_PER_REQUEST.name: reading.cpu_per_request_s,
        MEMORY.name: float(reading.pss_bytes),
        UNSTOLEN: max(1.0 - reading.steal_ratio, 0.01),
    }
    if latency.n:
        values |= {
            LATENCY_P50.name: latency.p50_s,
            LATENCY_P95.name: latency.p95_s,
            LATENCY_P99.name: latency.p99_s,
        }
    return {name: value for name, value in values.items() if value > 0}
