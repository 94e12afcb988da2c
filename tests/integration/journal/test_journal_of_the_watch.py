"""The watch's journal keeps its promises in either database."""

from __future__ import annotations

from pathlib import Path

import pytest

from labcoat.errors import JournalError
from labcoat.watch.record.entry import Entry, Kind
from labcoat.watch.record.journal import Batch, WatchJournal


def entries(*numbers: int) -> Batch:
    return Batch(
        entries=tuple(
            Entry(kind=Kind.ROUND, at_s=float(n), target="t", body={"n": n, "x": "‹ \ud800 \0"})
            for n in numbers
        ),
        standings={("r", "t"): {"n": numbers[-1]}, ("r", "u"): {"n": 0}},
        documents={"heal": {"n": numbers[-1]}},
    )


def test_entries_standings_and_chain(where: Path | str) -> None:
    journal = WatchJournal.open(where)
    journal.commit(entries(1, 2))
    journal.commit(entries(3))
    journal.commit(Batch(standings={("r", "u"): None}))
    assert [w.entry.body["n"] for w in journal.entries(target="t")] == [1, 2, 3]
    assert journal.standings() == {("r", "t"): {"n": 3}}
    assert journal.document("heal") == {"n": 3}
    assert (journal.verify().entries, journal.verify().broken_at) == (3, None)
    assert journal.prune(before_s=2.5) == 2
    assert (journal.verify().entries, journal.verify().broken_at) == (1, None)
    journal.close()


def test_a_second_writer_cannot_fork_the_chain(where: Path | str) -> None:
    journal, other = WatchJournal.open(where), WatchJournal.open(where)
    journal.commit(entries(1))
    with pytest.raises(JournalError, match="there already"):
        other.commit(entries(2))
    assert [w.entry.body["n"] for w in journal.entries()] == [1]
    assert journal.verify().broken_at is None
    for each in (journal, other):
        each.close()
