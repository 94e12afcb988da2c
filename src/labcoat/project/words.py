"""Command lines as people write them into files: shell text to commands, each as words."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from labcoat.project.folder import joined

_ASSIGNED = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:\{(?P<long>\w+)(?::?-(?P<default>[^}]*))?\}|(?P<short>\w+))")
SHELLS = frozenset({"ash", "bash", "dash", "sh"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One command of a shell text: its words, what is set before it, the folder of ``cd``."""

    words: tuple[str, ...]
    folder: str = ""
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    line: int = 0


def commands_of(text: str, *, folder: str = "") -> Iterator[Said]:
    """The commands of a shell text, in order; ``line`` counts from 0 within the text.

    Raises: ValueError for a quote that is not closed.
    """
    env: dict[str, str] = {}
    for part, line in _parts(text):
        words = shlex.split(part, comments=True)
        while words and words[0] in {"export", "exec", "then", "do", "else", "if", "time"}:
            words = words[1:]
        own: dict[str, str] = {}
        while words and (found := _ASSIGNED.fullmatch(words[0])):
            own[found[1]] = found[2]
            words = words[1:]
        if not words:
            env |= own
        elif words[0] == "cd" and len(words) > 1:
            folder = words[1] if words[1].startswith("/") else joined(folder, words[1])
        else:
            said = tuple((env | own).items())
            yield from unwrapped(tuple(words), folder=folder, env=said, line=line)


def unwrapped(
    words: tuple[str, ...],
    *,
    folder: str = "",
    env: tuple[tuple[str, str], ...] = (),
    line: int = 0,
) -> Iterator[Said]:
    """The command itself, or those of ``sh -c "..."``. Raises: ValueError as above."""
    name = words[0].rpartition("/")[2] if words else ""
    options = [word for word in words[1:-1] if re.fullmatch(r"-\w*c", word)]
    if name in SHELLS and options:
        after = words[words.index(options[0]) + 1]
        for said in commands_of(after, folder=folder):
            whole = tuple({**dict(env), **dict(said.env)}.items())
            yield Said(words=said.words, folder=said.folder, env=whole, line=line + said.line)
    elif words:
        yield Said(words=words, folder=folder, env=env, line=line)


def expanded(word: str, values: Mapping[str, str]) -> str:
    """The word with the variables that are known; those that are not stay as they are."""

    def value(found: re.Match[str]) -> str:
        name = found["long"] or found["short"]
        return values.get(name) or found["default"] or found[0]

    return _VARIABLE.sub(value, word)


def variables_of(word: str) -> tuple[str, ...]:
    """The names of the variables in a word."""
    return tuple(found["long"] or found["short"] for found in _VARIABLE.finditer(word))


def _parts(text: str) -> Iterator[tuple[str, int]]:
    """(command, line) between ``&&``, ``||``, ``;``, ``|``, ``&`` and ends of lines."""
    quote, depth, start, line, at = "", 0, 0, 0, 0
    first = 0
    text = text.replace("\r\n", "\n")
    while at < len(text):
        mark = text[at]
        if mark == "\\" and quote != "'":
            line += text[at : at + 2].count("\n")
            at += 2
            continue
        if quote:
            quote = "" if mark == quote else quote
        elif mark in "\"'":
            quote = mark
        elif mark == "#" and not depth and (at == 0 or text[at - 1].isspace()):
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
            continue
        elif mark in "({":
            depth += text[at - 1 : at] == "$" or depth > 0
        elif mark in ")}":
            depth = max(0, depth - 1)
        elif not depth and mark in ";&|\n":
            yield text[start:at].replace("\\\n", " "), first
            start, first = at + 1, line + (mark == "\n")
        line += mark == "\n"
        at += 1
    yield text[start:].replace("\\\n", " "), first
