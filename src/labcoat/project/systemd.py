"""systemd units: ExecStart, WorkingDirectory, Environment.

Source: systemd.service(5), systemd.exec(5).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from labcoat.project.clues import Clue, Place, Remark, Source, Variable
from labcoat.project.dockerfile import in_words
from labcoat.project.folder import Folder, parent


def read_units(folder: Folder) -> Iterator[Clue]:
    """The command and the variables of each service unit."""
    for path, text in folder.texts.items():
        if path.endswith(".service"):
            yield from _unit(path, text)


def _unit(path: str, text: str) -> Iterator[Clue]:
    lines = list(settings(text))
    homes = [value for key, value, _ in lines if key == "WorkingDirectory" and value]
    home = homes[-1].lstrip("-") if homes else parent(path)
    env: dict[str, str] = {}
    for key, value, line in lines:
        if key != "Environment":
            continue
        for word in _split(value):
            name, equals, text_ = word.partition("=")
            if equals:
                env[name] = text_
                place = Place(path, line)
                yield Variable(place=place, name=name, value=text_, source=Source.SYSTEMD)
    for key, value, line in lines:
        if key != "ExecStart" or not value:
            continue
        words = _split(value.lstrip("@-:+!"))
        place = Place(path, line)
        if not words:
            yield Remark(place=place, what="is no command line", way_out="mend the line")
            continue
        yield from in_words(tuple(words), place, Source.SYSTEMD, home, tuple(env.items()))


def settings(text: str) -> Iterator[tuple[str, str, int]]:
    """(key, value, line) of each setting, continued lines joined."""
    whole, first = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith(("#", ";")):
            continue
        first = first if whole else number
        if line.endswith("\\"):
            whole += line[:-1] + " "
            continue
        key, equals, value = (whole + line).partition("=")
        whole = ""
        if equals:
            yield key.strip(), value.strip(), first


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return []
