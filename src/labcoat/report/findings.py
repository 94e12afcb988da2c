"""Findings as the journal holds them, back as values."""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from labcoat.errors import JournalError
from labcoat.journal import Journal
from labcoat.model.baseline import Baseline
from labcoat.model.finding import TryFinding
from labcoat.model.host import Facts


def read_baseline(journal: Journal, study_id: str) -> tuple[Baseline, Facts]:
    """The last baseline of a study and the facts of the machine that it was made on.

    Raises: JournalError if the study has none, or one of another schema.
    """
    record = journal.finding(study_id, "baseline")
    if record is None:
        raise JournalError(
            "no baseline was finished in this study",
            where=f"study {study_id}",
            way_out="measure one: labcoat baseline",
        )
    try:
        found = TypeAdapter(Baseline).validate_python(record.document)
    except ValidationError as error:
        raise JournalError(
            "the baseline in the journal is of another version of labcoat",
            where=f"study {study_id}, finding {record.id}",
            way_out="measure it again: labcoat baseline",
        ) from error
    return found, journal.facts(study_id)[-1]


def read_try(journal: Journal, study_id: str) -> TryFinding:
    """What the last ``labcoat try`` of a study found.

    Raises: JournalError if there was none, or it is of another schema.
    """
    record = journal.finding(study_id, "try")
    if record is None:
        raise JournalError(
            "nothing was tried to the end in this study",
            where=f"study {study_id}",
            way_out="ask something: labcoat try KNOB=LEVEL",
        )
    try:
        return TypeAdapter(TryFinding).validate_python(record.document)
    except ValidationError as error:
        raise JournalError(
            "the finding in the journal is of another version of labcoat",
            where=f"study {study_id}, finding {record.id}",
            way_out="ask again: labcoat try KNOB=LEVEL",
        ) from error
