"""The A/A experiment: which side effects come, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from labcoat.errors import Died, PreflightError
from labcoat.journal import Journal
from labcoat.lab.baseline.aa import measure_aa
from labcoat.lab.baseline.pace import QUICK, Pace
from labcoat.lab.baseline.phases import load_phase
from labcoat.lab.trial.events import (
    BlockVoided,
    ComponentUp,
    Event,
    PhaseStarted,
    SliceMeasured,
    WarmingUp,
)
from labcoat.lab.trial.schedule import redraw, schedule
from labcoat.lab.trial.workbench import Workbench
from labcoat.model.experiment import Arm
from labcoat.model.journal import BlockRecord, TrialRecord
from labcoat.model.load import ClosedLoop, Target, Window
from labcoat.model.study import Study
from labcoat.model.variant import ORIGIN
from labcoat.stack.rig import Rig
from labcoat.stack.standing import Standing
from labcoat.testing.baseline import TimedLoad, two_routes
from labcoat.testing.clock import FakeClock
from labcoat.testing.host import FakeHost
from labcoat.testing.load import ServiceModel
from labcoat.testing.stack import SimulatedProcess, SimulatedStack

SLOW = ServiceModel(service_s=0.02, workers=2, slice_sd_ratio=0.01)
FAILING = ServiceModel(service_s=0.02, workers=2, slice_sd_ratio=0.01, error_ratio=0.5)


@dataclass(slots=True, kw_only=True)
class LoggedStack(SimulatedStack):
    """A stack that says when it boots and stops an arm."""

    log: list[tuple[str, ...]]

    def boot(self, arm: str, variant: Any = ORIGIN, *, own_database: bool = False) -> Standing:
        self.log.append(("boot", arm))
        return SimulatedStack.boot(self, arm, variant, own_database=own_database)

    def stop(self, *standings: Standing) -> None:
        self.log += [("stop", standing.arm) for standing in standings]
        SimulatedStack.stop(self, *standings)


@dataclass(slots=True, kw_only=True)
class LoggedLoad(TimedLoad):
    """A load that says whom it loads, and whose ``before`` may spoil a slice of the A/A."""

    log: list[tuple[str, ...]]
    seeds: list[int] = field(default_factory=list)
    before: Callable[[LoggedLoad, Standing], None] = lambda load, standing: None

    def load(self, target: Target, *given: Any, **named: Any) -> Any:
        window: Window = given[2]
        standing = self.stack.standing[target.url]
        if window.warmup_s:  # a slice that is compared; warm-ups discard nothing
            self.log.append(("load", standing.arm))
            self.seeds.append(named["seed"])
            self.before(self, standing)
        else:
            self.log.append(("warm", standing.arm))
        return TimedLoad.load(self, target, *given, **named)

    def forget(self, target: Target) -> None:
        self.log.append(("forget", self.stack.standing[target.url].arm))


@dataclass(slots=True, kw_only=True)
class Lab:
    """A workbench without time, network or processes, but with a real journal."""

    bench: Workbench
    stack: LoggedStack
    load: LoggedLoad
    journal: Journal
    log: list[tuple[str, ...]]
    events: list[Event]

    def measure(self, pace: Pace) -> Any:
        with self.stack:
            return measure_aa(self.bench, cast("Rig", self.stack), pace)

    def blocks(self) -> tuple[BlockRecord, ...]:
        (experiment,) = self.journal.experiments(self.bench.study_id)
        return self.journal.blocks(experiment.id)

    def trials(self) -> tuple[TrialRecord, ...]:
        (experiment,) = self.journal.experiments(self.bench.study_id)
        return self.journal.trials(experiment.id)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    log: list[tuple[str, ...]] = []
    events: list[Event] = []
    clock = FakeClock(now_s=100.0)
    host = FakeHost(clock=clock)
    study: Study = two_routes(tmp_path)
    with Journal.open(tmp_path / "journal.db") as journal:
        stack = LoggedStack(study=study, host=host, log=log)
        load = LoggedLoad(clock=clock, stack=stack, model=SLOW, log=log)
        record = journal.begin_study(study)

        def tell(event: Event) -> None:
            events.append(event)
            match event:
                case SliceMeasured():
                    # What is told of has been committed before.
                    (experiment,) = journal.experiments(record.id)
                    log.append(("told", str(len(journal.trials(experiment.id)))))
                case BlockVoided():
                    (experiment,) = journal.experiments(record.id)
                    log.append(("void", str(event.index)))
                    assert [b.void for b in journal.blocks(experiment.id)][-1] == event.reason
                case _:
                    pass

        bench = Workbench(
            study=study,
            study_id=record.id,
            host=host,
            generator=load,
            journal=journal,
            tell=tell,
        )
        yield Lab(bench=bench, stack=stack, load=load, journal=journal, log=log, events=events)


PACE = Pace(
    **{
        **{name: getattr(QUICK, name) for name in QUICK.__slots__},
        "blocks_per_epoch": 2,
        "slice_s": 0.4,
        "discard_s": 0.1,
    }
)


def planned(lab: Lab, pace: Pace = PACE) -> Any:
    return schedule(
        lab.bench.study.seed,
        epochs=pace.epochs,
        blocks_per_epoch=pace.blocks_per_epoch,
        slice_s=pace.slice_s,
    )


def test_boot_warm_up_blocks_in_the_drawn_order_stop_and_again(lab: Lab) -> None:
    lab.measure(PACE)
    expected: list[tuple[str, ...]] = []
    told = 0
    for epoch in planned(lab):
        slot = {epoch.first_slot: "a", epoch.first_slot.other: "b"}
        expected += [("boot", "a"), ("boot", "b"), ("warm", "a"), ("warm", "b")]
        expected += [("forget", "a"), ("forget", "b")]
        for block in epoch.blocks:
            for each in block.slices:
                told += 1
                expected += [("load", slot[each.arm]), ("told", str(told))]
        expected += [("forget", "a"), ("forget", "b"), ("stop", "a"), ("stop", "b")]
    assert [
        entry for i, entry in enumerate(lab.log) if entry[0] != "warm" or lab.log[i - 1] != entry
    ] == expected
    assert told == 6 * 2 * 4
    assert lab.stack.standing == {}


def test_every_slice_of_a_block_asks_the_same_and_both_arms_share_its_seed(lab: Lab) -> None:
    lab.measure(PACE)
    blocks = [block for epoch in planned(lab) for block in epoch.blocks]
    assert lab.load.seeds == [block.seed for block in blocks for _ in block.slices]


def test_what_was_gathered_is_what_the_journal_holds(lab: Lab) -> None:
    outcome = lab.measure(PACE)
    blocks, trials = lab.blocks(), lab.trials()
    assert [len(epoch) for epoch in outcome.epochs] == [2] * 6
    assert len(outcome.readings) == len(trials) == 48
    assert (len(outcome.restart_s), len(outcome.block_s), outcome.voids) == (6, 12, [])
    assert [block.index for block in blocks] == list(range(12))
    assert [block.order for block in blocks] == [b.order for e in planned(lab) for b in e.blocks]
    assert [block.epoch for block in blocks] == [e.index for e in planned(lab) for _ in e.blocks]
    for block in blocks:
        mine = [each.trial for each in trials if each.trial.block == block.id]
        assert [trial.position for trial in mine] == [0, 1, 2, 3]
        assert [trial.arm for trial in mine] == list(block.order.arms)
    for (instance, reading), record in zip(outcome.readings, trials, strict=True):
        assert instance[1] is record.trial.arm
        assert reading.usage == lab.journal.usage(record.id)


def test_slots_are_drawn_for_each_epoch(lab: Lab) -> None:
    lab.measure(PACE)
    first = {epoch.first_slot for epoch in planned(lab)}
    assert first == {Arm.BASELINE, Arm.TREATMENT}  # of this seed
    slots = {(each.trial.arm, each.trial.slot) for each in lab.trials()}
    assert slots == {(arm, slot) for arm in Arm for slot in (0, 1)}


def test_a_void_block_is_recorded_told_and_drawn_anew_in_its_place(lab: Lab) -> None:
    def spoil(load: LoggedLoad, standing: Standing) -> None:
        del standing
        load.model = FAILING if len(load.seeds) == 6 else SLOW  # the second slice of block 1

    lab.load.before = spoil
    outcome = lab.measure(PACE)
    blocks = lab.blocks()
    assert [(block.index, block.attempt) for block in blocks][:4] == [
        (0, 0),
        (1, 0),
        (1, 1),
        (2, 0),
    ]
    void, again = blocks[1], blocks[2]
    assert void.void is not None
    assert void.void.endswith("errors")
    assert again.void is None
    drawn = redraw(1, planned(lab)[0].blocks[1], attempt=1, slice_s=PACE.slice_s)
    assert (again.order, again.seed, again.epoch) == (drawn.order, drawn.seed, void.epoch)
    assert outcome.voids == [void.void]
    # The slices of the void block stay in the journal, and none of them is counted.
    assert len([each for each in lab.trials() if each.trial.block == void.id]) == 2
    assert len(outcome.readings) == 48
    told = [event for event in lab.events if isinstance(event, BlockVoided)]
    assert [(event.index, event.reason) for event in told] == [(1, void.void)]
    assert lab.log.count(("boot", "a")) == 6


def test_too_many_void_blocks_end_it_with_every_reason_once(lab: Lab) -> None:
    lab.load.model = FAILING
    with pytest.raises(PreflightError, match="7 blocks were void") as caught:
        lab.measure(PACE)  # more than half of 12
    assert caught.value.log
    assert len(set(caught.value.log)) == len(caught.value.log)
    assert caught.value.way_out is not None
    assert "labcoat doctor" in caught.value.way_out
    blocks = lab.blocks()
    assert [block.attempt for block in blocks] == list(range(7))
    assert {block.index for block in blocks} == {0}
    assert all(block.void for block in blocks)
    assert lab.stack.standing == {}


def test_a_component_that_dies_in_the_middle_unwinds_and_keeps_what_was_measured(lab: Lab) -> None:
    def kill(load: LoggedLoad, standing: Standing) -> None:
        if len(load.seeds) == 7:
            process = standing.layers[1].process
            assert isinstance(process, SimulatedProcess)
            process.ended = -9

    lab.load.before = kill
    with pytest.raises(Died, match="uwsgi died"):
        lab.measure(PACE)
    assert len(lab.trials()) == 6  # the seventh slice was lost with its server, and is not there
    assert lab.stack.standing == {}
    assert lab.log[-2:] == [("stop", "a"), ("stop", "b")]


def test_an_instance_that_keeps_rising_is_counted_and_measured_all_the_same(lab: Lab) -> None:
    lab.load.model = ServiceModel(service_s=30.0, workers=1)

    class Stop(Exception):
        """Ends the experiment after the warm-ups."""

    def stop(load: LoggedLoad, standing: Standing) -> None:
        raise Stop

    lab.load.before = stop
    with pytest.raises(Stop):
        lab.measure(PACE)
    spent = [event.spent_s for event in lab.events if isinstance(event, WarmingUp)]
    assert spent.count(0.0) == 2  # five seconds, then one at a time up to the cap, for each arm
    assert max(spent) == 59.0


def test_components_are_told_as_they_come_up_front_to_back(lab: Lab) -> None:
    lab.measure(PACE)
    assert lab.events[0] == PhaseStarted(name="A/A", expected_s=PACE.aa_s)
    up = [(event.name, event.arm) for event in lab.events if isinstance(event, ComponentUp)]
    assert up[:6] == [(name, arm) for arm in "ab" for name in ("nginx", "uwsgi", "postgres")]
    assert len(up) == 6 * 6


def test_a_phase_measures_its_plans_in_order_and_commits_before_it_tells(lab: Lab) -> None:
    standing = lab.stack.boot("a")
    plans = [ClosedLoop(users=users) for users in (4, 1, 2)]
    readings = load_phase(lab.bench, standing, "sweep", plans, Window(warmup_s=0.1, measure_s=0.3))
    assert [reading.plan for reading in readings] == plans
    (experiment,) = lab.journal.experiments(lab.bench.study_id)
    assert (experiment.kind, experiment.question) == ("sweep", {"slices": 3})
    trials = lab.journal.trials(experiment.id)
    assert [each.trial.position for each in trials] == [0, 1, 2]
    assert [lab.journal.measurement(each.id).plan for each in trials] == plans
    assert [entry for entry in lab.log if entry[0] == "told"] == [("told", n) for n in "123"]
    assert len(set(lab.load.seeds)) == 3
    told = [(e.done, e.total) for e in lab.events if isinstance(e, SliceMeasured)]
    assert told == [(1, 3), (2, 3), (3, 3)]
