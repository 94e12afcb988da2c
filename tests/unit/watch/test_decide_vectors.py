"""The decision table of Automatron's own functions, and of the corrected semantics."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labcoat.watch.decide.deciding import concluded, decide, ended, started
from labcoat.watch.decide.standing import FRESH
from labcoat.watch.decide.stored import from_document, shifted, to_document
from labcoat.watch.model.outcome import Outcome
from labcoat.watch.model.rounds import UNREACHABLE, Result, Round
from labcoat.watch.model.runbook import Action, Body, Check, Match, Place, Runbook, Semantics, Shell
from labcoat.watch.model.status import Status

O, W, C, U = Status.OK, Status.WARNING, Status.CRITICAL, Status.UNKNOWN  # noqa: E741
LETTERS = {"O": O, "W": W, "C": C, "U": U}
ROUND_S = 60.0
DEFAULT = "WCU"


@dataclass(frozen=True)
class Row:
    number: int
    rounds: str
    compat: str
    labcoat: str
    t: int = 2
    f: float = 300.0
    on: str = DEFAULT
    run_once: bool = False
    takes_s: float = 0.0
    failing: frozenset[int] = frozenset()  # which starts, from 1, exit with 1; 0 is all
    place: Place = Place.TARGET


ROWS = (
    Row(1, "C C C C C C C C C C C C", "2 7 12", "2 7 12"),
    Row(2, "C C C C C C C C C C C C", "2 8", "2 7 12", takes_s=5.0),
    Row(3, "C O C O C C", "6", "6"),
    Row(4, "W C W C W C", "", "2"),
    Row(5, "W W C C W", "2 4", "2 3 4 5", f=0),
    Row(6, "C C C C C", "2 3 4 5", "2", failing=frozenset({0})),
    Row(7, "C C C C C C C C C", "2 3 4 9", "2 7", failing=frozenset({1, 2})),
    Row(8, "C C", "1 2", "1 2", t=0, f=0),
    Row(8, "C C", "1 2", "1 2", t=1, f=0),
    Row(9, "C O C C O C", "1", "1 3 6", t=1, f=0, run_once=True),
    Row(10, "C C C C", "1 2", "1", t=1, f=0, run_once=True, failing=frozenset({1})),
    Row(11, "CC CC CC", "1", "2"),
    Row(12, "CO CO CO CO", "", "2"),
    Row(13, "CW CW CW CW", "", "1 2 3 4", t=1, f=0, on="C"),
    Row(14, "CW CW CW CW", "2 3 4", "2 3 4", f=0, on="CW"),
    Row(15, "O O C O", "1 2 4", "1 2 4", t=1, f=0, on="O"),
    Row(16, "U U U", "", "", t=1, f=0, on="WC"),
    Row(17, "C C C C C C C C", "2 4 6 8", "2 4 6 8", f=120, on="OC"),
    Row(18, "O O C C", "2 4", "2 3 4", f=0, on="OWCU"),
    Row(19, "COCO COCO COCO", "1 2 3", "2 3", f=0, on="OC"),
    Row(20, "OC CO CC", "3", "3", f=0, on="C"),
    Row(21, "C X C", "3", "3", f=0),
    Row(22, "C X C", "3", "2 3", f=0, place=Place.REMOTE),
    Row(23, "C X C", "3", "", f=0, on="C"),
)


def runbook_of(row: Row, semantics: Semantics) -> Runbook:
    body = Body(place=row.place, what=Shell("true"), timeout_s=300.0)
    call_on = frozenset(LETTERS[letter] for letter in row.on)
    has_ok = semantics is Semantics.LABCOAT and O in call_on
    action = Action(
        name="act", body=body, trigger=row.t, frequency_s=row.f, call_on=call_on,
        run_once=row.run_once, match=Match.ALL if has_ok else Match.ANY,
    )  # fmt: skip
    width = max(len(word) for word in row.rounds.split())
    check = Body(place=Place.TARGET, what=Shell("true"), timeout_s=30.0)
    return Runbook(
        path="r", file="r", name="r", sha256="", semantics=semantics, actions=(action,),
        checks=tuple(Check(name=f"c{i}", body=check) for i in range(width)),
    )  # fmt: skip


def round_of(word: str, runbook: Runbook, at_s: float) -> Round:
    if word == "X":
        results = tuple(Result(check.name, U, UNREACHABLE) for check in runbook.checks)
        return Round(elapsed_s=at_s, results=results, unreachable=True)
    named = zip(runbook.checks, word, strict=True)
    results = tuple(Result(check.name, LETTERS[letter]) for check, letter in named)
    return Round(elapsed_s=at_s, results=results)


def play(row: Row, semantics: Semantics) -> tuple[str, dict[int, str]]:
    """The rounds in which the action fires, and those in which it is called for but held."""
    runbook, standing = runbook_of(row, semantics), FRESH
    action = runbook.actions[0]
    fired: list[int] = []
    held: dict[int, str] = {}
    for number, word in enumerate(row.rounds.split(), 1):
        at_s = 1000.0 + ROUND_S * (number - 1)
        deliberation = decide(runbook, standing, round_of(word, runbook, at_s))
        standing = deliberation.standing
        (decision,) = deliberation.decisions
        if decision.is_called_for and decision.held is not None:
            held[number] = decision.held
        if decision.fires:
            fired.append(number)
            fails = 0 in row.failing or len(fired) in row.failing
            standing = started(standing, action, at_s)
            standing = ended(standing, action, at_s + row.takes_s, int(fails))
    return " ".join(map(str, fired)), held


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.number}-t{row.t}")
def test_compat_fires_where_automatron_does(row: Row) -> None:
    assert play(row, Semantics.COMPAT)[0] == row.compat


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.number}-t{row.t}")
def test_labcoat_fires_where_the_table_says(row: Row) -> None:
    assert play(row, Semantics.LABCOAT)[0] == row.labcoat


def test_an_action_that_needs_the_target_waits_while_it_does_not_answer() -> None:
    row = next(row for row in ROWS if row.number == 21)
    assert play(row, Semantics.LABCOAT)[1] == {2: UNREACHABLE}


def test_a_lost_round_leaves_compat_as_it_was() -> None:
    row = ROWS[0]
    runbook = runbook_of(row, Semantics.COMPAT)
    before = decide(runbook, FRESH, round_of("C", runbook, 0.0)).standing
    deliberation = decide(runbook, before, round_of("X", runbook, 60.0))
    assert deliberation.standing == before
    assert [decision.held for decision in deliberation.decisions] == [UNREACHABLE]
    assert deliberation.fired == ()


def changed(row: Row, change: Callable[[Action], Action]) -> tuple[Runbook, Action]:
    runbook = runbook_of(row, Semantics.LABCOAT)
    action = change(runbook.actions[0])
    return replace(runbook, actions=(action,)), action


def test_on_recovery_fires_once_per_recovery() -> None:
    row = Row(0, "O", "", "", t=2, f=0, on="O")
    runbook, action = changed(row, lambda action: replace(action, on_recovery=True))
    standing, fired = FRESH, []
    for number, letter in enumerate("OOCOOOCCOO", 1):
        deliberation = decide(runbook, standing, round_of(letter, runbook, 60.0 * number))
        standing = deliberation.standing
        if deliberation.fired:
            fired.append(number)
            standing = started(standing, action, 60.0 * number)
    assert fired == [5, 10]


def test_after_waits_until_the_other_action_failed_in_this_incident() -> None:
    row = Row(0, "C", "", "", t=1, f=0, on="C")
    runbook = runbook_of(row, Semantics.LABCOAT)
    first = runbook.actions[0]
    second = replace(first, name="second", after="act")
    runbook = replace(runbook, actions=(first, second))
    standing = decide(runbook, FRESH, round_of("C", runbook, 0.0)).standing
    standing = concluded(standing, first, Outcome.NOT_CURED)
    deliberation = decide(runbook, standing, round_of("C", runbook, 60.0))
    assert deliberation.fired == ("act", "second")
    standing = decide(runbook, deliberation.standing, round_of("O", runbook, 120.0)).standing
    assert decide(runbook, standing, round_of("C", runbook, 180.0)).fired == ("act",)


def test_an_action_looks_only_at_its_checks() -> None:
    row = Row(0, "CO", "", "", t=1, f=0, on="C")
    runbook, _ = changed(row, lambda action: replace(action, checks=("c1",)))
    assert decide(runbook, FRESH, round_of("CO", runbook, 0.0)).fired == ()
    assert decide(runbook, FRESH, round_of("OC", runbook, 0.0)).fired == ("act",)


def test_a_cure_zeroes_the_streaks() -> None:
    row = Row(0, "C", "", "", t=2, f=0)
    runbook = runbook_of(row, Semantics.LABCOAT)
    standing = decide(runbook, FRESH, round_of("C", runbook, 0.0)).standing
    cured = concluded(standing, runbook.actions[0], Outcome.CURED)
    assert decide(runbook, cured, round_of("C", runbook, 60.0)).fired == ()
    assert decide(runbook, standing, round_of("C", runbook, 60.0)).fired == ("act",)


def test_a_manual_action_is_never_decided() -> None:
    row = Row(0, "C", "", "", t=1, f=0)
    runbook, _ = changed(
        row, lambda action: replace(action, guards=replace(action.guards, manual=True))
    )
    decision = decide(runbook, FRESH, round_of("C", runbook, 0.0)).decisions[0]
    assert not decision.fires
    assert [c.name for c in decision.conditions if not c.holds] == ["manual"]


words = st.lists(st.text("OWCU", min_size=2, max_size=2) | st.just("X"), min_size=1, max_size=30)
rows = st.builds(
    Row, st.just(0), st.just("OO"), st.just(""), st.just(""),
    t=st.integers(0, 4), f=st.sampled_from([0.0, 120.0, 300.0]),
    on=st.sets(st.sampled_from("OWCU"), min_size=1).map("".join),
    run_once=st.booleans(), place=st.sampled_from([Place.TARGET, Place.REMOTE]),
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(rows, words, st.sampled_from(Semantics))
def test_nothing_fires_without_a_status_of_call_on_nor_before_its_time(
    row: Row, story: list[str], semantics: Semantics
) -> None:
    runbook, standing = runbook_of(row, semantics), FRESH
    action = runbook.actions[0]
    last_s: float | None = None
    for number, word in enumerate(story):
        at_s = ROUND_S * number
        round_ = round_of(word, runbook, at_s)
        deliberation = decide(runbook, standing, round_)
        standing = deliberation.standing
        if not deliberation.fired:
            continue
        assert any(result.status in action.call_on for result in round_.results)
        assert last_s is None or at_s - last_s >= action.frequency_s
        assert not (round_.unreachable and action.body.place is Place.TARGET)
        if semantics is Semantics.COMPAT:
            assert all(result.status in action.call_on for result in round_.results)
            assert not (action.run_once and last_s is not None)
        standing = ended(started(standing, action, at_s), action, at_s, 0)
        last_s = at_s


@settings(deadline=None, max_examples=60)
@given(rows, words, st.sampled_from(Semantics))
def test_judging_is_a_function_of_its_arguments(
    row: Row, story: list[str], semantics: Semantics
) -> None:
    runbook = runbook_of(row, semantics)
    ends = []
    for _ in range(2):
        standing = FRESH
        for number, word in enumerate(story):
            round_ = round_of(word, runbook, ROUND_S * number)
            standing = decide(runbook, standing, round_).standing
        ends.append(standing)
    assert ends[0] == ends[1]


@settings(deadline=None, max_examples=60)
@given(rows, words, st.sampled_from(Semantics))
def test_a_standing_survives_a_document(row: Row, story: list[str], semantics: Semantics) -> None:
    runbook, standing = runbook_of(row, semantics), FRESH
    for number, word in enumerate(story):
        round_ = round_of(word, runbook, ROUND_S * number)
        standing = decide(runbook, standing, round_).standing
    standing = started(standing, runbook.actions[0], 3.0)
    assert from_document(json.loads(json.dumps(to_document(standing)))) == standing
    assert shifted(shifted(standing, 64.0), -64.0) == standing
