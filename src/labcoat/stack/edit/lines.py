"""What the two line-by-line languages (uWSGI's ini, postgresql.conf) have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labcoat.stack.edit.patch import Patch, newline_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """``key = value`` on one line of a file.

    ``start``/``end``: offsets of the value as written; ``line_start``/``line_end``: of the
    line without its newline. ``value``: with quotes taken off.
    """

    key: str
    value: str
    line: int
    start: int
    end: int
    line_start: int
    line_end: int


def blanked(setting: Setting, comment: str) -> Patch:
    """Turns the line into a comment, so that the number of lines stays the same.

    ``comment`` must not hold the value: it may be a secret.
    """
    return Patch(setting.line_start, setting.line_end, comment)


def appended(text: str, lines: Sequence[str], *, at: int | None = None) -> Patch:
    """Lines of their own, at the end of the text or at the end of the line that holds ``at``."""
    newline = newline_of(text)
    if at is None:
        lead = newline if text and not text.endswith("\n") else ""
        return Patch(len(text), len(text), lead + "".join(line + newline for line in lines))
    stop = text.find("\n", at)
    if stop < 0:
        return Patch(len(text), len(text), "".join(newline + line for line in lines))
    return Patch(stop + 1, stop + 1, "".join(line + newline for line in lines))
