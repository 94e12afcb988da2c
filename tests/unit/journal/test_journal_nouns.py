"""Arms, orders, trials, usages: illegal ones do not construct."""

from __future__ import annotations

import pytest

from labcoat.model.experiment import Arm, Order, Trial, Usage
from labcoat.model.variant import ORIGIN
from labcoat.testing.journal import a_usage


def test_each_order_has_each_arm_twice() -> None:
    a, b = Arm.BASELINE, Arm.TREATMENT
    assert {order: order.arms for order in Order} == {
        Order.ABBA: (a, b, b, a),
        Order.BAAB: (b, a, a, b),
    }
    assert (a.other, b.other) == (b, a)


@pytest.mark.parametrize(("slot", "position"), [(-1, 0), (0, -1)])
def test_a_trial_starts_counting_at_0(slot: int, position: int) -> None:
    with pytest.raises(ValueError, match="start at 0"):
        Trial(experiment="e", arm=Arm.BASELINE, variant=ORIGIN, slot=slot, position=position)


def test_a_usage_has_the_same_layers_before_and_after() -> None:
    usage = a_usage()
    with pytest.raises(ValueError, match="must be the same"):
        Usage(
            host_before=usage.host_before,
            host_after=usage.host_after,
            layers_before=usage.layers_before,
            layers_after={},
        )
