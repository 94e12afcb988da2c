"""Variables: .env files, .flaskenv, and the environment of whoever asks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from labcoat.project.clues import Clue, Place, Source, Variable
from labcoat.project.folder import Folder
from labcoat.project.servers import flask_app

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)")
# What a server reads by itself; other variables of a shell are nobody's business here.
_SERVERS = re.compile(r"WEB_CONCURRENCY|GUNICORN_CMD_ARGS|(?:UWSGI|UVICORN|GRANIAN)_\w+|FLASK_APP")
ENVIRONMENT = "the environment"


def read_variables(folder: Folder) -> Iterator[Clue]:
    """What .env files set, and what servers would read from the environment."""
    for path, text in folder.texts.items():
        name = path.rpartition("/")[2]
        if name == ".flaskenv" or name.startswith(".env"):
            for number, line in enumerate(text.splitlines(), start=1):
                found = _LINE.fullmatch(line.strip())
                if found is not None:
                    value = found[2].strip().strip("\"'")
                    yield from _set(found[1], value, Place(path, number))
    for name, value in folder.environment.items():
        if _SERVERS.fullmatch(name):
            yield from _set(name, value, Place(ENVIRONMENT))


def _set(name: str, value: str, place: Place) -> Iterator[Clue]:
    variable = Variable(place=place, name=name, value=value, source=Source.ENVIRONMENT)
    yield variable
    if name == "FLASK_APP":
        yield from flask_app(variable, value)
