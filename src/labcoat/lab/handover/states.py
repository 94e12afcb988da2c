"""States of the user's files: which there were, which holds now, and the way from one to another.

A state is what an ``apply`` left behind; state 0 is what was there before the first. Each knows
the state that it was applied on, so they form a tree, and going from one to another is to undo
applies up to the last state that both have in common and to do others again from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from labcoat.errors import HostError, UsageError
from labcoat.model.journal import StateRecord
from labcoat.model.variant import Variant

APPLY = "apply"
ROLLBACK = "rollback"
FIRST = 0
ABSENT = ""
"""The digest of a file that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateFile:
    """A file of a state: its name, its digests before the apply and after; ABSENT is no file."""

    path: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What one ``apply`` left behind. ``parent``: the state that it was applied on."""

    number: int
    id: str
    at: datetime
    study_id: str
    variant: Variant
    parent: int
    files: tuple[StateFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A file on the way to another state: digests of what it must be now, and will be then."""

    path: str
    now: str
    then: str


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The states in order, and the number of the one that holds; 0 is before the first."""

    states: tuple[State, ...] = ()
    holds: int = FIRST

    def state(self, number: int) -> State:
        """A state by its number, from 1."""
        return self.states[number - 1]

    def find(self, text: str) -> int:
        """The number that a person means: a number, or a whole id. Raises: UsageError."""
        for state in self.states:
            if text == state.id:
                return state.number
        if text.isascii() and text.isdecimal() and int(text) <= len(self.states):
            return int(text)
        raise UsageError(
            f"there is no state {text!r}",
            where="labcoat rollback",
            way_out="labcoat history lists the states; 0 is before the first",
        )

    def before(self) -> int:
        """The state that the one which holds was applied on; itself for the first."""
        return self.state(self.holds).parent if self.holds != FIRST else FIRST

    def moves(self, target: int) -> tuple[Move, ...]:
        """What has to change, file by file, so that another state holds.

        Raises: HostError if the files were edited by hand between two states on the way, since
        going further would lose those edits.
        """
        moves: dict[str, Move] = {}
        for number, forward in self._steps(target):
            for file in self.state(number).files:
                now, then = (file.before, file.after) if forward else (file.after, file.before)
                known = moves.get(file.path)
                if known is not None and known.then != now:
                    raise HostError(
                        f"{file.path} was edited by hand between two states",
                        where=f"on the way from state {self.holds} to state {target}",
                        way_out="go one state at a time, and take care of that edit in between",
                    )
                moves[file.path] = Move(
                    path=file.path,
                    now=known.now if known is not None else now,
                    then=then,
                )
        return tuple(move for move in moves.values() if move.now != move.then)

    def _steps(self, target: int) -> Iterator[tuple[int, bool]]:
        """Applies on the way, in order: their number, and whether they are done (or undone)."""
        up, down = self._line(self.holds), self._line(target)
        common = next(number for number in up if number in down)
        yield from ((number, False) for number in up[: up.index(common)])
        yield from ((number, True) for number in reversed(down[: down.index(common)]))

    def _line(self, number: int) -> list[int]:
        """A state and those below it, down to 0."""
        line = [number]
        while line[-1] != FIRST:
            line.append(self.state(line[-1]).parent)
        return line


def history_of(records: Sequence[StateRecord]) -> History:
    """The history that journaled records tell, oldest first."""
    states: list[State] = []
    numbers: dict[str | None, int] = {None: FIRST}
    holds = FIRST
    for record in records:
        document = record.document
        if document["kind"] == APPLY:
            state = State(
                number=len(states) + 1,
                id=record.id,
                at=record.at,
                study_id=record.study_id,
                variant=record.variant,
                parent=numbers.get(document["parent"], FIRST),
                files=tuple(StateFile(**file) for file in document["files"]),
            )
            states.append(state)
            numbers[record.id] = holds = state.number
        else:
            holds = numbers.get(document["target"], FIRST)
    return History(states=tuple(states), holds=holds)


def document_of(
    kind: str, files: Sequence[StateFile], *, parent: str | None, target: str | None = None
) -> dict[str, Any]:
    """What the journal keeps of an apply or a rollback: names and digests, no content."""
    document: dict[str, Any] = {
        "kind": kind,
        "parent": parent,
        "files": [{"path": f.path, "before": f.before, "after": f.after} for f in files],
    }
    return document if kind == APPLY else {**document, "target": target}
