import asyncio
import sqlite3
from pathlib import Path

import pytest

from labcoat.errors import JournalError
from labcoat.watch.record.entry import Entry, Kind
from labcoat.watch.record.journal import Batch, WatchJournal
from labcoat.watch.record.recorder import Recorder


def entry(kind: Kind, number: int) -> Entry:
    return Entry(kind=kind, at_s=float(number), body={"n": number, "padding": "x" * 500})


def limit_pages(journal: WatchJournal, pages: int | None) -> None:
    """A full disk, as SQLite shows it: on the connection that the journal's pool keeps."""
    with journal._engines.reading.connect() as connection:
        count = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(
            f"PRAGMA max_page_count={1 << 30 if pages is None else count + pages}"
        )


def test_notes_are_batched_and_what_is_awaited_is_committed_with_them(tmp_path: Path) -> None:
    async def scene() -> None:
        journal = WatchJournal.open(tmp_path / "journal.db")
        commits = 0
        plain = journal.commit

        def counting(batch: Batch) -> None:
            nonlocal commits
            commits += 1
            plain(batch)

        journal.commit = counting  # type: ignore[method-assign]
        recorder = Recorder(journal, batch_s=30.0)
        recorder.note(*(entry(Kind.ROUND, n) for n in range(50)))
        recorder.keep({("r", "t"): {"n": 1}})
        await recorder.write(entry(Kind.ATTEMPT, 99))
        assert commits == 1
        assert [w.entry.body["n"] for w in journal.entries()] == [*range(50), 99]
        assert journal.standings() == {("r", "t"): {"n": 1}}
        await recorder.close()
        journal.close()

    asyncio.run(scene())


def test_a_full_disk_stops_actions_keeps_notes_and_ends_by_itself(tmp_path: Path) -> None:
    async def scene() -> None:
        journal = WatchJournal.open(tmp_path / "journal.db")
        recorder = Recorder(journal, batch_s=0.01)
        await recorder.write(entry(Kind.STARTED, 0))
        limit_pages(journal, 0)
        for number in range(1, 40):
            recorder.note(entry(Kind.ROUND, number))
        with pytest.raises(JournalError, match="no room"):
            await recorder.write(*(entry(Kind.ATTEMPT, 500) for _ in range(60)))
        trouble = recorder.trouble
        assert trouble is not None
        assert trouble.what == "no room left for the journal"
        limit_pages(journal, None)
        await recorder.write(entry(Kind.ATTEMPT, 501))
        assert recorder.trouble is None
        kinds = [w.entry.kind for w in journal.entries()]
        numbers = [w.entry.body.get("n") for w in journal.entries(kinds=[Kind.ROUND])]
        assert numbers == list(range(1, 40))  # none lost, none twice
        assert Kind.RESUMED in kinds
        assert [w.entry.body["n"] for w in journal.entries(kinds=[Kind.ATTEMPT])] == [501]
        assert journal.verify().broken_at is None
        await recorder.close()
        journal.close()

    asyncio.run(scene())


def test_closing_writes_what_was_noted(tmp_path: Path) -> None:
    async def scene() -> None:
        journal = WatchJournal.open(tmp_path / "journal.db")
        recorder = Recorder(journal, batch_s=30.0)
        recorder.note(entry(Kind.STOPPED, 1))
        await recorder.close()
        journal.close()

    asyncio.run(scene())
    connection = sqlite3.connect(tmp_path / "journal.db")
    assert connection.execute("SELECT count(*) FROM watch_entries").fetchone() == (1,)
    connection.close()
