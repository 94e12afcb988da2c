"""Ids: short, unique, in order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from labcoat.journal.ids import ALPHABET, LENGTH, Ids, spell

NUMBERS = st.integers(0, 2**65 - 1)


def test_ids_are_short_unique_and_in_order() -> None:
    ids = Ids()
    drawn = [ids.new() for _ in range(5000)]
    assert sorted(set(drawn)) == drawn
    assert all(len(each) == LENGTH and set(each) <= set(ALPHABET) for each in drawn)


def test_two_makers_do_not_meet() -> None:
    one, other = Ids(), Ids()
    drawn = [maker.new() for _ in range(500) for maker in (one, other)]
    assert len(set(drawn)) == len(drawn)


@given(NUMBERS, NUMBERS)
def test_spelling_keeps_the_order(one: int, other: int) -> None:
    assert (spell(one) < spell(other)) == (one < other)
