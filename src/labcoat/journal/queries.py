"""Queries: which columns each record is made of, and in which order rows come."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Insert, Select, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from labcoat.journal import schema

_baseline = schema.variants.alias("baseline_variant")
_treatment = schema.variants.alias("treatment_variant")

STUDIES: Select[Any] = select(schema.studies)
FACTS: Select[Any] = select(schema.facts)
EXPERIMENTS: Select[Any] = (
    select(
        schema.experiments,
        _baseline.c.assignment.label("baseline_assignment"),
        _treatment.c.assignment.label("treatment_assignment"),
    )
    .join(_baseline, schema.experiments.c.baseline == _baseline.c.name)
    .join(_treatment, schema.experiments.c.treatment == _treatment.c.name)
)
BLOCKS: Select[Any] = select(schema.blocks, schema.voids.c.reason.label("void")).outerjoin(
    schema.voids, schema.voids.c.block_id == schema.blocks.c.id
)
TRIALS: Select[Any] = (
    select(schema.trials, schema.variants.c.assignment, schema.measurements.c.requests)
    .join(schema.variants, schema.trials.c.variant == schema.variants.c.name)
    .join(schema.measurements, schema.measurements.c.trial_id == schema.trials.c.id)
)
VERDICTS: Select[Any] = select(schema.verdicts)
FINDINGS: Select[Any] = select(schema.findings)
EVENTS: Select[Any] = select(schema.events)
STATES: Select[Any] = select(schema.states, schema.variants.c.assignment).join(
    schema.variants, schema.states.c.variant == schema.variants.c.name
)


def one(query: Select[Any], table: Table, id_: str) -> Select[Any]:
    """The row of this id."""
    return query.where(table.c.id == id_)


def latest_study() -> Select[Any]:
    """The study that began last."""
    return STUDIES.order_by(schema.studies.c.id.desc()).limit(1)


def last_finding(study_id: str, name: str) -> Select[Any]:
    """The finding of this name that was recorded last."""
    findings = schema.findings
    return (
        FINDINGS.where(findings.c.study_id == study_id, findings.c.name == name)
        .order_by(findings.c.id.desc())
        .limit(1)
    )


def events(study_id: str, after: str | None, limit: int) -> Select[Any]:
    """The next events of a study after one of them, or from the first."""
    query = EVENTS.where(schema.events.c.study_id == study_id)
    if after is not None:
        query = query.where(schema.events.c.id > after)
    return query.order_by(schema.events.c.id).limit(limit)


def keep_variant(connection: Connection, name: str, at: datetime, assignment: str) -> Insert:
    """Insert a variant unless it is there; two writers at once are no conflict."""
    values = {"name": name, "at": at, "assignment": assignment}
    if connection.dialect.name == "postgresql":
        return postgresql.insert(schema.variants).values(values).on_conflict_do_nothing()
    return sqlite.insert(schema.variants).values(values).on_conflict_do_nothing()
