"""A replication from end to end, on simulated stacks: the journal and the procedure are real."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from labcoat.lab.replication.replicating import Replicate, replicate
from labcoat.model.metric import THROUGHPUT
from labcoat.model.replication import Claim, Protocol, ReplicationFinding, Step
from labcoat.model.variant import ORIGIN, Level
from labcoat.report.replication import replication_markdown, replication_text
from labcoat.testing.baseline import two_routes
from labcoat.testing.campaign import RHYTHM, SimulatedLab, simulated_lab


def speed(levels: Mapping[str, Level]) -> float:
    """Two processes are 60 % better; the lock is nothing; 300 rounds of logging are worse."""
    found = 1.6 if levels.get("uwsgi.processes") == 2 else 1.0
    return found * (0.8 if levels.get("uwsgi.log-master") is True else 1.0)


def step(name: str, knob: str, level: Level, claim: Claim, ratio: float | None = None) -> Step:
    return Step(
        name=name,
        levels=((knob, level),),
        claim=claim,
        published="a number",
        source="a page",
        objective=THROUGHPUT,
        ratio=ratio,
    )


STEPS = (
    step("processes", "uwsgi.processes", 2, Claim.BETTER, 2.08),
    step("lock", "uwsgi.thunder-lock", True, Claim.BETTER),
    step("master", "uwsgi.log-master", True, Claim.BETTER),
)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[SimulatedLab]:
    with simulated_lab(tmp_path, (), speed) as found, pytest.MonkeyPatch.context() as patch:
        ticking = SimpleNamespace(monotonic=found.clock.now_s)
        for module in ("lab.replication.replicating", "lab.experiment.race"):
            patch.setattr(f"labcoat.{module}.time", ticking)
        for name, fake in {
            "Sandbox": SimpleNamespace(open=lambda *_, **__: nullcontext()),
            "Rig": lambda *_: nullcontext(found.stack),
            "measure_headroom": lambda *_: None,
            "origin_digest": lambda *_: "origin",
        }.items():
            patch.setattr(f"labcoat.lab.replication.replicating.{name}", fake)
        yield found


def ask(lab: SimulatedLab, budget_s: float, steps: tuple[Step, ...] = STEPS) -> ReplicationFinding:
    study = two_routes(lab.root)
    protocol = Protocol(
        name="mine",
        title="Three rungs",
        about="A ladder.",
        file=lab.root / "mine.toml",
        study=study,
        origin=ORIGIN,
        steps=steps,
    )
    lab.stack.standing.clear()
    with lab.open() as journal:
        return replicate(
            protocol,
            Replicate(budget_s=budget_s, rhythm=RHYTHM, stops=lab.stops),
            host=lab.stack.host,
            journal=journal,
            generator=lab.load,
            tell_event=lab.events.append,
        )


def test_every_claim_ends_with_a_verdict(lab: SimulatedLab) -> None:
    found = ask(lab, 3000.0)
    assert [(each.step, each.mode, each.outcome) for each in found.claims] == [
        ("processes", "alone", "confirmed"),
        ("lock", "alone", "refuted"),
        ("lock", "on top", "refuted"),
        ("master", "alone", "refuted"),
        ("master", "on top", "refuted"),
    ]
    assert found.claims[0].size == "smaller"
    assert found.claims[2].base == ("uwsgi.processes=2",)
    assert found.claims[4].base == ("uwsgi.processes=2", "uwsgi.thunder-lock=on")
    assert found.aa is not None
    assert all(not each.would_decide for each in found.claims)
    text, page = replication_text(found), replication_markdown(found)
    assert "✓ CONFIRMED  processes (alone): uwsgi.processes=2" in text
    assert "smaller than published" in text
    assert "1 confirmed, 4 refuted" in text
    assert "| processes (alone) | `uwsgi.processes=2` | a number (a page) | better |" in page
    # Asked again it measures nothing: what was answered stays answered.
    epochs = lab.epochs
    again = ask(lab, 3000.0)
    assert [each.outcome for each in again.claims] == [each.outcome for each in found.claims]
    assert lab.epochs - epochs <= 40  # an A/A that came to its end is the only one measured anew


def test_a_small_budget_decides_the_first_and_says_what_the_rest_needs(lab: SimulatedLab) -> None:
    found = ask(lab, 150.0)
    assert found.elapsed_s < 200
    undecided = [each for each in found.claims if each.outcome == "undecided"]
    assert undecided
    assert all("min" in each.would_decide for each in undecided)
    # The same command goes on: nothing is measured twice, and more is decided.
    before = lab.epochs
    later = ask(lab, 2000.0)
    assert lab.epochs > before
    assert sum(each.outcome == "undecided" for each in later.claims) < len(undecided)


def test_a_wish_to_stop_ends_after_the_epoch_and_goes_on_later(lab: SimulatedLab) -> None:
    lab.stops = lambda: lab.load.compared >= 12
    found = ask(lab, 3000.0)
    assert found.is_interrupted
    assert all(each.outcome == "undecided" for each in found.claims)
    assert "the same command goes on" in replication_text(found)
    lab.stops = lambda: False
    assert ask(lab, 3000.0).claims[0].outcome == "confirmed"


def test_a_rung_that_does_not_stand_blames_itself_alone(lab: SimulatedLab) -> None:
    lab.stack.refused = {("uwsgi.thunder-lock", True)}
    found = ask(lab, 3000.0)
    rows = {(each.step, each.mode): each for each in found.claims}
    assert rows["lock", "alone"].outcome == "undecided"
    assert "does not stand" in rows["lock", "alone"].reason
    assert rows["lock", "alone"].would_decide.startswith("no budget: mend what is told above")
    assert "the steps before it do not stand" in rows["master", "on top"].reason
    assert rows["master", "alone"].outcome == "refuted"


def test_a_level_that_is_there_already_is_not_measured(lab: SimulatedLab) -> None:
    lab.stack.said = {"uwsgi": (("processes", 2),)}
    found = ask(lab, 3000.0, (STEPS[0], replace(STEPS[1], is_kept=False)))
    assert found.claims[0].experiment is None
    assert "have these levels already" in found.claims[0].reason
