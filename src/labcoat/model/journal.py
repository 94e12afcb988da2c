"""What the journal gives back: frozen records, each with its id and its time (UTC)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from labcoat.model.experiment import Order, Trial
from labcoat.model.stats import Decision, Effect
from labcoat.model.variant import Variant

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRecord:
    """A study as it began. ``document``: what the user asked for, without secrets.

    ``fingerprint``: SHA-256 of the document; equal for the same study content.
    """

    id: str
    at: datetime
    name: str
    fingerprint: str
    labcoat: str
    document: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentRecord:
    """One question. ``kind``: the procedure (``aa``, ``sweep``); ``question``: its terms."""

    id: str
    at: datetime
    study_id: str
    kind: str
    question: Document
    baseline: Variant
    treatment: Variant
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRecord:
    """A block as it was drawn, before its first trial.

    ``attempt``: 0, then one more each time the block was void and drawn anew.
    ``void``: why it does not count, None if it does.
    """

    id: str
    at: datetime
    experiment_id: str
    index: int
    attempt: int
    epoch: int
    order: Order
    seed: int
    void: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """A finished trial. ``requests``: how many records its measurement holds."""

    id: str
    at: datetime
    trial: Trial
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictRecord:
    """What was decided of one metric of an experiment, and the effect then seen."""

    id: str
    at: datetime
    experiment_id: str
    metric: str
    decision: Decision
    effect: Effect | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRecord:
    """A named result of a study, as a document that reports are made from."""

    id: str
    at: datetime
    study_id: str
    name: str
    document: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """Something that happened during a study, for the reader; nothing hangs on it."""

    id: str
    at: datetime
    study_id: str
    kind: str
    document: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRecord:
    """A state of the user's own files: which variant was applied, and to what.

    ``document``: paths and digests; never the files' content, which may hold secrets.
    """

    id: str
    at: datetime
    study_id: str
    variant: Variant
    document: Document
