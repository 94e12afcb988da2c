"""``labcoat replicate``: a protocol's claims, one experiment each, within one budget.

    sightings · the stack against itself · each step alone and on top of those before

Every question is an experiment of the journal: the same call goes on where it was interrupted,
and what was answered is not measured again.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from labcoat.errors import RenderError, StackError, ToolMissing, UsageError
from labcoat.host.base import Host
from labcoat.host.sandbox import Sandbox
from labcoat.journal import Journal
from labcoat.knobs import find
from labcoat.lab.experiment.experiment import Experiment, begin
from labcoat.lab.experiment.history import read_history
from labcoat.lab.experiment.levels import lacking, present
from labcoat.lab.experiment.race import race
from labcoat.lab.experiment.told import Context, tell
from labcoat.lab.replication.sighting import judge_workers, watch_workers
from labcoat.lab.trial.events import Listener, PhaseFinished, PhaseStarted
from labcoat.lab.trial.headroom import measure_headroom
from labcoat.lab.trial.origin import origin_digest
from labcoat.lab.trial.question import Question, Rhythm, Rule
from labcoat.lab.trial.workbench import Workbench
from labcoat.load.base import LoadGenerator
from labcoat.model.domain import spelled
from labcoat.model.finding import ExperimentFinding
from labcoat.model.host import Facts
from labcoat.model.load import ClosedLoop
from labcoat.model.metric import THROUGHPUT, Metric
from labcoat.model.replication import (
    SCHEMA,
    Claim,
    ClaimFinding,
    Mode,
    Outcome,
    Protocol,
    ReplicationFinding,
    Sighting,
    Step,
    outcome_of,
    with_levels,
)
from labcoat.model.stats import Decision, Verdict
from labcoat.model.variant import Level, Variant
from labcoat.stack.limits import refuse_impossible
from labcoat.stack.rig import Rig
from labcoat.stats.sequential import first_look

FINDING = "replication"
ENOUGH_EPOCHS = first_look(0.05) + 1
AA_SHARE = 1.5
"""The stack against itself gets so many shares of the budget: all the rest is read beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicate:
    """What ``labcoat replicate`` was asked. ``stops``: whether the user wants to stop now."""

    budget_s: float
    rhythm: Rhythm
    stops: Callable[[], bool] = lambda: False


@dataclass(slots=True, kw_only=True)
class _Course:
    """What all questions of one replication share."""

    protocol: Protocol
    asked: Replicate
    bench: Workbench
    rig: Rig
    facts: Facts
    origin: str
    headroom_per_s: float | None
    deadline: float
    shares_left: float
    epochs: int = 0
    spent_s: float = 0.0

    @property
    def left_s(self) -> float:
        return self.deadline - time.monotonic()

    @property
    def verdict_s(self) -> float:
        """Seconds until a first verdict can come, as epochs went so far; 0 before the first."""
        return ENOUGH_EPOCHS * self.spent_s / self.epochs if self.epochs else 0.0

    def share_s(self, weight: float = 1.0) -> float:
        """What a question may take: its part of what is left, so that what one saves others get.

        But no less than a verdict takes, if that is left: a budget that is too small for all
        decides the first claims, and says of the others what they would need.
        """
        left_s = max(0.0, self.left_s)
        share = left_s * weight / max(self.shares_left, weight)
        self.shares_left -= weight
        return min(left_s, max(share, self.verdict_s))


