"""The experiment: epoch after epoch until the rule has an answer.

Both arms are booted into slots drawn by coin, warmed up, asked whether they say the same,
and compared in blocks; then both are stopped. Everything is in the journal before it is
judged, so that an experiment goes on where it was interrupted.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from labcoat.errors import AnalysisError
from labcoat.journal import Journal
from labcoat.lab.experiment.history import History, every_event, same_studies
from labcoat.lab.experiment.recorded import Gathered, read_gathered, void_torn_blocks
from labcoat.lab.trial.blocks import epoch_sample
from labcoat.lab.trial.question import CAP, Question, effect_or_none
from labcoat.lab.trial.workbench import Workbench
from labcoat.model.experiment import Arm
from labcoat.model.journal import ExperimentRecord
from labcoat.model.stats import Decision, Effect, Sample, Verdict
from labcoat.stats.decide import LEAST_CHANCE, decide, decide_planned

EPOCH = "epoch"
"""The kind of the event that keeps what an epoch told beside its slices."""


@dataclass(slots=True, kw_only=True)
class Experiment:
    """One question under measurement, and what has been gathered for it.

    ``compared``: answers held against each other; ``unstable``: routes whose answers are
    not twice the same. ``explained``: the components' own counters of each arm, as the last
    epoch left them. ``restart_s``: seconds of each restart of both arms. ``cap``: data
    points after which it ends; ``least_chance``: see ``stats.decide``. ``ended``: why it
    ends without the rule (answers differ, an arm died), None while it goes on.
    ``is_recorded``: the journal had its verdict already; nothing was measured now.
    """

    question: Question
    record: ExperimentRecord
    history: History
    gathered: Gathered = field(default_factory=Gathered)
    cap: int = CAP
    least_chance: float = LEAST_CHANCE
    compared: int = 0
    unstable: dict[str, None] = field(default_factory=dict)
    explained: dict[Arm, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    restart_s: list[float] = field(default_factory=list)
    unsteady: int = 0
    ended: Decision | None = None
    is_recorded: bool = False

    def sample(self, metric: str) -> Sample | None:
        """One value per epoch of a metric, adjusted for steal; None before the first epoch."""
        epochs = [
            [block.values for block in epoch]
            for epoch in self.gathered.epochs()
            if len(epoch) == self.question.rhythm.blocks_per_epoch
        ]
        if not epochs or not all(metric in block for epoch in epochs for block in epoch):
            return None
        return self.history.adjusted(epoch_sample(metric, epochs))

    def effect(self, metric: str) -> Effect | None:
        """The anytime effect on a metric; None where nothing can be said."""
        try:
            sample = self.sample(metric)
            return None if sample is None else effect_or_none(sample)
        except AnalysisError:
            return None

    def decision(self) -> Decision:
        """What the rule says now. Raises: AnalysisError if it makes no rule."""
        if self.ended is not None:
            return self.ended
        rule = self.question.rule
        sample = self.sample(rule.objective.name)
        if sample is None:
            self._refuse_unmeasured(rule.objective.name)
            return Decision(verdict=None, reason="no block yet", n=0)
        if rule.planned is not None:
            return decide_planned(
                sample,
                planned=rule.planned,
                margin=rule.margin,
                better=rule.objective.better,
                alpha=rule.alpha,
            )
        return decide(
            sample,
            margin=rule.margin,
            better=rule.objective.better,
            cap=self.cap,
            alpha=rule.alpha,
            screening=rule.screening,
            least_chance=self.least_chance,
        )

    def _refuse_unmeasured(self, metric: str) -> None:
        """No end would come where blocks do not tell what is asked. Raises: AnalysisError."""
        lacking = [block.index for block in self.gathered.blocks if metric not in block.values]
        if lacking:
            raise AnalysisError(
                f"block {lacking[0]} has no {metric}: the slices are too short for it",
                where=f"experiment {self.record.id}",
                way_out="lengthen them with --slice",
            )


def begin(
    bench: Workbench,
    question: Question,
    history: History,
    *,
    anew: bool = False,
    reopens: bool = True,
) -> Experiment:
    """The experiment that asks this; goes on with one that has no final answer yet.

    ``anew``: a question that was answered is asked again, in an experiment of its own. An
    INCONCLUSIVE one is continued with a higher cap: the same evidence, never a second try
    (not if it ``reopens`` nothing, as in a campaign). An A/A or a planned number of points
    that came to its end is never continued: it has nothing to find. An INVALID one is no
    answer: where it reopens, it is measured anew.
    """
    journal = bench.journal
    same = [
        record
        for study_id in same_studies(journal, bench.study_id)
        for record in journal.experiments(study_id)
        if question.is_asked_by(record)
    ]
    last = same[-1] if same else None
    verdicts = journal.verdicts(last.id) if last is not None else ()
    answer = verdicts[-1].decision if verdicts else None
    may_reopen = reopens and question.change is not None and question.rule.planned is None
    is_open = answer is None or (answer.verdict is Verdict.INCONCLUSIVE and may_reopen)
    is_void = answer is not None and answer.verdict is Verdict.INVALID and reopens
    if last is None or is_void or (anew and not is_open):
        record = journal.begin_experiment(
            bench.study_id,
            kind=question.kind,
            question=question.document(),
            baseline=question.baseline,
            treatment=question.treatment,
            seed=_seed(bench.study.seed, question, len(same)),
        )
        return Experiment(question=question, record=record, history=history)
    void_torn_blocks(journal, last.id)
    experiment = Experiment(
        question=question,
        record=last,
        history=history,
        gathered=read_gathered(journal, last.id),
    )
    _remember(journal, experiment)
    if answer is not None and not is_open:
        experiment.ended, experiment.is_recorded = answer, True
    elif answer is not None:
        experiment.cap = (answer.n // CAP + 1) * CAP
        experiment.least_chance = 0.0
    return experiment


def settle(bench: Workbench, experiment: Experiment, decision: Decision) -> None:
    """Put the verdict into the journal."""
    metric = experiment.question.rule.objective.name
    bench.journal.record_verdict(experiment.record.id, metric, decision, experiment.effect(metric))


def out_of_budget(experiment: Experiment, decision: Decision, budget_s: float) -> Decision:
    """The answer of an experiment whose time is over: nothing is known yet."""
    minutes = f" of {budget_s / 60:.0f} min" if budget_s >= 120 else f" of {budget_s:.0f} s"
    if experiment.question.kind == "guard":
        minutes = ""  # it had only what the experiment left
    blocks = len(experiment.gathered.blocks)
    return replace(
        decision,
        verdict=Verdict.INCONCLUSIVE,
        reason=f"the budget{minutes} ended after {blocks} block{'' if blocks == 1 else 's'}",
    )


def _seed(seed: int, question: Question, before: int) -> int:
    """A seed of its own for each question, and each time that it is asked anew."""
    asked = json.dumps(question.document(), sort_keys=True)
    arms = f"{question.baseline.name}/{question.treatment.name}"
    return random.Random(f"{seed}/{question.kind}/{arms}/{asked}/{before}").getrandbits(31)


def _remember(journal: Journal, experiment: Experiment) -> None:
    """What earlier epochs of the experiment told beside their slices."""
    for event in every_event(journal, experiment.record.study_id):
        document = event.document
        if event.kind != EPOCH or document["experiment"] != experiment.record.id:
            continue
        experiment.compared = document["compared"]
        experiment.unstable = dict.fromkeys(document["unstable"])
        experiment.unsteady = document["unsteady"]
        experiment.restart_s.append(document["restart_s"])
        experiment.explained = {
            Arm(arm): counters for arm, counters in document["counters"].items()
        }
