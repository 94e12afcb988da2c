import json
import sqlite3
from pathlib import Path

import pytest

from labcoat.errors import JournalError
from labcoat.watch.record.entry import Entry, Kind
from labcoat.watch.record.journal import Batch, WatchJournal


def entry(number: int, kind: Kind = Kind.ROUND, **fields: str) -> Entry:
    return Entry(kind=kind, at_s=float(number), body={"n": number}, **fields)


@pytest.fixture
def journal(tmp_path: Path) -> WatchJournal:
    return WatchJournal.open(tmp_path / "watch" / "journal.db")


def test_what_is_committed_is_read_back_in_order_and_the_chain_holds(journal: WatchJournal) -> None:
    journal.commit(Batch(entries=(entry(1, target="a"), entry(2, target="b", subject="x"))))
    journal.commit(Batch(entries=(entry(3, Kind.ATTEMPT, target="b", subject="x"),)))
    assert [w.seq for w in journal.entries()] == [1, 2, 3]
    assert [w.entry.body["n"] for w in journal.entries(target="b")] == [2, 3]
    assert [w.seq for w in journal.entries(subject="x", kinds=[Kind.ATTEMPT])] == [3]
    assert [w.seq for w in journal.entries(newest=2)] == [2, 3]
    assert [w.seq for w in journal.entries(since_s=2.0)] == [2, 3]
    verified = journal.verify()
    assert (verified.entries, verified.broken_at) == (3, None)
    journal.close()
    again = WatchJournal.open(Path(str(journal.address)))
    again.commit(Batch(entries=(entry(4),)))
    assert again.verify().entries == 4
    again.close()


@pytest.mark.parametrize(
    ("tampering", "broken_at"),
    [
        ("UPDATE watch_entries SET body = '{\"n\":9}' WHERE seq = 2", 2),
        ("UPDATE watch_entries SET at_s = 7 WHERE seq = 3", 3),
        ("DELETE FROM watch_entries WHERE seq = 2", 3),
        ("UPDATE watch_entries SET digest = 'x' WHERE seq = 1", 1),
    ],
)
def test_an_altered_entry_is_found(journal: WatchJournal, tampering: str, broken_at: int) -> None:
    journal.commit(Batch(entries=tuple(entry(n) for n in range(1, 5))))
    connection = sqlite3.connect(str(journal.address))
    connection.execute(tampering)
    connection.commit()
    connection.close()
    assert journal.verify().broken_at == broken_at
    journal.close()


def test_pruning_keeps_the_rest_of_the_chain_verifiable(journal: WatchJournal) -> None:
    journal.commit(Batch(entries=tuple(entry(n) for n in range(1, 11))))
    assert journal.prune(before_s=6.0) == 5
    verified = journal.verify()
    assert (verified.entries, verified.broken_at) == (5, None)
    journal.commit(Batch(entries=(entry(11),)))
    assert journal.verify().broken_at is None
    journal.close()


def test_a_batch_is_whole_or_not_at_all(journal: WatchJournal) -> None:
    good = Batch(
        entries=(entry(1),),
        standings={("r", "t"): {"counts": 1}},
        documents={"heal": {"a": 1}},
    )
    journal.commit(good)
    connection = sqlite3.connect(str(journal.address))
    connection.execute("DROP TABLE watch_documents")
    connection.commit()
    with pytest.raises(JournalError):
        journal.commit(Batch(entries=(entry(2),), documents={"heal": {"a": 2}}))
    assert [w.seq for w in journal.entries()] == [1]
    assert journal.standings() == {("r", "t"): {"counts": 1}}
    connection.close()
    journal.close()


def test_standings_are_replaced_and_removed(journal: WatchJournal) -> None:
    journal.commit(Batch(standings={("r", "t"): {"n": 1}, ("r", "u"): {"n": 1}}))
    journal.commit(Batch(standings={("r", "t"): {"n": 2}, ("r", "u"): None}))
    assert journal.standings() == {("r", "t"): {"n": 2}}
    journal.close()


def test_nobody_else_may_read_it(journal: WatchJournal) -> None:
    journal.commit(Batch(entries=(entry(1),)))
    folder = Path(str(journal.address)).parent
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    journal.close()


def test_a_journal_of_another_version_is_refused(journal: WatchJournal) -> None:
    journal.commit(Batch(documents={"schema": {"version": 99}}))
    journal.close()
    with pytest.raises(JournalError, match="schema 99"):
        WatchJournal.open(Path(str(journal.address)))


def test_bodies_are_json_whatever_letters_they_hold(journal: WatchJournal) -> None:
    body = {"text": "‹secret:N› \udcff \x00 ü"}
    journal.commit(Batch(entries=(Entry(kind=Kind.ALERT, at_s=0.0, body={"t": json.dumps(body)}),)))
    assert journal.verify().broken_at is None
    journal.close()