def replicate(
    protocol: Protocol,
    asked: Replicate,
    *,
    host: Host,
    journal: Journal,
    generator: LoadGenerator,
    tell_event: Listener,
) -> ReplicationFinding:
    """Ask every claim, as far as the budget goes; what was found, journaled.

    Raises: UsageError, ToolMissing (before anything starts), StackError when the origin does not
    stand, LoadError; what was measured stays in the journal.
    """
    started = time.monotonic()
    at = datetime.now(UTC).isoformat(timespec="seconds")
    study, facts = protocol.study, host.facts()
    refuse_missing(protocol, host)
    with ExitStack() as open_things:
        logs = study.root / ".labcoat" / "logs"
        sandbox = open_things.enter_context(Sandbox.open(host, keep_logs_in=logs))
        rig = open_things.enter_context(Rig(host, sandbox, study))
        refuse_lacking(protocol, rig, facts)
        record = journal.begin_study(study, resume=True)
        if facts not in journal.facts(record.id):
            journal.record_facts(record.id, facts)
        bench = Workbench(
            study=study,
            study_id=record.id,
            host=host,
            generator=generator,
            journal=journal,
            tell=tell_event,
        )
        questions = protocol.asked()
        course = _Course(
            protocol=protocol,
            asked=asked,
            bench=bench,
            rig=rig,
            facts=facts,
            origin=origin_digest(study, rig),
            headroom_per_s=measure_headroom(bench, sandbox),
            deadline=started + asked.budget_s,
            shares_left=len(questions) + (AA_SHARE if questions else 0.0),
        )
        claims = [_sighted(course, each) for each in protocol.sightings if not asked.stops()]
        aa = _aa(course) if questions and not asked.stops() else None
        claims += [_claim(course, *question) for question in questions]
        programs = tuple((name, rig.located(name).version) for name in rig.components)
    found = ReplicationFinding(
        schema=SCHEMA,
        protocol=protocol.name,
        title=protocol.title,
        about=protocol.about,
        doubts=protocol.doubts,
        study=study.name,
        study_id=record.id,
        at=at,
        elapsed_s=time.monotonic() - started,
        budget_s=asked.budget_s,
        margin_ratio=protocol.margin,
        is_interrupted=asked.stops(),
        facts=facts,
        programs=programs,
        aa=aa,
        claims=tuple(claims),
    )
    journal.record_finding(record.id, FINDING, asdict(found))
    return found


def refuse_missing(protocol: Protocol, host: Host) -> None:
    """Raises: ToolMissing for a program or a package that the protocol needs."""
    for program in protocol.programs:
        if shutil.which(program) is None:
            raise ToolMissing(
                f"the protocol needs {program}, which is not on PATH",
                where=f"{protocol.file}, programs",
                way_out=f"install {program}",
            )
    python = str(protocol.study.app.python)
    for package in protocol.packages:
        words = f"import importlib.util as u, sys; sys.exit(u.find_spec({package!r}) is None)"
        if host.run((python, "-c", words), timeout_s=30.0).status != 0:
            raise ToolMissing(
                f"the protocol's app needs the package {package}",
                where=f"{protocol.file}, packages; {python}",
                way_out=f"{python} -m pip install {package}",
            )


def refuse_lacking(protocol: Protocol, rig: Rig, facts: Facts) -> None:
    """Raises: UsageError, with every step that the programs or the machine cannot do, and its line.

    Asked of each step alone and on top of those before: levels may be impossible together.
    """
    rows = []
    places: Sequence[tuple[str, int, tuple[tuple[str, Level], ...]]] = [
        ("origin", 1, protocol.origin.assignment),
        *((each.name, each.line, each.levels) for each in protocol.steps),
        *((each.name, each.line, each.levels) for each in protocol.sightings),
    ]
    for name, line, levels in places:
        for knob, _ in levels:
            why = lacking(rig, find(knob))
            if why is not None:
                rows.append(f"line {line}  {name}: {knob} cannot be set: {why}")
    for step, mode, _, variant in protocol.asked():
        try:
            refuse_impossible(rig.components, variant, facts, rig.study.app)
        except RenderError as error:
            why = "; ".join((error.what, *error.log))
            rows.append(f"line {step.line}  {step.name} ({mode.value}): {why}")
    if rows:
        raise UsageError(
            "what the protocol asks cannot be done here",
            where=protocol.file,
            way_out="install other versions, or copy the protocol and leave these steps out",
            log=rows,
        )


