"""Placeholders: texts of a workload with parts that are drawn afresh for each request.

    {1..500}        a whole number, uniform, both ends included
    {uuid}          a random UUID (version 4)
    {file:ids.txt}  a line of the file, uniform; blank lines are left out
    {a|b|c}         one of the words, uniform
    {env:NAME}      a variable of labcoat's own environment, for what no file should hold
    {user}          the number of the user that sends it, from 1
    {captured:NAME} what that user captured from an earlier answer
    {{  }}          literal braces

Drawing takes a seeded generator and a count: many values at once are several times
cheaper than one after the other, and the same seed gives the same values.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from labcoat.errors import LoadError, UsageError
from labcoat.load.captures import mark

if TYPE_CHECKING:
    import numpy as np

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")
_CAPTURED = re.compile(r"captured:([A-Za-z_][\w-]*)", re.ASCII)
_UUID_BYTES = 16


@dataclass(frozen=True, slots=True)
class WholeNumber:
    """``{low..high}``."""

    low: int
    high: int

    def draw(self, rng: np.random.Generator, count: int) -> list[str]:
        """Values of ``count`` requests."""
        return [str(n) for n in rng.integers(self.low, self.high, count, endpoint=True).tolist()]


@dataclass(frozen=True, slots=True)
class Choice:
    """``{a|b|c}`` or the lines of a file."""

    words: tuple[str, ...]

    def draw(self, rng: np.random.Generator, count: int) -> list[str]:
        """Values of ``count`` requests."""
        return [self.words[i] for i in rng.integers(0, len(self.words), count).tolist()]


@dataclass(frozen=True, slots=True)
class Uuid:
    """``{uuid}``."""

    def draw(self, rng: np.random.Generator, count: int) -> list[str]:
        """Values of ``count`` requests."""
        drawn = rng.bytes(_UUID_BYTES * count)
        return [
            str(uuid.UUID(bytes=drawn[i : i + _UUID_BYTES], version=4))
            for i in range(0, len(drawn), _UUID_BYTES)
        ]


@dataclass(frozen=True, slots=True)
class Gap:
    """``{captured:NAME}`` and ``{user}``: filled when the request is sent, by its user."""

    name: str

    def draw(self, rng: np.random.Generator, count: int) -> list[str]:
        """Marks that stand for the value until then; nothing is drawn."""
        del rng
        return [mark(self.name)] * count


USER = "user"
"""The name of the gap that each user's own number fills."""

Draw = WholeNumber | Choice | Uuid | Gap
Text = tuple[str | Draw, ...]
"""Literal pieces and draws, in order."""


def parse(text: str, *, base_dir: str = ".") -> Text:
    """The pieces of a text of the workload.

    Raises: UsageError for a placeholder that does not exist or a brace left open;
    LoadError for a file that cannot be read or is empty.
    """
    pieces: list[str | Draw] = []
    literal = ""
    position = 0
    for token in _TOKEN.finditer(text):
        literal += text[position : token.start()]
        position = token.end()
        if token[0] in ("{{", "}}"):
            literal += token[0][0]
            continue
        if token[1] is None:
            raise UsageError(
                f"a brace without its partner at column {token.start() + 1}",
                where=text,
                way_out="write {{ and }} for literal braces",
            )
        if token[1].startswith("env:"):
            literal += _variable(token[1].removeprefix("env:"), text)
            continue
        pieces += [literal, _placeholder(token[1], text, base_dir)]
        literal = ""
    pieces.append(literal + text[position:])
    return tuple(piece for piece in pieces if piece != "")


def _placeholder(inside: str, text: str, base_dir: str) -> Draw:
    if inside == "uuid":
        return Uuid()
    if inside == USER:
        return Gap(USER)
    if captured := _CAPTURED.fullmatch(inside):
        return Gap(captured[1])
    if inside.startswith("file:"):
        return Choice(_lines(Path(base_dir) / inside.removeprefix("file:")))
    if bounds := _RANGE.fullmatch(inside):
        low, high = int(bounds[1]), int(bounds[2])
        if low > high:
            raise UsageError(
                f"the range {{{inside}}} is empty", where=text, way_out=f"write {{{high}..{low}}}"
            )
        return WholeNumber(low, high)
    if "|" in inside:
        return Choice(tuple(inside.split("|")))
    raise UsageError(
        f"no such placeholder: {{{inside}}}",
        where=text,
        way_out="use {1..500}, {uuid}, {file:ids.txt}, {a|b|c}, {env:NAME}, {user} or"
        " {captured:NAME}; {{ and }} are literal braces",
    )


def _variable(name: str, text: str) -> str:
    """The value of a variable; messages name it and never quote it. Raises: UsageError."""
    value = os.environ.get(name)
    if value is None:
        raise UsageError(
            f"{{env:{name}}}: the variable {name} is not set here",
            where=text,
            way_out=f"set it: export {name}=...",
        )
    return value


def _lines(path: Path) -> tuple[str, ...]:
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LoadError(
            f"a file of the workload cannot be read: {error}",
            where=path,
            way_out="mend the path in {file:...}; it starts from the study file's folder",
        ) from error
    lines = tuple(line.strip() for line in content.splitlines() if line.strip())
    if not lines:
        raise LoadError(
            "a file of the workload is empty", where=path, way_out="put one value on each line"
        )
    return lines


def is_literal(text: Text) -> bool:
    """Whether nothing in it is drawn; a gap is not: it is filled."""
    return all(isinstance(piece, str | Gap) for piece in text)


def gaps(text: Text) -> tuple[str, ...]:
    """The names of its gaps, in order."""
    return tuple(piece.name for piece in text if isinstance(piece, Gap))


def draw(text: Text, rng: np.random.Generator, count: int) -> Sequence[str]:
    """The text as ``count`` requests have it."""
    columns = [
        [piece] * count if isinstance(piece, str) else piece.draw(rng, count) for piece in text
    ]
    return ["".join(parts) for parts in zip(*columns, strict=True)] if columns else [""] * count
