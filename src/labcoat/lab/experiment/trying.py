"""``labcoat try``: one question of the real stack, or a race of several levels of a knob."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from labcoat.errors import PreflightError, UsageError
from labcoat.host.base import Host
from labcoat.host.sandbox import Sandbox
from labcoat.journal import Journal
from labcoat.lab.experiment.experiment import Experiment, begin, settle
from labcoat.lab.experiment.guard import (
    LATENCIES,
    GuardAnswer,
    guard_latency,
    guard_memory,
    open_plan,
)
from labcoat.lab.experiment.history import read_history, same_studies
from labcoat.lab.experiment.levels import asked_level, present
from labcoat.lab.experiment.online import discoveries
from labcoat.lab.experiment.race import race
from labcoat.lab.experiment.told import Context, guarded, tell
from labcoat.lab.trial.arms import ask_each, boot, warm_up
from labcoat.lab.trial.events import Listener, PhaseFinished, PhaseStarted
from labcoat.lab.trial.headroom import measure_headroom
from labcoat.lab.trial.origin import origin_digest
from labcoat.lab.trial.question import Question, Rhythm, Rule
from labcoat.lab.trial.workbench import Workbench, measure_slice
from labcoat.load.base import LoadGenerator
from labcoat.model.domain import spelled
from labcoat.model.finding import SCHEMA, ExperimentFinding, TryFinding
from labcoat.model.host import Facts
from labcoat.model.knob import Knob
from labcoat.model.load import ClosedLoop, Plan, Window
from labcoat.model.metric import MEMORY, Metric
from labcoat.model.stats import Decision, Verdict
from labcoat.model.study import Study
from labcoat.model.variant import ORIGIN, Level
from labcoat.stack.rig import Rig

SATURATION = "saturation"
SATURATED = Window(warmup_s=0.5, measure_s=4.0)
FINDING = "try"


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """A knob and a level as the user wrote it; both None ask the A/A question."""

    knob: Knob | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """What ``labcoat try`` was asked.

    ``budget_s``: for all treatments together, guardrails included. ``anew``: measure again
    what was answered already, in an experiment of its own.
    """

    treatments: tuple[Treatment, ...]
    objective: Metric
    margin: float
    budget_s: float
    rhythm: Rhythm
    anew: bool = False


def try_levels(
    study: Study,
    asked: Try,
    *,
    host: Host,
    journal: Journal,
    generator: LoadGenerator,
    tell_event: Listener,
) -> TryFinding:
    """Ask, measure until there is an answer or the budget ends, journal what was found.

    Interrupted, the same call goes on where it stopped. Raises: UsageError (a level that
    is no level, or is the present one), StackError when the baseline does not stand,
    LoadError, PreflightError; what was measured stays in the journal.
    """
    started = time.monotonic()
    at = datetime.now(UTC).isoformat(timespec="seconds")
    facts = host.facts()
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
    with ExitStack() as open_things:
        logs = study.root / ".labcoat" / "logs"
        sandbox = open_things.enter_context(Sandbox.open(host, keep_logs_in=logs))
        rig = open_things.enter_context(Rig(host, sandbox, study))
        levels = [_level(rig, each, facts) for each in asked.treatments]
        _refuse_doubles(levels)
        history = read_history(journal, record.id, facts)
        headroom_per_s = measure_headroom(bench, sandbox)
        origin = origin_digest(study, rig)
        plan = _plan(bench, rig, asked, origin)
        experiments = [
            begin(
                bench,
                _question(asked, level, plan, facts, origin),
                history,
                anew=asked.anew or level is None,
            )
            for level in levels
        ]
        for each in experiments:
            if each.gathered.blocks:  # all looks at them are adjusted alike, whatever came since
                each.history = read_history(journal, record.id, facts, before=each.record.at)
        decisions = race(
            bench, rig, experiments, budget_s=asked.budget_s, headroom_per_s=headroom_per_s
        )
        findings = []
        for treatment, experiment, decision in zip(
            asked.treatments, experiments, decisions, strict=True
        ):
            left_s = asked.budget_s - (time.monotonic() - started)
            guards = _guards(bench, rig, experiment, decision, facts, budget_s=left_s)
            final = guarded(decision, guards)
            if final.verdict is not decision.verdict:
                settle(bench, experiment, final)  # supersedes what the objective alone said
            level, is_said = (
                (None, False) if treatment.knob is None else present(rig, treatment.knob)
            )
            context = Context(
                origin_level=level,
                origin_is_said=is_said,
                headroom_per_s=headroom_per_s,
                online=experiment.record.id in discoveries(journal, record.id),
                knob=treatment.knob,
            )
            findings.append(tell(experiment, final, guards, context))
    return _journaled(journal, study, record.id, findings, at=at, started=started)


def _journaled(
    journal: Journal,
    study: Study,
    study_id: str,
    findings: Sequence[ExperimentFinding],
    *,
    at: str,
    started: float,
) -> TryFinding:
    found = TryFinding(
        schema=SCHEMA,
        study=study.name,
        study_id=study_id,
        at=at,
        elapsed_s=time.monotonic() - started,
        experiments=tuple(findings),
    )
    journal.record_finding(study_id, FINDING, asdict(found))
    return found


def _level(rig: Rig, treatment: Treatment, facts: Facts) -> tuple[Knob, Level] | None:
    """The level that is asked about; None in an A/A. Raises: UsageError."""
    if treatment.knob is None or treatment.text is None:
        return None
    return treatment.knob, asked_level(rig, treatment.knob, treatment.text, facts)


def _refuse_doubles(levels: Sequence[tuple[Knob, Level] | None]) -> None:
    """One question asked twice would share one experiment. Raises: UsageError."""
    asked = [(each[0].name, each[1]) for each in levels if each is not None]
    double = next((each for n, each in enumerate(asked) if each in asked[:n]), None)
    if double is not None:
        raise UsageError(
            f"{double[0]}={spelled(double[1])} is asked twice",
            where=double[0],
            way_out="name each level once; --again measures anew what has a verdict already",
        )


def _question(
    asked: Try, level: tuple[Knob, Level] | None, plan: Plan, facts: Facts, origin: str
) -> Question:
    treatment = ORIGIN if level is None else ORIGIN.with_level(level[0].name, level[1])
    return Question(
        kind="aa" if level is None else "try",
        baseline=ORIGIN,
        treatment=treatment,
        plan=plan,
        rule=Rule(
            objective=asked.objective, margin=asked.margin, screening=len(asked.treatments) > 1
        ),
        rhythm=asked.rhythm,
        origin=origin,
        machine=f"{facts.hostname}, {facts.cpus} CPUs",
    )


def _plan(bench: Workbench, rig: Rig, asked: Try, origin: str) -> Plan:
    """Saturation for how much; a share of it in an open loop for how fast."""
    users = bench.study.users
    if asked.objective not in LATENCIES:
        return ClosedLoop(users=users)
    return open_plan(_saturation(bench, rig, origin), users)


def _saturation(bench: Workbench, rig: Rig, origin: str) -> float:
    """The origin's saturation throughput: measured once, and remembered for this origin.

    A baseline's is not taken: the app may have changed since.
    """
    for study_id in reversed(same_studies(bench.journal, bench.study_id)):
        kept = bench.journal.finding(study_id, SATURATION)
        if kept is not None and kept.document["origin"] == origin:
            return float(kept.document["per_s"])
    per_s = _measure_saturation(bench, rig)
    bench.journal.record_finding(bench.study_id, SATURATION, {"origin": origin, "per_s": per_s})
    return per_s


def _measure_saturation(bench: Workbench, rig: Rig) -> float:
    bench.tell(PhaseStarted(name=SATURATION, expected_s=15.0))
    standing = boot(bench, rig, "a")
    ask_each(bench, standing)
    warm_up(bench, standing)
    plan = ClosedLoop(users=bench.study.users)
    reading = measure_slice(bench, standing, plan, SATURATED, seed=bench.study.seed)
    bench.generator.forget(standing.target)
    rig.stop(standing)
    per_s = reading.summary.throughput_per_s
    if not per_s:
        raise PreflightError(
            f"nothing was answered in {SATURATED.measure_s:g} s with all users",
            where=standing.target.url,
            way_out="lower the study's users, or ask about throughput",
        )
    bench.tell(PhaseFinished(name=SATURATION, summary=f"{per_s:,.0f} req/s with all users"))
    return per_s


def _guards(
    bench: Workbench,
    rig: Rig,
    experiment: Experiment,
    decision: Decision,
    facts: Facts,
    *,
    budget_s: float,
) -> list[GuardAnswer]:
    """The guardrails of an improvement; what did not improve needs none."""
    is_latency = experiment.question.rule.objective in LATENCIES
    if decision.verdict is not Verdict.IMPROVED or experiment.question.change is None:
        return []
    guards = [guard_memory(experiment, metric=MEMORY, ram_bytes=facts.ram_bytes)]
    if not is_latency:
        guards.insert(0, guard_latency(bench, rig, experiment, budget_s=max(budget_s, 1.0)))
    return guards
