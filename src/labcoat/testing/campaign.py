"""Whole campaigns without processes and without waiting: what ``labcoat tune`` decides, proven.

``SimulatedLab`` puts a real journal and the real procedure on a stack whose speed is a function
of the variant's levels, with noise that is drawn from a seed and time that nobody waits for.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Self, cast

import numpy as np
import pytest

from labcoat.errors import NotReady
from labcoat.journal import Journal
from labcoat.lab.baseline.aa import AaOutcome
from labcoat.lab.baseline.findings import Gathered, compose
from labcoat.lab.campaign import course as courses
from labcoat.lab.campaign import spending, tuning
from labcoat.lab.campaign.asked import Tune
from labcoat.lab.campaign.course import Course
from labcoat.lab.campaign.spending import Spending
from labcoat.lab.experiment.answers import Comparison
from labcoat.lab.trial.arms import Warm
from labcoat.lab.trial.blocks import UNSTOLEN
from labcoat.lab.trial.events import Event
from labcoat.lab.trial.question import Rhythm
from labcoat.load.arrivals import intended_starts
from labcoat.model.baseline import Baseline
from labcoat.model.domain import Phrase
from labcoat.model.experiment import Arm
from labcoat.model.knob import ApplyCost, Condition, Knob, Relief, Safety
from labcoat.model.load import (
    ClosedLoop,
    GeneratorUse,
    Measurement,
    Outcome,
    Plan,
    Records,
    Target,
    Window,
)
from labcoat.model.metric import CPU_PER_REQUEST, THROUGHPUT
from labcoat.model.tune import Handover, TuneFinding
from labcoat.model.variant import ORIGIN, Level, Variant
from labcoat.model.workload import Workload
from labcoat.stack.base import Component
from labcoat.stack.binaries import Located
from labcoat.stack.standing import Standing
from labcoat.testing.baseline import gathered, reading, two_routes
from labcoat.testing.clock import FakeClock
from labcoat.testing.host import FakeHost
from labcoat.testing.stack import SimulatedComponent, SimulatedStack

NS = 1_000_000_000
PER_S = 1000.0
BOOT_S, WARMUP_S = 2.0, 1.0
HEADROOM = 1e4
"""Times the origin's throughput: the simulated generator is never the limit."""
RHYTHM = Rhythm(slice_s=0.4, discard_s=0.1)
EPOCH_S = 2 * BOOT_S + 2 * WARMUP_S + 4 * (RHYTHM.slice_s + RHYTHM.discard_s)
"""What an epoch takes on the simulated clock: 8 seconds."""

Levels = Mapping[str, Level]
Speed = Callable[[Levels], float]
"""From the levels of a variant to its throughput, over that of the origin."""


def a_knob(name: str, *levels: Level, prior: float = 0.3, **changed: Any) -> Knob:
    """A row for a setting that no catalogue has: one that acts on waiting, without a bound."""
    row = Knob(
        name=name,
        domain=Phrase(pattern=".+", examples=("anything",), form="words"),
        levels=lambda _: levels or (1,),
        default=(("", None),),
        why="Planted.",
        condition=Condition(text="Planted."),
        cost=ApplyCost.RESTART,
        safety=Safety.SAFE,
        relieves=(Relief.ALL,),
        prior=prior,
        source="simulated",
    )
    return replace(row, domain=AnyLevel(), **changed)


@dataclass(frozen=True, slots=True)
class AnyLevel:
    """A domain without bounds."""

    def parse(self, text: str) -> Level:
        """A whole number where it is one, else the text."""
        return int(text) if text.lstrip("-").isdecimal() else text

    def admits(self, level: Level, facts: object) -> bool:
        """Always."""
        del level, facts
        return True

    def ends(self, facts: object) -> tuple[Level, ...]:
        """None."""
        del facts
        return ()

    def describe(self, facts: object = None) -> str:
        """In words."""
        del facts
        return "anything"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedComponent(SimulatedComponent):
    """A simulated component that goes by a name of the catalogue; ``said``: the user's levels."""

    name: str = "uwsgi"  # type: ignore[misc]  # a fake of three components
    said: tuple[tuple[str, Level], ...] = ()

    def origin_level(self, directive: str) -> Level | None:
        """What the user's file says."""
        return dict(self.said).get(directive)


