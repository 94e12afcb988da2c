"""Engines: SQLite in WAL mode, or Postgres through psycopg, set up so that nothing is lost.

A transaction of a writing engine takes the write lock when it begins, so that two
writers wait for one another instead of failing half-way.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.pool import ConnectionPoolEntry

from labcoat.errors import JournalError
from labcoat.journal.address import Address
from labcoat.journal.trouble import translated

WRITES = "labcoat_writes"  # execution option of engines that take the write lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Engines:
    """One pool of connections, and two ways to begin a transaction on it."""

    reading: Engine
    writing: Engine


def engines(address: Address, *, read_only: bool, patience_s: float) -> Engines:
    """The engines for an address; nothing is connected yet.

    ``patience_s``: how long to wait for another writer, or for a server to answer.
    Raises: JournalError if there is nothing to read, or no folder can be made.
    """
    if address.path is not None:
        reading = _sqlite(address, address.path, read_only=read_only, patience_s=patience_s)
    else:
        with translated(address):
            reading = create_engine(
                address.url,
                hide_parameters=True,
                pool_pre_ping=True,
                connect_args={"connect_timeout": max(2, round(patience_s))},
            )
        event.listen(reading, "connect", _bounded(patience_s))
    return Engines(reading=reading, writing=reading.execution_options(**{WRITES: True}))


def _sqlite(address: Address, path: Path, *, read_only: bool, patience_s: float) -> Engine:
    if read_only:
        uri = _uri_for_reading(address, path)
    else:
        _make_folder(address, path)
        uri = f"{path.absolute().as_uri()}?mode=rwc"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(
            uri, uri=True, timeout=patience_s, isolation_level=None, check_same_thread=False
        )

    def prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys=ON")
        if not read_only:
            use_wal(address, cursor)
            # FULL: a commit survives the machine's own death, not only labcoat's.
            cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool, hide_parameters=True)
    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _bounded(patience_s: float) -> Callable[[DBAPIConnection, ConnectionPoolEntry], None]:
    """What bounds the wait for another writer on each new connection to Postgres."""

    def bound(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute(f"SET lock_timeout = {round(patience_s * 1000)}")
        cursor.close()
        connection.commit()

    return bound


def _begin(connection: Connection) -> None:
    """Begin for real: the driver's own way neither locks early nor covers DDL."""
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def use_wal(address: Address, cursor: DBAPICursor) -> None:
    """Readers and one writer at once. Raises: JournalError where the disk cannot."""
    cursor.execute("PRAGMA journal_mode=WAL")
    row = cursor.fetchone()
    if row is None or row[0] != "wal":
        raise JournalError(
            f"the journal cannot use a write-ahead log here (SQLite answers {row!r})",
            where=str(address),
            way_out="keep the journal on a local disk, or use postgresql://",
        )


def _make_folder(address: Address, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise JournalError(
            f"the journal's folder cannot be made: {error.strerror}",
            where=str(address),
            way_out="name a journal in a folder where you may write",
        ) from error


def _uri_for_reading(address: Address, path: Path) -> str:
    if not path.exists():
        raise JournalError(
            "there is no journal here yet",
            where=str(address),
            way_out="measure something first (labcoat baseline), or name another journal",
        )
    uri = path.absolute().as_uri()
    # A reader of a write-ahead log makes a small file beside it. Where it may not, and
    # where no log is left, the file is all there is and nobody is writing to it.
    sealed = not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists()
    return f"{uri}?immutable=1" if sealed else f"{uri}?mode=ro"
