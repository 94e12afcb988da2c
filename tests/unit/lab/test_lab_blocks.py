"""Four slices in, one log ratio out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcoat.lab.trial.blocks import block_sample, block_values, epoch_sample
from labcoat.model.experiment import Arm, Order

positive = st.floats(1e-3, 1e6)
four = st.tuples(positive, positive, positive, positive)


def block(
    order: Order, values: tuple[float, ...], steal: float = 0.0
) -> list[tuple[Arm, dict[str, float]]]:
    return [
        (arm, {"throughput": value, "unstolen": 1 - steal})
        for arm, value in zip(order.arms, values, strict=True)
    ]


def test_by_hand() -> None:
    values = block_values(block(Order.ABBA, (100.0, 110.0, 121.0, 100.0)))
    assert values["throughput"] == pytest.approx((math.log(1.1) + math.log(1.21)) / 2)
    assert values["unstolen"] == 0.0


def test_steal_enters_as_log_of_what_was_left() -> None:
    slices = [
        (arm, {"throughput": 1.0, "unstolen": 1 - steal})
        for arm, steal in zip(Order.ABBA.arms, (0.0, 0.5, 0.5, 0.0), strict=True)
    ]
    assert block_values(slices)["unstolen"] == pytest.approx(math.log(0.5))


@given(four, st.sampled_from(Order))
def test_a_change_of_unit_changes_nothing(values: tuple[float, ...], order: Order) -> None:
    one = block_values(block(order, values))["throughput"]
    other = block_values(block(order, tuple(1000 * value for value in values)))["throughput"]
    assert one == pytest.approx(other, abs=1e-9)


@given(four)
def test_swapped_arms_negate_the_log(values: tuple[float, ...]) -> None:
    one = block_values(block(Order.ABBA, values))["throughput"]
    other = block_values(block(Order.BAAB, values))["throughput"]
    assert one == pytest.approx(-other, abs=1e-9)


@given(st.floats(-0.5, 0.5), positive)
def test_a_linear_drift_of_the_log_cancels(slope: float, level: float) -> None:
    drifting = tuple(level * math.exp(slope * each) for each in range(4))
    assert block_values(block(Order.ABBA, drifting))["throughput"] == pytest.approx(0, abs=1e-9)


def test_the_epoch_is_the_data_point() -> None:
    epochs = [
        [{"throughput": 0.1, "unstolen": 0.0}, {"throughput": 0.3, "unstolen": 0.2}],
        [{"throughput": -0.1, "unstolen": 0.0}],
    ]
    sample = epoch_sample("throughput", epochs)
    assert sample.log_ratios == pytest.approx([0.2, -0.1])
    assert sample.covariate is not None
    assert sample.covariate == pytest.approx([0.1, 0.0])
    assert sample.log_ratios.dtype == np.float64
    assert block_sample("throughput", epochs).log_ratios == pytest.approx([0.1, 0.3, -0.1])


def test_every_arm_appears() -> None:
    assert set(Order.BAAB.arms) == set(Arm)
