"""What earlier A/A experiments taught of this stack on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from labcoat.journal import Journal
from labcoat.lab.experiment.recorded import Gathered, read_gathered
from labcoat.lab.trial.blocks import epoch_sample
from labcoat.model.host import Facts
from labcoat.model.journal import EventRecord
from labcoat.model.stats import Sample
from labcoat.stats.covariate import Beta, adjust, learn_beta

ENOUGH = 48
"""Blocks to learn from; older ones are left alone, for a machine changes."""


@dataclass(slots=True, kw_only=True)
class History:
    """A/A blocks of the same study content on the same machine, finished before now.

    Betas are learnt once for each metric and kept, so that all looks of an experiment are
    adjusted alike.
    """

    gathered: tuple[Gathered, ...] = ()
    _betas: dict[str, Beta | None] = field(default_factory=dict)

    def beta(self, metric: str) -> Beta | None:
        """How much of a metric follows steal; None where there is too little to learn from."""
        if metric not in self._betas:
            sample = self.sample(metric)
            enough = sample is not None and sample.log_ratios.size > 1
            self._betas[metric] = learn_beta(sample) if sample is not None and enough else None
        return self._betas[metric]

    def adjusted(self, sample: Sample) -> Sample:
        """A sample without the share that steal explains, as far as is known."""
        beta = self.beta(sample.metric)
        return sample if beta is None or beta.value == 0 else adjust(sample, beta)

    def sample(self, metric: str) -> Sample | None:
        """Every A/A data point of a metric, one for each epoch; None where there is none."""
        epochs = [
            [block.values for block in epoch]
            for each in self.gathered
            for epoch in each.epochs()
            if all(metric in block.values for block in epoch)
        ]
        return epoch_sample(metric, epochs) if epochs else None


def same_studies(journal: Journal, study_id: str) -> tuple[str, ...]:
    """Ids of all studies of this content, oldest first: each baseline begins one of its own."""
    fingerprint = journal.study(study_id).fingerprint
    return tuple(each.id for each in journal.studies() if each.fingerprint == fingerprint)


def every_event(journal: Journal, study_id: str) -> Iterator[EventRecord]:
    """A study's events, oldest first, however many there are."""
    after: str | None = None
    while events := journal.events(study_id, after=after):
        after = events[-1].id
        yield from events


def read_history(
    journal: Journal, study_id: str, facts: Facts, *, before: datetime | None = None
) -> History:
    """The latest A/A blocks of studies like this one on machines like this one.

    ``before``: what came to its end later is left out, so that an experiment that goes on
    is adjusted as it was when it began.
    """
    found: list[Gathered] = []
    blocks = 0
    for experiment_id in _aa_of(journal, study_id, facts, before):
        gathered = read_gathered(journal, experiment_id)
        blocks += len(gathered.blocks)
        found.append(gathered)
        if blocks >= ENOUGH:
            break
    return History(gathered=tuple(reversed(found)))


def _aa_of(journal: Journal, study_id: str, facts: Facts, before: datetime | None) -> Iterator[str]:
    """A/A experiments, the latest first."""
    for each in reversed(same_studies(journal, study_id)):
        if not any(_is_same_machine(one, facts) for one in journal.facts(each)):
            continue
        for experiment in reversed(journal.experiments(each)):
            if experiment.kind != "aa":
                continue
            verdicts = journal.verdicts(experiment.id)
            # One that was interrupted may go on: its own blocks must not adjust it.
            is_open = "rule" in experiment.question and not verdicts
            ended = verdicts[0].at if verdicts else experiment.at
            if not is_open and (before is None or ended < before):
                yield experiment.id


def _is_same_machine(one: Facts, other: Facts) -> bool:
    return (one.hostname, one.cpus, one.cpu_model) == (other.hostname, other.cpus, other.cpu_model)
