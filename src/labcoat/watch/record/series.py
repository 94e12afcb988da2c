"""Samples of checks over time: recent ones as rows, older ones in hourly chunks.

Kept raw for 14 days, as hourly least, mean and greatest for 400. A sample costs at most
5 bytes in a chunk. The file is SQLite's, mode 0600; losing the last second of it at a
power failure is accepted, since no action hangs on it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from labcoat.journal.address import Address
from labcoat.journal.trouble import translated
from labcoat.watch.record.journal import make_private
from labcoat.watch.record.packing import Times, Values, pack, unpack

HOUR_S = 3600
RAW_S = 14 * 86400
HOURLY_S = 400 * 86400
SCHEMA = """
CREATE TABLE IF NOT EXISTS series(
  id INTEGER PRIMARY KEY, target TEXT NOT NULL, runbook TEXT NOT NULL, "check" TEXT NOT NULL,
  label TEXT NOT NULL, uom TEXT NOT NULL, ranges TEXT NOT NULL,
  UNIQUE(target, runbook, "check", label));
CREATE TABLE IF NOT EXISTS recent(
  series INTEGER NOT NULL, at INTEGER NOT NULL, value REAL,
  PRIMARY KEY(series, at)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chunks(
  series INTEGER NOT NULL, hour INTEGER NOT NULL, chunk BLOB NOT NULL,
  PRIMARY KEY(series, hour)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hourly(
  series INTEGER NOT NULL, hour INTEGER NOT NULL, count INTEGER NOT NULL,
  least REAL NOT NULL, mean REAL NOT NULL, greatest REAL NOT NULL,
  PRIMARY KEY(series, hour)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Label:
    """What a series is of."""

    target: str
    runbook: str
    check: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One sample. ``value`` None: the check said ``U``. ``ranges``: ``warn;crit;min;max``."""

    of: Label
    at_s: float
    value: float | None
    uom: str = ""
    ranges: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """The newest sample of a series."""

    of: Label
    uom: str
    at_s: float
    value: float


class Series:
    """The samples, open. Use from one thread at a time. Raises: JournalError everywhere."""

    def __init__(self, path: Path) -> None:
        self._address = Address.of(path)
        make_private(path)
        self._ids: dict[Label, tuple[int, str, str]] = {}
        with translated(self._address):
            self._connection = sqlite3.connect(
                path, isolation_level=None, timeout=5.0, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.executescript(SCHEMA)
            for row in self._connection.execute("SELECT * FROM series"):
                self._ids[Label(*row[1:5])] = (row[0], row[5], row[6])

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def add(self, samples: Sequence[Observed]) -> None:
        """Keep samples; the later of two in one second counts."""
        with self._transaction() as connection:
            rows = [(self._id(connection, s), int(s.at_s), s.value) for s in samples]
            connection.executemany("INSERT OR REPLACE INTO recent VALUES(?, ?, ?)", rows)

    def seal(self, now_s: float) -> int:
        """Pack every hour that is over, and forget what is too old. How many were packed."""
        this_hour = int(now_s) // HOUR_S * HOUR_S
        packed = 0
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT series, at, value FROM recent WHERE at < ? ORDER BY series, at",
                (this_hour,),
            ).fetchall()
            for (series, hour), group in groupby(rows, lambda row: (row[0], row[1] // HOUR_S)):
                self._pack(connection, series, hour * HOUR_S, list(group))
                packed += 1
            connection.execute("DELETE FROM recent WHERE at < ?", (this_hour,))
            connection.execute("DELETE FROM chunks WHERE hour < ?", (this_hour - RAW_S,))
            connection.execute("DELETE FROM hourly WHERE hour < ?", (this_hour - HOURLY_S,))
        return packed

    def labels(self) -> tuple[Label, ...]:
        """What there are series of."""
        return tuple(sorted(self._ids, key=lambda of: (of.target, of.runbook, of.check, of.label)))

    def latest(self) -> list[Latest]:
        """The newest recent sample of each series that has one."""
        with translated(self._address):
            rows = self._connection.execute(
                "SELECT series, max(at), value FROM recent WHERE value IS NOT NULL GROUP BY series"
            ).fetchall()
        newest = {number: (at, value) for number, at, value in rows}
        return [
            Latest(of=of, uom=uom, at_s=newest[number][0], value=newest[number][1])
            for of, (number, uom, _) in self._ids.items()
            if number in newest
        ]

    def samples(self, of: Label, *, since_s: float = 0.0) -> tuple[Times, Values]:
        """Times (seconds) and values of a series, oldest first."""
        found = self._ids.get(of)
        if found is None:
            return np.empty(0, np.int64), np.empty(0)
        with translated(self._address):
            chunks = self._connection.execute(
                "SELECT chunk FROM chunks WHERE series = ? AND hour > ? ORDER BY hour",
                (found[0], int(since_s) - HOUR_S),
            ).fetchall()
            recent = self._connection.execute(
                "SELECT at, value FROM recent WHERE series = ? ORDER BY at", (found[0],)
            ).fetchall()
        parts = [unpack(chunk) for (chunk,) in chunks]
        parts.append(
            (
                np.array([at for at, _ in recent], np.int64),
                np.array([np.nan if value is None else value for _, value in recent]),
            )
        )
        times = np.concatenate([part[0] for part in parts])
        values = np.concatenate([part[1] for part in parts])
        wanted = times >= since_s
        return times[wanted], values[wanted]

    def _pack(
        self,
        connection: sqlite3.Connection,
        series: int,
        hour: int,
        rows: list[tuple[int, int, float | None]],
    ) -> None:
        older = connection.execute(
            "SELECT chunk FROM chunks WHERE series = ? AND hour = ?", (series, hour)
        ).fetchone()
        merged: dict[int, float] = {}
        if older is not None:  # samples that came late, after a clock was set back
            merged = dict(zip(*(column.tolist() for column in unpack(older[0])), strict=True))
        merged |= {at: np.nan if value is None else value for _, at, value in rows}
        times = np.array(sorted(merged), np.int64)
        values = np.array([merged[at] for at in sorted(merged)])
        connection.execute(
            "INSERT OR REPLACE INTO chunks VALUES(?, ?, ?)", (series, hour, pack(times, values))
        )
        shown = values[np.isfinite(values)]
        if shown.size:
            row = (series, hour, shown.size, shown.min(), shown.mean(), shown.max())
            connection.execute(
                "INSERT OR REPLACE INTO hourly VALUES(?, ?, ?, ?, ?, ?)",
                (*row[:3], *(float(number) for number in row[3:])),
            )

    def _id(self, connection: sqlite3.Connection, sample: Observed) -> int:
        found = self._ids.get(sample.of)
        if found is not None and found[1:] == (sample.uom, sample.ranges):
            return found[0]
        of = sample.of
        connection.execute(
            'INSERT INTO series(target, runbook, "check", label, uom, ranges)'
            " VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " uom = excluded.uom, ranges = excluded.ranges",
            (of.target, of.runbook, of.check, of.label, sample.uom, sample.ranges),
        )
        (number,) = connection.execute(
            'SELECT id FROM series WHERE target = ? AND runbook = ? AND "check" = ? AND label = ?',
            (of.target, of.runbook, of.check, of.label),
        ).fetchone()
        self._ids[of] = (number, sample.uom, sample.ranges)
        return int(number)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with translated(self._address):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                # What was remembered of new series may be of this transaction alone.
                self._ids = {}
                self._connection.execute("ROLLBACK")
                for row in self._connection.execute("SELECT * FROM series"):
                    self._ids[Label(*row[1:5])] = (row[0], row[5], row[6])
                raise
            self._connection.execute("COMMIT")
