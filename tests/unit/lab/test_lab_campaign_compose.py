"""From a course to its document: every outcome, its sentence, and no field that lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from labcoat.journal import Journal
from labcoat.lab.baseline.findings import compose
from labcoat.lab.campaign.asked import Tune
from labcoat.lab.campaign.candidates import Candidate, LeftOut
from labcoat.lab.campaign.compose import Ending, compose_tune, outcome_of
from labcoat.lab.campaign.confirmation import Confirmed
from labcoat.lab.campaign.course import Course, Key, Taken
from labcoat.lab.campaign.crew import crew_of
from labcoat.lab.campaign.screening import STOPPED
from labcoat.lab.campaign.shares import shares_of
from labcoat.lab.campaign.spending import Spending
from labcoat.lab.experiment.experiment import Experiment
from labcoat.lab.experiment.guard import BROKEN, HELD, NOT_SHOWN, GuardAnswer
from labcoat.lab.experiment.history import History
from labcoat.lab.trial.question import Rhythm, Rule
from labcoat.lab.trial.workbench import Workbench
from labcoat.model.knob import Relief
from labcoat.model.metric import LATENCY_P99, MEMORY, THROUGHPUT
from labcoat.model.stats import Decision, Verdict
from labcoat.model.tune import Change, Handover, TuneFinding
from labcoat.model.variant import ORIGIN, Level, Variant
from labcoat.testing.baseline import gathered, two_routes
from labcoat.testing.campaign import a_knob
from labcoat.testing.clock import FakeClock
from labcoat.testing.experiment import GAINS, experiment, latency_guard, question
from labcoat.testing.host import FACTS, FakeHost

ENOUGH = "every level that may be tried here was asked about"
A, B, C = ("uwsgi.a", 1), ("uwsgi.b", 1), ("uwsgi.c", 1)


def candidate(key: tuple[str, Level], relief: Relief = Relief.ALL) -> Candidate:
    knob = a_knob(key[0], key[1], relieves=(relief,))
    change = Change(
        knob=key[0], before=None, before_is_said=False, level=key[1], why=knob.why, trap="",
        safety="safe", apply_cost="restart", source=knob.source,
    )  # fmt: skip
    return Candidate(knob=knob, level=key[1], change=change, prior=0.2)


class Story:
    """A course, told step by step."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self.count = 0

    def found(
        self,
        baseline: Variant,
        treatment: Variant,
        verdict: Verdict | None,
        *,
        kind: str = "try",
        ratios: Sequence[float] = GAINS,
        rule: Rule | None = None,
    ) -> Experiment:
        """An experiment and what the rule says of it."""
        asked = replace(question(kind=kind), baseline=baseline, treatment=treatment)
        asked = replace(asked, rule=rule or asked.rule)
        found = experiment(ratios, asked=asked)
        self.count += 1
        found.record = replace(found.record, id=f"experiment-{self.count}")
        reason = "so it is" if verdict is not None else f"{len(ratios)} of at least 6 blocks"
        self.course.decisions[found.record.id] = Decision(
            verdict=verdict, reason=reason, n=len(ratios)
        )
        return found

    def asks(self, *key: tuple[str, Level], verdict: Verdict | None, **named: Any) -> Experiment:
        """A change, against the incumbent."""
        course, ours = self.course, tuple(sorted(key))
        found = self.found(course.incumbent, course.with_levels(ours), verdict, **named)
        course.experiments[ours, course.incumbent.name] = found
        return found

    def takes(self, *key: tuple[str, Level]) -> None:
        """An improvement, which becomes the incumbent."""
        course, ours = self.course, tuple(sorted(key))
        found = self.asks(*key, verdict=Verdict.IMPROVED)
        course.steps.append(
            Taken(
                candidates=course.candidates_of(ours),
                over=course.incumbent,
                experiment=found,
                decision=course.decision_of(found),
            )
        )
        course.incumbent = course.with_levels(ours)

    def removes(self, knob: str, verdict: Verdict = Verdict.IMPROVED) -> None:
        """What comes of leaving a knob out."""
        course = self.course
        without = course.incumbent.without(knob)
        course.removals[knob] = self.found(without, course.incumbent, verdict, kind="removal")
        if verdict is not Verdict.IMPROVED:
            course.incumbent = without
            course.dropped[knob] = "without it nothing is lost: so it is"

    def confirms(
        self, verdict: Verdict | None, *guards: GuardAnswer, planned: int = 6, epochs: int = 6
    ) -> Confirmed:
        """The confirmation of the incumbent."""
        found = self.found(
            ORIGIN,
            self.course.incumbent,
            verdict,
            kind="confirmation",
            ratios=GAINS[:epochs],
            rule=Rule(objective=THROUGHPUT, margin=0.02, planned=planned),
        )
        latency = guards[0].experiment if guards else None
        return Confirmed(
            experiment=found,
            decision=self.course.decision_of(found),
            planned=planned,
            latency=latency,
            guards=guards,
        )

    def ends(self, confirmed: Confirmed | None = None, stopped: str = ENOUGH) -> TuneFinding:
        """The document."""
        return compose_tune(
            self.course,
            Ending(
                at=datetime(2026, 1, 1, tzinfo=UTC),
                stopped=stopped,
                confirmed=confirmed,
                after=None,
                handover=Handover(assignment=(), diff="", files=(), by_hand=()),
            ),
        )


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    study = two_routes(tmp_path)
    clock = FakeClock()
    host: Any = FakeHost(clock=clock)
    unused: Any = None
    with Journal.open(tmp_path / "journal.db") as journal:
        bench = Workbench(
            study=study,
            study_id=journal.begin_study(study).id,
            host=host,
            generator=unused,
            journal=journal,
            tell=lambda _: None,
        )
        before = compose(study, bench.study_id, gathered(), at="", elapsed_s=60.0)
        asked = Tune(objective=THROUGHPUT, margin=0.02, budget_s=1200.0, rhythm=Rhythm())
        yield Story(
            Course(
                bench=bench,
                rig=unused,
                asked=asked,
                facts=FACTS,
                origin="0",
                before=before,
                shares=shares_of(before, server="uwsgi"),
                crew=crew_of(before, server="uwsgi"),
                server="uwsgi",
                candidates=tuple(candidate(each) for each in (A, B, C, ("uwsgi.a", 2))),
                left_out=(),
                headroom_per_s=None,
                spending=Spending(budget_s=1200.0, carried_s=100.0, now=clock.now_s),
                history=History(),
            )
        )