def _sighted(course: _Course, sighting: Sighting) -> ClaimFinding:
    variant = with_levels(course.protocol.origin, sighting.levels)
    course.bench.tell(PhaseStarted(name=sighting.name, expected_s=10.0))
    workers = watch_workers(course.bench, course.rig, variant)
    outcome, reason, lines = judge_workers(
        workers, is_one_cpu=sighting.is_one_cpu, cpus=course.facts.cpus
    )
    course.bench.journal.record_event(
        course.bench.study_id,
        "sighting",
        {"name": sighting.name, "workers": [asdict(each) for each in workers]},
    )
    course.bench.tell(PhaseFinished(name=sighting.name, summary=f"{outcome.value}: {reason}"))
    return ClaimFinding(
        step=sighting.name,
        mode="seen",
        levels=_words(sighting.levels),
        base=_words(course.protocol.origin.assignment),
        claim="all on one CPU" if sighting.is_one_cpu else "on all CPUs",
        published=sighting.published,
        published_ratio=None,
        source=sighting.source,
        why=sighting.why,
        objective="",
        outcome=outcome.value,
        reason=reason,
        size="",
        explains=lines,
        would_decide="" if outcome is not Outcome.UNDECIDED else "two CPUs that are free",
        experiment=None,
    )


def _aa(course: _Course) -> ExperimentFinding:
    origin = course.protocol.origin
    question = _question(course, origin, origin, THROUGHPUT, kind="aa", screening=False)
    finding, _ = _measured(course, question, weight=AA_SHARE)
    return finding


def _claim(
    course: _Course, step: Step, mode: Mode, baseline: Variant, treatment: Variant
) -> ClaimFinding:
    """One step in one mode, measured as far as its share goes."""
    same = _idle_reason(course, step, baseline, treatment)
    experiment: ExperimentFinding | None = None
    decided: Verdict | None = None
    if same:
        course.shares_left -= 1
        reason, would = same, "nothing: ask on a machine where it changes something"
    elif course.asked.stops():
        reason, would = "not asked: it was interrupted", "the same command goes on"
    elif course.left_s <= 0:
        course.shares_left -= 1
        reason, would = "not asked: the budget was over", _more(course)
    else:
        screening = step.claim is Claim.BETTER
        question = _question(
            course, baseline, treatment, step.objective, kind="try", screening=screening
        )
        try:
            experiment, decision = _measured(course, question)
        except StackError as error:
            reason = f"the steps before it do not stand: {error.what}"
            would = "nothing here: see the step before it"
        else:
            decided, reason = decision.verdict, decision.reason
            would = _would_decide(course, experiment)
    outcome = Outcome.UNDECIDED if decided is None else outcome_of(step.claim, decided)
    if outcome is Outcome.UNDECIDED and decided is Verdict.NOT_BETTER:
        would = would or "a larger budget: not better may be the same, or worse"
    return ClaimFinding(
        step=step.name,
        mode=mode.value,
        levels=_words(step.levels),
        base=_words(baseline.assignment),
        claim=step.claim.value,
        published=step.published,
        published_ratio=step.ratio,
        source=step.source,
        why=step.why,
        objective=step.objective.name,
        outcome=outcome.value,
        reason=reason,
        size=size_of(step, experiment),
        explains=tuple(explain(step.counters, experiment)),
        would_decide=would if outcome is Outcome.UNDECIDED else "",
        experiment=experiment,
    )


def _measured(
    course: _Course, question: Question, *, weight: float = 1.0
) -> tuple[ExperimentFinding, Decision]:
    """An experiment within its share, and its document. Raises: StackError, LoadError."""
    bench = course.bench
    history = read_history(bench.journal, bench.study_id, course.facts)
    experiment = begin(bench, question, history)
    if experiment.gathered.blocks:  # all looks at them are adjusted alike, whatever came since
        experiment.history = read_history(
            bench.journal, bench.study_id, course.facts, before=experiment.record.at
        )
    epochs, began = len(experiment.gathered.epochs()), time.monotonic()
    (decision,) = race(
        bench,
        course.rig,
        [experiment],
        budget_s=course.share_s(weight),
        headroom_per_s=course.headroom_per_s,
        stops=course.asked.stops,
    )
    course.epochs += len(experiment.gathered.epochs()) - epochs
    course.spent_s += time.monotonic() - began
    if decision.verdict is None:
        decision = replace(
            decision,
            verdict=Verdict.INCONCLUSIVE,
            reason=f"interrupted after {len(experiment.gathered.blocks)} blocks",
        )
    return tell(experiment, decision, (), _context(course, experiment)), decision


