"""Removal: each accepted change, measured by leaving it out of the set.

What was worth having when it was accepted may have become useless by what came later; and of
two that only work together neither may stay alone. The set with the knob is compared with the
set without it: what is not shown to be missed is dropped, so that the diff is minimal.
"""

from __future__ import annotations

from labcoat.lab.campaign.course import Course, Taken
from labcoat.lab.campaign.screening import tell_course
from labcoat.lab.experiment.epoch import measure_epoch
from labcoat.lab.experiment.experiment import Experiment
from labcoat.lab.experiment.race import tell_decision
from labcoat.lab.trial.question import Rule
from labcoat.model.stats import Decision, Verdict
from labcoat.stats.sequential import first_look


def prune(course: Course) -> bool:
    """Drop what is not shown to contribute; whether it was done to its end.

    False: the user stopped it. Raises: StackError, LoadError.
    """
    checked: set[str] = set()
    while True:
        knob = _unchecked(course, checked)
        if knob is None:
            return True
        checked.add(knob)
        removal = _removal(course, knob)
        decision = course.decision_of(removal)
        while decision.verdict is None:
            if course.asked.stops():
                return False
            if not _may_go_on(course, removal):
                break
            decision = _another_epoch(course, removal)
        if decision.verdict is not None:  # a crash may have come before it was journaled
            course.settle(removal, decision)
        course.removals[knob] = removal
        if decision.verdict is Verdict.IMPROVED:
            continue
        course.incumbent = course.incumbent.without(knob)
        course.dropped[knob] = _why(decision)
        # What was accepted together with it must show anew that it does something alone.
        checked -= {other for step in course.steps if knob in step.knobs for other in step.knobs}


def _unchecked(course: Course, checked: set[str]) -> str | None:
    """The next knob to measure without, the smallest gain first; None when all are known.

    A set of one needs no removal: the confirmation is that very comparison.
    """
    levels = dict(course.incumbent.assignment)
    wanted = levels.keys() - checked if len(levels) > 1 else set()
    left = [step for step in course.steps if wanted.intersection(step.knobs)]
    if not left:
        return None
    smallest = min(left, key=lambda step: _gain(course, step))
    return next(knob for knob in smallest.knobs if knob in wanted)


def _removal(course: Course, knob: str) -> Experiment:
    """The set against the set without a knob; the last step's own experiment is just that."""
    without = course.incumbent.without(knob)
    last = course.steps[-1]
    if last.over == without and last.experiment.question.treatment == course.incumbent:
        return last.experiment
    rule = Rule(objective=course.asked.objective, margin=course.asked.margin, screening=True)
    return course.begun(course.question(without, course.incumbent, kind="removal", rule=rule))


def _another_epoch(course: Course, removal: Experiment) -> Decision:
    tell_course(course, "leaving out")
    course.tell_asked(removal)
    measure_epoch(course.bench, course.rig, removal)
    decision = course.judge(removal)
    if decision.verdict is not None:
        course.settle(removal, decision)
    tell_decision(course.bench, removal, decision)
    return decision


def _may_go_on(course: Course, removal: Experiment) -> bool:
    """The first look is always paid for: a change is not dropped for want of a minute."""
    if len(removal.gathered.epochs()) < first_look(removal.question.rule.alpha):
        return True
    return course.spending.left_s - course.reserve_s > course.point_s


def _why(decision: Decision) -> str:
    if decision.verdict is None or decision.verdict is Verdict.INCONCLUSIVE:
        return f"without it nothing was shown to be lost ({decision.reason})"
    return f"without it nothing is lost: {decision.reason}"


def _gain(course: Course, step: Taken) -> float:
    effect = step.experiment.effect(course.asked.objective.name)
    return 0.0 if effect is None else abs(effect.point)
