"""``labcoat tune``: from the user's stack to a confirmed, minimal diff.

    baseline · candidates · screening · removal · confirmation · the tuned stack · the document

Everything measured is in the journal before it is judged; interrupted anywhere, the same call
goes on. Nothing outside the sandbox and ``.labcoat`` is written.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError

from labcoat.errors import PreflightError, RenderError
from labcoat.host.base import Host
from labcoat.host.sandbox import Sandbox
from labcoat.journal import Journal
from labcoat.lab.baseline.baseline import gather
from labcoat.lab.baseline.findings import compose
from labcoat.lab.baseline.noise import BUDGETS_S
from labcoat.lab.baseline.pace import BRISK, QUICK, Pace
from labcoat.lab.campaign.after import describe_tuned
from labcoat.lab.campaign.asked import Tune
from labcoat.lab.campaign.candidates import candidates
from labcoat.lab.campaign.compose import IMPROVED, Ending, compose_tune, outcome_of
from labcoat.lab.campaign.confirmation import Confirmed, confirm
from labcoat.lab.campaign.course import Course
from labcoat.lab.campaign.crew import crew_of
from labcoat.lab.campaign.removal import prune
from labcoat.lab.campaign.screening import STOPPED, screen, worth_of
from labcoat.lab.campaign.shares import shares_of
from labcoat.lab.campaign.spending import CAME_TO_ITS_END, Spending, sit_down
from labcoat.lab.campaign.worth import would_take_s
from labcoat.lab.experiment.history import read_history
from labcoat.lab.handover.digests import Digests, digests_of
from labcoat.lab.handover.patch import hand_over, keep_patch
from labcoat.lab.trial.arms import SERVER_NAMES
from labcoat.lab.trial.events import CampaignBegun, Listener, PhaseFinished
from labcoat.lab.trial.origin import origin_digest
from labcoat.lab.trial.workbench import Workbench
from labcoat.load.base import LoadGenerator
from labcoat.model.baseline import Baseline
from labcoat.model.study import Study
from labcoat.model.tune import Handover, TuneFinding
from labcoat.model.variant import ORIGIN, Variant
from labcoat.stack.rig import Rig

FINDING, STARTING_POINT = "tune", "starting point"

FRESH_S = 3600.0
"""A baseline of the same origin that is younger than this is not measured again."""

SHORT_S = 900.0
"""Budgets below this get a brisk baseline."""


def tune(
    study: Study,
    asked: Tune,
    *,
    host: Host,
    journal: Journal,
    generator: LoadGenerator,
    tell_event: Listener,
) -> TuneFinding:
    """The campaign; what it found, journaled.

    Raises: PreflightError where the noise is beyond what the budget could resolve, StackError
    when the origin does not stand, LoadError; what was measured stays in the journal.
    """
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
    digests = digests_of(study)
    with ExitStack() as open_things:
        logs = study.root / ".labcoat" / "logs"
        sandbox = open_things.enter_context(Sandbox.open(host, keep_logs_in=logs))
        rig = open_things.enter_context(Rig(host, sandbox, study))
        origin = origin_digest(study, rig)
        terms = {**asked.document(), "origin": origin}
        spending = sit_down(journal, record.id, terms, budget_s=asked.budget_s)
        course = _begin(bench, rig, sandbox, asked, origin, spending)
        found = _through(course, sandbox, digests)
        spending.tell()
    journal.record_finding(record.id, FINDING, asdict(found))
    if found.outcome != "interrupted":
        journal.record_event(record.id, CAME_TO_ITS_END, {"terms": terms})
    return found


def pace_of(budget_s: float) -> Pace:
    """How long the baseline of a campaign takes its time."""
    return BRISK if budget_s < SHORT_S else QUICK


def _begin(
    bench: Workbench,
    rig: Rig,
    sandbox: Sandbox,
    asked: Tune,
    origin: str,
    spending: Spending,
) -> Course:
    """The baseline, and what may be asked about it."""
    facts = bench.host.facts()
    before = _baseline(bench, rig, sandbox, asked, origin)
    spending.tell()
    bench.tell(CampaignBegun(objective=asked.objective, budget_s=asked.budget_s, before=before))
    server = next(layer.name for layer in before.layers if layer.name in SERVER_NAMES)
    peaks = {layer.name: layer.peaks for layer in before.layers}
    crew = crew_of(before, server=server)
    may_try, left_out = candidates(rig, asked, facts, peaks=peaks, wanted_workers=crew.wanted)
    course = Course(
        bench=bench,
        rig=rig,
        asked=asked,
        facts=facts,
        origin=origin,
        before=before,
        shares=shares_of(before, server=server),
        crew=crew,
        server=server,
        candidates=may_try,
        left_out=left_out,
        headroom_per_s=_headroom_per_s(before),
        spending=spending,
        history=read_history(bench.journal, bench.study_id, facts),
    )
    _refuse_noise(course)
    return course


def _through(course: Course, sandbox: Sandbox, digests: Digests) -> TuneFinding:
    """From the baseline to the document."""
    study = course.bench.study
    stopped = screen(course)
    confirmed: Confirmed | None = None
    after: Baseline | None = None
    if stopped != STOPPED and not prune(course):
        stopped = STOPPED
    if stopped != STOPPED and course.incumbent != ORIGIN:
        confirmed = confirm(course)
    outcome = outcome_of(course, confirmed, stopped)
    variant = ORIGIN
    if confirmed is not None and outcome == IMPROVED:
        variant = course.incumbent
        pace = pace_of(course.asked.budget_s)
        after = describe_tuned(course, sandbox, confirmed.experiment, pace)
    handover, patch = _handed_over(study, variant, digests)
    keep_patch(study, patch)
    ending = Ending(
        at=datetime.now(UTC), stopped=stopped, confirmed=confirmed, after=after, handover=handover
    )
    return compose_tune(course, ending)


def _handed_over(study: Study, variant: Variant, digests: Digests) -> tuple[Handover, str]:
    """The diff of the user's files, and the whole patch; in words where a file has changed."""
    try:
        return hand_over(study, variant, digests)
    except RenderError as error:
        words = "; ".join((error.what, *error.log))
        handover = Handover(
            assignment=variant.assignment, diff="", files=(), by_hand=(words,), digests=digests
        )
        return handover, ""


