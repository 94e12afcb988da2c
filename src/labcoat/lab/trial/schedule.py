"""The order of things, drawn before anything is measured.

A pure function of a seed: which arm gets which slot, in which order the slices of
each block come, how long each slice is. Nothing that happens later can bend it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from labcoat.model.experiment import Arm, Order

JITTER_RATIO = 0.15  # science.md section 1: no periodic job may lock to the slices


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSlice:
    """One slice to come: which arm is loaded, and for how long is measured."""

    arm: Arm
    measure_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedBlock:
    """Four slices in the order ABBA or BAAB.

    ``seed``: draws the requests of all four, so that both arms are asked the same.
    """

    index: int
    order: Order
    seed: int
    slices: tuple[PlannedSlice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEpoch:
    """Blocks between two restarts, and which arm gets the first slot."""

    index: int
    first_slot: Arm
    blocks: tuple[PlannedBlock, ...]


def schedule(
    seed: int, *, epochs: int, blocks_per_epoch: int, slice_s: float
) -> tuple[PlannedEpoch, ...]:
    """The whole experiment, drawn by fair coins from one seed.

    ``slice_s``: the mean measured length; each slice is longer or shorter by up to
    15 %. The first n epochs do not depend on how many epochs are asked for, so that
    an experiment can go on where it stopped.
    """
    return tuple(
        _epoch(random.Random(f"{seed}/{index}"), index, blocks_per_epoch, slice_s)
        for index in range(epochs)
    )


def redraw(seed: int, void: PlannedBlock, *, attempt: int, slice_s: float) -> PlannedBlock:
    """The block that replaces a void one: the same place, a new coin."""
    return _block(random.Random(f"{seed}/{void.index}/{attempt}"), void.index, slice_s)


def _epoch(coin: random.Random, index: int, blocks: int, slice_s: float) -> PlannedEpoch:
    return PlannedEpoch(
        index=index,
        first_slot=coin.choice((Arm.BASELINE, Arm.TREATMENT)),
        blocks=tuple(_block(coin, index * blocks + each, slice_s) for each in range(blocks)),
    )


def _block(coin: random.Random, index: int, slice_s: float) -> PlannedBlock:
    order = coin.choice((Order.ABBA, Order.BAAB))
    return PlannedBlock(
        index=index,
        order=order,
        seed=coin.getrandbits(32),
        slices=tuple(
            PlannedSlice(
                arm=arm,
                measure_s=slice_s * coin.uniform(1 - JITTER_RATIO, 1 + JITTER_RATIO),
            )
            for arm in order.arms
        ),
    )
