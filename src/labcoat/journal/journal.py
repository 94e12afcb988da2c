"""The journal: append what happened, read it back; there is no third verb."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
from sqlalchemy import Connection, Row, Select, Table, insert, select

from labcoat import __version__
from labcoat.errors import JournalError
from labcoat.journal import documents, migrations, queries, rows, schema
from labcoat.journal.address import Address
from labcoat.journal.database import Engines, engines
from labcoat.journal.ids import Ids
from labcoat.journal.trouble import translated
from labcoat.model.experiment import Order, Trial, Usage
from labcoat.model.host import Facts
from labcoat.model.journal import (
    BlockRecord,
    EventRecord,
    ExperimentRecord,
    FindingRecord,
    StateRecord,
    StudyRecord,
    TrialRecord,
    VerdictRecord,
)
from labcoat.model.load import Measurement
from labcoat.model.stats import Decision, Effect
from labcoat.model.study import Study
from labcoat.model.variant import Variant


class Journal:
    """Everything that happened, committed before anything reads it.

    A context manager. Each ``record_`` and ``begin_`` method is one transaction: when it
    returns, the record survives kill -9 and a power cut; when it raises, nothing of it
    is there. Any method raises JournalError, and nothing else, when the database fails.
    """

    def __init__(self, address: Address, bound: Engines, *, read_only: bool) -> None:
        self._address = address
        self._engines = bound
        self._read_only = read_only
        self._ids = Ids()

    @classmethod
    def open(
        cls, where: Path | str, *, read_only: bool = False, patience_s: float = 10.0
    ) -> Journal:
        """The journal in a file, or behind a ``postgresql://`` URL; made if missing.

        An older schema is brought forward, unless ``read_only``. ``patience_s``: how
        long to wait for another writer.
        Raises: JournalError if it cannot be opened, is newer, or is something else.
        """
        address = Address.of(where)
        bound = engines(address, read_only=read_only, patience_s=patience_s)
        try:
            with translated(address):
                if read_only:
                    with bound.reading.connect() as connection:
                        migrations.require(connection, address)
                else:
                    migrations.migrate(bound.writing, address)
        except BaseException:
            bound.reading.dispose()
            raise
        return cls(address, bound, read_only=read_only)

    def close(self) -> None:
        """Let go of the database; SQLite folds its write-ahead log into the file."""
        self._engines.reading.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Journal {self._address}>"

    # Appending

    def begin_study(self, study: Study, *, resume: bool = False) -> StudyRecord:
        """Begin a study; with ``resume``, go on with the latest of the same content."""
        document = documents.dumped(documents.study_document(study), where=f"study {study.name}")
        fingerprint = documents.fingerprint(document)
        with self._writing() as connection:
            query = queries.latest_study().where(schema.studies.c.fingerprint == fingerprint)
            row = connection.execute(query).first() if resume else None
            if row is None:
                id_ = self._append(
                    connection,
                    schema.studies,
                    name=study.name,
                    fingerprint=fingerprint,
                    labcoat=__version__,
                    document=document,
                )
                row = connection.execute(queries.one(queries.STUDIES, schema.studies, id_)).one()
        return rows.study_record(row)

    def record_facts(self, study_id: str, facts: Facts) -> None:
        """What the machine is, as seen by this study."""
        with self._writing() as connection:
            self._append(connection, schema.facts, study_id=study_id, **rows.facts_values(facts))

    def record_variant(self, variant: Variant) -> str:
        """Keep a variant under its name; the name. The same variant is kept once."""
        with self._writing() as connection:
            return self._keep(connection, variant)

    def begin_experiment(
        self,
        study_id: str,
        kind: str,
        question: Mapping[str, Any],
        baseline: Variant,
        treatment: Variant,
        seed: int,
    ) -> ExperimentRecord:
        """Begin an experiment; both variants are kept with it."""
        document = documents.dumped(question, where=f"question of experiment {kind!r}")
        with self._writing() as connection:
            id_ = self._append(
                connection,
                schema.experiments,
                study_id=study_id,
                kind=kind,
                question=document,
                baseline=self._keep(connection, baseline),
                treatment=self._keep(connection, treatment),
                seed=seed,
            )
            query = queries.one(queries.EXPERIMENTS, schema.experiments, id_)
            return rows.experiment_record(connection.execute(query).one())

    def record_block(
        self,
        experiment_id: str,
        index: int,
        order: Order,
        *,
        attempt: int = 0,
        epoch: int = 0,
        seed: int = 0,
    ) -> BlockRecord:
        """A block as it was drawn, before its first trial; once for each attempt."""
        with self._writing() as connection:
            id_ = self._append(
                connection,
                schema.blocks,
                experiment_id=experiment_id,
                block_index=index,
                attempt=attempt,
                epoch=epoch,
                block_order=order.value,
                seed=seed,
            )
            query = queries.one(queries.BLOCKS, schema.blocks, id_)
            return rows.block_record(connection.execute(query).one())

    def record_void(self, block_id: str, reason: str) -> None:
        """A block that does not count, once, and why; its trials stay readable."""
        with self._writing() as connection:
            void = {"block_id": block_id, "at": _now(), "reason": reason}
            self._insert(connection, schema.voids, [void])

    def record_trial(self, trial: Trial, measurement: Measurement, usage: Usage) -> TrialRecord:
        """A finished trial with all that was measured: one transaction, before any reader."""
        values = rows.measurement_values(measurement)
        with self._writing() as connection:
            id_ = self._append(
                connection,
                schema.trials,
                experiment_id=trial.experiment,
                block_id=trial.block,
                arm=trial.arm.value,
                slot=trial.slot,
                position=trial.position,
                variant=self._keep(connection, trial.variant),
            )
            self._insert(connection, schema.measurements, [{"trial_id": id_, **values}])
            for table, readings in (
                (schema.host_readings, rows.host_values(usage)),
                (schema.layer_readings, rows.layer_values(usage)),
            ):
                if readings:
                    of_trial = [{"trial_id": id_, **reading} for reading in readings]
                    self._insert(connection, table, of_trial)
            query = queries.one(queries.TRIALS, schema.trials, id_)
            return rows.trial_record(connection.execute(query).one())

    def record_verdict(
        self, experiment_id: str, metric: str, decision: Decision, effect: Effect | None
    ) -> VerdictRecord:
        """What was decided of one metric, and the effect seen; a later one supersedes it."""
        if decision.verdict is None:
            raise JournalError(
                "a decision without a verdict is not recorded",
                where=f"experiment {experiment_id}, {metric}",
                way_out="measure another block first",
            )
        values = rows.verdict_values(decision, decision.verdict, effect)
        with self._writing() as connection:
            id_ = self._append(
                connection, schema.verdicts, experiment_id=experiment_id, metric=metric, **values
            )
            query = queries.one(queries.VERDICTS, schema.verdicts, id_)
            return rows.verdict_record(connection.execute(query).one())

    def record_finding(
        self, study_id: str, name: str, document: Mapping[str, Any]
    ) -> FindingRecord:
        """A named result of a study; a later one of the same name supersedes it."""
        text = documents.dumped(document, where=f"finding {name!r}")
        with self._writing() as connection:
            id_ = self._append(
                connection, schema.findings, study_id=study_id, name=name, document=text
            )
            query = queries.one(queries.FINDINGS, schema.findings, id_)
            return rows.finding_record(connection.execute(query).one())

    def record_event(self, study_id: str, kind: str, document: Mapping[str, Any]) -> EventRecord:
        """Something that happened, for a later reader."""
        text = documents.dumped(document, where=f"event {kind!r}")
        with self._writing() as connection:
            id_ = self._append(
                connection, schema.events, study_id=study_id, kind=kind, document=text
            )
            query = queries.one(queries.EVENTS, schema.events, id_)
            return rows.event_record(connection.execute(query).one())

    def record_state(
        self, study_id: str, variant: Variant, document: Mapping[str, Any]
    ) -> StateRecord:
        """A state of the user's files, before it is applied: paths and digests, no content."""
        text = documents.dumped(document, where=f"state {variant.name}")
        with self._writing() as connection:
            id_ = self._append(
                connection,
                schema.states,
                study_id=study_id,
                variant=self._keep(connection, variant),
                document=text,
            )
            query = queries.one(queries.STATES, schema.states, id_)
            return rows.state_record(connection.execute(query).one())

    # Reading

    def studies(self) -> tuple[StudyRecord, ...]:
        """Every study, in the order they began."""
        return tuple(
            map(rows.study_record, self._all(queries.STUDIES.order_by(schema.studies.c.id)))
        )

    def latest_study(self) -> StudyRecord | None:
        """The study that began last, None in an empty journal."""
        found = self._all(queries.latest_study())
        return rows.study_record(found[0]) if found else None

    def study(self, study_id: str) -> StudyRecord:
        """One study. Raises: JournalError if there is none of this id."""
        return rows.study_record(self._one(queries.STUDIES, schema.studies, study_id, "study"))

    def facts(self, study_id: str) -> tuple[Facts, ...]:
        """The facts recorded for a study, oldest first."""
        return tuple(map(rows.facts_of, self._of(queries.FACTS, schema.facts.c.study_id, study_id)))

    def experiments(self, study_id: str) -> tuple[ExperimentRecord, ...]:
        """A study's experiments, oldest first."""
        found = self._of(queries.EXPERIMENTS, schema.experiments.c.study_id, study_id)
        return tuple(map(rows.experiment_record, found))

    def blocks(self, experiment_id: str) -> tuple[BlockRecord, ...]:
        """An experiment's blocks, void ones too, oldest first."""
        found = self._of(queries.BLOCKS, schema.blocks.c.experiment_id, experiment_id)
        return tuple(map(rows.block_record, found))

    def trials(self, experiment_id: str) -> tuple[TrialRecord, ...]:
        """An experiment's finished trials, those of void blocks too, oldest first."""
        found = self._of(queries.TRIALS, schema.trials.c.experiment_id, experiment_id)
        return tuple(map(rows.trial_record, found))

    def measurement(self, trial_id: str) -> Measurement:
        """What was measured in a trial, every record of it."""
        query = select(schema.measurements)
        found = self._all(query.where(schema.measurements.c.trial_id == trial_id))
        if not found:
            raise self._missing("trial", trial_id)
        return rows.measurement_of(found[0])

    def usage(self, trial_id: str) -> Usage:
        """What host and layers used during a trial."""
        host, layer = schema.host_readings, schema.layer_readings
        hosts = self._all(select(host).where(host.c.trial_id == trial_id))
        if not hosts:
            raise self._missing("trial", trial_id)
        layers = self._all(
            select(layer).where(layer.c.trial_id == trial_id).order_by(layer.c.depth)
        )
        return rows.usage_of(hosts, layers)

    def verdicts(self, experiment_id: str) -> tuple[VerdictRecord, ...]:
        """An experiment's verdicts, oldest first; of one metric the last holds."""
        found = self._of(queries.VERDICTS, schema.verdicts.c.experiment_id, experiment_id)
        return tuple(map(rows.verdict_record, found))

    def findings(self, study_id: str) -> tuple[FindingRecord, ...]:
        """A study's findings, oldest first; of one name the last holds."""
        found = self._of(queries.FINDINGS, schema.findings.c.study_id, study_id)
        return tuple(map(rows.finding_record, found))

    def finding(self, study_id: str, name: str) -> FindingRecord | None:
        """The last finding of this name, None if there is none."""
        found = self._all(queries.last_finding(study_id, name))
        return rows.finding_record(found[0]) if found else None

    def events(
        self, study_id: str, *, after: str | None = None, limit: int = 1000
    ) -> tuple[EventRecord, ...]:
        """A study's events, oldest first; ``after`` an event's id, at most ``limit``."""
        return tuple(map(rows.event_record, self._all(queries.events(study_id, after, limit))))

    def states(self, study_id: str) -> tuple[StateRecord, ...]:
        """The states applied in a study, oldest first."""
        found = self._of(queries.STATES, schema.states.c.study_id, study_id)
        return tuple(map(rows.state_record, found))

    # The database

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        if self._read_only:
            raise JournalError(
                "this journal was opened for reading only",
                where=str(self._address),
                way_out="open it for writing",
            )
        with translated(self._address), self._engines.writing.begin() as connection:
            yield connection

    def _append(self, connection: Connection, table: Table, **values: object) -> str:
        """One row with a new id and the time; the id."""
        id_ = self._ids.new()
        self._insert(connection, table, [{"id": id_, "at": _now(), **values}])
        return id_

    def _insert(
        self, connection: Connection, table: Table, values: Sequence[Mapping[str, object]]
    ) -> None:
        """Rows as they are. A not-a-number is refused: SQLite would keep a NULL for it."""
        plain = [{name: _plain(value) for name, value in row.items()} for row in values]
        unknown = [name for row in plain for name, value in row.items() if value != value]  # noqa: PLR0124 - only NaN differs from itself
        if unknown:
            raise JournalError(
                f"not a number: {', '.join(unknown)}",
                where=f"{self._address}, table {table.name}",
                way_out="this is a defect of what measured it; please report it",
            )
        connection.execute(insert(table), plain)

    def _keep(self, connection: Connection, variant: Variant) -> str:
        """The variant's name, once its assignment is there."""
        assignment = rows.assignment(variant)
        query = queries.keep_variant(connection, variant.name, _now(), assignment)
        connection.execute(query)
        return variant.name

    def _all(self, query: Select[Any]) -> tuple[Row[Any], ...]:
        with translated(self._address), self._engines.reading.connect() as connection:
            return tuple(connection.execute(query).all())

    def _of(self, query: Select[Any], parent: Any, parent_id: str) -> tuple[Row[Any], ...]:
        """The rows that belong to a parent, oldest first."""
        return self._all(query.where(parent == parent_id).order_by(parent.table.c.id))

    def _one(self, query: Select[Any], table: Table, id_: str, what: str) -> Row[Any]:
        found = self._all(queries.one(query, table, id_))
        if not found:
            raise self._missing(what, id_)
        return found[0]

    def _missing(self, what: str, id_: str) -> JournalError:
        return JournalError(
            f"there is no {what} {id_!r} in this journal",
            where=str(self._address),
            way_out="list what there is with labcoat report, or name another journal",
        )


def _now() -> datetime:
    return datetime.now(UTC)


def _plain(value: object) -> object:
    """The value in Python's own types; drivers do not know numpy's numbers."""
    return value.item() if isinstance(value, np.generic) else value
