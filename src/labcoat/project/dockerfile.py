"""Dockerfile: what the last stage sets and starts.

Source: docs.docker.com, "Dockerfile reference".
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from labcoat.project.clues import Clue, Command, Place, Remark, Source, Variable
from labcoat.project.folder import Folder, joined, parent
from labcoat.project.procfile import in_shell
from labcoat.project.words import unwrapped

_NAME = re.compile(r"(?:^|[./-])(?:Dockerfile|Containerfile)(?:$|[.-])", re.IGNORECASE)
_INSTRUCTION = re.compile(r"\s*([A-Za-z]+)\s+(.*)", re.DOTALL)


@dataclass(slots=True)
class _Stage:
    """What one stage says: (argument, line) of each instruction that matters."""

    folder: str = ""
    env: dict[str, tuple[str, int]] = field(default_factory=dict)
    starts: dict[str, tuple[str, int]] = field(default_factory=dict)


def read_dockerfiles(folder: Folder) -> Iterator[Clue]:
    """Variables and the command of each Dockerfile's last stage."""
    for path, text in folder.texts.items():
        if not _NAME.search(path.rpartition("/")[2]):
            continue
        stage = _last_stage(text)
        for name, (value, line) in stage.env.items():
            place = Place(path, line)
            yield Variable(place=place, name=name, value=value, source=Source.DOCKERFILE)
        yield from _commands(folder, path, stage)


def _last_stage(text: str) -> _Stage:
    stages: dict[str, _Stage] = {}
    stage = _Stage()
    for name, argument, line in instructions(text):
        if name == "FROM":
            words = [word for word in argument.split() if not word.startswith("--")]
            base = stages.get(words[0].lower(), _Stage()) if words else _Stage()
            stage = _Stage(base.folder, dict(base.env), dict(base.starts))
            if len(words) == 3:
                stages[words[2].lower()] = stage
        elif name == "WORKDIR":
            is_absolute = argument.startswith("/")
            stage.folder = argument if is_absolute else joined(stage.folder, argument)
        elif name == "ENV":
            stage.env |= {key: (value, line) for key, value in _assigned(argument)}
        elif name in {"CMD", "ENTRYPOINT"}:
            if name == "ENTRYPOINT":
                stage.starts.pop("CMD", None)
            stage.starts[name] = argument, line
    return stage


def instructions(text: str) -> Iterator[tuple[str, str, int]]:
    """(name, argument, line) of each instruction, continued lines joined, comments left out."""
    whole, first = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#"):
            continue
        first = first if whole else number
        if line.rstrip().endswith("\\"):
            whole += line.rstrip()[:-1] + " "
            continue
        whole += line
        found = _INSTRUCTION.fullmatch(whole)
        if found is not None:
            yield found[1].upper(), found[2].strip(), first
        whole = ""


def _assigned(argument: str) -> Iterator[tuple[str, str]]:
    """``A=b C="d e"``, or the old ``A b``."""
    try:
        words = shlex.split(argument)
    except ValueError:
        return
    if words and "=" not in words[0]:
        yield words[0], " ".join(words[1:])
        return
    for word in words:
        name, _, value = word.partition("=")
        yield name, value


def _commands(folder: Folder, path: str, stage: _Stage) -> Iterator[Clue]:
    home, near = stage.folder, parent(path)
    where = home if folder.folder_of(home, near=near) else near
    forms = {name: _words(argument) for name, (argument, _) in stage.starts.items()}
    entry, command = forms.get("ENTRYPOINT"), forms.get("CMD")
    started = [name for name in ("CMD", "ENTRYPOINT") if name in stage.starts]
    if not started:
        return
    place = Place(path, stage.starts[started[0]][1])
    for name in started:
        argument, line = stage.starts[name]
        if forms[name] is None and (name == "ENTRYPOINT" or entry is None):
            yield from in_shell(argument, Place(path, line), Source.DOCKERFILE, where)
            return
    words = (*(entry or ()), *(command or ()))
    yield from in_words(words, place, Source.DOCKERFILE, where)


def in_words(
    words: tuple[str, ...],
    place: Place,
    source: Source,
    folder: str,
    env: tuple[tuple[str, str], ...] = (),
) -> Iterator[Clue]:
    """The command of an argv, or those of the shell that it starts."""
    try:
        for said in unwrapped(words, folder=folder, env=env):
            yield Command(
                place=place, words=said.words, source=source, folder=said.folder, env=said.env
            )
    except ValueError as error:
        yield Remark(place=place, what=f"is no command line: {error}", way_out="mend the line")


def _words(argument: str) -> tuple[str, ...] | None:
    """The words of the exec form ``["a", "b"]``; None for the shell form."""
    if not argument.startswith("["):
        return None
    try:
        words = json.loads(argument)
    except ValueError:
        return None
    return tuple(str(word) for word in words) if isinstance(words, list) else None
