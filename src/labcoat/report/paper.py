"""A report before it has a form: sections of prose, tables, code and drawings.

Every form (HTML, text, markdown) is a function of a Paper, so they cannot say different things.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from labcoat.report.trials import ExperimentTrials


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of a table. ``of``: the experiment whose trials it rests on, where there is one.

    ``verdict``: gives it the verdict's colour, always beside its mark and its word.
    """

    text: str
    of: str = ""
    verdict: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under a head. ``align``: one letter for each column: ``l`` words, ``r`` numbers, and
    ``p``, the last one only, prose that may be long. ``empty``: what is said where no row is.
    """

    caption: str
    head: tuple[str, ...]
    align: str
    rows: tuple[tuple[Cell, ...], ...]
    empty: str = "None."

    def __post_init__(self) -> None:
        widths = {len(row) for row in (self.head, self.align, *self.rows)}
        if len(widths) != 1 or "p" in self.align[:-1] or set(self.align) - set("lrp"):
            raise ValueError(f"table {self.caption!r}: columns do not agree")


@dataclass(frozen=True, slots=True)
class Prose:
    """A paragraph. ``tone``: ``lead`` is the sentence of the report, ``warning`` must be seen."""

    text: str
    tone: Literal["", "lead", "note", "warning"] = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """Names, each with what is said of it: one or more sentences."""

    rows: tuple[tuple[Cell, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Code:
    """Text to copy as it is. ``language``: ``diff``, ``console`` or ``text``."""

    caption: str
    text: str
    language: Literal["diff", "console", "text"] = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A plot with everything that tells the same without it.

    ``reading``: how to read it, units included. ``alt``: what it shows, for who cannot see it.
    ``figure``: data and layout as plotly.js takes them, colours as names of the page's own
    (``var(--ink)``); None where there is nothing to draw. ``shows_table``: the table stands
    open beside the drawing, rather than folded away.
    """

    name: str
    title: str
    reading: str
    alt: str
    figure: Mapping[str, Any] | None
    height_px: int
    table: Table
    shows_table: bool = False


@dataclass(frozen=True, slots=True)
class Trials:
    """The appendix: every experiment of the study with its blocks and trials."""

    experiments: tuple[ExperimentTrials, ...]
    titles: Mapping[str, str]


MANY = 30
"""More rows of a table than so many are folded away, where a form can fold."""

Part = Prose | Table | Terms | Code | Drawing | Trials


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the report under its own heading. ``is_core``: a short form keeps it open."""

    name: str
    title: str
    parts: tuple[Part, ...]
    is_core: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A whole report. ``outcome``: a few words, ``tone`` the verdict whose colour they have."""

    title: str
    made: str
    outcome: str
    tone: str
    sections: tuple[Section, ...]
    linked: frozenset[str] = field(default_factory=frozenset)


def cells(*texts: str | Cell) -> tuple[Cell, ...]:
    """A row."""
    return tuple(text if isinstance(text, Cell) else Cell(text) for text in texts)


def kept(parts: Sequence[Part | None]) -> tuple[Part, ...]:
    """The parts that there are."""
    return tuple(part for part in parts if part is not None)
