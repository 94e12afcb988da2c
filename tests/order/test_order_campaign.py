"""Whole campaigns on a simulated stack: what is found, what never is, and what a crash leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from scipy import stats

from labcoat.errors import PreflightError
from labcoat.journal import Journal
from labcoat.lab.campaign.course import AFTER_S
from labcoat.lab.campaign.screening import STOPPED
from labcoat.lab.campaign.tuning import FRESH_S
from labcoat.lab.experiment.history import read_history
from labcoat.model.finding import ExperimentFinding
from labcoat.model.knob import Relief
from labcoat.model.load import ClosedLoop
from labcoat.model.stats import Verdict
from labcoat.model.tune import TuneFinding
from labcoat.testing.campaign import (
    EPOCH_S,
    Levels,
    SimulatedLab,
    a_knob,
    simulated_lab,
)

pytestmark = pytest.mark.slow

HELPS = {"uwsgi.helps": 1.3, "nginx.helps": 1.12}
HURTS = {"uwsgi.hurts": 0.8}
NOTHING = ("uwsgi.idle", "nginx.idle", "postgres.idle")
BROKEN = ("nginx.broken", 1)
ALL = tuple(a_knob(name, 1) for name in (*NOTHING, *HELPS, *HURTS, BROKEN[0]))
FEW = tuple(a_knob(name, 1) for name in ("uwsgi.idle", "uwsgi.helps", "uwsgi.hurts"))


def product(levels: Levels) -> float:
    """Each level has its factor, whatever else is set."""
    found = 1.0
    for knob, level in levels.items():
        if level:
            found *= {**HELPS, **HURTS}.get(knob, 1.0)
    return found


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


@pytest.fixture
def short_confirmation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six epochs instead of twenty: what is proven here does not hang on their number."""
    monkeypatch.setattr("labcoat.lab.campaign.course.EPOCHS", 6)
    monkeypatch.setattr("labcoat.lab.campaign.course.LEAST_EPOCHS", 6)


def kept(found: TuneFinding) -> dict[str, Any]:
    return dict(found.handover.assignment)


def state(found: TuneFinding) -> tuple[Any, ...]:
    """What must be the same however often a campaign was interrupted."""
    return (
        found.outcome,
        found.handover.assignment,
        [(step.change.knob, step.experiment.verdict, step.is_kept) for step in found.steps],
        found.confirmation is not None and found.confirmation.experiment.verdict,
    )


def experiments(found: TuneFinding) -> Iterator[ExperimentFinding]:
    for step in found.steps:
        yield step.experiment
        if step.removal is not None:
            yield step.removal
    for considered in found.considered:
        yield from considered.experiments
    yield from found.controls
    if found.confirmation is not None:
        yield found.confirmation.experiment


def assert_journaled(lab: SimulatedLab, found: TuneFinding) -> None:
    """Every verdict that is told is in the journal; an experiment has one verdict at the most."""
    with lab.open() as journal:
        for each in experiments(found):
            verdicts = [v.decision.verdict for v in journal.verdicts(each.experiment_id)]
            if each.reason.startswith("left after"):
                assert verdicts == []
            else:
                assert [v.value for v in verdicts if v is not None] == [each.verdict], each.reason


def test_exactly_the_helpful_knobs_are_handed_over(tmp_path: Path) -> None:
    with simulated_lab(tmp_path, ALL, product) as lab:
        lab.stack.refused = {BROKEN}
        found = lab.tune()
        assert found.outcome == "improved"
        assert kept(found) == dict.fromkeys(HELPS, 1)
        outcomes = {each.change.knob: each.outcome for each in found.considered}
        assert outcomes.keys() == {*NOTHING, *HURTS, BROKEN[0]}
        assert outcomes[BROKEN[0]] == "invalid"
        assert set(outcomes.values()) <= {
            "invalid", "undecided", "regressed", "not_better", "inconclusive", "equivalent",
        }  # fmt: skip
        (invalid,) = (each for each in found.considered if each.outcome == "invalid")
        assert "unknown option" in invalid.reason
        confirmation = found.confirmation
        assert confirmation is not None
        assert confirmation.low_ratio is not None
        assert confirmation.high_ratio is not None
        assert confirmation.low_ratio < 1.3 * 1.12 - 1 < confirmation.high_ratio
        assert (confirmation.epochs, confirmation.planned_epochs) == (20, 20)
        assert all(step.removal is not None for step in found.steps)
        assert_journaled(lab, found)
        lab.blocks()


