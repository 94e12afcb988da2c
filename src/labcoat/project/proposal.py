"""A proposal: the lines of a labcoat.toml, each with its places, and what has to be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from labcoat.project.clues import Place, Remark

Value = str | bool | int | float | tuple["Value", ...] | Mapping[str, "Value"]
FILL_IN = "please fill in"
COMMAND_LINE = Place("the command line")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the user has answered already, and where."""

    app: str | None = None
    server: str | None = None
    place: Place = COMMAND_LINE


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One key of labcoat.toml. ``places``: what it follows from. ``note``: words for a comment."""

    table: str
    key: str
    value: Value
    places: tuple[Place, ...] = ()
    note: str = ""

    @property
    def name(self) -> str:
        """``table.key``."""
        return f"{self.table}.{self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What the project does not say, or says twice: asked, and never guessed.

    ``choices``: lines that would answer it. ``table``: where the answer belongs.
    """

    table: str
    what: str
    way_out: str
    choices: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that was found and needs no line: shown, so that nothing is silent."""

    what: str
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What stands in labcoat.toml, what has to be asked, and what has to be told."""

    lines: tuple[Line, ...]
    gaps: tuple[Gap, ...] = ()
    facts: tuple[Fact, ...] = ()
    remarks: tuple[Remark, ...] = field(default=())

    @property
    def is_whole(self) -> bool:
        """Whether nothing has to be asked."""
        return not self.gaps
