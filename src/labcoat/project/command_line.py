"""The command line of an app server, option by option."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from labcoat.model.variant import Level
from labcoat.project.grammars import GUNICORN, UVICORN, Grammar

_NUMBER = re.compile(r"-?\d{1,15}")


@dataclass(slots=True, kw_only=True)
class Parsed:
    """What a command line says, option by option, in the server's long spelling."""

    options: dict[str, Level] = field(default_factory=dict)
    elsewhere: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    env: list[str] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)


def concurrency(grammar: Grammar, env: Mapping[str, str]) -> dict[str, Level]:
    """``WEB_CONCURRENCY``, the default of ``workers`` for Gunicorn and Uvicorn."""
    said = env.get("WEB_CONCURRENCY", "")
    return {"workers": int(said)} if grammar in (GUNICORN, UVICORN) and said.isdecimal() else {}


def from_environment(grammar: Grammar, env: Mapping[str, str]) -> Parsed:
    """What the server reads from variables: ``GUNICORN_CMD_ARGS``, ``UWSGI_PROCESSES``."""
    if grammar is GUNICORN:
        try:
            return parse(grammar, shlex.split(env.get("GUNICORN_CMD_ARGS", "")))
        except ValueError:
            return Parsed()
    words: list[str] = []
    for name, value in env.items():
        if name.startswith(grammar.prefix) and value:
            option = name.removeprefix(grammar.prefix).lower().replace("_", "-")
            is_flag = option in grammar.flags
            words += [f"--{option}"] if is_flag and value in {"1", "true"} else []
            words += [] if is_flag else [f"--{option}={value}"]
    return parse(grammar, words)


def parse(grammar: Grammar, words: Sequence[str]) -> Parsed:
    """The options of a command line."""
    parsed = Parsed()
    queue = list(words)
    while queue:
        word = queue.pop(0)
        name, value = _option(grammar, word)
        if name is None:
            parsed.rest.append(word)
            continue
        if value is None and not _is_flag(grammar, name, queue):
            value = queue.pop(0)
        _take(grammar, parsed, name, value)
    return parsed


def _option(grammar: Grammar, word: str) -> tuple[str | None, str | None]:
    """(long option, value) of a word; (None, None) if it is none."""
    if word.startswith("--") and len(word) > 2:
        name, equals, value = word[2:].partition("=")
        return name.replace("_", "-"), value if equals else None
    if len(word) > 1 and word[0] == "-" and word[1] in grammar.short:
        return grammar.short[word[1]], word[2:].removeprefix("=") or None
    return (word[1:], None) if len(word) > 1 and word[0] == "-" else (None, None)


def _is_flag(grammar: Grammar, name: str, queue: Sequence[str]) -> bool:
    if name in grammar.flags or name.removeprefix("no-") in grammar.flags:
        return True
    is_option = bool(queue) and queue[0].startswith("-") and queue[0] != "-"
    return not queue or (is_option and _NUMBER.fullmatch(queue[0]) is None)


def _take(grammar: Grammar, parsed: Parsed, name: str, value: str | None) -> None:
    if name in grammar.left_out:
        parsed.left_out[name] = grammar.left_out[name]
    elif name == "env" and value is not None:
        parsed.env.append(value)
    elif name in grammar.elsewhere or grammar.renamed.get(name) in grammar.elsewhere:
        parsed.elsewhere[grammar.renamed.get(name, name)] = value or ""
    else:
        level: Level = True if value is None else level_of(value)
        if value is None and name.startswith("no-"):
            is_known = name.removeprefix("no-") in grammar.flags or name in grammar.renamed
            name, level = (name.removeprefix("no-"), False) if is_known else (name, True)
        known = grammar.renamed.get(name, name)
        parsed.options[known if grammar.dashes else known.replace("-", "_")] = level


def level_of(text: str) -> Level:
    """A word as a level: a whole number where it is one."""
    return int(text) if _NUMBER.fullmatch(text) else text