def test_of_the_numbers_of_workers_the_one_that_keeps_the_cores_busy_is_asked_first(
    tmp_path: Path,
) -> None:
    """A request waits beside its work, so that one worker for each core leaves cores idle."""
    gain = {1: 1.0, 2: 1.6, 4: 2.0, 8: 2.0}

    def speed(levels: Levels) -> float:
        return gain[int(str(levels.get("uwsgi.processes", 1)))]

    workers = a_knob("uwsgi.processes", 2, 8, 4, default=(("", 1),), relieves=(Relief.WAITING,))
    with simulated_lab(tmp_path, (workers,), speed) as lab:
        found = lab.tune()
        assert kept(found) == {"uwsgi.processes": 4}
        assert [(step.change.level, step.experiment.epochs) for step in found.steps] == [(4, 6)]
        assert [each.change.level for each in found.considered] == [2, 8]
        assert not any(each.experiments for each in found.considered if each.change.level == 2)


def test_what_a_later_step_made_useless_is_left_out(tmp_path: Path) -> None:
    """The first helps alone; the second does all that it did, and more."""

    def speed(levels: Levels) -> float:
        return 1.5 if levels.get("uwsgi.second") else 1.1 if levels.get("uwsgi.first") else 1.0

    knobs = (a_knob("uwsgi.first", prior=0.9), a_knob("uwsgi.second", prior=0.05))
    with simulated_lab(tmp_path, knobs, speed) as lab:
        found = lab.tune()
        assert found.outcome == "improved"
        assert kept(found) == {"uwsgi.second": 1}
        first, second = found.steps
        assert (first.change.knob, first.is_kept) == ("uwsgi.first", False)
        assert first.removal is not None
        assert first.removal.verdict != "improved"
        assert "without it nothing" in first.reason
        assert (second.change.knob, second.is_kept) == ("uwsgi.second", True)
        assert_journaled(lab, found)


@pytest.mark.parametrize("budget_s", [600.0, 1800.0])
def test_a_pair_that_helps_only_together_is_never_half_kept(
    tmp_path: Path, budget_s: float
) -> None:
    def speed(levels: Levels) -> float:
        return 1.35 if levels.get("uwsgi.one") and levels.get("uwsgi.other") else 1.0

    names = ("uwsgi.one", "uwsgi.other", "uwsgi.idle")
    knobs = [a_knob(name, relieves=(Relief.WAITING,)) for name in names]
    with simulated_lab(tmp_path, knobs, speed) as lab:
        found = lab.tune(budget_s=budget_s)
        pair = {"uwsgi.one": 1, "uwsgi.other": 1}
        assert kept(found) in ({}, pair)
        if kept(found):
            assert found.outcome == "improved"
            assert found.spent_s <= budget_s + EPOCH_S
            (step,) = found.steps
            assert step.is_kept
            assert {step.change.knob, *step.works_with} == set(pair)
        else:
            undecided = {c.change.knob for c in found.considered if c.outcome == "undecided"}
            assert undecided >= set(pair)


def test_a_pair_is_found_where_the_budget_allows(tmp_path: Path) -> None:
    def speed(levels: Levels) -> float:
        return 1.35 if levels.get("uwsgi.one") and levels.get("uwsgi.other") else 1.0

    knobs = [a_knob(f"uwsgi.{name}", relieves=(Relief.WAITING,)) for name in ("one", "other")]
    with simulated_lab(tmp_path, knobs, speed) as lab:
        found = lab.tune(budget_s=3600.0)
        assert kept(found) == {"uwsgi.one": 1, "uwsgi.other": 1}
        assert_journaled(lab, found)


def test_nothing_to_gain_is_said_well_before_the_budget_ends(tmp_path: Path) -> None:
    with simulated_lab(tmp_path, [a_knob(name) for name in NOTHING], lambda _: 1.0) as lab:
        found = lab.tune(budget_s=1800.0)
        assert found.outcome == "nothing to change"
        assert found.sentence.startswith("Nothing to change: ")
        assert found.spent_s < 900.0
        assert (found.steps, found.confirmation, kept(found)) == ((), None, {})
        assert_journaled(lab, found)


def test_near_the_ceiling_nothing_is_asked(tmp_path: Path) -> None:
    with simulated_lab(tmp_path, ALL, product) as lab:
        lab.efficiency = 0.95
        found = lab.tune()
        assert found.outcome == "nothing to change"
        assert "95% of what these cores could give" in found.sentence
        assert lab.epochs == 0


