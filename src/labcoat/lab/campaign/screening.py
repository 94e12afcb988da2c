"""Screening: one change at a time; the next epoch goes where it promises most.

Every epoch boots both arms anew, so that a question can be left after any of them and taken up
again later, and nothing is lost by it. A change that is IMPROVED becomes the incumbent, and
what comes next is compared with that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import combinations

from labcoat.lab.campaign.course import Course, Key, Taken
from labcoat.lab.campaign.proposing import propose
from labcoat.lab.campaign.shares import shares_in
from labcoat.lab.campaign.worth import Worth, worth
from labcoat.lab.experiment.epoch import measure_epoch
from labcoat.lab.experiment.experiment import Experiment
from labcoat.lab.experiment.guard import BROKEN, MARGIN, guard_memory
from labcoat.lab.experiment.history import read_history
from labcoat.lab.experiment.race import tell_decision
from labcoat.lab.trial.events import CourseTold, StepTaken
from labcoat.model.experiment import Arm
from labcoat.model.knob import Relief
from labcoat.model.metric import LATENCY_P99, MEMORY, Better
from labcoat.model.stats import Decision, Verdict
from labcoat.stack.swap import wanted
from labcoat.stats.decide import decide
from labcoat.stats.sequential import first_look

NEAR_CEILING = 0.9
"""Of what the machine could give for this app: nearer than this, a tuning is finished."""

CONTROL_EVERY = 10
"""One experiment in ten compares the incumbent with itself, and nobody is told before."""

PAIR_PRIOR = 0.03
"""The chance that two changes help together which did not alone."""

STOPPED = "the user stopped it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """The question that the next epoch goes to."""

    key: Key
    worth: Worth


def screen(course: Course) -> str:
    """Ask until nothing is left that is worth it; why it stopped.

    Raises: StackError when the incumbent does not stand; LoadError.
    """
    while True:
        if _take_recorded(course):
            continue
        reason = _finished(course)
        if reason is not None:
            return reason
        found = _next(course)
        if isinstance(found, str):
            return found
        if course.asked.stops():
            return STOPPED
        _ask(course, found.key)
        _control(course)


def _ask(course: Course, key: Key) -> None:
    """One more epoch of a question, and what follows from it."""
    experiment = course.experiment_of(key)
    assert experiment is not None
    bench = course.bench
    tell_course(course, "screening")
    if course.decision_of(experiment).verdict is None:
        course.tell_asked(experiment)
        measure_epoch(bench, course.rig, experiment)
    decision = course.judge(experiment)
    if decision.verdict is Verdict.INVALID and _is_forgiven(course, experiment):
        decision = course.judge(experiment)
    if decision.verdict is not None:
        decision = _settled(course, key, experiment, decision)
    tell_decision(bench, experiment, decision)


def _is_forgiven(course: Course, experiment: Experiment) -> bool:
    """Whether a failure is put down to the moment: once, of what stood and was measured before."""
    if experiment.record.id in course.forgiven or not experiment.gathered.blocks:
        return False
    course.forgiven.add(experiment.record.id)
    experiment.ended = None
    return True


def _settled(course: Course, key: Key, experiment: Experiment, decision: Decision) -> Decision:
    """A verdict goes into the journal, with what the guardrails say of an improvement."""
    broken = None
    if decision.verdict is Verdict.IMPROVED:
        broken = _broken_guardrail(course, experiment)
    if broken is not None:
        decision = replace(decision, verdict=Verdict.REGRESSED, reason=broken)
        course.refused[key] = broken
    course.settle(experiment, decision)
    return decision


def _take_recorded(course: Course) -> bool:
    """Accept what was found better than the incumbent; whether anything was.

    The journal is asked as well: another sitting may have found it, before it was cut short.
    """
    course.recall()
    _recall_control(course)
    for (key, _), experiment in course.experiments.items():
        decision = course.decision_of(experiment)
        if decision.verdict is not None and experiment.record.id not in course.journaled:
            _settled(course, key, experiment, decision)  # a crash came before its verdict
    for (key, over), experiment in course.experiments.items():
        decision = course.decision_of(experiment)
        if over != course.incumbent.name or decision.verdict is not Verdict.IMPROVED:
            continue
        if key in course.refused:
            continue
        _take(course, key, experiment, decision)
        return True
    return False


def _take(course: Course, key: Key, experiment: Experiment, decision: Decision) -> None:
    step = Taken(
        candidates=course.candidates_of(key),
        over=course.incumbent,
        experiment=experiment,
        decision=decision,
    )
    course.steps.append(step)
    course.incumbent = course.with_levels(key)
    readings = [
        reading
        for block in experiment.gathered.blocks
        for arm, reading in block.slices
        if arm is Arm.TREATMENT
    ]
    course.shares = shares_in(
        readings,
        server=course.server,
        played_by=wanted(course.incumbent) or course.server,
        app_s=course.shares.app_s,
    )
    course.supersede()
    course.bench.tell(StepTaken(levels=key, gain_ratio=course.gain))


def _broken_guardrail(course: Course, experiment: Experiment) -> str | None:
    """What keeps an improvement out, by what its own epochs show; None if nothing does.

    With the same users, who asks faster waits less: a p99 that gets worse at saturation while
    throughput rises starves somebody. The open loop's guardrail is asked of what is handed
    over, in the confirmation.
    """
    memory = guard_memory(experiment, metric=MEMORY, ram_bytes=course.facts.ram_bytes)
    if memory.answer == BROKEN:
        return f"guardrail {MEMORY.title}: {memory.reason}"
    sample, effect = experiment.sample(LATENCY_P99.name), experiment.effect(LATENCY_P99.name)
    if sample is None or effect is None or course.asked.objective == LATENCY_P99:
        return None
    if sample.log_ratios.size < first_look(experiment.question.rule.alpha):
        return None
    found = decide(sample, margin=MARGIN, better=Better.LOWER)
    if found.verdict is Verdict.REGRESSED and effect.point > MARGIN:
        return (
            f"guardrail {LATENCY_P99.title} at saturation: worse by {100 * effect.point:.0f} %,"
            f" {100 * MARGIN:.0f} % allowed"
        )
    return None


def _finished(course: Course) -> str | None:
    """Why nothing more need be asked whatever is left; None while something may."""
    eta = course.before.ceiling.efficiency_ratio * (1 + course.gain)
    if NEAR_CEILING <= eta <= 1.5:
        return f"the stack gives {eta:.0%} of what these cores could give this app"
    open_keys = [(each.key,) for each in course.candidates if not course.is_settled((each.key,))]
    if not open_keys:
        return "every level that may be tried here was asked about"
    most = max(course.bound(key) for key in open_keys)
    if most < course.asked.margin:
        return (
            f"no level that is left acts on more than {most:.1%} of a request, and the margin is"
            f" {course.asked.margin:.1%}"
        )
    return None


def _next(course: Course) -> Next | str:
    """The question with the most to gain per second; or why none is worth its time."""
    found: list[Next] = []
    for candidate in course.candidates:
        key: Key = (candidate.key,)
        if not course.is_settled(key) and course.bound(key) >= course.asked.margin:
            found.append(Next(key=key, worth=worth_of(course, key, candidate.prior)))
    first = _worth_its_time(course, found)
    if first is None:
        together = (
            Next(key=key, worth=worth_of(course, key, PAIR_PRIOR)) for key in _cells(course)
        )
        first = _worth_its_time(course, together)
    if first is not None:
        return first
    if any(each.worth.gain_per_s > 0 for each in found):
        return (
            "the rest of the budget promises less than the margin, going by what is published of"
            " the levels that are left and by what was seen here"
        )
    least = min((each.worth.least for each in found), default=math.inf)
    if not math.isfinite(least):
        return "the budget for screening is spent"
    return (
        f"what is left of the budget finds effects of {least:.0%} or more, and nothing that"
        " is left can be expected to give that"
    )


def _worth_its_time(course: Course, each: Iterable[Next]) -> Next | None:
    """The one that promises most; None where the time left promises less than the margin."""
    first = max(each, key=lambda one: one.worth.gain_per_s, default=None)
    if first is None:
        return None
    expected = first.worth.gain_per_s * course.means_of(len(first.key)).left_s
    return None if expected < math.log1p(course.asked.margin) else first


def worth_of(course: Course, key: Key, prior: float) -> Worth:
    """What one more epoch on this change promises."""
    experiment = course.experiments.get((key, course.incumbent.name))
    values = [] if experiment is None else course.oriented(experiment)
    return worth(
        values,
        prior=prior,
        hope=course.hope(key),
        bound=course.bound(key),
        means=course.means_of(len(key)),
    )


def _cells(course: Course) -> list[Key]:
    """Changes of several knobs at once that are not answered yet."""
    proposed = propose(course)
    found = [*_pairs(course), *(() if proposed is None else (proposed,))]
    return [key for key in found if not course.is_settled(key)]


def _pairs(course: Course) -> list[Key]:
    """Two undecided changes of one component, of which each waits for the other.

    Only those that act on waiting: what takes away CPU does so alone.
    """
    asked = [
        each
        for each in course.candidates
        if Relief.WAITING in each.knob.relieves and _may_pair(course, each.key)
    ]
    return [
        tuple(sorted((one.key, other.key)))
        for one, other in combinations(asked, 2)
        if one.knob.component == other.knob.component and one.knob.name != other.knob.name
    ]


def _may_pair(course: Course, single: tuple[str, object]) -> bool:
    """Whether a change was asked about alone, without being found better or harmful."""
    verdicts = [
        course.decision_of(each).verdict
        for each in course.of_key((single,))  # type: ignore[arg-type]
    ]
    kept_out = {Verdict.IMPROVED, Verdict.REGRESSED, Verdict.INVALID}
    return bool(verdicts) and not kept_out & set(verdicts)


def _control(course: Course) -> None:
    """Now and then, the incumbent against itself: a false verdict of the lab would show here."""
    answered = sum(
        course.decision_of(each).verdict is not None for each in course.experiments.values()
    )
    if len(course.controls) >= answered // (CONTROL_EVERY - 1):
        return
    question = course.question(course.incumbent, course.incumbent, kind="aa")
    control = course.begun(question)
    if control.record.id in {each.record.id for each in course.controls}:
        return
    control.cap = first_look(question.rule.alpha)
    decision = course.judge(control)
    while decision.verdict is None:
        if course.means.left_s < course.point_s or course.asked.stops():
            return
        measure_epoch(course.bench, course.rig, control)
        decision = course.judge(control)
    course.settle(control, decision)
    # As another sitting would read it, so that all looks of an experiment are adjusted alike.
    course.history = read_history(course.bench.journal, course.bench.study_id, course.facts)
    course.controls.append(control)


def _recall_control(course: Course) -> None:
    """Take up the control of this incumbent that an earlier sitting has ended."""
    question = course.question(course.incumbent, course.incumbent, kind="aa")
    if not course.is_known(question) or course.incumbent in {
        each.question.baseline for each in course.controls
    }:
        return
    control = course.begun(question)
    if control.is_recorded:
        course.controls.append(control)


def tell_course(course: Course, doing: str) -> None:
    """Tell where the campaign stands, and keep what was spent."""
    course.spending.tell()
    course.bench.tell(
        CourseTold(
            doing=doing,
            spent_s=course.spending.spent_s,
            budget_s=course.spending.budget_s,
            gain_ratio=course.gain,
        )
    )
