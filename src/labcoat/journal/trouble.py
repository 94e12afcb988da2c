"""The boundary: what a database says, translated into a JournalError, always chained."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from labcoat.errors import JournalError
from labcoat.journal.address import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One kind of trouble: which codes mean it, what it is, and the way out.

    ``codes``: names of SQLite's result codes, or SQLSTATEs of Postgres; a code also
    stands for all that begin with it. The first row that fits is taken.
    """

    codes: tuple[str, ...]
    what: str
    way_out: str


TROUBLES: tuple[Trouble, ...] = (
    Trouble(
        codes=("SQLITE_FULL", "53100"),
        what="no room left for the journal",
        way_out="free some space; everything recorded before is safe",
    ),
    Trouble(
        codes=("SQLITE_READONLY", "25006"),
        what="the journal can be read but not written",
        way_out="make the file and its folder writable, or open it for reading only",
    ),
    Trouble(
        codes=("SQLITE_NOTADB",),
        what="this file is not a journal",
        way_out="name another file, or move this one away to begin a new journal",
    ),
    Trouble(
        codes=("SQLITE_CORRUPT",),
        what="the journal is damaged",
        way_out="restore it from a copy, or save what can be read: sqlite3 FILE .recover",
    ),
    Trouble(
        codes=("SQLITE_BUSY", "SQLITE_LOCKED", "55P03", "40001", "40P01"),
        what="the journal is locked by another writer",
        way_out="wait until the other program has ended, then try again",
    ),
    Trouble(
        codes=("SQLITE_CANTOPEN",),
        what="the journal cannot be opened",
        way_out="check that the folder exists and that you may write there",
    ),
    Trouble(
        codes=("SQLITE_IOERR",),
        what="the disk failed under the journal",
        way_out="check space, quota and health of the disk; what was recorded before is safe",
    ),
    Trouble(
        codes=("SQLITE_CONSTRAINT", "23"),
        what="the journal refuses this record: it is there already, or what it belongs to is not",
        way_out="this is a defect of labcoat; please report it with this message",
    ),
    Trouble(
        codes=("28",),
        what="the database refuses this user",
        way_out="check the user and the password in the journal's URL",
    ),
    Trouble(
        codes=("3D000",),
        what="there is no such database",
        way_out="create it (createdb), or check the name in the journal's URL",
    ),
    Trouble(
        codes=("42501",),
        what="the database user may not do this",
        way_out="grant the user CREATE on the schema, and SELECT and INSERT on its tables",
    ),
    Trouble(
        codes=("08", "57P", "53300"),
        what="the database server went away, or takes no more connections",
        way_out="check the server, then start again; everything recorded before is safe",
    ),
)
UNREACHABLE = Trouble(
    codes=(),
    what="the database server does not answer",
    way_out="check host and port in the journal's URL, and that the server is up",
)
UNKNOWN = Trouble(
    codes=(),
    what="the journal's database refused",
    way_out="read the message below; if it makes no sense, please report it",
)


@contextmanager
def translated(address: Address) -> Iterator[None]:
    """A stretch of code out of which no foreign error of a database comes.

    Raises: JournalError for each of them, the password masked.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        trouble = diagnose(error)
        cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
        raise JournalError(
            trouble.what,
            where=str(address),
            way_out=trouble.way_out,
            log=address.mask(str(cause)).strip().splitlines()[:5],
        ) from error
    except (OverflowError, UnicodeError) as error:
        raise JournalError(
            f"a value does not fit into the journal: {error}",
            where=str(address),
            way_out="numbers must be below 2^63, and text must be valid Unicode",
        ) from error


def diagnose(error: Exception) -> Trouble:
    """Which trouble a foreign error tells of."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None)
    if code is not None:
        for trouble in TROUBLES:
            if code.startswith(trouble.codes):
                return trouble
        return UNKNOWN
    # libpq gives no SQLSTATE for a connection that was never made; its words are in
    # the language of the server, except for the few that the client itself writes.
    text = str(cause)
    if "password authentication failed" in text or "no password supplied" in text:
        return next(trouble for trouble in TROUBLES if "28" in trouble.codes)
    if "does not exist" in text and "database" in text:
        return next(trouble for trouble in TROUBLES if "3D000" in trouble.codes)
    return UNREACHABLE if _lost(cause) else UNKNOWN


def _lost(cause: object) -> bool:
    """Whether a psycopg error is about the connection itself."""
    return type(cause).__module__.startswith("psycopg") and type(cause).__name__ in {
        "OperationalError",
        "ConnectionTimeout",
        "InterfaceError",
    }
