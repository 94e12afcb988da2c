"""Env files (``.env``): ``NAME=value``, one variable a line, as dotenv libraries read them.

``export`` before a name, comments, single quotes (as it is), double quotes (escapes, several
lines) and ``${NAME}`` of what was said before are understood. Values are secrets: messages name
the line and never quote it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_NAME = re.compile(r"[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][\w.]*)[ \t]*=[ \t]*")
_SINGLE = re.compile(r"'(?P<text>[^']*)'")
_DOUBLE = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*)"', re.DOTALL)
_BARE = re.compile(r"(?P<text>(?:(?![ \t]+\#)[^\r\n])*)")
_END = re.compile(r"[ \t]*(?:\#[^\r\n]*)?(?:\r?\n|$)")
_BLANK = re.compile(r"[ \t]*(?:\#[^\r\n]*)?\r?\n|[ \t]+$|[ \t]*\#[^\r\n]*$")
_FILLED = re.compile(r"\$\{(?P<name>\w+)(?::?-(?P<default>[^}]*))?\}")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


class NotAnEnvFile(ValueError):
    """A line that is none of an env file. ``line``: its number, from 1."""

    def __init__(self, line: int) -> None:
        super().__init__(f"line {line} is not NAME=value")
        self.line = line


def read(text: str, around: Mapping[str, str]) -> dict[str, str]:
    """The variables of an env file. ``around``: what ``${NAME}`` means that it does not say.

    Raises: NotAnEnvFile.
    """
    text = text.removeprefix("\ufeff")
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        blank = _BLANK.match(text, position)
        if blank is not None:
            position = blank.end()
            continue
        name = _NAME.match(text, position)
        value = None if name is None else _value(text, name.end(), {**around, **found})
        end = None if value is None else _END.match(text, value[1])
        if name is None or value is None or end is None:
            raise NotAnEnvFile(text.count("\n", 0, position) + 1)
        found[name["name"]] = value[0]
        position = end.end()
    return found


def _value(text: str, start: int, known: Mapping[str, str]) -> tuple[str, int] | None:
    """(value, where it ends) of what stands behind the ``=``."""

    def fill(match: re.Match[str]) -> str:
        return known.get(match["name"], match["default"] or "")

    if text.startswith("'", start):
        found = _SINGLE.match(text, start)
        return None if found is None else (found["text"], found.end())
    if text.startswith('"', start):
        found = _DOUBLE.match(text, start)
        if found is None:
            return None
        plain = re.sub(r"\\(.)", lambda e: _ESCAPES.get(e[1], e[1]), found["text"], flags=re.DOTALL)
        return _FILLED.sub(fill, plain), found.end()
    found = _BARE.match(text, start)
    if found is None:
        return None
    return _FILLED.sub(fill, found["text"].rstrip()), found.end()
