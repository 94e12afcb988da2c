"""What the latest finished campaign hands over, read from the journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labcoat.errors import JournalError
from labcoat.journal import Journal, documents
from labcoat.lab.handover.digests import Digests
from labcoat.model.study import Study
from labcoat.model.variant import Variant

TUNE = "tune"
INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """A finished campaign: when it was, what it says, and the variant that it hands over."""

    study_id: str
    at: str
    outcome: str
    sentence: str
    variant: Variant
    digests: Digests
    by_hand: tuple[str, ...]


def journal_file(root: Path) -> Path:
    """Where the journal of a project lies."""
    return root / ".labcoat" / "journal.db"


def latest_tuned(journal: Journal, study: Study) -> Tuned | None:
    """The latest finished campaign of a study of this content, None if there is none."""
    document = documents.dumped(documents.study_document(study), where=f"study {study.name}")
    fingerprint = documents.fingerprint(document)
    for record in reversed(journal.studies()):
        found = tuned_in(journal, record.id) if record.fingerprint == fingerprint else None
        if found is not None:
            return found
    return None


def tuned_in(journal: Journal, study_id: str) -> Tuned | None:
    """The latest finished campaign that was recorded in one study, None if there is none."""
    for finding in reversed(journal.findings(study_id)):
        if finding.name == TUNE and finding.document["outcome"] != INTERRUPTED:
            return _tuned(study_id, finding.document)
    return None


def nothing_tuned(study: Study) -> JournalError:
    """The error of a study that was never tuned, or has changed since."""
    return JournalError(
        "there is no finished campaign of this study as it is now",
        where=study.file,
        way_out="labcoat tune; if the study file has changed since, put it back",
    )


def _tuned(study_id: str, document: Mapping[str, Any]) -> Tuned:
    handover = document["handover"]
    return Tuned(
        study_id=study_id,
        at=document["at"],
        outcome=document["outcome"],
        sentence=document["sentence"],
        variant=Variant.of(dict(handover["assignment"])),
        by_hand=tuple(handover["by_hand"]),
        digests=tuple((path, digest) for path, digest in handover["digests"]),
    )
