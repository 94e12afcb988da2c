"""Candidates: which levels may be asked about, and why the others may not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labcoat.lab.campaign.asked import Tune
from labcoat.lab.campaign.candidates import LATER, Candidate, LeftOut, candidates
from labcoat.lab.trial.question import Rhythm
from labcoat.model.knob import Condition, Knob, Safety
from labcoat.model.metric import THROUGHPUT
from labcoat.stack.rig import Rig
from labcoat.testing.baseline import two_routes
from labcoat.testing.campaign import CampaignStack, a_knob
from labcoat.testing.clock import FakeClock
from labcoat.testing.host import FACTS, FakeHost


def asked(*knobs: Knob, **changed: Any) -> Tune:
    return Tune(
        objective=THROUGHPUT,
        margin=0.02,
        budget_s=600.0,
        rhythm=Rhythm(),
        knobs=knobs,
        **changed,
    )


def offered(
    of: Tune,
    *,
    said: Any = None,
    peaks: Any = None,
    wanted: float = 4.0,
    facts: Any = FACTS,
) -> tuple[tuple[Candidate, ...], tuple[LeftOut, ...]]:
    clock = FakeClock()
    stack: Any = CampaignStack(
        study=two_routes(Path("/project")), host=FakeHost(clock=clock), clock=clock, said=said or {}
    )
    rig: Rig = stack
    return candidates(rig, of, facts, peaks=peaks or {}, wanted_workers=wanted)


def reason(*given: Any, **named: Any) -> str:
    found, (left_out,) = offered(*given, **named)
    assert found == ()
    return left_out.reason


def test_levels_come_in_the_order_of_promise_each_less_likely() -> None:
    found, left_out = offered(asked(a_knob("uwsgi.x", 4, 2, 4, 8, prior=0.5)))
    assert [each.key for each in found] == [("uwsgi.x", 4), ("uwsgi.x", 2), ("uwsgi.x", 8)]
    assert [each.prior for each in found] == pytest.approx([0.5, 0.5 * LATER, 0.5 * LATER**2])
    assert left_out == ()
    assert tuple(sorted(found, key=lambda each: -each.prior)) == found
    change = found[0].change
    assert (change.knob, change.before, change.before_is_said) == ("uwsgi.x", None, False)
    assert (change.safety, change.apply_cost, change.why) == ("safe", "restart", "Planted.")


@pytest.mark.parametrize("safety", [each for each in Safety if each is not Safety.SAFE])
def test_only_mild_classes_are_tried_unasked(safety: Safety) -> None:
    knob = a_knob("uwsgi.x", safety=safety)
    if safety is Safety.MEMORY:
        assert len(offered(asked(knob))[0]) == 1
        return
    assert reason(asked(knob)) == (
        f"it is of class {safety.value}: --allow {safety.value} tries it"
    )
    assert len(offered(asked(knob, allowed=frozenset({safety})))[0]) == 1


def test_what_the_program_lacks_is_left_out() -> None:
    assert reason(asked(a_knob("uwsgi.x", needs="2.1"))) == "uwsgi 2.0 is older than 2.1"
    assert "built without ssl" in reason(asked(a_knob("uwsgi.x", needs_build="ssl")))


def test_a_condition_that_was_not_seen_leaves_a_knob_out_and_an_unknown_one_does_not() -> None:
    condition = Condition(
        text="Connections overflow.", counter="uwsgi.overflows", holds=lambda c: c["overflows"] > 0
    )
    of = asked(a_knob("uwsgi.x", condition=condition))
    assert reason(of, peaks={"uwsgi": {"overflows": 0.0}}) == (
        "its necessary condition was not seen under load: connections overflow"
    )
    seen: tuple[dict[str, dict[str, float]], ...] = (
        {"uwsgi": {"overflows": 1.0}},
        {"uwsgi": {}},
        {},
    )
    for peaks in seen:
        assert len(offered(of, peaks=peaks)[0]) == 1


def test_a_knob_at_its_level_already_is_left_out() -> None:
    said = {"uwsgi": (("x", "4"),)}  # as a file spells it
    assert reason(asked(a_knob("uwsgi.x", 4)), said=said) == "it is at its level already"
    found, _ = offered(asked(a_knob("uwsgi.x", 4, 8)), said=said)
    assert [each.level for each in found] == [8]
    assert (found[0].change.before, found[0].change.before_is_said) == (4, True)


def test_patterns_choose_and_what_they_leave_out_is_not_told() -> None:
    knobs = (a_knob("uwsgi.x"), a_knob("uwsgi.y"), a_knob("nginx.x"))

    def names(**patterns: Any) -> list[str]:
        found, left_out = offered(asked(*knobs, **patterns))
        assert left_out == ()
        return [each.knob.name for each in found]

    assert names(only=("uwsgi.*",)) == ["uwsgi.x", "uwsgi.y"]
    assert names(only=("*.x",), skip=("nginx.*",)) == ["uwsgi.x"]
    assert names(skip=("*",)) == []


def test_controls_and_other_peoples_components_are_never_proposed() -> None:
    control = replace(a_knob("uwsgi.placebo"), control=True)
    assert offered(asked(control, a_knob("granian.x"))) == ((), ())
    assert len(offered(asked(a_knob("python.x")))[0]) == 1


def test_an_impossible_level_is_left_out_with_the_arithmetic() -> None:
    knob = a_knob("uwsgi.listen", 100, 1_000_000)
    found, (left_out,) = offered(asked(knob))
    assert [each.level for each in found] == [100]
    assert left_out.change.level == 1_000_000
    assert "is over net.core.somaxconn" in left_out.reason


def test_a_level_that_this_machine_does_not_admit_is_no_level() -> None:
    class Small:
        """Up to four."""

        def admits(self, level: int, facts: object) -> bool:
            return level <= 4

    found, _ = offered(asked(replace(a_knob("uwsgi.x", 2, 8), domain=Small())))  # type: ignore[arg-type]
    assert [each.level for each in found] == [2]


@pytest.mark.parametrize(
    ("wanted", "order"),
    [
        (4.0, [4, 3, 6, 2, 8]),
        (2.5, [3, 2, 4, 6, 8]),
        (20.0, [8, 6, 4, 3, 2]),
        (5.0, [6, 4, 8, 3, 2]),
    ],
)
def test_of_workers_the_fewest_that_suffice_come_first(wanted: float, order: list[int]) -> None:
    found, _ = offered(asked(a_knob("uwsgi.processes", 2, 3, 4, 6, 8)), wanted=wanted)
    assert [each.level for each in found] == order
