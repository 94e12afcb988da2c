"""The experiment: epoch after epoch until the rule has an answer.

Both arms are booted into slots drawn by coin, warmed up, asked whether they say the same,
and compared in blocks; then both are stopped. Everything is in the journal before it is
judged, so that an experiment goes on where it was interrupted.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from labcoat.errors import AnalysisError, StackError
from labcoat.journal import Journal
from labcoat.lab.experiment.answers import Comparison, compare_answers
from labcoat.lab.experiment.history import History, same_studies
from labcoat.lab.experiment.recorded import Gathered, read_gathered, void_torn_blocks
from labcoat.lab.trial.arms import ask_each, boot, warm_up_both
from labcoat.lab.trial.blocks import epoch_sample
from labcoat.lab.trial.events import BlockJudged, BlockVoided, SliceMeasured
from labcoat.lab.trial.pairing import MeasuredBlock, Terms, VoidBlock, measure_block, slots_of
from labcoat.lab.trial.question import CAP, Question, effect_or_none
from labcoat.lab.trial.schedule import PlannedBlock, PlannedEpoch, redraw, schedule
from labcoat.lab.trial.workbench import Reading, Workbench
from labcoat.model.experiment import Arm
from labcoat.model.journal import ExperimentRecord
from labcoat.model.stats import Decision, Effect, Sample, Verdict
from labcoat.stack.rig import Rig
from labcoat.stack.standing import Standing
from labcoat.stats.decide import LEAST_CHANCE, decide
from labcoat.stats.sequential import log_sign_bet

MOST_VOIDS = 6
VOIDS_RATIO = 0.5
"""More voids than the one, and than this share of the good blocks, end an experiment."""

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


def begin(bench: Workbench, question: Question, history: History, *, anew: bool) -> Experiment:
    """The experiment that asks this; goes on with one that has no final answer yet.

    ``anew``: a question that was answered is asked again, in an experiment of its own. An
    INCONCLUSIVE one is continued with a higher cap: the same evidence, never a second try.
    An A/A that came to its end is never continued: it has nothing to find. An INVALID
    one is no answer: it is measured anew.
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
    is_aa = question.change is None
    is_open = answer is None or (answer.verdict is Verdict.INCONCLUSIVE and not is_aa)
    is_void = answer is not None and answer.verdict is Verdict.INVALID
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


def measure_epoch(bench: Workbench, rig: Rig, experiment: Experiment) -> None:
    """One more epoch: boot both arms, warm them up, compare, stop them.

    Raises: StackError when the baseline does not stand; LoadError.
    """
    question = experiment.question
    epoch, blocks = _next(experiment)
    started = time.monotonic()
    arms: dict[Arm, Standing] = {}
    variants = {Arm.BASELINE: question.baseline, Arm.TREATMENT: question.treatment}
    slots = slots_of(epoch.first_slot)
    try:
        for arm, slot in slots.items():
            arms[arm] = boot(bench, rig, slot, variants[arm], own_database=question.own_databases)
        if experiment.compared == 0:
            ask_each(bench, arms[Arm.BASELINE])
        warmed = warm_up_both(bench, tuple(arms.values()))
        experiment.unsteady += sum(not warm.is_steady for warm in warmed)
        compared = compare_answers(
            bench, arms, seed=epoch.blocks[0].seed, unstable=experiment.unstable
        )
        experiment.restart_s.append(time.monotonic() - started)
        by_boot = _differ_by_boot(bench, rig, experiment, compared, arms, epoch)
        _weigh(experiment, compared, by_boot)
        if experiment.ended is None and not by_boot:
            _compare(bench, experiment, arms, epoch, blocks)
            _keep(bench, experiment, arms, epoch)
    except StackError as error:
        experiment.ended = _blamed(error, question, arms, slots)
    finally:
        for standing in arms.values():
            bench.generator.forget(standing.target)
        rig.stop(*arms.values())


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