def _context(course: _Course, experiment: Experiment) -> Context:
    change = experiment.question.change
    knob = None if change is None else find(change[0])
    level, is_said = (None, False) if knob is None else present(course.rig, knob)
    before = {} if knob is None else dict(experiment.question.baseline.assignment)
    if knob is not None and knob.name in before:
        level, is_said = before[knob.name], True
    return Context(
        origin_level=level,
        origin_is_said=is_said,
        headroom_per_s=course.headroom_per_s,
        online=False,
        knob=knob,
    )


def _question(
    course: _Course,
    baseline: Variant,
    treatment: Variant,
    objective: Metric,
    *,
    kind: str,
    screening: bool,
) -> Question:
    return Question(
        kind=kind,
        baseline=baseline,
        treatment=treatment,
        plan=ClosedLoop(users=course.bench.study.users),
        rule=Rule(objective=objective, margin=course.protocol.margin, screening=screening),
        rhythm=course.asked.rhythm,
        origin=course.origin,
        machine=f"{course.facts.hostname}, {course.facts.cpus} CPUs",
    )


def _idle_reason(course: _Course, step: Step, baseline: Variant, treatment: Variant) -> str:
    """Why a step changes nothing on this machine; "" if it does."""
    if treatment == baseline:
        return "what stands before it has these levels already on this machine"
    before = dict(baseline.assignment)
    for name, level in step.levels:
        now = before.get(name, present(course.rig, find(name))[0])
        if now != level:
            return ""
    return "the files, or the program's own defaults here, have these levels already"


def size_of(step: Step, experiment: ExperimentFinding | None) -> str:
    """The measured effect beside the published one; "" where one of them is not known. Pure."""
    effect = None
    if experiment is not None:
        effect = next(
            (each for each in experiment.compared if each.metric == step.objective.name), None
        )
    if step.ratio is None or effect is None or effect.effect_ratio is None:
        return ""
    low = -1.0 if effect.low_ratio is None else effect.low_ratio
    high = math.inf if effect.high_ratio is None else effect.high_ratio
    if low <= step.ratio <= high:
        return "as published"
    is_less = high < step.ratio if step.ratio >= 0 else low > step.ratio
    return "smaller" if is_less else "larger"


def explain(counters: Sequence[str], experiment: ExperimentFinding | None) -> Iterator[str]:
    """The counters of both arms that explain an answer, in words. Pure."""
    if experiment is None:
        return
    layers = {each.name: each for each in experiment.layers}
    for name in counters:
        component, _, counter = name.partition(".")
        layer = layers.get(component)
        if layer is None:
            continue
        before, after = layer.baseline_counters.get(counter), layer.treatment_counters.get(counter)
        if counter == "cpu_us":
            before = 1e6 * layer.baseline_cpu_per_request_s
            after = 1e6 * layer.treatment_cpu_per_request_s
        if before is not None and after is not None:
            yield f"{name} {before:,.0f} before, {after:,.0f} after"


def _would_decide(course: _Course, finding: ExperimentFinding) -> str:
    """For this claim alone; the protocol's budget is that of all its claims together."""
    if finding.verdict == Verdict.INVALID.value:
        voids = finding.voids_baseline + finding.voids_treatment
        if voids > finding.blocks:
            return (
                "a quieter machine (labcoat doctor), not a larger budget: asked again, it is anew"
            )
        return "no budget: mend what is told above; asked again, it is measured anew"
    found = next((each.remedy for each in finding.warnings if each.code == "undecided"), "")
    if not found or finding.points < ENOUGH_EPOCHS:
        return f"{_minutes(course.verdict_s)} for this claim, at the least"
    return found.replace("--budget ", "").replace("would find it", "for this claim would find it")


def _more(course: _Course) -> str:
    """For the claims that were not asked: this one, and those after it."""
    return f"{_minutes((course.shares_left + 1) * course.verdict_s)} more for all that is left"


def _minutes(seconds: float) -> str:
    return f"about {max(1, math.ceil(seconds / 60))} min"


def _words(levels: Sequence[tuple[str, Level]]) -> tuple[str, ...]:
    return tuple(f"{knob}={spelled(level)}" for knob, level in levels)