def test_nothing_to_change(story: Story) -> None:
    story.asks(A, verdict=Verdict.NOT_BETTER)
    found = story.ends()
    assert (found.outcome, found.sentence) == ("nothing to change", f"Nothing to change: {ENOUGH}.")
    assert (found.confirmation, found.steps, found.after) == (None, (), None)


def test_stopped_with_nothing_found_is_interrupted_and_not_nothing(story: Story) -> None:
    found = story.ends(stopped=STOPPED)
    assert found.outcome == "interrupted"
    assert found.sentence == "Interrupted. The same command goes on from here."


def test_a_confirmation_that_was_never_begun_is_an_interruption(story: Story) -> None:
    story.takes(A)
    for stopped in (STOPPED, ENOUGH):
        assert outcome_of(story.course, None, stopped) == "interrupted"
    found = story.ends(stopped=STOPPED)
    assert found.sentence == (
        "Interrupted; uwsgi.a = 1 looks better so far, and is not confirmed. The same command"
        " goes on from here."
    )


def test_a_confirmation_that_was_not_ended_is_an_interruption(story: Story) -> None:
    story.takes(A)
    found = story.ends(story.confirms(None, planned=20, epochs=4))
    assert found.outcome == "interrupted"
    confirmation = found.confirmation
    assert confirmation is not None
    assert (confirmation.epochs, confirmation.planned_epochs) == (4, 20)
    assert confirmation.is_confirmed is False
    assert (confirmation.confirmed_ratio, confirmation.low_ratio) == (None, None)
    assert confirmation.experiment.verdict == "inconclusive"
    assert confirmation.experiment.reason == "left after 4 blocks"


