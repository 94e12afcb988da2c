"""What a database says, translated: the first row that fits, the cause kept."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest
from psycopg import errors
from sqlalchemy.exc import ArgumentError, OperationalError

from labcoat.errors import JournalError
from labcoat.journal.address import Address
from labcoat.journal.trouble import TROUBLES, diagnose, translated

HERE = Address.of("postgresql://u:hunter2@db/team")


def sqlite_error(name: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("it said so")
    error.sqlite_errorname = name
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (sqlite_error("SQLITE_FULL"), "no room left"),
        (sqlite_error("SQLITE_READONLY_DIRECTORY"), "not written"),
        (sqlite_error("SQLITE_NOTADB"), "not a journal"),
        (sqlite_error("SQLITE_CORRUPT_INDEX"), "damaged"),
        (sqlite_error("SQLITE_BUSY_SNAPSHOT"), "locked"),
        (sqlite_error("SQLITE_CANTOPEN"), "cannot be opened"),
        (sqlite_error("SQLITE_IOERR_FSYNC"), "disk failed"),
        (sqlite_error("SQLITE_CONSTRAINT_UNIQUE"), "refuses this record"),
        (sqlite_error("SQLITE_MISUSE"), "database refused"),
        (errors.DiskFull(), "no room left"),
        (errors.ReadOnlySqlTransaction(), "not written"),
        (errors.LockNotAvailable(), "locked"),
        (errors.UniqueViolation(), "refuses this record"),
        (errors.InvalidPassword(), "refuses this user"),
        (errors.InvalidCatalogName(), "no such database"),
        (errors.InsufficientPrivilege(), "may not do this"),
        (errors.AdminShutdown(), "went away"),
        (errors.TooManyConnections(), "went away"),
        (errors.UndefinedColumn(), "database refused"),
        (psycopg.OperationalError("connection refused"), "does not answer"),
        (
            psycopg.OperationalError('FATAL: password authentication failed for user "u"'),
            "this user",
        ),
        (psycopg.OperationalError('FATAL: database "x" does not exist'), "no such database"),
        (psycopg.ProgrammingError("nobody knows"), "database refused"),
        (sqlite3.ProgrammingError("nobody knows"), "database refused"),
    ],
)
def test_each_trouble_is_told_bare_and_wrapped(error: Exception, words: str) -> None:
    assert words in diagnose(error).what
    assert words in diagnose(OperationalError("SELECT 1", None, error)).what


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("SELECT 1", None, sqlite_error("SQLITE_FULL")),
        ArgumentError("of hunter2"),
        sqlite3.OperationalError("hunter2 again"),
        OverflowError("Python int too large"),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"),
    ],
)
def test_a_foreign_error_is_chained_and_the_password_masked(error: Exception) -> None:
    with pytest.raises(JournalError) as caught, translated(HERE):
        raise error
    assert caught.value.__cause__ is error
    assert caught.value.where == "postgresql://u:***@db/team"
    assert caught.value.way_out
    assert "hunter2" not in str(caught.value)


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), translated(HERE):
        raise KeyError("a defect is not a trouble of the database")


def test_every_row_has_a_way_out_and_codes_of_its_own() -> None:
    assert all(trouble.way_out and trouble.codes for trouble in TROUBLES)
    codes = [code for trouble in TROUBLES for code in trouble.codes]
    assert len(set(codes)) == len(codes)
