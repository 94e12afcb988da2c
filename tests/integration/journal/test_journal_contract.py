"""The journal's contract, over SQLite and over a real Postgres server."""

from __future__ import annotations

from labcoat.testing.journal import JournalContract


class TestJournal(JournalContract):
    pass