def _next(experiment: Experiment) -> tuple[PlannedEpoch, list[PlannedBlock]]:
    """The first epoch that lacks blocks, and the blocks that it lacks."""
    done = {block.index for block in experiment.gathered.blocks}
    rhythm = experiment.question.rhythm
    number = 0
    while True:
        epoch = schedule(
            experiment.record.seed,
            epochs=number + 1,
            blocks_per_epoch=rhythm.blocks_per_epoch,
            slice_s=rhythm.slice_s,
        )[number]
        lacking = [block for block in epoch.blocks if block.index not in done]
        if lacking:
            return epoch, lacking
        number += 1


def _compare(
    bench: Workbench,
    experiment: Experiment,
    arms: Mapping[Arm, Standing],
    epoch: PlannedEpoch,
    blocks: list[PlannedBlock],
) -> None:
    """The blocks of one epoch, void ones drawn anew, until all are good or it has ended."""
    question = experiment.question
    gathered = experiment.gathered
    terms = Terms(
        experiment=experiment.record.id, plan=question.plan, discard_s=question.rhythm.discard_s
    )
    for planned in blocks:
        block = planned
        while experiment.ended is None:
            attempt = gathered.attempts.get(block.index, 0)
            if attempt:
                block = redraw(
                    experiment.record.seed,
                    planned,
                    attempt=attempt,
                    slice_s=question.rhythm.slice_s,
                )
            measured = measure_block(
                bench,
                arms,
                terms,
                block,
                epoch=epoch.index,
                attempt=attempt,
                told=lambda position, reading: _tell_slice(bench, experiment, position, reading),
            )
            gathered.attempts[block.index] = attempt + 1
            if isinstance(measured, MeasuredBlock):
                gathered.blocks.append(measured)
                break
            gathered.voids.append(measured)
            bench.tell(BlockVoided(index=block.index, reason=measured.reason))
            experiment.ended = _judge_voids(experiment)


def _tell_slice(bench: Workbench, experiment: Experiment, position: int, reading: Reading) -> None:
    done = len(experiment.gathered.blocks)
    bench.tell(
        SliceMeasured(
            phase=experiment.question.kind,
            done=4 * done + position + 1,
            total=4 * experiment.cap * experiment.question.rhythm.blocks_per_epoch,
            throughput_per_s=reading.summary.throughput_per_s,
            latency_p99_s=reading.summary.latency.p99_s,
            steal_ratio=reading.steal_ratio,
        )
    )


def tell_decision(bench: Workbench, experiment: Experiment, decision: Decision) -> None:
    """Tell what is known after an epoch."""
    bench.tell(
        BlockJudged(
            question=experiment.question,
            blocks=len(experiment.gathered.blocks),
            effect=experiment.effect(experiment.question.rule.objective.name),
            decision=decision,
        )
    )


def _judge_voids(experiment: Experiment) -> Decision | None:
    """The end of an experiment that has too many voids; None while it may go on.

    Gates do not see labels, so that a void falls on either arm like a fair coin. When the
    treatment alone answers wrongly, again and again, that is its doing: REGRESSED.
    """
    voids, good = experiment.gathered.voids, len(experiment.gathered.blocks)
    if len(voids) <= max(MOST_VOIDS, VOIDS_RATIO * good):
        return None
    sides = np.array([1.0 if void.arm is Arm.TREATMENT else -1.0 for void in voids])
    treatment_more, _ = log_sign_bet(sides)
    last = voids[-1].reason
    needed = np.log(2 / experiment.question.rule.alpha)
    only_errors = all(void.errors for void in voids if void.arm is Arm.TREATMENT)
    is_aa = experiment.question.change is None
    if not is_aa and only_errors and treatment_more[-1] >= needed:
        return Decision(
            verdict=Verdict.REGRESSED,
            reason="guardrail: the treatment answers wrongly, or not at all, where the baseline"
            f" does not ({_counts(voids)}; last: {last})",
            n=good,
        )
    return Decision(
        verdict=Verdict.INVALID,
        reason=f"{len(voids)} of {len(voids) + good} blocks were void ({_counts(voids)};"
        f" last: {last})",
        n=good,
    )


def _counts(voids: list[VoidBlock]) -> str:
    treatment = sum(void.arm is Arm.TREATMENT for void in voids)
    return f"{treatment} on the treatment, {len(voids) - treatment} on the baseline"


