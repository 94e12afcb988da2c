"""The budget over all sittings of a campaign: what earlier ones spent is in the journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from labcoat.journal import Journal
from labcoat.lab.experiment.history import every_event, same_studies

SITTING, SPENT, CAME_TO_ITS_END = "sitting", "spent", "campaign finished"


@dataclass(slots=True, kw_only=True)
class Spending:
    """Seconds of a budget. ``carried_s``: by earlier sittings of the same campaign.

    ``keep``: puts what was spent so far where the next sitting finds it.
    """

    budget_s: float
    carried_s: float
    now: Callable[[], float] = time.monotonic
    keep: Callable[[float], object] = lambda _: None
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

    def tell(self) -> None:
        """Keep what was spent so far: a crash loses no more than what comes after."""
        self.keep(self.spent_s)


def sit_down(
    journal: Journal, study_id: str, terms: Mapping[str, Any], *, budget_s: float
) -> Spending:
    """Begin a sitting of the campaign with these terms; it goes on with one that was cut short."""
    carried_s = _carried_s(journal, study_id, terms)
    journal.record_event(study_id, SITTING, {"terms": dict(terms), "budget_s": budget_s})

    def keep(spent_s: float) -> None:
        journal.record_event(study_id, SPENT, {"terms": dict(terms), "spent_s": spent_s})

    return Spending(budget_s=budget_s, carried_s=carried_s, keep=keep)


def _carried_s(journal: Journal, study_id: str, terms: Mapping[str, Any]) -> float:
    """What sittings since the last finished campaign spent, up to the last that they told.

    What came between them, and what other commands did, is none of it.
    """
    spent_s = 0.0
    for each in same_studies(journal, study_id):
        for event in every_event(journal, each):
            if event.document.get("terms") != dict(terms):
                continue
            if event.kind == SPENT:
                spent_s = float(event.document["spent_s"])
            elif event.kind == CAME_TO_ITS_END:
                spent_s = 0.0
    return spent_s