def test_improved_quotes_the_confirmation_and_says_what_was_claimed(story: Story) -> None:
    story.takes(A)
    found = story.ends(story.confirms(Verdict.IMPROVED, latency_guard()))
    assert found.outcome == "improved"
    assert found.sentence.startswith("Throughput +15 % [+")
    assert found.sentence.endswith(" with uwsgi.a = 1, confirmed on fresh processes.")
    confirmation = found.confirmation
    assert confirmation is not None
    assert confirmation.is_confirmed
    assert confirmation.confirmed_ratio == pytest.approx(0.1537, abs=1e-3)
    assert confirmation.claimed_ratio == pytest.approx(0.1537, abs=1e-3)
    assert confirmation.rate_per_s == 70.0
    assert confirmation.before is not None
    assert confirmation.after is not None
    assert confirmation.before.count == confirmation.after.count == 64
    assert confirmation.before.seconds == tuple(sorted(confirmation.before.seconds))
    assert [each.code for each in found.warnings] == ["few_epochs"]


@pytest.mark.parametrize(("epochs", "gain"), [(6, " (throughput +15 % ["), (3, "")])
def test_not_confirmed_claims_nothing(story: Story, epochs: int, gain: str) -> None:
    story.takes(A)
    verdict = Verdict.INCONCLUSIVE if epochs == 6 else Verdict.INVALID
    found = story.ends(story.confirms(verdict, epochs=epochs))
    assert found.outcome == "not confirmed"
    assert found.sentence.lower().startswith(
        f"not confirmed: on fresh data uwsgi.a = 1 was not shown to be better{gain}"
    )
    assert found.confirmation is not None
    assert not found.confirmation.is_confirmed


def test_a_broken_guardrail_is_an_outcome_of_its_own(story: Story) -> None:
    story.takes(A)
    broken = latency_guard(answer=BROKEN, reason="worse: +30 % [+20, +40], +10 % allowed")
    found = story.ends(story.confirms(Verdict.IMPROVED, broken))
    assert found.outcome == "guardrail"
    assert found.sentence.startswith("A guardrail broke with uwsgi.a = 1 (")
    assert found.sentence.endswith("): latency_p99, worse: +30 % [+20, +40], +10 % allowed.")


@pytest.mark.parametrize("answer", [HELD, NOT_SHOWN])
def test_a_guardrail_that_was_not_shown_does_not_keep_the_gain_back(
    story: Story, answer: str
) -> None:
    story.takes(A)
    confirmed = story.confirms(Verdict.IMPROVED, latency_guard(answer=answer))
    assert outcome_of(story.course, confirmed, ENOUGH) == "improved"
    found = story.ends(confirmed)
    assert found.confirmation is not None
    assert [each.answer for each in found.confirmation.guardrails] == [answer]


def test_without_a_latency_guardrail_no_rate_is_told(story: Story) -> None:
    story.takes(A)
    memory = GuardAnswer(metric=MEMORY, margin=0.8, rate_per_s=None, answer=HELD, reason="10 %")
    found = story.ends(story.confirms(Verdict.IMPROVED, memory))
    assert found.confirmation is not None
    assert (found.confirmation.rate_per_s, found.confirmation.before) == (None, None)


def test_a_single_step_has_the_confirmation_as_its_measure(story: Story) -> None:
    story.takes(A)
    (step,) = story.ends(story.confirms(Verdict.IMPROVED)).steps
    assert (step.is_kept, step.removal) == (True, None)
    assert step.reason == "it is all that changes: the confirmation is its measure"
    assert (step.change.knob, step.works_with) == ("uwsgi.a", ())


