"""Campaigns as ``labcoat tune`` journals them: what was found, and what went wrong.

``found`` is the ordinary one: a stack with one worker on two cores that gets a second, loses its
access log and one change that did not last. The others are what a report must survive.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from labcoat.journal import Journal
from labcoat.lab.baseline.attribution import Account
from labcoat.lab.baseline.findings import compose
from labcoat.lab.experiment.guard import BROKEN, HELD, NOT_SHOWN, guard_memory
from labcoat.lab.experiment.told import Context, tell
from labcoat.lab.trial.pairing import VoidBlock
from labcoat.model.baseline import Baseline, Bound, HonestyRow
from labcoat.model.experiment import Arm, Order, Trial, Usage
from labcoat.model.finding import ExperimentFinding, Guarded
from labcoat.model.load import ClosedLoop, GeneratorUse, Measurement, Records, Window
from labcoat.model.metric import MEMORY
from labcoat.model.stats import Decision, Evidence, LabWarning, Verdict
from labcoat.model.study import Study
from labcoat.model.tune import (
    SCHEMA,
    Change,
    Confirmation,
    Considered,
    FileChange,
    Handover,
    Quantiles,
    Step,
    TuneFinding,
)
from labcoat.model.variant import ORIGIN, Level, Variant
from labcoat.testing.baseline import (
    call_cost,
    gathered,
    host_reading,
    reading,
    tree_reading,
    two_routes,
)
from labcoat.testing.experiment import experiment, latency_guard, question
from labcoat.testing.host import FACTS

AT = "2026-01-01T00:00:00+00:00"
WAVE = (-1.0, 0.6, -0.2, 0.9, -0.7, 0.4)
"""How values scatter: the same for every experiment, so that every number can be checked."""

DIFF = """\
--- a/deploy/uwsgi.ini
+++ b/deploy/uwsgi.ini
@@ -5 +5 @@
-processes = 1  …
+processes = 2
@@ -6,0 +7 @@
+disable-logging = true
"""


def change(
    knob: str,
    before: Level | None,
    level: Level,
    *,
    said: bool = True,
    safety: str = "safe",
    trap: str = "",
    why: str = "The catalogue says why.",
) -> Change:
    """A change as the catalogue tells it."""
    return Change(
        knob=knob,
        before=before,
        before_is_said=said,
        level=level,
        why=why,
        trap=trap,
        safety=safety,
        apply_cost="restart",
        source=f"{knob.partition('.')[0]} documentation, {knob.partition('.')[2]}",
    )


PROCESSES = change(
    "uwsgi.processes",
    1,
    2,
    safety="memory",
    trap="Each worker takes memory and, with a database, connections.",
    why="One worker computes on one core; a second one takes the other.",
)
LOGGING = change(
    "uwsgi.disable-logging",
    False,
    True,
    said=False,
    safety="observability",
    trap="Failed requests vanish too, unless log-4xx and log-5xx are on.",
    why="A line is formatted and written for each request, by the process that serves it.",
)
KEEPALIVE = change("nginx.keepalive_requests", 100, 10_000, said=False)


def decision(verdict: Verdict, n: int) -> Decision:
    """A decision as the rule words it."""
    better, worse = {Verdict.IMPROVED: (61.0, 0.1), Verdict.REGRESSED: (0.1, 52.0)}.get(
        verdict, (1.6, 0.7)
    )
    reason = {
        Verdict.IMPROVED: f"evidence {better:.0f} of 40 needed after {n} blocks",
        Verdict.REGRESSED: f"evidence {worse:.0f} of 40 needed after {n} blocks",
        Verdict.NOT_BETTER: f"not better by the margin, proven after {n} blocks",
        Verdict.EQUIVALENT: f"neither better nor worse by the margin, proven after {n} blocks",
        Verdict.INCONCLUSIVE: f"no verdict after {n} blocks",
        Verdict.INVALID: "the treatment does not stand: uwsgi did not become ready",
    }[verdict]
    evidence = Evidence(
        better=math.log(better), worse=math.log(worse), not_better=0.0, not_worse=0.0,
        needed=math.log(40), needed_for_margin=math.log(20),
    )  # fmt: skip
    return Decision(
        verdict=verdict,
        reason=reason,
        n=n,
        evidence=None if verdict is Verdict.INVALID else evidence,
    )


def measured(  # noqa: PLR0913 - one argument for each thing that may differ
    id_: str,
    levels: Mapping[str, Level],
    verdict: Verdict,
    effect: float,
    *,
    blocks: int = 6,
    spread: float = 0.02,
    before: Level | None = None,
    said: bool = True,
    kind: str = "try",
    voids: int = 0,
    **asked: Any,
) -> ExperimentFinding:
    """One experiment: ``blocks`` epochs of one block, ``spread`` around an effect."""
    ratios = [(1 + effect) * (1 + spread * WAVE[place % len(WAVE)]) for place in range(blocks)]
    of = experiment(
        ratios,
        asked=question(levels, kind=kind if levels else "aa", **asked),
        latency_ratio=1 / (1 + effect),
        steal_ratio=0.021,
        voids=[
            VoidBlock(index=place, arm=Arm.TREATMENT if place % 3 else Arm.BASELINE, reason=why)
            for place, why in enumerate(("61% of the CPU was stolen",) * voids)
        ],
    )
    guards = (latency_guard(), guard_memory(of, metric=MEMORY, ram_bytes=FACTS.ram_bytes))
    context = Context(
        origin_level=before, origin_is_said=said, headroom_per_s=2400.0, online=effect > 0.05
    )
    told = tell(
        of, decision(verdict, blocks), guards if verdict is Verdict.IMPROVED else (), context
    )
    return replace(told, experiment_id=id_)


def of_change(
    id_: str, of: Change, verdict: Verdict, effect: float, **how: Any
) -> ExperimentFinding:
    """The experiment that asks for a change."""
    levels = {of.knob: of.level}
    return measured(
        id_, levels, verdict, effect, before=of.before, said=of.before_is_said, **how
    )  # fmt: skip


@cache
def baseline(
    *, per_s: float = 347.0, users: Sequence[int] = (1, 2, 4, 8, 16, 32), server_s: float = 6.4
) -> Baseline:
    """A stack on two cores at saturation; ``server_s``: CPU of uWSGI in ten seconds."""
    whole = gathered()
    requests, layers_s = round(10 * per_s), {"nginx": 0.9, "uwsgi": server_s, "postgres": 0.8}
    busy_s = sum(layers_s.values()) + 2.1

    def swept(each: int) -> float:
        low = per_s / 2.2
        return low * each / (1 + 0.36 * (each - 1) + 0.0006 * each * (each - 1))

    of = compose(
        two_routes(),
        "study-1",
        replace(
            whole,
            headroom_per_s=2400.0,
            swept={
                each: [reading(per_s=swept(each) * more) for more in (0.97, 1.0, 1.03)]
                for each in users
            },
            instances=[
                (place, reading(per_s=per_s * (1 + 0.02 * WAVE[number % len(WAVE)])))
                for number, (place, _) in enumerate(whole.instances)
            ],
            account=Account(
                cores=2,
                wall_s=10.0,
                requests=requests,
                layers=layers_s,
                generator_s=1.1,
                lab_s=0.2,
                programs_s=0.1,
                kernel_s=0.3,
                idle_s=max(0.2, 20.1 - busy_s),
                steal_s=0.4,
            ),
            calls=replace(call_cost(wall_s=0.0031), app_cpu_s=0.0013, database_cpu_s=0.0003),
        ),
        at=AT,
        elapsed_s=171.0,
    )
    limits = (
        Bound(name="workers", limit_per_s=1.04 * per_s, because="as many workers as cores allow"),
        Bound(name="cpu", limit_per_s=780.0, because="2 cores, 2.56 ms of CPU per request"),
    )
    return replace(
        of,
        rewired=("nginx listen 80 → a port of the sandbox",),
        ceiling=replace(of.ceiling, bounds=limits, binding="workers"),
        honesty=tuple(
            HonestyRow(
                phase=phase,
                check=check,
                value=0.5,
                limit=1.0,
                passed=True,
                explanation=f"{check} is 0.5, at most 1",
            )
            for phase in ("saturation", "open loop")
            for check in ("littles_law", "send_lag", "event_loop_lag")
        ),
    )


def quantiles(median_s: float, *, slow: float = 1.0, count: int = 4000) -> Quantiles:
    """A distribution with a long end; ``slow`` makes the end longer."""
    q = tuple(
        np.unique(np.concatenate([np.linspace(0, 0.95, 20), 1 - np.logspace(-1.4, -3.6, 14)]))
    )
    seconds = tuple(
        float(median_s * (0.6 + 0.8 * each + 0.25 * slow * -math.log10(1 - each))) for each in q
    )
    return Quantiles(count=count, q=tuple(float(each) for each in q), seconds=seconds)


@cache
def confirmation(*, confirmed: bool = True, broken: bool = False) -> Confirmation:
    """Twenty epochs of what is handed over."""
    levels: dict[str, Level] = {"uwsgi.processes": 2, "uwsgi.disable-logging": True}
    gain = 0.79 if confirmed else 0.011
    verdict = Verdict.IMPROVED if confirmed else Verdict.INCONCLUSIVE
    of = measured("x-confirm", levels, verdict, gain, blocks=20, kind="confirmation", voids=2)
    late = (1.3, 1.36) if broken else (0.71, 0.73)
    answer, reason = (BROKEN, "worse by 33 %, 10 % allowed") if broken else (HELD, "")
    guard = latency_guard(ratios=late * 4, answer=answer, reason=reason)
    told = tell(
        experiment(), decision(Verdict.IMPROVED, 6), (guard,),
        Context(origin_level=None, origin_is_said=False, headroom_per_s=None, online=True),
    )  # fmt: skip
    memory = Guarded(
        metric="memory",
        margin_ratio=0.8,
        rate_per_s=None,
        answer=HELD,
        reason="2 % of the machine's memory, 80 % allowed",
        compared=(),
    )
    return Confirmation(
        experiment=of,
        claimed_ratio=0.963,
        confirmed_ratio=gain,
        low_ratio=gain - 0.021,
        high_ratio=gain + 0.024,
        epochs=20,
        planned_epochs=20,
        is_confirmed=confirmed,
        guardrails=(*told.guardrails, memory),
        rate_per_s=243.0,
        before=quantiles(0.0123),
        after=quantiles(0.0089, slow=1.9 if broken else 0.7),
    )


@cache
def steps() -> tuple[Step, ...]:
    """Two that last, and one between them that was taken out again."""
    return (
        Step(
            change=PROCESSES,
            experiment=of_change("x-processes", PROCESSES, Verdict.IMPROVED, 0.861),
            removal=of_change("x-without-processes", PROCESSES, Verdict.IMPROVED, 0.84),
            is_kept=True,
            reason="without it the rest gives 46 % less",
        ),
        Step(
            change=KEEPALIVE,
            experiment=of_change(
                "x-keepalive", KEEPALIVE, Verdict.IMPROVED, 0.031, blocks=22, spread=0.03
            ),
            removal=of_change(
                "x-without-keepalive", KEEPALIVE, Verdict.NOT_BETTER, 0.004, blocks=14
            ),
            is_kept=False,
            reason="beside the others it is not shown to contribute",
        ),
        Step(
            change=LOGGING,
            experiment=of_change("x-logging", LOGGING, Verdict.IMPROVED, 0.055, blocks=9, voids=1),
            removal=None,
            is_kept=True,
            reason="the last step, accepted on top of all others",
            works_with=("uwsgi.processes",),
        ),
    )


@cache
def considered() -> tuple[Considered, ...]:
    """One of each outcome, the largest bound first."""
    rows = (
        (change("uwsgi.processes", 1, 8), Verdict.REGRESSED, -0.062, 8, 1.04, None),
        (change("nginx.worker_processes", 2, 4), Verdict.NOT_BETTER, -0.010, 11, 0.21, None),
        (
            change("python.gc", "default", "freeze", said=False),
            Verdict.INCONCLUSIVE, 0.011, 40, 0.4, 2460.0,
        ),
        (
            change("postgres.jit", True, False, said=False),
            Verdict.EQUIVALENT, 0.001, 31, 0.11, None,
        ),
        (change("uwsgi.listen", 100, 4096, said=False), Verdict.INVALID, 0.0, 0, 0.05, None),
    )  # fmt: skip
    told = [
        Considered(
            change=of,
            outcome=verdict.value,
            reason=decision(verdict, blocks).reason,
            bound_ratio=bound,
            would_take_s=takes,
            experiments=(
                of_change(
                    f"x-{of.knob}-{of.level}", of, verdict, effect, blocks=blocks, spread=0.035
                ),
            ),
        )
        for of, verdict, effect, blocks, bound, takes in rows
    ]
    told.append(
        Considered(
            change=change("python.malloc", None, "jemalloc", said=False),
            outcome="undecided",
            reason="the budget ended before its turn came",
            bound_ratio=0.09,
            would_take_s=410.0,
        )
    )
    skipped = (
        ("nginx.gzip", False, True, None, "class semantic: say --allow semantic to have it tried"),
        ("postgres.shared_buffers", "128MB", "1GB", 0.013, "at most +1.3 %, less than the margin"),
        ("nginx.sendfile", True, False, None, "no route of the workload serves a file"),
    )
    told += [
        Considered(
            change=change(knob, before, level),
            outcome="skipped",
            reason=reason,
            bound_ratio=bound,
            would_take_s=None,
        )
        for knob, before, level, bound, reason in skipped
    ]
    return tuple(told)


@cache
def found() -> TuneFinding:
    """The ordinary campaign."""
    controls = tuple(
        measured(f"x-control-{place}", {}, verdict, effect, blocks=12)
        for place, (verdict, effect) in enumerate(
            ((Verdict.INCONCLUSIVE, 0.004), (Verdict.INCONCLUSIVE, -0.006))
        )
    )
    return TuneFinding(
        schema=SCHEMA,
        study="shop",
        study_id="study-1",
        at=AT,
        outcome="improved",
        sentence="+79 % [+77 %, +81 %] throughput, confirmed on fresh processes, from 2 changes:"
        " uwsgi.processes 1 → 2 and uwsgi.disable-logging off → on; nothing else was shown to"
        " matter.",
        stopped="the budget was spent",
        objective="throughput",
        margin_ratio=0.02,
        budget_s=1200.0,
        spent_s=1187.0,
        allowed=("observability",),
        before=baseline(),
        after=baseline(per_s=621.0, server_s=11.4),
        steps=steps(),
        considered=considered(),
        controls=controls,
        confirmation=confirmation(),
        handover=Handover(
            assignment=(("uwsgi.disable-logging", True), ("uwsgi.processes", 2)),
            diff=DIFF,
            files=(FileChange(path="deploy/uwsgi.ini", lines=3),),
            by_hand=("MALLOC_ARENA_MAX=2 in the environment of uwsgi, where its unit is",),
        ),
        command="labcoat tune --budget 20m --allow observability",
        seed=1843,
        warnings=(
            LabWarning(
                code="shared_cores",
                message="generator and stack share 2 cores",
                remedy="read the gain of the stack alone beside the gain that was seen",
            ),
        ),
    )  # fmt: skip


EMPTY = Handover(assignment=(), diff="", files=(), by_hand=())


def nothing() -> TuneFinding:
    """Nothing was worth changing."""
    return replace(
        found(),
        outcome="nothing to change",
        sentence="Nothing to change: of 6 levels that could matter none was shown to be better.",
        stopped="every level that could give the margin was asked",
        after=None,
        steps=(),
        confirmation=None,
        handover=EMPTY,
    )


def unconfirmed() -> TuneFinding:
    """The gain was luck."""
    return replace(
        found(),
        outcome="not confirmed",
        sentence="Not confirmed: 2 changes claimed +96 %, fresh processes show +1.1 %"
        " [-1.0 %, +3.5 %].",
        after=None,
        confirmation=confirmation(confirmed=False),
        handover=EMPTY,
    )  # fmt: skip


def interrupted() -> TuneFinding:
    """Ended by Ctrl-C within the second step; nothing was confirmed."""
    return replace(
        found(),
        outcome="interrupted",
        sentence="Interrupted after 1 accepted change, before the confirmation.",
        stopped="it was interrupted",
        spent_s=301.0,
        after=None,
        steps=tuple(replace(each, removal=None) for each in steps()[:1]),
        controls=(),
        confirmation=None,
        handover=EMPTY,
    )


def guardrail() -> TuneFinding:
    """Faster, and later."""
    return replace(
        found(),
        outcome="guardrail",
        sentence="+79 % [+77 %, +81 %] throughput, and p99 latency is worse by 33 %: nothing is"
        " handed over.",
        confirmation=confirmation(broken=True),
        handover=EMPTY,
    )


def one_block() -> TuneFinding:
    """One block of one experiment, and nothing is known."""
    of = measured("x-only", {"uwsgi.processes": 2}, Verdict.INCONCLUSIVE, 0.5, blocks=1, before=1)
    only = Considered(
        change=PROCESSES,
        outcome="inconclusive",
        reason="the budget of 60 s ended after 1 block",
        bound_ratio=None,
        would_take_s=None,
        experiments=(of,),
    )
    return replace(
        nothing(),
        sentence="Nothing is known yet: the budget ended after 1 block.",
        considered=(only,),
        controls=(),
        before=replace(baseline(users=(1, 2, 4)), sweep=baseline(users=(1, 2, 4)).sweep[:1]),
        warnings=(),
    )


@cache
def many(*, experiments: int = 500) -> TuneFinding:
    """So many experiments that each must be short."""
    verdicts = (Verdict.NOT_BETTER, Verdict.INCONCLUSIVE, Verdict.EQUIVALENT)
    templates = [
        of_change("x", PROCESSES, verdict, 0.002, spread=0.03) for verdict in verdicts
    ]  # fmt: skip
    rows = []
    for place in range(experiments):
        of = change(f"nginx.knob-{place}", place, place + 1)
        template = templates[place % len(templates)]
        rows.append(
            Considered(
                change=of,
                outcome=template.verdict,
                reason=template.reason,
                bound_ratio=0.1,
                would_take_s=60.0 if template.verdict == "inconclusive" else None,
                experiments=(
                    replace(
                        template,
                        experiment_id=f"x-{place}",
                        knob=of.knob,
                        origin_level=place,
                        level=place + 1,
                    ),
                ),
            )
        )
    return replace(found(), considered=tuple(rows))


@cache
def all_invalid() -> TuneFinding:
    """Nothing could be measured, not even once."""
    invalid = [
        replace(each, outcome="invalid", experiments=(_invalid(each.experiments[0]),))
        for each in considered()
        if each.experiments
    ]
    return replace(
        nothing(),
        sentence="Nothing could be measured: all 5 experiments are INVALID.",
        considered=tuple(invalid),
        controls=tuple(_invalid(each) for each in found().controls),
    )


def _invalid(of: ExperimentFinding) -> ExperimentFinding:
    return replace(
        of, verdict="invalid", reason="7 void blocks of 8: 61% of the CPU was stolen",
        compared=(), layers=(), blocks=0, points=0, points_up=0, voids_baseline=4,
        voids_treatment=3,
    )  # fmt: skip


def hostile() -> TuneFinding:
    """Markup, quotes and fences wherever a user, a log or an app may put them."""
    evil = '</script><script>alert(1)</script> | `x` ```` & "quoted" <b>*bold*</b>'
    of = found()
    step = replace(of.steps[0], reason=evil, change=replace(PROCESSES, trap=evil, level=evil))
    return replace(
        of,
        study=evil,
        sentence=evil,
        stopped=evil,
        command=f"labcoat tune {evil}",
        steps=(step, *of.steps[1:]),
        considered=tuple(replace(each, reason=evil) for each in of.considered),
        handover=replace(of.handover, diff=f"{DIFF}+{evil}\n```\n", by_hand=(evil,)),
        warnings=(LabWarning(code="evil", message=evil, remedy=evil),),
    )


def not_shown() -> TuneFinding:
    """A guardrail that was proven neither way, and latencies that were not compared."""
    of = confirmation()
    guards = tuple(
        replace(each, answer=NOT_SHOWN, reason="the budget ended after 2 blocks", compared=())
        for each in of.guardrails
    )
    return replace(
        found(),
        confirmation=replace(
            of, guardrails=guards, rate_per_s=None, before=None, after=None, low_ratio=None,
            high_ratio=None, epochs=1,
        ),
    )  # fmt: skip


CAMPAIGNS: Mapping[str, Callable[[], TuneFinding]] = {
    "ordinary": found,
    "nothing": nothing,
    "unconfirmed": unconfirmed,
    "interrupted": interrupted,
    "guardrail": guardrail,
    "not-shown": not_shown,
    "one-block": one_block,
    "many": many,
    "all-invalid": all_invalid,
    "hostile": hostile,
}


def record_campaign(
    journal: Journal, of: TuneFinding, *, study: Study | None = None, blocks: int | None = None
) -> TuneFinding:
    """Journal a campaign with its trials; the document as it lies there, ids of the journal.

    ``blocks``: of each experiment, instead of as many as it says.
    """
    record = journal.begin_study(two_routes() if study is None else study, resume=True)
    journal.record_facts(record.id, FACTS)
    ids = {"study-1": record.id}
    document = asdict(of)
    for each in _experiments(document):
        if each["experiment_id"] not in ids:
            many_ = each["blocks"] if blocks is None else blocks
            ids[each["experiment_id"]] = _record_experiment(journal, record.id, each, many_)
    renamed = _renamed(document, ids)
    journal.record_finding(record.id, "tune", renamed)
    return TypeAdapter(TuneFinding).validate_python(renamed)


def _experiments(part: Any) -> Iterator[dict[str, Any]]:
    """Every experiment of a document, wherever it is."""
    if isinstance(part, Mapping):
        if "experiment_id" in part:
            yield dict(part)
        for each in part.values():
            yield from _experiments(each)
    elif isinstance(part, list | tuple):
        for each in part:
            yield from _experiments(each)


def _renamed(part: Any, ids: Mapping[str, str]) -> Any:
    if isinstance(part, Mapping):
        return {name: _renamed(each, ids) for name, each in part.items()}
    if isinstance(part, list | tuple):
        return [_renamed(each, ids) for each in part]
    return ids.get(part, part) if isinstance(part, str) else part


def _record_experiment(journal: Journal, study_id: str, each: dict[str, Any], blocks: int) -> str:
    knob, level = each["knob"], each["level"]
    treatment = ORIGIN if knob is None else Variant.of({knob: level})
    record = journal.begin_experiment(study_id, each["kind"], {}, ORIGIN, treatment, seed=1)
    for index in range(blocks):
        order = Order.ABBA if index % 2 else Order.BAAB
        if index == 1:
            torn = journal.record_block(record.id, index, order, epoch=index)
            journal.record_void(torn.id, "61% of the CPU was stolen")
        block = journal.record_block(record.id, index, order, epoch=index, attempt=int(index == 1))
        for position, arm in enumerate(order.arms):
            trial = Trial(
                experiment=record.id,
                block=block.id,
                arm=arm,
                slot=(position + index) % 2,
                position=position,
                variant=ORIGIN if arm is Arm.BASELINE else treatment,
            )
            journal.record_trial(trial, a_slice(), a_usage())
    return record.id


def a_slice(answered: int = 30) -> Measurement:
    """A slice of a second after half a second of warm-up: an answer of 10 ms each 50 ms."""
    sent = np.arange(answered, dtype=np.int64) * 50_000_000
    return Measurement(
        plan=ClosedLoop(users=1),
        window=Window(measure_s=1.0, warmup_s=0.5),
        started_ns=0,
        records=Records(
            intended=sent,
            sent=sent,
            first_byte=sent + 9_000_000,
            done=sent + 10_000_000,
            status=np.full(answered, 200, dtype=np.int16),
            received=np.full(answered, 1000, dtype=np.int32),
            route=np.zeros(answered, dtype=np.int16),
            outcome=np.zeros(answered, dtype=np.int8),
        ),
        use=GeneratorUse(cpu_s=0.05, cores=2, loop_lag_p99_s=0.0, connects=1),
        routes=("home",),
    )


def a_usage() -> Usage:
    """A second of two cores, of which the neighbours took two hundredths."""
    return Usage(
        host_before=host_reading(0.0),
        host_after=host_reading(1.0, steal_s=0.04),
        layers_before={"uwsgi": tree_reading(0.0, 0.0)},
        layers_after={"uwsgi": tree_reading(1.0, 0.8)},
    )
