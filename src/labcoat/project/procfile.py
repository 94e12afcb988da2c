"""Procfile: one process type per line, and ``web`` is the one that serves."""

from __future__ import annotations

import re
from collections.abc import Iterator

from labcoat.project.clues import Clue, Command, Place, Remark, Source
from labcoat.project.folder import Folder, parent
from labcoat.project.words import commands_of

_LINE = re.compile(r"([A-Za-z0-9_-]+)\s*:\s*(.+)")


def read_procfiles(folder: Folder) -> Iterator[Clue]:
    """The commands of ``web``; of every process type if none is called so."""
    for path, text in folder.texts.items():
        if not path.rpartition("/")[2].startswith("Procfile"):
            continue
        lines = [
            (found[1], found[2], number)
            for number, line in enumerate(text.splitlines(), start=1)
            if (found := _LINE.fullmatch(line.strip()))
        ]
        is_web = any(name == "web" for name, _, _ in lines)
        for name, command, number in lines:
            if name == "web" or not is_web:
                place = Place(path, number)
                yield from in_shell(command, place, Source.PROCFILE, parent(path))


def in_shell(
    text: str,
    place: Place,
    source: Source,
    folder: str,
    env: tuple[tuple[str, str], ...] = (),
) -> Iterator[Clue]:
    """The commands of a shell text that starts at a place; a remark if it is none."""
    try:
        for said in commands_of(text, folder=folder):
            yield Command(
                place=Place(place.path, (place.line or 1) + said.line),
                words=said.words,
                source=source,
                folder=said.folder,
                env=(*env, *said.env),
            )
    except ValueError as error:
        what = f"is no command line: {error}"
        yield Remark(place=place, what=what, way_out="mend the line")