def test_steps_that_were_not_left_out_yet_do_not_say_that_they_were(story: Story) -> None:
    story.takes(A)
    story.takes(B)
    for step in story.ends(stopped=STOPPED).steps:
        assert (step.is_kept, step.removal) == (True, None)
        assert step.reason == "it was accepted, and not left out again yet"


def test_a_step_that_is_missed_and_one_that_is_not(story: Story) -> None:
    story.takes(A)
    story.takes(B)
    story.takes(C)
    story.removes("uwsgi.a", Verdict.NOT_BETTER)
    story.removes("uwsgi.b")
    a, b, c = story.ends(story.confirms(Verdict.IMPROVED)).steps
    assert (a.is_kept, a.reason) == (False, "without it nothing is lost: so it is")
    assert a.removal is not None
    assert (a.removal.verdict, a.removal.kind) == ("not_better", "removal")
    assert (b.is_kept, b.reason) == (True, "leaving it out loses what it gives")
    assert b.removal is not None
    assert c.reason == "it was accepted, and not left out again yet"


def test_a_step_that_a_later_level_replaced_says_so(story: Story) -> None:
    story.takes(A)
    story.takes(B)
    story.takes(("uwsgi.a", 2))
    story.removes("uwsgi.a")
    first, _, last = story.ends(story.confirms(Verdict.IMPROVED)).steps
    assert (first.is_kept, first.reason) == (False, "a later step went on to 2")
    assert first.removal is None  # what was measured is the removal of level 2
    assert (last.is_kept, last.change.level) == (True, 2)
    assert last.removal is not None


def test_a_level_replaced_and_then_left_out_has_the_reason_of_the_knob(story: Story) -> None:
    story.takes(A)
    story.takes(("uwsgi.a", 2))
    story.takes(B)
    story.removes("uwsgi.a", Verdict.NOT_BETTER)
    first, second, _ = story.ends(story.confirms(Verdict.IMPROVED)).steps
    assert first.reason == second.reason == "without it nothing is lost: so it is"


def test_a_pair_that_is_kept_names_both(story: Story) -> None:
    story.takes(A, B)
    story.removes("uwsgi.a")
    story.removes("uwsgi.b")
    (step,) = story.ends(story.confirms(Verdict.IMPROVED)).steps
    assert (step.is_kept, step.change.knob, step.works_with) == (True, "uwsgi.b", ("uwsgi.a",))
    assert step.removal is not None
    assert step.removal.knob == "uwsgi.b"


@pytest.mark.parametrize(("dropped", "kept"), [("uwsgi.a", "uwsgi.b"), ("uwsgi.b", "uwsgi.a")])
def test_a_pair_with_one_half_left_out_tells_the_other_as_kept(
    story: Story, dropped: str, kept: str
) -> None:
    story.takes(A, B)
    story.removes(dropped, Verdict.NOT_BETTER)
    (step,) = story.ends(story.confirms(Verdict.IMPROVED)).steps
    assert (step.is_kept, step.change.knob, step.works_with) == (True, kept, ())
    assert step.reason == (
        "it is all that changes: the confirmation is its measure;"
        f" {dropped}, accepted with it, was left out: without it nothing is lost: so it is"
    )


def outcomes(found: TuneFinding) -> dict[tuple[str, Level], tuple[str, str]]:
    return {
        (each.change.knob, each.change.level): (each.outcome, each.reason)
        for each in found.considered
    }


