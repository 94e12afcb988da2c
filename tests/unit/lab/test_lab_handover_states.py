"""Which states there were, and the moves between them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from labcoat.errors import HostError, UsageError
from labcoat.lab.handover.states import (
    APPLY,
    ROLLBACK,
    History,
    Move,
    StateFile,
    document_of,
    history_of,
)
from labcoat.model.journal import StateRecord
from labcoat.model.variant import ORIGIN

AT = datetime(2026, 1, 1, tzinfo=UTC)


def applied(id_: str, parent: str | None, **files: str) -> StateRecord:
    """A record of an apply; ``nginx="ab"`` is from content a to content b."""
    changes = [StateFile(path=name, before=way[0], after=way[1]) for name, way in files.items()]
    document = document_of(APPLY, changes, parent=parent)
    return StateRecord(id=id_, at=AT, study_id="s", variant=ORIGIN, document=document)


def rolled(id_: str, target: str | None) -> StateRecord:
    document = document_of(ROLLBACK, (), parent=None, target=target)
    return StateRecord(id=id_, at=AT, study_id="s", variant=ORIGIN, document=document)


def told(history: History, target: int) -> dict[str, str]:
    return {move.path: move.now + move.then for move in history.moves(target)}


def test_the_state_that_holds_follows_applies_and_rollbacks() -> None:
    records = [applied("x", None, f="ab"), applied("y", "x", f="bc"), rolled("r", "x")]
    for count, holds in enumerate((0, 1, 2, 1)):
        assert history_of(records[:count]).holds == holds
    history = history_of([*records, rolled("q", None)])
    assert (history.holds, history.before()) == (0, 0)
    assert [(state.number, state.id, state.parent) for state in history.states] == [
        (1, "x", 0), (2, "y", 1),
    ]  # fmt: skip


def test_a_move_undoes_and_does_again() -> None:
    records = [
        applied("x", None, f="ab", g="pq"), applied("y", "x", f="bc", h="12"), rolled("r", "x"),
        applied("z", "x", g="qr"),
    ]  # fmt: skip
    history = history_of(records)
    assert (history.holds, history.before()) == (3, 1)
    assert told(history, 1) == {"g": "rq"}
    assert told(history, 2) == {"g": "rq", "f": "bc", "h": "12"}
    assert told(history, 0) == {"g": "rp", "f": "ba"}
    assert history.moves(3) == ()
    assert history_of([*records, rolled("s", None)]).moves(3) == (
        Move(path="f", now="a", then="b"),
        Move(path="g", now="p", then="r"),
    )


def test_a_file_that_comes_back_to_what_it_was_does_not_move() -> None:
    history = history_of([applied("x", None, f="ab"), applied("y", "x", f="ba")])
    assert told(history, 0) == {}
    assert told(history, 1) == {"f": "ab"}


def test_an_edit_by_hand_between_two_states_is_not_jumped_over() -> None:
    history = history_of([applied("x", None, f="ab"), applied("y", "x", f="Bc")])
    assert told(history, 1) == {"f": "cB"}
    with pytest.raises(HostError, match="f was edited by hand between two states") as caught:
        history.moves(0)
    assert caught.value.way_out


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("1", 1), ("2", 2), ("y", 2)])
def test_a_state_is_known_by_number_and_by_id(text: str, number: int) -> None:
    assert history_of([applied("x", None), applied("y", "x")]).find(text) == number


@pytest.mark.parametrize("text", ["3", "-1", "z", "", "²", "1.0"])
def test_an_unknown_state_is_a_mistake_of_usage(text: str) -> None:
    with pytest.raises(UsageError, match="there is no state") as caught:
        history_of([applied("x", None), applied("y", "x")]).find(text)
    assert "labcoat history" in (caught.value.way_out or "")


def test_what_a_lost_record_was_applied_on_counts_as_the_first() -> None:
    history = history_of([applied("y", "lost", f="bc"), rolled("r", "lost")])
    assert (history.holds, history.state(1).parent) == (0, 0)
