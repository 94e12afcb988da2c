"""Which verdicts hold among all experiments of a study, one after the other."""

from __future__ import annotations

import math

from labcoat.journal import Journal
from labcoat.lab.experiment.history import same_studies
from labcoat.stats.online import e_lond

ASKED = frozenset({"try", "removal"})
"""Kinds of questions that look for an effect; each counts, whatever became of it."""


def discoveries(journal: Journal, study_id: str) -> frozenset[str]:
    """Ids of the experiments whose verdict also holds among all that were asked (e-LOND)."""
    ids, logs = [], []
    asked = [
        record for each in same_studies(journal, study_id) for record in journal.experiments(each)
    ]
    for record in asked:
        verdicts = journal.verdicts(record.id) if record.kind in ASKED else ()
        evidence = verdicts[-1].decision.evidence if verdicts else None
        if evidence is not None:
            ids.append(record.id)
            # Half a stake on either side: the e-value against "no effect" at all.
            logs.append(max(evidence.better, evidence.worse) - math.log(2))
    return frozenset(each for each, holds in zip(ids, e_lond(logs), strict=True) if holds)