def test_what_was_considered_says_how_it_ended(story: Story) -> None:
    course = story.course
    course.candidates = (
        *course.candidates,
        candidate(("nginx.small", 1), Relief.LAYER),
        candidate(("uwsgi.refused", 1)),
    )
    course.shares = replace(course.shares, layers={**course.shares.layers, "nginx": 1e-6})
    change = candidate(("nginx.not-allowed", 1)).change
    course.left_out = (LeftOut(change=change, reason="it is of class security"),)
    story.asks(A, verdict=Verdict.NOT_BETTER)
    story.asks(B, verdict=None, ratios=GAINS[:2])
    refused: Key = (("uwsgi.refused", 1),)
    story.asks(*refused, verdict=Verdict.REGRESSED)
    course.refused[refused] = "guardrail memory: 90 % of the machine's memory"
    found = story.ends()
    told = outcomes(found)
    assert told[A] == ("not_better", "so it is")
    assert told[B][0] == "undecided"
    assert told[B][1].startswith("left after 2 blocks at +15.4 %")
    assert told[C] == (
        "undecided",
        "not asked: other levels promised more, this one has a chance of 20%",
    )
    assert told["nginx.small", 1] == (
        "skipped", "it acts on too little of a request to give 2.0%"
    )  # fmt: skip
    assert told["uwsgi.refused", 1] == ("regressed", course.refused[refused])
    assert told["nginx.not-allowed", 1] == ("skipped", "it is of class security")
    bounds = [each.bound_ratio or 0.0 for each in found.considered]
    assert bounds == sorted(bounds, reverse=True)


def test_what_is_undecided_tells_the_budget_that_would_decide_it(story: Story) -> None:
    story.asks(A, verdict=None, ratios=GAINS[:3])
    story.asks(B, verdict=Verdict.NOT_BETTER)
    found = {
        (each.change.knob, each.change.level): each.would_take_s for each in story.ends().considered
    }
    takes_s = found[A]
    assert takes_s is not None
    assert takes_s >= 6 * story.course.point_s
    assert found[C] is not None
    assert found[B] is None


def test_left_after_one_block_is_said_without_an_effect(story: Story) -> None:
    story.asks(A, verdict=None, ratios=GAINS[:1])
    assert outcomes(story.ends())[A][1] == (
        "left after 1 block: other levels promised more per minute"
    )


def test_levels_that_were_asked_about_together_are_told_too(story: Story) -> None:
    story.asks(A, B, verdict=Verdict.NOT_BETTER)
    story.asks(A, C, verdict=None, ratios=GAINS[:2])
    found = [each for each in story.ends().considered if each.experiments]
    assert [(each.change.knob, each.outcome, each.reason) for each in found] == [
        ("uwsgi.b", "not_better", "together with uwsgi.a = 1: so it is"),
        ("uwsgi.c", "undecided", "together with uwsgi.a = 1: 2 of at least 6 blocks"),
    ]


def test_a_pair_found_better_than_an_earlier_incumbent_is_not_called_improved(
    story: Story,
) -> None:
    story.asks(B, C, verdict=Verdict.IMPROVED)
    story.takes(A)
    (pair,) = (each for each in story.ends().considered if each.experiments)
    assert pair.outcome == "undecided"


def test_a_single_level_found_better_than_an_earlier_incumbent_is_not_called_improved(
    story: Story,
) -> None:
    story.asks(B, verdict=Verdict.IMPROVED)
    story.takes(A)
    assert outcomes(story.ends())[B][0] == "undecided"


def test_an_experiment_that_was_only_begun_is_not_told(story: Story) -> None:
    story.asks(A, verdict=None, ratios=())
    (a,) = (each for each in story.ends().considered if each.change.knob == "uwsgi.a"
            and each.change.level == 1)  # fmt: skip
    assert a.experiments == ()


def test_controls_are_told(story: Story) -> None:
    control = story.found(ORIGIN, ORIGIN, Verdict.INCONCLUSIVE, kind="aa")
    story.course.controls.append(control)
    (told,) = story.ends().controls
    assert (told.kind, told.knob, told.verdict) == ("aa", None, "inconclusive")


def test_what_was_spent_beyond_the_budget_is_warned_of(story: Story) -> None:
    story.course.spending.carried_s = 1250.0
    found = story.ends()
    assert found.spent_s == 1250.0
    assert [each.code for each in found.warnings] == ["over_budget"]
    assert "by 50 s" in found.warnings[0].message


def test_an_objective_without_bounds_is_warned_of(story: Story) -> None:
    story.course.asked = replace(story.course.asked, objective=LATENCY_P99)
    assert [each.code for each in story.ends().warnings] == ["unbounded_objective"]