def _baseline(bench: Workbench, rig: Rig, sandbox: Sandbox, asked: Tune, origin: str) -> Baseline:
    """The baseline of this origin on this machine: a fresh one of the journal, else a new one."""
    kept = _kept_baseline(bench, origin)
    if kept is not None:
        per_s = kept.saturation.throughput_per_s.value
        bench.tell(
            PhaseFinished(name="baseline", summary=f"{per_s:,.0f} req/s, measured at {kept.at}")
        )
        return kept
    at = datetime.now(UTC)
    budgets_s = tuple(sorted({*BUDGETS_S, asked.budget_s}))
    gathered = gather(bench, rig, sandbox, pace_of(asked.budget_s), budgets_s)
    found = compose(
        bench.study,
        bench.study_id,
        gathered,
        at=at.isoformat(timespec="seconds"),
        elapsed_s=(datetime.now(UTC) - at).total_seconds(),
    )
    rig.stop(gathered.standing)
    bench.generator.forget(gathered.standing.target)
    bench.journal.record_finding(bench.study_id, "baseline", asdict(found))
    bench.journal.record_finding(bench.study_id, STARTING_POINT, {"origin": origin, "at": found.at})
    return found


def _kept_baseline(bench: Workbench, origin: str) -> Baseline | None:
    point = bench.journal.finding(bench.study_id, STARTING_POINT)
    record = bench.journal.finding(bench.study_id, "baseline")
    if point is None or record is None or point.document["origin"] != origin:
        return None
    if (datetime.now(UTC) - record.at).total_seconds() > FRESH_S:
        return None
    try:
        return TypeAdapter(Baseline).validate_python(record.document)
    except ValidationError:
        return None  # of another version of labcoat: measured again


def _headroom_per_s(before: Baseline) -> float | None:
    """What the generator reached where there was nothing to wait for, as the baseline saw it."""
    ratio = before.headroom_ratio
    return None if ratio is None else ratio * before.saturation.throughput_per_s.value


def _refuse_noise(course: Course) -> None:
    """Raises: PreflightError where no level could give what this noise and budget could show."""
    margin = course.asked.margin
    worthwhile = [each for each in course.candidates if course.bound((each.key,)) >= margin]
    if not worthwhile or course.steps:
        return
    known = any(
        course.is_known(course.question(ORIGIN, course.with_levels((each.key,))))
        for each in worthwhile
    )
    if known or any(worth_of(course, (each.key,), each.prior).gain_per_s for each in worthwhile):
        return
    most = max(course.hope((each.key,)) for each in worthwhile)
    needed_s = would_take_s(most, course.means)
    spent_s = course.spending.spent_s + course.reserve_s
    remedy = "quieten the machine (labcoat doctor), or lengthen the slices with --slice"
    if needed_s is not None:
        remedy = f"give it --budget {_minutes(spent_s + needed_s)}m, or {remedy}"
    raise PreflightError(
        f"{course.asked.budget_s / 60:.0f} min are too few to decide anything here: the baseline,"
        f" a confirmation and a last look take {spent_s / 60:.1f} min of them, and at this noise"
        f" (sd {course.sd:.1%}) one change takes"
        f" {'no time that would be enough' if needed_s is None else f'{needed_s / 60:.1f} more'}",
        where=f"study {course.bench.study.name}",
        way_out=remedy,
    )


def _minutes(seconds: float) -> int:
    return int(seconds // 60) + 1
