"""The order of slices: drawn from a seed, balanced, the same every time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcoat.lab.trial.schedule import JITTER_RATIO, schedule
from labcoat.model.experiment import Arm, Order

seeds = st.integers(0, 2**32)


@given(seeds, st.integers(1, 6), st.integers(1, 3))
def test_each_block_is_balanced_and_jittered(seed: int, epochs: int, blocks: int) -> None:
    plan = schedule(seed, epochs=epochs, blocks_per_epoch=blocks, slice_s=1.5)
    assert len(plan) == epochs
    indices = [block.index for epoch in plan for block in epoch.blocks]
    assert indices == list(range(epochs * blocks))
    for epoch in plan:
        for block in epoch.blocks:
            arms = [each.arm for each in block.slices]
            assert arms == list(block.order.arms)
            assert arms.count(Arm.BASELINE) == arms.count(Arm.TREATMENT) == 2
            lengths = [each.measure_s / 1.5 - 1 for each in block.slices]
            assert all(abs(length) <= JITTER_RATIO + 1e-12 for length in lengths)


@given(seeds)
def test_the_same_seed_gives_the_same_order_and_a_longer_plan_begins_the_same(seed: int) -> None:
    short = schedule(seed, epochs=3, blocks_per_epoch=2, slice_s=1.0)
    assert schedule(seed, epochs=7, blocks_per_epoch=2, slice_s=1.0)[:3] == short


def test_the_coins_are_fair() -> None:
    plan = schedule(1, epochs=2000, blocks_per_epoch=1, slice_s=1.0)
    abba = sum(epoch.blocks[0].order is Order.ABBA for epoch in plan)
    first = sum(epoch.first_slot is Arm.BASELINE for epoch in plan)
    both = sum(
        epoch.blocks[0].order is Order.ABBA and epoch.first_slot is Arm.BASELINE for epoch in plan
    )
    # Four standard deviations of 2,000 fair coins, and of 2,000 pairs of them.
    assert abs(abba - 1000) < 90
    assert abs(first - 1000) < 90
    assert abs(both - 500) < 78


@pytest.mark.parametrize("seed", [1, 2])
def test_blocks_have_seeds_of_their_own(seed: int) -> None:
    plan = schedule(seed, epochs=50, blocks_per_epoch=2, slice_s=1.0)
    drawn = [block.seed for epoch in plan for block in epoch.blocks]
    assert len(set(drawn)) == len(drawn)
