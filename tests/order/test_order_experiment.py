"""The experiment: which side effects come, in which order, and what a crash leaves to go on with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self, cast

import pytest

from labcoat.errors import NotReady, StackError
from labcoat.journal import Journal
from labcoat.lab.experiment.answers import Comparison
from labcoat.lab.experiment.experiment import Experiment, begin
from labcoat.lab.experiment.guard import baseline_rate, guard_latency, open_plan
from labcoat.lab.experiment.history import History, read_history
from labcoat.lab.experiment.race import race
from labcoat.lab.experiment.recorded import read_gathered
from labcoat.lab.trial.arms import Warm, warm_up_both
from labcoat.lab.trial.events import Asked, BlockJudged, Event, SliceMeasured
from labcoat.lab.trial.question import Question, Rhythm, Rule
from labcoat.lab.trial.validity import void_reason
from labcoat.lab.trial.workbench import Reading, Workbench
from labcoat.model.experiment import Arm
from labcoat.model.load import ClosedLoop, Target, Window
from labcoat.model.metric import LATENCY_P99, THROUGHPUT
from labcoat.model.stats import Decision, Verdict
from labcoat.model.variant import ORIGIN, Variant
from labcoat.stack.rig import Rig
from labcoat.stack.standing import Standing
from labcoat.testing.baseline import TimedLoad, two_routes
from labcoat.testing.clock import FakeClock
from labcoat.testing.host import FakeHost
from labcoat.testing.load import ServiceModel
from labcoat.testing.stack import SimulatedProcess, SimulatedStack

FASTER = Variant.of({"uwsgi.processes": 2})
PLACEBO = Variant.of({"nginx.server_tokens": False})
SLOW = ServiceModel(service_s=0.02, workers=2, slice_sd_ratio=0.02)
FAST = replace(SLOW, service_s=0.015)
FAILING = replace(SLOW, error_ratio=0.5)
RHYTHM = Rhythm(slice_s=0.4, discard_s=0.1)


@dataclass(slots=True, kw_only=True)
class LoggedStack(SimulatedStack):
    """Says when it boots and stops an arm; ``refused``: variants that do not come up."""

    log: list[tuple[str, ...]]
    refused: set[Variant] = field(default_factory=set)

    def boot(self, arm: str, variant: Any = ORIGIN, *, own_database: bool = False) -> Standing:
        self.log.append(("boot", arm, variant.name, "own" if own_database else "shared"))
        if variant in self.refused:
            raise NotReady("uwsgi did not become ready", log=("bind(): Address in use",))
        return SimulatedStack.boot(self, arm, variant, own_database=own_database)

    def stop(self, *standings: Standing) -> None:
        self.log += [("stop", standing.arm) for standing in standings]
        SimulatedStack.stop(self, *standings)


class Stop(Exception):
    """Stands for kill -9: nothing catches it."""


@dataclass(slots=True, kw_only=True)
class VariantLoad(TimedLoad):
    """Serves each variant as its model says; ``before`` may spoil a compared slice."""

    log: list[tuple[str, ...]]
    of: dict[Variant, ServiceModel] = field(default_factory=dict)
    compared: int = 0
    before: Callable[[VariantLoad, Standing], None] = lambda load, standing: None

    def load(self, target: Target, *given: Any, **named: Any) -> Any:
        window: Window = given[2]
        standing = self.stack.standing[target.url]
        self.model = self.of.get(standing.variant, SLOW)
        if window.warmup_s:
            self.compared += 1
            self.log.append(("load", standing.arm))
            self.before(self, standing)
        return TimedLoad.load(self, target, *given, **named)

    def forget(self, target: Target) -> None:
        self.log.append(("forget", self.stack.standing[target.url].arm))


@dataclass(slots=True, kw_only=True)
class Lab:
    """A workbench without time, network or processes, but with a real journal."""

    bench: Workbench
    stack: LoggedStack
    load: VariantLoad
    journal: Journal
    log: list[tuple[str, ...]]
    events: list[Event]

    def ask(
        self,
        *questions: Question,
        budget_s: float = 1e9,
        headroom_per_s: float | None = 1e6,
        anew: bool = False,
        history: History | None = None,
    ) -> tuple[list[Experiment], list[Decision]]:
        experiments = [
            begin(self.bench, question, history or History(), anew=anew) for question in questions
        ]
        with self.stack:
            rig = cast("Rig", self.stack)
            decisions = race(
                self.bench, rig, experiments, budget_s=budget_s, headroom_per_s=headroom_per_s
            )
        return experiments, decisions


def question(treatment: Variant = FASTER, *, kind: str = "try", **rule: Any) -> Question:
    return Question(
        kind=kind,
        baseline=ORIGIN,
        treatment=treatment,
        plan=ClosedLoop(users=8),
        rule=replace(Rule(objective=THROUGHPUT, margin=0.02), **rule),
        rhythm=RHYTHM,
        origin="0",
        machine="here",
    )


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    log: list[tuple[str, ...]] = []
    events: list[Event] = []
    clock = FakeClock(now_s=100.0)
    host = FakeHost(clock=clock)
    study = two_routes(tmp_path)

    def same(*_: Any, **__: Any) -> Comparison:
        log.append(("answers",))
        return Comparison(compared=2)

    # A simulated stack has no endpoint that could be asked.
    monkeypatch.setattr("labcoat.lab.experiment.epoch.compare_answers", same)
    with Journal.open(tmp_path / "journal.db") as journal:
        stack = LoggedStack(study=study, host=host, log=log)
        load = VariantLoad(
            clock=clock, stack=stack, model=SLOW, log=log, of={FASTER: FAST, ORIGIN: SLOW}
        )
        record = journal.begin_study(study)
        bench = Workbench(
            study=study,
            study_id=record.id,
            host=host,
            generator=load,
            journal=journal,
            tell=events.append,
        )
        yield Lab(bench=bench, stack=stack, load=load, journal=journal, log=log, events=events)


def test_an_epoch_boots_asks_compares_and_stops_both_arms(lab: Lab) -> None:
    (experiment,), _ = lab.ask(question())
    first = lab.log[: lab.log.index(("stop", "b")) + 1]
    blocks = lab.journal.blocks(experiment.record.id)
    trials = lab.journal.trials(experiment.record.id)
    slot = {each.trial.arm: "ab"[each.trial.slot] for each in trials[:4]}
    names = {slot[Arm.BASELINE]: "origin", slot[Arm.TREATMENT]: FASTER.name}
    assert first == [
        ("boot", "a", names["a"], "own"),  # the workload writes
        ("boot", "b", names["b"], "own"),
        ("forget", "a"),  # the warm-ups' connections
        ("forget", "b"),
        ("answers",),
        *(("load", slot[arm]) for arm in blocks[0].order.arms),
        ("forget", "a"),
        ("forget", "b"),
        ("stop", "a"),
        ("stop", "b"),
    ]
    assert lab.stack.standing == {}
    assert {each.trial.variant for each in trials if each.trial.arm is Arm.TREATMENT} == {FASTER}


def test_a_faster_treatment_is_improved_and_a_slower_one_regressed(lab: Lab) -> None:
    (experiment,), (decision,) = lab.ask(question())
    assert decision.verdict is Verdict.IMPROVED
    assert 6 <= decision.n <= 8
    effect = experiment.effect("throughput")
    assert effect is not None
    assert effect.low < 1 / 3 < effect.high
    (verdict,) = lab.journal.verdicts(experiment.record.id)
    assert verdict.decision == decision
    assert verdict.effect == effect
    lab.load.of = {FASTER: SLOW, ORIGIN: FAST}
    _, (other,) = lab.ask(question(margin=0.03))
    assert other.verdict is Verdict.REGRESSED


def test_each_decision_is_told_after_its_block_was_committed(lab: Lab) -> None:
    (experiment,), _ = lab.ask(question())
    judged = [event for event in lab.events if isinstance(event, BlockJudged)]
    assert [event.blocks for event in judged] == list(range(1, len(experiment.gathered.blocks) + 1))
    assert [event.decision.verdict is None for event in judged] == [True] * (len(judged) - 1) + [
        False
    ]
    assert isinstance(next(e for e in lab.events if isinstance(e, Asked | SliceMeasured)), Asked)


def test_a_race_goes_round_and_drops_what_is_decided(lab: Lab) -> None:
    levels = [FASTER, Variant.of({"uwsgi.processes": 4})]
    experiments, decisions = lab.ask(*(question(each, screening=True) for each in levels))
    assert decisions[0].verdict is Verdict.IMPROVED
    assert decisions[1].verdict in {Verdict.NOT_BETTER, Verdict.EQUIVALENT, Verdict.INCONCLUSIVE}
    treated = [name for what, *rest in lab.log if what == "boot" for name in rest[1:2]]
    order = [name for name in treated if name != "origin"]
    n = experiments[0].gathered.blocks[-1].index + 1
    assert order[: 2 * n] == [level.name for level in levels] * n
    assert set(order[2 * n :]) == {levels[1].name}
    assert experiments[0].record.seed != experiments[1].record.seed


@pytest.mark.parametrize(
    ("knob", "database"), [("postgres.shared_buffers", "own"), ("uwsgi.processes", "shared")]
)
def test_arms_that_only_read_share_a_database_unless_it_is_what_differs(
    lab: Lab, knob: str, database: str
) -> None:
    workload = lab.bench.study.workload
    reading = replace(workload, requests=tuple(r for r in workload.requests if r.method == "GET"))
    lab.bench = replace(lab.bench, study=replace(lab.bench.study, workload=reading))
    lab.ask(question(Variant.of({knob: 4})), budget_s=0.0)
    assert {entry[3] for entry in lab.log if entry[0] == "boot"} == {database}


def test_a_level_that_does_not_come_up_is_invalid_with_its_own_words(lab: Lab) -> None:
    lab.stack.refused = {FASTER}
    _, (decision,) = lab.ask(question())
    assert decision.verdict is Verdict.INVALID
    assert "Address in use" in decision.reason
    assert lab.stack.standing == {}


def test_a_baseline_that_does_not_come_up_is_an_error(lab: Lab) -> None:
    lab.stack.refused = {ORIGIN}
    with pytest.raises(StackError, match="did not become ready"):
        lab.ask(question())
    assert lab.stack.standing == {}


@pytest.mark.parametrize("victim", list(Arm))
def test_an_arm_that_dies(lab: Lab, victim: Arm) -> None:
    variant = {Arm.BASELINE: ORIGIN, Arm.TREATMENT: FASTER}[victim]

    def kill(load: VariantLoad, standing: Standing) -> None:
        if standing.variant == variant and load.compared > 5:
            process = standing.layers[1].process
            assert isinstance(process, SimulatedProcess)
            process.ended = -9

    lab.load.before = kill
    if victim is Arm.BASELINE:
        with pytest.raises(StackError, match="died"):
            lab.ask(question())
    else:
        _, (decision,) = lab.ask(question())
        assert decision.verdict is Verdict.INVALID
        assert "uwsgi died" in decision.reason
    assert lab.stack.standing == {}


def test_errors_of_the_treatment_alone_are_a_regression(lab: Lab) -> None:
    lab.load.of[FASTER] = replace(FAILING, service_s=0.001)
    (experiment,), (decision,) = lab.ask(question())
    assert decision.verdict is Verdict.REGRESSED
    assert "7 on the treatment, 0 on the baseline" in decision.reason
    assert {void.arm for void in experiment.gathered.voids} == {Arm.TREATMENT}


def test_errors_of_both_arms_are_no_measurement(lab: Lab) -> None:
    def spoil(load: VariantLoad, standing: Standing) -> None:
        load.model = FAILING

    lab.load.before = spoil
    (experiment,), (decision,) = lab.ask(question())
    assert decision.verdict is Verdict.INVALID
    assert "7 of 7 blocks were void" in decision.reason
    assert {void.arm for void in experiment.gathered.voids} == set(Arm)


def test_a_baseline_that_answers_wrongly_is_an_error_with_the_route(lab: Lab) -> None:
    lab.load.of[ORIGIN] = FAILING
    with pytest.raises(StackError, match="answers wrongly") as caught:
        lab.ask(question())
    assert caught.value.log[0].startswith("home:")


def test_answers_that_differ_end_it_before_any_block(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(_: Workbench, arms: Any, **__: Any) -> Comparison:
        if kind == "try" and arms[Arm.TREATMENT].variant == ORIGIN:
            return Comparison(compared=2)  # two boots of the baseline say the same
        return Comparison(compared=2, differences=(("home", "status 500, not 200"),))

    kind = "try"

    monkeypatch.setattr("labcoat.lab.experiment.epoch.compare_answers", other)
    (experiment,), (decision,) = lab.ask(question())
    assert decision.verdict is Verdict.REGRESSED
    assert decision.reason == "the treatment answers differently: home: status 500, not 200"
    assert experiment.gathered.blocks == []
    kind = "aa"
    _, (same,) = lab.ask(question(ORIGIN, kind="aa"))
    assert same.verdict is Verdict.INVALID


def test_a_stack_whose_boots_never_agree_cannot_be_compared(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> Comparison:
        return Comparison(compared=2, differences=(("home", "status 500, not 200"),))

    monkeypatch.setattr("labcoat.lab.experiment.epoch.compare_answers", never)
    _, (decision,) = lab.ask(question())
    assert decision.verdict is Verdict.INVALID
    assert "two boots of the same stack answer differently: home" in decision.reason


def test_equal_arms_behind_a_slow_generator_are_not_called_equal(lab: Lab) -> None:
    lab.load.of = {PLACEBO: replace(SLOW, slice_sd_ratio=0.004), ORIGIN: SLOW}
    lab.load.of[ORIGIN] = replace(SLOW, slice_sd_ratio=0.004)
    asked = question(PLACEBO, margin=0.05)
    _, (decision,) = lab.ask(asked, headroom_per_s=150.0)
    assert decision.verdict is Verdict.INVALID
    assert "generator reaches only" in decision.reason
    _, (free,) = lab.ask(asked, headroom_per_s=1e6)
    assert free.verdict is Verdict.EQUIVALENT


def test_a_budget_ends_it_and_asking_again_goes_on(lab: Lab) -> None:
    (first,), (decision,) = lab.ask(question(), budget_s=0.0)
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert "the budget of 0 s ended" in decision.reason
    assert len(first.gathered.blocks) == 1
    (second,), (final,) = lab.ask(question())
    assert second.record.id == first.record.id
    assert final.verdict is Verdict.IMPROVED
    assert [block.index for block in second.gathered.blocks] == list(range(final.n))
    assert [v.decision.verdict for v in lab.journal.verdicts(first.record.id)] == [
        Verdict.INCONCLUSIVE,
        Verdict.IMPROVED,
    ]


def test_what_has_a_verdict_is_not_measured_again_unless_asked_to(lab: Lab) -> None:
    (first,), (decision,) = lab.ask(question())
    before = lab.load.compared
    (again,), (same,) = lab.ask(question())
    assert (again.record.id, same, again.is_recorded) == (first.record.id, decision, True)
    assert lab.load.compared == before
    (anew,), _ = lab.ask(question(), anew=True)
    assert anew.record.id != first.record.id
    assert anew.record.seed != first.record.seed
    (other,), _ = lab.ask(replace(question(), origin="1"))
    assert other.record.id not in {first.record.id, anew.record.id}


@pytest.mark.parametrize("moment", range(2, 24, 3))
def test_killed_at_any_slice_it_goes_on_and_nothing_counts_twice(lab: Lab, moment: int) -> None:
    def die(load: VariantLoad, standing: Standing) -> None:
        if load.compared == moment:
            raise Stop

    lab.load.before = die
    with pytest.raises(Stop):
        lab.ask(question())
    (record,) = lab.journal.experiments(lab.bench.study_id)
    kept = read_gathered(lab.journal, record.id)
    assert len(kept.blocks) == (moment - 1) // 4
    lab.load.before = lambda load, standing: None
    (experiment,), (decision,) = lab.ask(question())
    assert experiment.record.id == record.id
    assert decision.verdict is Verdict.IMPROVED
    blocks = lab.journal.blocks(record.id)
    good = [block for block in blocks if block.void is None]
    assert [block.index for block in good] == list(range(decision.n))
    trials = lab.journal.trials(record.id)
    for block in good:
        mine = [each.trial.position for each in trials if each.trial.block == block.id]
        assert mine == [0, 1, 2, 3]
    torn = [block for block in blocks if block.void]
    assert [block.void for block in torn] == ["interrupted"]
    assert read_gathered(lab.journal, record.id).voids == []


def test_live_and_read_back_from_the_journal_are_the_same_evidence(lab: Lab) -> None:
    (live,), (decision,) = lab.ask(question())
    again = begin(lab.bench, question(), History(), anew=False)
    assert again.sample("throughput") is not None
    for metric in ("throughput", "cpu_per_request", "memory", LATENCY_P99.name):
        one, other = live.sample(metric), again.sample(metric)
        assert one is not None
        assert other is not None
        assert one.log_ratios.tolist() == other.log_ratios.tolist()
    again.ended = None
    assert again.decision() == decision
    assert again.explained == live.explained
    assert again.compared == live.compared


def test_two_blocks_between_restarts_are_one_value(lab: Lab) -> None:
    asked = replace(question(), rhythm=replace(RHYTHM, blocks_per_epoch=2))
    (experiment,), (decision,) = lab.ask(asked)
    assert len(experiment.gathered.blocks) == 2 * decision.n
    sample = experiment.sample("throughput")
    assert sample is not None
    assert sample.log_ratios.size == decision.n
    assert sum(entry[0] == "boot" for entry in lab.log) == 2 * decision.n


def test_an_aa_teaches_the_next_and_never_itself(lab: Lab) -> None:
    facts = lab.bench.host.facts()
    lab.journal.record_facts(lab.bench.study_id, facts)
    aa = question(ORIGIN, kind="aa")
    assert read_history(lab.journal, lab.bench.study_id, facts).gathered == ()
    (first,), _ = lab.ask(aa, budget_s=0.0)
    history = read_history(lab.journal, lab.bench.study_id, facts)
    assert [len(each.blocks) for each in history.gathered] == [len(first.gathered.blocks)]
    begin(lab.bench, aa, History(), anew=True)  # begun, and torn before its first block
    assert len(read_history(lab.journal, lab.bench.study_id, facts).gathered) == 1


def test_a_crash_between_the_last_block_and_the_verdict_loses_no_verdict(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> None:
        raise Stop

    with monkeypatch.context() as crash:
        crash.setattr("labcoat.lab.experiment.race.settle", die)
        with pytest.raises(Stop):
            lab.ask(question())
    (record,) = lab.journal.experiments(lab.bench.study_id)
    assert lab.journal.verdicts(record.id) == ()
    before = lab.load.compared
    for _ in range(2):
        (experiment,), (decision,) = lab.ask(question())
        assert (experiment.record.id, decision.verdict) == (record.id, Verdict.IMPROVED)
        assert [v.decision for v in lab.journal.verdicts(record.id)] == [decision]
    assert lab.load.compared == before


def test_asked_again_what_has_no_verdict_goes_on_and_is_not_begun_anew(lab: Lab) -> None:
    (first,), _ = lab.ask(question(), budget_s=0.0)
    (second,), (decision,) = lab.ask(question(), anew=True)
    assert second.record.id == first.record.id
    assert decision.verdict is Verdict.IMPROVED


def test_a_budget_that_ends_at_once_says_after_how_many_blocks(lab: Lab) -> None:
    (_,), (decision,) = lab.ask(question(), budget_s=0.0)
    assert decision.reason == "the budget of 0 s ended after 1 block"
    _, (guard,) = lab.ask(question(kind="guard"), budget_s=0.0)
    assert guard.reason == "the budget ended after 1 block"


def test_the_latency_guardrail_is_an_experiment_of_its_own_and_asked_once(lab: Lab) -> None:
    (experiment,), _ = lab.ask(question())
    with lab.stack:
        rig = cast("Rig", lab.stack)
        first = guard_latency(lab.bench, rig, experiment, budget_s=1e9)
        before = lab.load.compared
        again = guard_latency(lab.bench, rig, experiment, budget_s=1e9)
    assert first.experiment is not None
    assert again.experiment is not None
    assert first.experiment.record.kind == "guard"
    assert first.experiment.record.id != experiment.record.id
    assert 6 <= len(first.experiment.gathered.blocks) <= 8
    assert first.rate_per_s == open_plan(baseline_rate(experiment), 8).rate_per_s
    assert first.answer == "held"
    assert (again.answer, again.experiment.record.id) == ("held", first.experiment.record.id)
    assert lab.load.compared == before


def test_a_guardrail_that_has_no_time_is_not_shown_and_goes_on_later(lab: Lab) -> None:
    (experiment,), _ = lab.ask(question())
    with lab.stack:
        rig = cast("Rig", lab.stack)
        first = guard_latency(lab.bench, rig, experiment, budget_s=0.0)
        again = guard_latency(lab.bench, rig, experiment, budget_s=1e9)
    assert (first.answer, first.reason) == ("not shown", "the budget ended after 1 block")
    assert again.answer == "held"
    assert first.experiment is not None
    assert again.experiment is not None
    assert again.experiment.record.id == first.experiment.record.id


def test_voids_come_back_from_the_journal_with_their_arm_and_their_errors(lab: Lab) -> None:
    lab.load.of[FASTER] = FAILING

    def die(load: VariantLoad, standing: Standing) -> None:
        if load.compared == 8:
            raise Stop

    lab.load.before = die
    with pytest.raises(Stop):
        lab.ask(question())
    (record,) = lab.journal.experiments(lab.bench.study_id)
    void_blocks = [block for block in lab.journal.blocks(record.id) if block.void]
    gathered = read_gathered(lab.journal, record.id)
    assert len(gathered.voids) == len(void_blocks) >= 3
    assert [void.reason for void in gathered.voids] == [block.void for block in void_blocks]
    assert {void.arm for void in gathered.voids} == {Arm.TREATMENT}
    assert [f"{void.errors} errors" for void in gathered.voids] == [
        void.reason for void in gathered.voids
    ]
    lab.load.before = lambda load, standing: None
    (experiment,), (decision,) = lab.ask(question())
    assert decision.verdict is Verdict.REGRESSED
    assert len(experiment.gathered.voids) == 7


def test_a_rule_that_is_none_is_invalid_and_no_crash(lab: Lab) -> None:
    (experiment,), (decision,) = lab.ask(question(margin=0.0))
    assert decision.verdict is Verdict.INVALID
    assert "no rule has" in decision.reason
    assert lab.journal.verdicts(experiment.record.id)[-1].decision == decision


def test_what_was_learnt_on_another_machine_or_of_another_study_does_not_count(lab: Lab) -> None:
    facts = lab.bench.host.facts()
    lab.journal.record_facts(lab.bench.study_id, facts)
    (aa,), _ = lab.ask(question(ORIGIN, kind="aa"), budget_s=0.0)
    history = read_history(lab.journal, lab.bench.study_id, facts)
    assert [len(each.blocks) for each in history.gathered] == [len(aa.gathered.blocks)]
    assert history.beta("throughput") is None  # one value has no spread
    for other in (replace(facts, hostname="there"), replace(facts, cpus=facts.cpus + 1)):
        assert read_history(lab.journal, lab.bench.study_id, other).gathered == ()
    another = lab.journal.begin_study(replace(lab.bench.study, users=9))
    lab.journal.record_facts(another.id, facts)
    assert read_history(lab.journal, another.id, facts).gathered == ()


def test_a_baseline_measured_in_between_does_not_make_an_experiment_forgotten(lab: Lab) -> None:
    (first,), _ = lab.ask(question(), budget_s=0.0)
    begun = lab.journal.begin_study(lab.bench.study)  # as labcoat baseline does
    assert begun.id != lab.bench.study_id
    lab.bench = replace(lab.bench, study_id=begun.id)
    again = begin(lab.bench, question(), History(), anew=False)
    assert again.record.id == first.record.id
    assert (len(again.gathered.blocks), again.compared) == (1, first.compared)


def test_an_answer_stays_though_the_generator_is_slower_the_next_time(lab: Lab) -> None:
    lab.load.of = dict.fromkeys((PLACEBO, ORIGIN), replace(SLOW, slice_sd_ratio=0.004))
    asked = question(PLACEBO, margin=0.05)
    _, (decision,) = lab.ask(asked)
    assert decision.verdict is Verdict.EQUIVALENT
    (again,), (same,) = lab.ask(asked, headroom_per_s=150.0)
    assert (same, again.is_recorded) == (decision, True)
    assert len(lab.journal.verdicts(again.record.id)) == 1


def test_a_treatment_that_dies_while_the_baseline_boots_is_to_blame(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def boot(stack: LoggedStack, arm: str, variant: Any = ORIGIN, **_: Any) -> Standing:
        for standing in stack.standing.values():
            if standing.variant == FASTER:
                process = standing.layers[1].process
                assert isinstance(process, SimulatedProcess)
                process.ended = -9
                raise NotReady("the stack never served: uwsgi died")
        return SimulatedStack.boot(stack, arm, variant)

    monkeypatch.setattr(LoggedStack, "boot", boot)
    monkeypatch.setattr(
        "labcoat.lab.experiment.epoch.slots_of",
        lambda _: {Arm.TREATMENT: "a", Arm.BASELINE: "b"},
    )
    _, (decision,) = lab.ask(question())
    assert decision.verdict is Verdict.INVALID
    assert "uwsgi died" in decision.reason


def test_a_crash_between_the_last_slice_and_its_gate_makes_no_good_block(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(load: VariantLoad, standing: Standing) -> None:
        if load.compared == 4:
            load.model = FAILING

    def gate(reading: Reading) -> str | None:
        if void_reason(reading):
            raise Stop
        return None

    lab.load.before = spoil
    with monkeypatch.context() as crash:
        crash.setattr("labcoat.lab.trial.pairing.void_reason", gate)
        with pytest.raises(Stop):
            lab.ask(question())
    again = begin(lab.bench, question(), History(), anew=False)
    assert again.gathered.blocks == []
    assert [void.index for void in again.gathered.voids] == [0]
    assert "errors" in again.gathered.voids[0].reason


def test_an_experiment_that_goes_on_is_adjusted_as_it_was_when_it_began(lab: Lab) -> None:
    facts = lab.bench.host.facts()
    lab.journal.record_facts(lab.bench.study_id, facts)
    aa = question(ORIGIN, kind="aa")
    lab.ask(aa, budget_s=0.0)
    (first,), _ = lab.ask(question(), budget_s=0.0)
    lab.ask(aa, budget_s=0.0, anew=True)
    study = lab.bench.study_id
    assert len(read_history(lab.journal, study, facts).gathered) == 2
    before = read_history(lab.journal, study, facts, before=first.record.at)
    assert len(before.gathered) == 1


def test_an_interrupted_warm_up_ends_the_other_arms_between_two_loads_as_well(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Semaphore(0)
    heard: list[bool] = []

    class Other:
        """A second generator: each exit ends one load."""

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            ended.release()

    def warm(bench: Workbench, standing: Standing) -> Warm:
        if isinstance(bench.generator, Other):
            heard.extend(ended.acquire(timeout=5.0) for _ in range(2))
            raise StackError("the load was ended")
        raise KeyboardInterrupt

    monkeypatch.setattr("labcoat.lab.trial.arms.warm_up", warm)
    monkeypatch.setattr(VariantLoad, "another", lambda _: Other())
    arms = cast("tuple[Standing, Standing]", (object(), object()))
    with pytest.raises(KeyboardInterrupt):
        warm_up_both(lab.bench, arms)
    assert heard == [True, True]


def test_what_two_boots_of_the_baseline_answer_differently_is_no_doing_of_the_knob(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A route that tells when its process began: other in each boot, the same within one."""
    known: list[tuple[str, ...]] = []

    def by_boot(_: Workbench, arms: Any, *, unstable: Any, **__: Any) -> Comparison:
        known.append((arms[Arm.TREATMENT].variant.name, *unstable))
        differences = () if "home" in unstable else (("home", "another body"),)
        return Comparison(compared=2, differences=differences)

    monkeypatch.setattr("labcoat.lab.experiment.epoch.compare_answers", by_boot)
    (experiment,), (decision,) = lab.ask(question())
    assert decision.verdict is Verdict.IMPROVED
    assert known[:3] == [(FASTER.name,), ("origin",), (FASTER.name, "home")]
    assert list(experiment.unstable) == ["home"]
    assert len(known) == 2 + decision.n  # one epoch was lost to the second baseline
    assert lab.stack.standing == {}


def test_what_only_the_treatment_answers_differently_stays_its_doing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Workbench, arms: Any, **__: Any) -> Comparison:
        is_control = arms[Arm.TREATMENT].variant == ORIGIN
        home = (("home", "another body"),)
        return Comparison(
            compared=2, differences=home if is_control else (*home, ("buy", "status 500, not 200"))
        )

    monkeypatch.setattr("labcoat.lab.experiment.epoch.compare_answers", broken)
    _, (decision,) = lab.ask(question())
    assert decision.verdict is Verdict.REGRESSED
    assert decision.reason == "the treatment answers differently: buy: status 500, not 200"
