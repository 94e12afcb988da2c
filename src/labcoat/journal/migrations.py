"""From any earlier schema to this one, forward only, one transaction for each step.

A new journal gets the tables of ``schema`` as they are. An older one is taken through
the steps; each step and its row in ``schema_versions`` are committed together, so
that a crash between two leaves a journal of a version that is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, Table, func, insert, inspect, select, text

from labcoat import __version__
from labcoat.errors import JournalError
from labcoat.journal import schema
from labcoat.journal.address import Address

LOCK = 0x1ABC0A7  # Postgres' advisory lock of those who change the schema
_REFUSAL = """
CREATE OR REPLACE FUNCTION labcoat_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the journal is append-only'; END $$
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step forward: ``change`` takes a schema of version ``to`` - 1 to ``to``."""

    to: int
    why: str
    change: Callable[[Connection], None]


def _add_stalled_ratio(connection: Connection) -> None:
    connection.execute(
        text("ALTER TABLE measurements ADD COLUMN generator_stalled_ratio DOUBLE PRECISION")
    )


STEPS: tuple[Step, ...] = (
    Step(to=2, why="how long the generator was kept from its work", change=_add_stalled_ratio),
)


def migrate(
    engine: Engine,
    address: Address,
    *,
    steps: Sequence[Step] = STEPS,
    version: int = schema.VERSION,
) -> None:
    """Bring the journal behind a writing engine to ``version``, whatever it was.

    Raises: JournalError if it is newer, or is some other program's database.
    """
    while (found := _advance(engine, address, steps, version)) != version:
        if found > version:
            raise _newer(address, found, version)


def require(connection: Connection, address: Address, *, version: int = schema.VERSION) -> None:
    """Refuse a journal that a reader cannot understand. Raises: JournalError."""
    found = current(connection)
    if found is None:
        raise _stranger(address)
    if found > version:
        raise _newer(address, found, version)
    if found < version:
        raise JournalError(
            f"this journal has schema {found}, older than the {version} that is read here",
            where=str(address),
            way_out="open it once for writing (labcoat baseline does); it is then brought forward",
        )


def current(connection: Connection) -> int | None:
    """The schema's version, or None where there is no journal."""
    if not inspect(connection).has_table(schema.schema_versions.name):
        return None
    version: int | None = connection.scalar(select(func.max(schema.schema_versions.c.version)))
    return version


def forbid_changes(connection: Connection, tables: Iterable[Table]) -> None:
    """Let the database itself refuse to change or delete what was recorded."""
    postgres = connection.dialect.name == "postgresql"
    if postgres:
        connection.execute(text(_REFUSAL))
    for table in tables:
        for verb in ("UPDATE", "DELETE", "TRUNCATE") if postgres else ("UPDATE", "DELETE"):
            body = (
                "FOR EACH STATEMENT EXECUTE FUNCTION labcoat_append_only()"
                if postgres
                else "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
            )
            name = f"{table.name}_no_{verb.lower()}"
            connection.execute(text(f"CREATE TRIGGER {name} BEFORE {verb} ON {table.name} {body}"))


def _advance(engine: Engine, address: Address, steps: Sequence[Step], version: int) -> int:
    """One transaction: create, or take one step, or find nothing to do."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(LOCK)))
        found = current(connection)
        if found is None:
            if inspect(connection).get_table_names():
                raise _stranger(address)
            schema.metadata.create_all(connection)
            forbid_changes(connection, schema.metadata.sorted_tables)
            _record(connection, version)
            return version
        if found >= version:
            return found
        step = next(step for step in steps if step.to == found + 1)
        step.change(connection)
        _record(connection, step.to)
        return step.to


def _record(connection: Connection, version: int) -> None:
    connection.execute(
        insert(schema.schema_versions).values(
            version=version, at=datetime.now(UTC), labcoat=__version__
        )
    )


def _newer(address: Address, found: int, version: int) -> JournalError:
    return JournalError(
        f"this journal was written by a newer labcoat (schema {found}, this one knows {version})",
        where=str(address),
        way_out="upgrade labcoat, or name another journal",
    )


def _stranger(address: Address) -> JournalError:
    return JournalError(
        "this database is no journal of labcoat",
        where=str(address),
        way_out="name another file or database; labcoat does not write into this one",
    )