def _differ_by_boot(
    bench: Workbench,
    rig: Rig,
    experiment: Experiment,
    compared: Comparison,
    arms: dict[Arm, Standing],
    epoch: PlannedEpoch,
) -> tuple[str, ...]:
    """Of the routes that differ, those that two boots of the baseline answer differently too.

    What a process draws once in its life (a start time, the order of a set) is no doing of the
    knob. Where there are such, the epoch is lost: the treatment's place was needed.
    """
    if not compared.differences or experiment.question.change is None:
        return ()
    treatment = arms.pop(Arm.TREATMENT)
    bench.generator.forget(treatment.target)
    rig.stop(treatment)
    arms[Arm.TREATMENT] = boot(
        bench,
        rig,
        treatment.arm,
        experiment.question.baseline,
        own_database=experiment.question.own_databases,
    )
    control = compare_answers(bench, arms, seed=epoch.blocks[0].seed, unstable=experiment.unstable)
    both = {route for route, _ in control.differences}
    return tuple(route for route, _ in compared.differences if route in both)


def _weigh(experiment: Experiment, compared: Comparison, by_boot: Collection[str] = ()) -> None:
    """Take in what the arms' answers say of each other.

    ``by_boot``: routes that two boots of the baseline answer differently, which is nobody's
    doing; but what remains of a route that is known for it (its status, its rough size) must
    be the same, or nothing can be compared here.
    """
    is_aa = experiment.question.change is None
    known = [route for route in by_boot if route in experiment.unstable]
    differences = [
        (route, what)
        for route, what in compared.differences
        if route not in by_boot or route in known
    ]
    experiment.compared += compared.compared
    experiment.unstable |= dict.fromkeys((*compared.unstable, *by_boot))
    if not differences:
        return
    more = len(differences) - 1
    what = ": ".join(differences[0]) + (
        f" (and {more} more route{'' if more == 1 else 's'})" if more else ""
    )
    is_nobodys = is_aa or all(route in known for route, _ in differences)
    experiment.ended = Decision(
        verdict=Verdict.INVALID if is_nobodys else Verdict.REGRESSED,
        reason=(
            f"two boots of the same stack answer differently: {what}"
            if is_nobodys
            else f"the treatment answers differently: {what}"
        ),
        n=len(experiment.gathered.blocks),
    )


def _blamed(
    error: StackError,
    question: Question,
    arms: Mapping[Arm, Standing],
    slots: Mapping[Arm, str],
) -> Decision:
    """INVALID, if the treatment's level is what failed. Raises: the error, if it is not."""
    absent = [arm for arm in slots if arm not in arms][:1]
    # While one arm boots, the end of the other is noticed as well.
    failed = [arm for arm, standing in arms.items() if _is_broken(standing)] or absent
    if question.change is None or failed != [Arm.TREATMENT]:
        raise error
    words = "; ".join((error.what, *error.log[-3:]))
    return Decision(verdict=Verdict.INVALID, reason=f"the treatment does not stand: {words}", n=0)


def _is_broken(standing: Standing) -> bool:
    """Whether something of the arm's own is gone; what the arms share is nobody's fault."""
    return any(layer.process.status() is not None for layer in standing.layers if not layer.shared)


def _keep(
    bench: Workbench, experiment: Experiment, arms: Mapping[Arm, Standing], epoch: PlannedEpoch
) -> None:
    """Keep beside the epoch's slices what the components tell of it."""
    experiment.explained = {arm: standing.explain() for arm, standing in arms.items()}
    bench.journal.record_event(
        experiment.record.study_id,
        EPOCH,
        {
            "experiment": experiment.record.id,
            "epoch": epoch.index,
            "compared": experiment.compared,
            "unstable": list(experiment.unstable),
            "unsteady": experiment.unsteady,
            "restart_s": experiment.restart_s[-1],
            "counters": {arm.value: each for arm, each in experiment.explained.items()},
        },
    )


def _remember(journal: Journal, experiment: Experiment) -> None:
    """What earlier epochs of the experiment told beside their slices."""
    after: str | None = None
    while events := journal.events(experiment.record.study_id, after=after):
        after = events[-1].id
        for event in events:
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
