"""e-LOND by hand: alpha_t = alpha · (6/π²)/t² · (discoveries before + 1)."""

from __future__ import annotations

import math

import pytest

from labcoat.stats.online import e_lond

FIRST = math.log(math.pi**2 / 6 / 0.05)  # 1/alpha_1: 32.9


@pytest.mark.parametrize(
    ("needs", "found"),
    [
        ((), ()),
        ((FIRST + 1e-9,), (True,)),
        ((FIRST - 1e-9,), (False,)),
        # Without a discovery the second needs four times as much, after one half of that.
        ((0.0, FIRST + math.log(4) + 1e-9), (False, True)),
        ((0.0, FIRST + math.log(4) - 1e-9), (False, False)),
        ((FIRST + 1e-9, FIRST + math.log(4 / 2) + 1e-9), (True, True)),
        ((FIRST + 1e-9, FIRST + math.log(4 / 2) - 1e-9), (True, False)),
        ((9.0, 9.0, FIRST + math.log(9 / 3) + 1e-9), (True, True, True)),
        ((-math.inf, math.inf), (False, True)),
    ],
)
def test_by_hand(needs: tuple[float, ...], found: tuple[bool, ...]) -> None:
    assert e_lond(needs) == found


def test_a_stricter_alpha_needs_more() -> None:
    assert e_lond([FIRST + 1e-9], alpha=0.04) == (False,)


def test_later_experiments_change_nothing_about_earlier_ones() -> None:
    logs = [4.0, 0.0, 5.0, 3.0, 6.0]
    whole = e_lond(logs)
    assert any(whole)
    assert not all(whole)
    for n in range(len(logs)):
        assert e_lond(logs[:n]) == whole[:n]
