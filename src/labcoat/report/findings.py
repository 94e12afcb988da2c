"""Findings as the journal holds them, back as values."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from labcoat.errors import JournalError
from labcoat.journal import Journal
from labcoat.model.baseline import Baseline
from labcoat.model.finding import TryFinding
from labcoat.model.host import Facts
from labcoat.model.tune import TuneFinding

Document = TypeVar("Document", Baseline, TryFinding, TuneFinding)


def read_baseline(journal: Journal, study_id: str) -> tuple[Baseline, Facts]:
    """The last baseline of a study and the facts of the machine that it was made on.

    Raises: JournalError if the study has none, or one of another schema.
    """
    found = _read(
        journal,
        study_id,
        Baseline,
        missing=("no baseline was finished in this study", "measure one: labcoat baseline"),
        old=("the baseline in the journal", "measure it again: labcoat baseline"),
    )
    return found, journal.facts(study_id)[-1]


def read_try(journal: Journal, study_id: str) -> TryFinding:
    """What the last ``labcoat try`` of a study found.

    Raises: JournalError if there was none, or it is of another schema.
    """
    return _read(
        journal,
        study_id,
        TryFinding,
        missing=(
            "nothing was tried to the end in this study",
            "ask something: labcoat try KNOB=LEVEL",
        ),
        old=("the finding in the journal", "ask again: labcoat try KNOB=LEVEL"),
    )


def read_tune(journal: Journal, study_id: str) -> TuneFinding:
    """What the last ``labcoat tune`` of a study found.

    Raises: JournalError if none came to an end, or it is of another schema.
    """
    return _read(
        journal,
        study_id,
        TuneFinding,
        missing=("no campaign was finished in this study", "let one finish: labcoat tune"),
        old=("the campaign in the journal", "tune again: labcoat tune"),
    )


NAMES: dict[type[Any], str] = {Baseline: "baseline", TryFinding: "try", TuneFinding: "tune"}
"""Under which name each document is journaled."""


def _read(
    journal: Journal,
    study_id: str,
    kind: type[Document],
    *,
    missing: tuple[str, str],
    old: tuple[str, str],
) -> Document:
    """The last document of this kind. ``missing``, ``old``: what is said, and the way out."""
    record = journal.finding(study_id, NAMES[kind])
    if record is None:
        raise JournalError(missing[0], where=f"study {study_id}", way_out=missing[1])
    try:
        return TypeAdapter(kind).validate_python(record.document)
    except ValidationError as error:
        raise JournalError(
            f"{old[0]} is of another version of labcoat",
            where=f"study {study_id}, finding {record.id}",
            way_out=old[1],
        ) from error