@pytest.mark.parametrize("budget_s", [420.0, 600.0, 900.0])
def test_the_budget_is_kept_with_what_comes_at_the_end(tmp_path: Path, budget_s: float) -> None:
    names = [f"uwsgi.k{number}" for number in range(12)]
    gains = dict(zip(names, [1.05, 1.04, 1.0] * 4, strict=True))

    def speed(levels: Levels) -> float:
        found = 1.0
        for knob in levels:
            found *= gains[knob]
        return found

    with simulated_lab(tmp_path, [a_knob(name) for name in names], speed) as lab:
        found = lab.tune(budget_s=budget_s)
        assert found.outcome == "improved"
        assert found.confirmation is not None
        assert found.confirmation.epochs == found.confirmation.planned_epochs
        assert found.spent_s <= budget_s + EPOCH_S
        if any(each.outcome == "undecided" for each in found.considered):
            assert found.spent_s > budget_s / 2 - AFTER_S
        assert {name for name in kept(found) if gains[name] == 1.0} == set()


def once_after(epochs: int, lab: SimulatedLab) -> Callable[[], bool]:
    """Ctrl-C after so many more epochs."""
    until = lab.load.compared + 4 * epochs
    return lambda: lab.load.compared >= until


@pytest.mark.usefixtures("short_confirmation")
def test_stopped_after_each_epoch_it_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    """One epoch in each sitting: every place where Ctrl-C may fall."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "torn").mkdir()
    with simulated_lab(tmp_path / "whole", FEW, product) as lab:
        whole = lab.tune(budget_s=600.0)
        epochs = lab.epochs
    with simulated_lab(tmp_path / "torn", FEW, product) as lab:
        while True:
            lab.stops = once_after(1, lab)
            found = lab.tune(budget_s=600.0)
            if found.outcome != "interrupted":
                break
            assert lab.epochs <= epochs
            assert kept(found) == {}
            assert found.confirmation is None or not found.confirmation.is_confirmed
            assert found.after is None
            assert "The same command goes on from here." in found.sentence
        assert lab.baselines == 1
        assert state(found) == state(whole)
        assert lab.epochs == epochs
        assert found.spent_s == pytest.approx(whole.spent_s, abs=EPOCH_S)
        assert_journaled(lab, found)


@pytest.mark.usefixtures("short_confirmation")
@pytest.mark.parametrize("after", [0, 1, 5, 9, 12, 14])
def test_stopped_once_it_says_so_and_goes_on(tmp_path: Path, after: int) -> None:
    with simulated_lab(tmp_path, FEW, product) as lab:
        lab.stops = once_after(after, lab)
        first = lab.tune(budget_s=600.0)
        assert first.outcome == "interrupted"
        if first.confirmation is None:
            assert first.stopped == STOPPED
        lab.stops = lambda: False
        found = lab.tune(budget_s=600.0)
        assert (found.outcome, kept(found)) == ("improved", {"uwsgi.helps": 1})
        assert_journaled(lab, found)
        lab.blocks()


@contextmanager
def killed_at(moment: int) -> Iterator[list[int]]:
    """Ends the sitting around its n-th write to the journal, before or after the commit."""
    seen = [0]
    writing = Journal._writing  # the one door to the file

    @contextmanager
    def watched(journal: Journal) -> Iterator[Any]:
        pass_by()
        with writing(journal) as connection:
            yield connection
        pass_by()

    def pass_by() -> None:
        seen[0] += 1
        if seen[0] == moment:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "_writing", watched)
        yield seen


@pytest.mark.usefixtures("short_confirmation")
@pytest.mark.parametrize("seed", range(24))
def test_killed_at_drawn_moments_nothing_is_lost_or_counted_twice(
    tmp_path: Path, seed: int
) -> None:
    coin = Random(seed)
    kills = 0
    with simulated_lab(tmp_path, FEW, product) as lab:
        while True:
            # the first often near the start, the later ones anywhere
            with killed_at(coin.randrange(1, 120 if kills else 500)):
                try:
                    found = lab.tune(budget_s=900.0)
                except Killed:
                    kills += 1
                    assert kills < 60, "it never ends"
                    continue
            break
        assert (found.outcome, kept(found)) == ("improved", {"uwsgi.helps": 1})
        (step,) = found.steps
        assert (step.experiment.verdict, step.is_kept) == ("improved", True)
        assert found.confirmation is not None
        assert found.confirmation.experiment.verdict == "improved"
        assert found.confirmation.epochs == 6
        assert_journaled(lab, found)
        assert lab.blocks()[found.confirmation.experiment.experiment_id] == list(range(6))


@pytest.mark.usefixtures("short_confirmation")
def test_a_placebo_does_not_end_in_the_diff(tmp_path: Path) -> None:
    """Noise alone, over many seeds: no more than the rule allows, by a binomial bound.

    A placebo has to pass screening (at most 2.5 % by chance) and its confirmation (2.5 %), so
    that one in twenty campaigns of five placebos would be far too many.
    """
    seeds = 24
    knobs = [a_knob(f"uwsgi.placebo-{number}", prior=0.5) for number in range(4)]
    wrong = 0
    for seed in range(seeds):
        folder = tmp_path / str(seed)
        folder.mkdir()
        with simulated_lab(folder, knobs, lambda _: 1.0, sd=0.03, seed=seed) as lab:
            wrong += bool(kept(lab.tune(budget_s=900.0)))
    assert wrong <= int(stats.binom.ppf(0.999, seeds, 4 * 0.025 * 0.025))


def test_a_verdict_is_told_as_it_is(tmp_path: Path) -> None:
    """A finished campaign begun again measures nothing of what it knows, and tells the same."""
    with simulated_lab(tmp_path, FEW, product) as lab:
        first = lab.tune()
        epochs = lab.epochs
        again = lab.tune()
        assert state(again) == state(first)
        assert lab.baselines == 1
        assert lab.epochs - epochs <= 8  # what was undecided gets the new budget
        assert Verdict.IMPROVED.value == again.steps[0].experiment.verdict


ONE = (a_knob("uwsgi.helps"),)


def guards(found: TuneFinding) -> dict[str, str]:
    assert found.confirmation is not None
    return {each.metric: each.answer for each in found.confirmation.guardrails}


@pytest.mark.usefixtures("short_confirmation")
@pytest.mark.parametrize(
    ("late", "sd", "answer", "outcome"),
    [
        (1.0, 0.01, "held", "improved"),
        (1.5, 0.01, "broken", "guardrail"),
        (1.05, 0.03, "not shown", "improved"),
    ],
)
def test_the_guardrail_of_the_confirmation(
    tmp_path: Path, late: float, sd: float, answer: str, outcome: str
) -> None:
    """p99 in the open loop, the same rate for both: held, broken, or not shown either way."""
    with simulated_lab(tmp_path, ONE, product, sd=sd) as lab:
        lab.load.late = lambda levels: late if levels else 1.0
        found = lab.tune(budget_s=900.0)
        assert guards(found) == {"latency_p99": answer, "memory": "held"}
        assert found.outcome == outcome
        assert bool(kept(found)) is (outcome == "improved")
        assert found.confirmation is not None
        assert found.confirmation.rate_per_s == 700.0


@pytest.mark.usefixtures("short_confirmation")
def test_wrong_answers_in_the_open_loop_alone_break_the_guardrail(tmp_path: Path) -> None:
    with simulated_lab(tmp_path, ONE, product) as lab:
        lab.load.wrong = lambda levels, plan: (
            0.5 if levels and not isinstance(plan, ClosedLoop) else 0.0
        )
        found = lab.tune(budget_s=900.0)
        assert (found.outcome, kept(found)) == ("guardrail", {})
        assert guards(found)["latency_p99"] == "broken"
        assert "answers wrongly" in found.sentence


@pytest.mark.usefixtures("short_confirmation")
def test_what_helps_alone_and_answers_wrongly_is_refused(tmp_path: Path) -> None:
    with simulated_lab(tmp_path, ONE, product) as lab:
        lab.load.wrong = lambda levels, _: 0.5 if levels else 0.0
        found = lab.tune(budget_s=900.0)
        assert (found.outcome, kept(found)) == ("nothing to change", {})
        (considered,) = found.considered
        assert considered.outcome == "regressed"
        assert "answers wrongly" in considered.reason


@pytest.mark.usefixtures("short_confirmation")
def test_an_improvement_that_breaks_a_guardrail_is_refused_and_stays_so(tmp_path: Path) -> None:
    """Memory: more than the machine may give. The next sitting knows."""
    with simulated_lab(tmp_path, ONE, product) as lab:
        facts = replace(lab.stack.host.facts(), ram_bytes=100_000_000)  # three times 40 MB stand
        lab.stack.host.facts = lambda: facts  # type: ignore[method-assign]
        for _ in range(2):
            found = lab.tune(budget_s=900.0)
            assert (found.outcome, kept(found)) == ("nothing to change", {})
            (considered,) = found.considered
            assert considered.outcome == "regressed"
            assert "guardrail memory" in considered.reason
            assert_journaled(lab, found)


@pytest.mark.usefixtures("short_confirmation")
@pytest.mark.parametrize("kind", ["try", "removal", "confirmation"])
def test_a_crash_between_the_last_block_and_the_verdict_loses_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """And no guardrail of an improvement: it is asked before the verdict is journaled."""
    knobs = [a_knob(name) for name in HELPS]
    record = Journal.record_verdict

    def die(journal: Journal, experiment_id: str, *given: Any) -> Any:
        kinds = {
            each.id: each.kind
            for study in journal.studies()
            for each in journal.experiments(study.id)
        }
        if kinds[experiment_id] == kind:
            raise Killed
        return record(journal, experiment_id, *given)

    with simulated_lab(tmp_path, knobs, product) as lab:
        with monkeypatch.context() as crash:
            crash.setattr(Journal, "record_verdict", die)
            with pytest.raises(Killed):
                lab.tune()
        epochs = lab.epochs
        found = lab.tune()
        assert (found.outcome, kept(found)) == ("improved", dict.fromkeys(HELPS, 1))
        assert lab.epochs >= epochs
        assert_journaled(lab, found)


@pytest.mark.usefixtures("short_confirmation")
def test_one_experiment_in_ten_compares_the_incumbent_with_itself(tmp_path: Path) -> None:
    names = [f"uwsgi.bad{number}" for number in range(12)]

    def speed(levels: Levels) -> float:
        return 0.7 if levels else 1.0

    with simulated_lab(tmp_path, [a_knob(name) for name in names], speed) as lab:
        lab.stack.refused = {(name, 1) for name in names[:10]}  # quick answers
        found = lab.tune(budget_s=1800.0)
        (control,) = found.controls
        assert (control.kind, control.knob, control.epochs) == ("aa", None, 6)
        assert control.verdict in {"inconclusive", "equivalent"}
        assert_journaled(lab, found)
        again = lab.tune(budget_s=1800.0)
        assert [each.experiment_id for each in again.controls] == [control.experiment_id]
        assert lab.course.history.gathered != ()


@pytest.mark.usefixtures("short_confirmation")
def test_a_control_teaches_what_begins_after_it_as_it_would_the_next_sitting(
    tmp_path: Path,
) -> None:
    """So that an experiment is adjusted alike by whoever goes on with it."""
    with simulated_lab(tmp_path, [a_knob(f"uwsgi.k{n}") for n in range(11)], product) as lab:
        lab.stack.refused = {(f"uwsgi.k{n}", 1) for n in range(9)}
        lab.tune()
        course = lab.course
        assert len(course.controls) == 1
        with lab.open() as journal:
            for experiment in course.experiments.values():
                read = read_history(
                    journal,
                    course.bench.study_id,
                    course.facts,
                    before=experiment.record.at,
                )
                assert len(read.gathered) == len(experiment.history.gathered)


def test_noise_beyond_the_budget_is_refused_before_it_is_spent(tmp_path: Path) -> None:
    with (
        simulated_lab(tmp_path, ONE, product, sd=0.3) as lab,
        pytest.raises(PreflightError, match="are too few to decide anything here") as caught,
    ):
        lab.tune(budget_s=250.0)
    assert lab.epochs == 0
    assert "labcoat doctor" in (caught.value.way_out or "")


@pytest.mark.usefixtures("short_confirmation")
def test_a_baseline_is_kept_while_it_is_fresh(tmp_path: Path) -> None:
    with simulated_lab(tmp_path, (a_knob("uwsgi.idle"),), product) as lab:
        lab.tune()
        lab.tune()
        assert lab.baselines == 1
        lab.clock.advance(FRESH_S + 1)
        lab.tune()
        assert lab.baselines == 2


@pytest.mark.usefixtures("short_confirmation")
def test_a_campaign_reopens_nothing_that_was_answered(tmp_path: Path) -> None:
    """INCONCLUSIVE at its cap and INVALID stay: to measure on until it wins is no method."""
    with simulated_lab(tmp_path, (a_knob("nginx.broken"),), product) as lab:
        lab.stack.refused = {BROKEN}
        first = lab.tune()
        lab.stack.refused = set()
        again = lab.tune()
        assert [each.outcome for each in (*first.considered, *again.considered)] == ["invalid"] * 2
        assert lab.epochs == 0