@dataclass(slots=True, kw_only=True)
class CampaignStack(SimulatedStack):
    """A rig whose arms take time to boot. ``refused``: levels with which it does not come up.

    ``said``: component -> levels of the user's files. ``build``: what its binaries say.
    """

    clock: FakeClock
    refused: set[tuple[str, Level]] = field(default_factory=set)
    said: Mapping[str, tuple[tuple[str, Level], ...]] = field(default_factory=dict)
    build: str = ""

    @property
    def components(self) -> Mapping[str, Component]:
        """By name, front to back."""
        return {
            name: cast("Component", NamedComponent(name=name, said=tuple(self.said.get(name, ()))))
            for name in self.shares
        }

    def located(self, name: str) -> Located:
        """A binary of version 2."""
        return Located(name=name, argv=(name,), version="2.0", source="simulated", build=self.build)

    def boot(self, arm: str, variant: Variant = ORIGIN, *, own_database: bool = False) -> Standing:
        """An arm, after a while. Raises: NotReady for a level that is refused."""
        self.clock.advance(BOOT_S)
        if self.refused & set(variant.assignment):
            raise NotReady("uwsgi did not become ready", log=("unknown option",))
        return SimulatedStack.boot(self, arm, variant, own_database=own_database)


@dataclass(slots=True, kw_only=True)
class CampaignLoad:
    """A LoadGenerator that answers as fast as ``speed`` says, evenly, with noise by slice.

    ``sd``: of a slice's factor, in logs; drawn from the seed, the variant and the slice's own
    seed, so that what is measured again comes out the same. ``late``: the same for latency in
    the open loop. ``wrong``: variants' share of wrong answers, by loop. ``before``: called with
    each compared slice.
    """

    name: ClassVar[str] = "simulated"
    clock: FakeClock
    stack: CampaignStack
    speed: Speed
    seed: int = 1
    sd: float = 0.01
    late: Speed = lambda _: 1.0
    wrong: Callable[[Levels, Plan], float] = lambda *_: 0.0
    before: Callable[[CampaignLoad, Standing], None] = lambda *_: None
    compared: int = 0
    drawn: dict[tuple[str, int], int] = field(default_factory=dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """Nothing is held."""

    def forget(self, target: Target) -> None:
        """Nothing is connected."""

    def another(self) -> Self | None:
        """None: warm-ups come one after the other."""
        return None

    def load(
        self,
        target: Target,
        workload: Workload,
        plan: Plan,
        window: Window,
        *,
        seed: int,
        keep_alive: bool = True,
        timeout_s: float = 30.0,
    ) -> Measurement:
        """One slice of simulated time."""
        del keep_alive, timeout_s
        standing = self.stack.standing[target.url]
        if window.warmup_s:
            self.compared += 1
            self.before(self, standing)
        levels = dict(standing.variant.assignment)
        coin = self._coin(standing.variant, seed)
        noise = float(np.exp(coin.normal(0.0, self.sd)))
        length_ns = round((window.warmup_s + window.measure_s) * NS)
        if isinstance(plan, ClosedLoop):
            records = _closed(plan.users, PER_S * self.speed(levels) * noise, length_ns)
        else:
            starts = np.fromiter(_until(intended_starts(plan, seed=seed), length_ns), np.int64)
            spread = coin.exponential(1.0, starts.size) / 1e3
            late = (0.002 + spread) * self.late(levels) * noise
            records = _records(starts, starts, starts + np.round(late * NS).astype(np.int64))
        records = _cut(records, length_ns, self.wrong(levels, plan), coin)
        started_ns = round(self.clock.now_s() * NS)
        self.clock.advance(length_ns / NS)
        self.stack.serve(target, int((records.status > 0).sum()))
        return Measurement(
            plan=plan,
            window=window,
            started_ns=started_ns,
            records=records,
            use=GeneratorUse(cpu_s=1e-6 * len(records), cores=1, loop_lag_p99_s=0.0001, connects=0),
            routes=workload.routes,
            tool=self.name,
        )

    def _coin(self, variant: Variant, seed: int) -> np.random.Generator:
        key = (variant.name, seed)
        self.drawn[key] = turn = self.drawn.get(key, 0) + 1
        return np.random.default_rng((self.seed, zlib.crc32(variant.name.encode()), seed, turn % 2))


def _until(starts: Iterator[int], length_ns: int) -> Iterator[int]:
    for each in starts:
        if each >= length_ns:
            return
        yield each


def _closed(users: int, per_s: float, length_ns: int) -> Records:
    """Answers at even distances, each user asking again at once."""
    done = np.round(np.arange(1, int(length_ns * per_s / NS) + users + 1) * NS / per_s).astype(
        np.int64
    )
    sent = np.concatenate((np.zeros(users, dtype=np.int64), done[:-users]))
    return _records(sent, sent, done)


def _records(intended: Any, sent: Any, done: Any) -> Records:
    n = intended.size
    return Records(
        intended=intended,
        sent=sent,
        first_byte=done,
        done=done,
        status=np.full(n, 200, dtype=np.int16),
        received=np.full(n, 512, dtype=np.int32),
        route=np.zeros(n, dtype=np.int16),
        outcome=np.zeros(n, dtype=np.int8),
    )


def _cut(whole: Records, length_ns: int, wrong: float, coin: np.random.Generator) -> Records:
    """In order of completion; what had not ended with the slice is unfinished."""
    order = np.argsort(whole.done, kind="stable")
    late = whole.done[order] >= length_ns
    bad = ~late & (coin.random(order.size) < wrong)
    status = np.where(late, 0, np.where(bad, 500, 200)).astype(np.int16)
    outcome = np.zeros(order.size, dtype=np.int8)
    outcome[late], outcome[bad] = int(Outcome.UNFINISHED), int(Outcome.WRONG_STATUS)
    done = np.where(late, -1, whole.done[order])
    return Records(
        intended=whole.intended[order],
        sent=whole.sent[order],
        first_byte=done,
        done=done,
        status=status,
        received=np.where(late | bad, 0, whole.received[order]).astype(np.int32),
        route=whole.route[order],
        outcome=outcome,
    )


def an_aa(*, sd: float = 0.01, per_s: float = PER_S) -> AaOutcome:
    """Six restarts of one block, as the simulated stack would give them."""
    outcome = AaOutcome()
    logs = sd * np.array([1.0, -1.0, 1.2, -1.2, 0.6, -0.6])
    for epoch, log_ratio in enumerate(logs.tolist()):
        outcome.epochs.append(
            [{THROUGHPUT.name: log_ratio, CPU_PER_REQUEST.name: -log_ratio, UNSTOLEN: 0.0}]
        )
        for arm, ratio in ((Arm.BASELINE, 0.99), (Arm.TREATMENT, 1.01)):
            outcome.readings += [((epoch, arm), reading(per_s=per_s * ratio))] * 2
        outcome.restart_s.append(2 * (BOOT_S + WARMUP_S))
        outcome.block_s.append(4 * (RHYTHM.slice_s + RHYTHM.discard_s))
    return outcome


@dataclass(slots=True, kw_only=True)
class SimulatedLab:
    """Everything behind ``labcoat tune``, in a folder of its own.

    ``knobs``: the catalogue. ``stops``: asked between epochs, as Ctrl-C is. ``efficiency``: of the
    baseline's ceiling. ``peaks``: counters that the components reached under load.
    """

    root: Path
    clock: FakeClock
    stack: CampaignStack
    load: CampaignLoad
    knobs: tuple[Knob, ...]
    began: datetime
    sd: float
    efficiency: float = 0.1
    peaks: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    stops: Callable[[], bool] = lambda: False
    events: list[Event] = field(default_factory=list)
    courses: list[Course] = field(default_factory=list)
    baselines: int = 0
    looks: int = 0

    def open(self) -> Journal:
        """The journal, as any sitting opens it."""
        return Journal.open(self.root / "journal.db")

    def tune(self, *, budget_s: float = 1200.0, **changed: Any) -> TuneFinding:
        """One sitting."""
        asked = Tune(
            objective=THROUGHPUT,
            margin=0.02,
            budget_s=budget_s,
            rhythm=RHYTHM,
            knobs=self.knobs,
            stops=self.stops,
        )
        self.stack.standing.clear()  # a sitting that was killed left nothing alive
        with self.open() as journal:
            return tuning.tune(
                two_routes(self.root),
                replace(asked, **changed),
                host=self.stack.host,
                journal=journal,
                generator=self.load,
                tell_event=self.events.append,
            )

    @property
    def course(self) -> Course:
        """The latest sitting's."""
        return self.courses[-1]

    @property
    def epochs(self) -> int:
        """Epochs in the journal, complete ones, whatever they were for."""
        return sum(len(indices) for indices in self.blocks().values())

    def blocks(self) -> dict[str, list[int]]:
        """Experiment -> indices of its good blocks. Raises: AssertionError for a trial that is
        doubled or lacking.
        """
        found: dict[str, list[int]] = {}
        with self.open() as journal:
            for study in journal.studies():
                for experiment in journal.experiments(study.id):
                    positions: dict[str | None, list[int]] = {}
                    for each in journal.trials(experiment.id):
                        positions.setdefault(each.trial.block, []).append(each.trial.position)
                    good = [each for each in journal.blocks(experiment.id) if each.void is None]
                    for block in good:
                        assert positions.get(block.id) == [0, 1, 2, 3], (experiment, block)
                    indices = [block.index for block in good]
                    assert indices == list(range(len(indices))), (experiment, indices)
                    found[experiment.id] = indices
        return found

    def _gather(self, bench: Any, rig: Any, *_: Any) -> Gathered:
        del bench
        self.baselines += 1
        self.clock.advance(60.0)
        found = gathered(an_aa(sd=self.sd))
        peaks = {name: dict(self.peaks.get(name, {})) for name in self.stack.shares}
        return replace(found, standing=rig.boot("a"), peaks=peaks)

    def _now(self) -> datetime:
        self.looks += 1  # no two moments are the same
        return self.began + timedelta(seconds=self.clock.now_s(), microseconds=self.looks)


@contextmanager
def simulated_lab(
    root: Path,
    knobs: Sequence[Knob],
    speed: Speed,
    *,
    sd: float = 0.01,
    seed: int = 1,
) -> Iterator[SimulatedLab]:
    """A lab in which nothing is real but the procedure and the journal."""
    clock = FakeClock(now_s=100.0)
    study = two_routes(root)
    shares = {"nginx": 0.1, "uwsgi": 0.8, "postgres": 0.1}
    stack = CampaignStack(study=study, host=FakeHost(clock=clock), clock=clock, shares=shares)
    load = CampaignLoad(clock=clock, stack=stack, speed=speed, sd=sd, seed=seed)
    lab = SimulatedLab(
        root=root,
        clock=clock,
        stack=stack,
        load=load,
        knobs=tuple(knobs),
        began=datetime.now(UTC),
        sd=max(sd, 1e-3),
    )
    with pytest.MonkeyPatch.context() as patch:
        _put_in_place(patch, lab)
        yield lab


def _put_in_place(patch: pytest.MonkeyPatch, lab: SimulatedLab) -> None:
    clock = lab.clock
    sit_down = spending.sit_down

    def warm_up(bench: object, arms: Sequence[Standing]) -> tuple[Warm, ...]:
        del bench
        clock.advance(2 * WARMUP_S)
        return tuple(Warm(standing=each, is_steady=True, warmup_s=WARMUP_S) for each in arms)

    def describe(*given: Any, **named: Any) -> Baseline:
        found = compose(*given, **named)
        ceiling = replace(found.ceiling, efficiency_ratio=lab.efficiency)
        return replace(found, ceiling=ceiling, headroom_ratio=HEADROOM)

    def sit(*given: Any, **named: Any) -> Spending:
        found = sit_down(*given, **named)
        return Spending(
            budget_s=found.budget_s, carried_s=found.carried_s, now=clock.now_s, keep=found.keep
        )

    def kept(**given: Any) -> Course:
        lab.courses.append(courses.Course(**given))
        return lab.courses[-1]

    def tuned(course: Course, *_: Any) -> Baseline:
        clock.advance(courses.AFTER_S / 2)
        return course.before

    def hand_over(study: object, variant: Variant, digests: object) -> tuple[Handover, str]:
        del study, digests
        return Handover(assignment=variant.assignment, diff="", files=(), by_hand=()), ""

    ticking = SimpleNamespace(monotonic=clock.now_s)
    today = SimpleNamespace(now=lambda zone: lab._now())  # noqa: ARG005, SLF001
    for module in ("lab.experiment.epoch", "lab.trial.pairing"):
        patch.setattr(f"labcoat.{module}.time", ticking)
    patch.setattr("labcoat.journal.journal._now", lab._now)  # noqa: SLF001
    patch.setattr("labcoat.lab.experiment.epoch.warm_up_both", warm_up)
    patch.setattr(
        "labcoat.lab.experiment.epoch.compare_answers", lambda *_, **__: Comparison(compared=2)
    )
    for name, fake in {
        "Sandbox": SimpleNamespace(open=lambda *_, **__: nullcontext()),
        "Rig": lambda *_: lab.stack,
        "Course": kept,
        "datetime": today,
        "compose": describe,
        "describe_tuned": tuned,
        "digests_of": lambda _: (),
        "gather": lab._gather,  # noqa: SLF001
        "hand_over": hand_over,
        "keep_patch": lambda *_: None,
        "origin_digest": lambda *_: "0",
        "sit_down": sit,
    }.items():
        patch.setattr(tuning, name, fake)
