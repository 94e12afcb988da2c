"""What earlier A/A experiments taught of this stack on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from labcoat.journal import Journal
from labcoat.lab.blocks import epoch_sample
from labcoat.lab.recorded import Gathered, read_gathered
from labcoat.model.experiment import Arm
from labcoat.model.host import Facts
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

    def rates(self) -> list[float]:
        """Throughput of the baseline's slices, for a first guess; requests per second."""
        return [
            reading.summary.throughput_per_s
            for each in self.gathered
            for block in each.blocks
            for arm, reading in block.slices
            if arm is Arm.BASELINE
        ]


def read_history(journal: Journal, study_id: str, facts: Facts) -> History:
    """The latest A/A blocks of studies like this one on machines like this one."""
    found: list[Gathered] = []
    blocks = 0
    for experiment_id in _aa_of(journal, study_id, facts):
        gathered = read_gathered(journal, experiment_id)
        blocks += len(gathered.blocks)
        found.append(gathered)
        if blocks >= ENOUGH:
            break
    return History(gathered=tuple(reversed(found)))


def _aa_of(journal: Journal, study_id: str, facts: Facts) -> Iterator[str]:
    """A/A experiments, the latest first."""
    fingerprint = journal.study(study_id).fingerprint
    for study in reversed(journal.studies()):
        if study.fingerprint != fingerprint:
            continue
        if not any(_is_same_machine(each, facts) for each in journal.facts(study.id)):
            continue
        for experiment in reversed(journal.experiments(study.id)):
            # One that was interrupted may go on: its own blocks must not adjust it.
            is_open = "rule" in experiment.question and not journal.verdicts(experiment.id)
            if experiment.kind == "aa" and not is_open:
                yield experiment.id


def _is_same_machine(one: Facts, other: Facts) -> bool:
    return (one.hostname, one.cpus, one.cpu_model) == (other.hostname, other.cpus, other.cpu_model)
