"""Schemas: forward only, each step in one transaction, newer ones refused, nothing changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import Connection, text

from labcoat.errors import JournalError
from labcoat.journal import Journal, schema
from labcoat.journal.address import Address
from labcoat.journal.database import Engines, engines
from labcoat.journal.migrations import Step, current, migrate, require
from labcoat.testing.journal import (
    a_measurement,
    a_study,
    a_trial,
    a_usage,
    assert_same_measurement,
    begun,
)

NOW = schema.VERSION
PAST = list(range(1, NOW + 1))
NEXT = Step(
    to=NOW + 1,
    why="studies get a colour",
    change=lambda connection: _execute(connection, "ALTER TABLE studies ADD COLUMN colour TEXT"),
)
AFTER = Step(
    to=NOW + 2,
    why="colours get a table",
    change=lambda connection: _execute(connection, "CREATE TABLE colours (name TEXT NOT NULL)"),
)


def _execute(connection: Connection, statement: str) -> None:
    connection.execute(text(statement))


@pytest.fixture
def bound(where: Path | str) -> Iterator[Engines]:
    pair = engines(Address.of(where), read_only=False, patience_s=5)
    yield pair
    pair.reading.dispose()


def versions(bound: Engines) -> list[int]:
    with bound.reading.connect() as connection:
        rows = connection.execute(sqlalchemy.select(schema.schema_versions.c.version))
        return sorted(rows.scalars())


def test_an_older_journal_is_brought_forward_and_keeps_what_it_has(
    where: Path | str, bound: Engines
) -> None:
    with Journal.open(where) as journal:
        study = journal.begin_study(a_study())
    migrate(bound.writing, Address.of(where), steps=(NEXT, AFTER), version=NOW + 2)
    assert versions(bound) == [NOW, NOW + 1, NOW + 2]
    with bound.reading.connect() as connection:
        found = connection.execute(text("SELECT id, colour FROM studies")).all()
        assert connection.execute(text("SELECT name FROM colours")).all() == []
    assert [tuple(row) for row in found] == [(study.id, None)]
    migrate(bound.writing, Address.of(where), steps=(NEXT, AFTER), version=NOW + 2)
    assert versions(bound) == [NOW, NOW + 1, NOW + 2]


def test_a_step_that_fails_leaves_no_trace_and_the_steps_before_it(
    where: Path | str, bound: Engines
) -> None:
    def half_way(connection: Connection) -> None:
        _execute(connection, "CREATE TABLE half (name TEXT)")
        raise KeyboardInterrupt

    Journal.open(where).close()
    failing = Step(to=NOW + 2, why="interrupted", change=half_way)
    with pytest.raises(KeyboardInterrupt):
        migrate(bound.writing, Address.of(where), steps=(NEXT, failing), version=NOW + 2)
    assert versions(bound) == [NOW, NOW + 1]
    with bound.reading.connect() as connection:
        assert not sqlalchemy.inspect(connection).has_table("half")
    migrate(bound.writing, Address.of(where), steps=(NEXT, AFTER), version=NOW + 2)
    assert versions(bound) == [NOW, NOW + 1, NOW + 2]


def test_a_journal_of_schema_1_is_brought_forward_and_its_trials_stay_readable(
    where: Path | str, bound: Engines
) -> None:
    with bound.writing.begin() as connection:
        schema.metadata.create_all(connection)
        _execute(connection, "ALTER TABLE measurements DROP COLUMN generator_stalled_ratio")
        connection.execute(
            sqlalchemy.insert(schema.schema_versions).values(
                version=1, at=datetime(2026, 11, 24, tzinfo=UTC), labcoat="0.0.1"
            )
        )
    with Journal.open(where) as journal:
        _, experiment = begun(journal)
        measured = a_measurement()
        record = journal.record_trial(a_trial(experiment.id), measured, a_usage())
        assert_same_measurement(journal.measurement(record.id), measured)
    assert versions(bound) == PAST


@pytest.mark.parametrize("read_only", [False, True])
def test_a_newer_journal_is_refused(where: Path | str, bound: Engines, read_only: bool) -> None:
    Journal.open(where).close()
    migrate(bound.writing, Address.of(where), steps=(NEXT,), version=NOW + 1)
    with pytest.raises(JournalError, match="newer labcoat") as caught:
        Journal.open(where, read_only=read_only)
    assert caught.value.way_out is not None
    assert "upgrade" in caught.value.way_out


def test_a_reader_refuses_an_older_journal(where: Path | str, bound: Engines) -> None:
    Journal.open(where).close()
    with (
        bound.reading.connect() as connection,
        pytest.raises(JournalError, match=f"schema {NOW}, older than the {NOW + 1}"),
    ):
        require(connection, Address.of(where), version=NOW + 1)


@pytest.mark.parametrize("read_only", [False, True])
def test_the_database_of_another_program_is_left_alone(
    where: Path | str,
    bound: Engines,
    read_only: bool,
) -> None:
    with bound.writing.begin() as connection:
        _execute(connection, "CREATE TABLE users (name TEXT)")
    with pytest.raises(JournalError, match="no journal of labcoat"):
        Journal.open(where, read_only=read_only)
    with bound.reading.connect() as connection:
        assert sqlalchemy.inspect(connection).get_table_names() == ["users"]
        assert current(connection) is None


def test_the_database_itself_refuses_to_change_what_was_recorded(
    where: Path | str, bound: Engines
) -> None:
    with Journal.open(where) as journal:
        study = journal.begin_study(a_study())
        for table in schema.metadata.sorted_tables:
            for statement in (
                f"DELETE FROM {table.name}",
                f"UPDATE {table.name} SET {table.columns.keys()[0]} = NULL",
            ):
                refused = _refused(bound, statement)
                # SQLite's triggers speak for each row, so an empty table says nothing.
                assert refused or not _holds(bound, table.name), statement
        assert journal.studies() == (study,)


def _holds(bound: Engines, table: str) -> bool:
    with bound.reading.connect() as connection:
        return connection.execute(text(f"SELECT 1 FROM {table} LIMIT 1")).first() is not None


def _refused(bound: Engines, statement: str) -> bool:
    try:
        with bound.writing.begin() as connection:
            connection.execute(text(statement))
    except sqlalchemy.exc.DBAPIError as error:
        return "append-only" in str(error)
    return False
