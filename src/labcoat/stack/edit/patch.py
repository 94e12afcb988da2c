"""Patches: replacements of spans of a text, applied together."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from labcoat.model.variant import Level


@dataclass(frozen=True, slots=True, order=True)
class Patch:
    """Replace ``text[start:end]``; an insertion when both are the same."""

    start: int
    end: int
    replacement: str


def apply(text: str, patches: Iterable[Patch]) -> str:
    """The text with every patch applied; the same patch given twice counts once.

    Raises: ValueError if two patches overlap, which is a defect of the caller.
    """
    pieces: list[str] = []
    position = 0
    for patch in sorted(set(patches)):
        if patch.start < position:
            raise ValueError(f"patches overlap at offset {patch.start}")
        pieces += (text[position : patch.start], patch.replacement)
        position = patch.end
    pieces.append(text[position:])
    return "".join(pieces)


def line_of(text: str, offset: int) -> int:
    """The number of the line, from 1, that holds an offset."""
    return text.count("\n", 0, offset) + 1


def line_starts(text: str) -> list[int]:
    """The offset of each line as Python's own parser counts them.

    ``str.splitlines`` would also end a line at a form feed, or at U+2028 within a string.
    """
    return [0, *(found.end() for found in re.finditer(r"\r\n|\r|\n", text))]


def newline_of(text: str) -> str:
    """How the text ends its lines."""
    return "\r\n" if "\r\n" in text else "\n"


def spelled(level: Level, *, true: str = "on", false: str = "off") -> str:
    """A level as a word of a config file."""
    if level is True:
        return true
    if level is False:
        return false
    return str(level)
