"""The budget over all sittings of a campaign: what earlier ones spent is in the journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from labcoat.journal import Journal
from labcoat.lab.experiment.history import same_studies
from labcoat.model.journal import EventRecord

SITTING, CAME_TO_ITS_END = "sitting", "campaign finished"


@dataclass(slots=True, kw_only=True)
class Spending:
    """Seconds of a budget. ``carried_s``: by earlier sittings of the same campaign."""

    budget_s: float
    carried_s: float
    now: Callable[[], float] = time.monotonic
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.now()

    @property
    def spent_s(self) -> float:
        """So far."""
        return self.carried_s + self.now() - self.started

    @property
    def left_s(self) -> float:
        """From now on; below zero when it was exceeded."""
        return self.budget_s - self.spent_s


def sit_down(
    journal: Journal, study_id: str, terms: Mapping[str, Any], *, budget_s: float
) -> Spending:
    """Begin a sitting of the campaign with these terms; it goes on with one that was cut short."""
    carried_s = _carried_s(journal, study_id, terms)
    journal.record_event(study_id, SITTING, {"terms": dict(terms), "budget_s": budget_s})
    return Spending(budget_s=budget_s, carried_s=carried_s)


def _carried_s(journal: Journal, study_id: str, terms: Mapping[str, Any]) -> float:
    """What sittings since the last finished campaign spent, up to the last they told of."""
    total_s = 0.0
    last: datetime | None = None  # None: what follows belongs to no sitting of this campaign
    for each in same_studies(journal, study_id):
        for event in _events(journal, each):
            if event.kind == CAME_TO_ITS_END and event.document["terms"] == dict(terms):
                total_s, last = 0.0, None
            elif event.kind == SITTING:
                last = event.at if event.document["terms"] == dict(terms) else None
            elif last is not None:
                total_s += (event.at - last).total_seconds()
                last = event.at
    return total_s


def _events(journal: Journal, study_id: str) -> list[EventRecord]:
    found: list[EventRecord] = []
    after: str | None = None
    while events := journal.events(study_id, after=after):
        found += events
        after = events[-1].id
    return found
