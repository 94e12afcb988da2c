"""An epoch: both arms booted, warmed up, asked whether they say the same, compared, stopped."""

from __future__ import annotations

import time
from collections.abc import Mapping

from labcoat.errors import StackError
from labcoat.knobs import KNOBS
from labcoat.lab.experiment.answers import Comparison, compare_answers
from labcoat.lab.experiment.ending import blamed, judge_voids, weigh
from labcoat.lab.experiment.experiment import EPOCH, Experiment
from labcoat.lab.trial.arms import ask_each, boot, warm_up_both
from labcoat.lab.trial.events import BlockVoided, SliceMeasured
from labcoat.lab.trial.pairing import MeasuredBlock, Terms, measure_block, slots_of
from labcoat.lab.trial.question import Question
from labcoat.lab.trial.schedule import PlannedBlock, PlannedEpoch, redraw, schedule
from labcoat.lab.trial.workbench import Reading, Workbench
from labcoat.model.experiment import Arm
from labcoat.stack.rig import Rig
from labcoat.stack.standing import Standing


def measure_epoch(bench: Workbench, rig: Rig, experiment: Experiment, *riders: Experiment) -> None:
    """One more epoch: boot both arms, warm them up, compare, stop them.

    ``riders``: further questions of the same two variants (under another load), which are
    asked of the same boots, afterwards. Raises: StackError when the baseline does not stand;
    LoadError.
    """
    question = experiment.question
    epoch, blocks = _next(experiment)
    started = time.monotonic()
    arms: dict[Arm, Standing] = {}
    variants = {Arm.BASELINE: question.baseline, Arm.TREATMENT: question.treatment}
    slots = slots_of(epoch.first_slot)
    try:
        for arm, slot in slots.items():
            arms[arm] = boot(
                bench, rig, slot, variants[arm], own_database=_own_databases(bench, question)
            )
        if experiment.compared == 0:
            ask_each(bench, arms[Arm.BASELINE])
        warmed = warm_up_both(bench, tuple(arms.values()))
        experiment.unsteady += sum(not warm.is_steady for warm in warmed)
        compared = compare_answers(
            bench,
            arms,
            seed=epoch.blocks[0].seed,
            unstable=experiment.unstable,
            given_up=given_up(question),
        )
        experiment.restart_s.append(time.monotonic() - started)
        by_boot = _differ_by_boot(bench, rig, experiment, compared, arms, epoch)
        weigh(experiment, compared, by_boot)
        if experiment.ended is None and not by_boot:
            _compare(bench, experiment, arms, epoch, blocks)
            _keep(bench, experiment, arms, epoch)
            for rider in riders:
                _compare(bench, rider, arms, *_next(rider))
    except StackError as error:
        experiment.ended = blamed(error, question, arms, slots)
    finally:
        for standing in arms.values():
            bench.generator.forget(standing.target)
        rig.stop(*arms.values())


def given_up(question: Question) -> frozenset[str]:
    """Headers that are not compared: the trade-off of what is changed says that they differ."""
    changed = {name for name, _ in question.changes}
    return frozenset().union(*(knob.headers for knob in KNOBS if knob.name in changed))


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
        own_database=_own_databases(bench, experiment.question),
    )
    control = compare_answers(bench, arms, seed=epoch.blocks[0].seed, unstable=experiment.unstable)
    both = {route for route, _ in control.differences}
    return tuple(route for route, _ in compared.differences if route in both)


def _own_databases(bench: Workbench, question: Question) -> bool:
    """Whether each arm gets a clone of its own: what one writes never reaches the other."""
    return question.own_databases or bench.study.workload.writes


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
            experiment.ended = judge_voids(experiment)


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
