"""Paste ini files: Pyramid's, with the app as a factory and the server beside it."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator

from labcoat.project.clues import Clue, Database, OtherServer, Place, Remark, Server, Source
from labcoat.project.folder import Folder, parent
from labcoat.project.grammars import GRAMMARS, LISTENS
from labcoat.stack.edit.command import level_of

_POSTGRES = re.compile(r"postgres(?:ql)?(?:\+(?P<driver>\w+))?://")


def read_paste(folder: Folder) -> Iterator[Clue]:
    """Each ini file with an ``[app:main]``: its app's factory, its server, its database."""
    for path, text in folder.texts.items():
        if not path.endswith(".ini") or not re.search(
            r"^\s*\[(?:app|composite):", text, re.MULTILINE
        ):
            continue
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read_string(text)
        except configparser.Error as error:
            line = getattr(error, "lineno", None) or next(
                (number for number, _ in getattr(error, "errors", [])), None
            )
            what = str(error).splitlines()[0].replace("'<string>'", "the file")
            yield Remark(place=Place(path, line), what=what, way_out="mend the line")
            continue
        yield from _sections(path, text, parser)


def _sections(path: str, text: str, parser: configparser.ConfigParser) -> Iterator[Clue]:
    for section in parser.sections():
        place = Place(path, _line(text, rf"\[{re.escape(section)}\]"))
        if section.startswith("app:"):
            what = (
                f"[{section}] is {parser[section].get('use', 'a factory')}: "
                "a server needs a module that has called it"
            )
            name = path.rpartition("/")[2]
            where = f"{parent(path)}/wsgi.py".lstrip("/")
            yield Remark(
                place=place,
                what=what,
                way_out=f"{where}: from pyramid.paster import get_app; "
                f'app = get_app("{name}", "{section.removeprefix("app:")}")',
            )
        elif section.startswith("server:"):
            yield from _server(place, dict(parser[section]))
        for key, value in parser[section].items():
            found = _POSTGRES.match(value)
            if found is not None:
                line = Place(path, _line(text, rf"{re.escape(key)}\s*[=:]"))
                yield Database(place=line, driver=found["driver"] or "")


def _server(place: Place, said: dict[str, str]) -> Iterator[Clue]:
    name = re.sub(r"^egg:|#.*$", "", said.pop("use", ""))
    if name in {one.name for one in GRAMMARS}:
        options = tuple((key, level_of(value)) for key, value in said.items() if key not in LISTENS)
        yield Server(place=place, name=name, source=Source.SCRIPT, options=options)
    elif name:
        yield OtherServer(place=place, name=name, is_for_development=False)


def _line(text: str, pattern: str) -> int | None:
    found = re.search(rf"^[ \t]*{pattern}", text, re.MULTILINE | re.IGNORECASE)
    return (
        text.count("\n", 0, found.start()) + text[found.start() : found.end()].count("\n") + 1
        if found
        else None
    )
