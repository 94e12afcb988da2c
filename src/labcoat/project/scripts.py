"""Shell scripts of the project: start.sh, docker-entrypoint.sh."""

from __future__ import annotations

import re
from collections.abc import Iterator

from labcoat.project.clues import Clue, Command, Place, Remark, Source
from labcoat.project.folder import Folder
from labcoat.project.procfile import in_shell

_SCRIPT = re.compile(r"(?:^|/)(?:[^/]*\.sh|[^/.]*entrypoint[^/.]*)$")
_STARTS = re.compile(r"\b(?:gunicorn|uwsgi|granian|uvicorn|flask|manage\.py|fastapi|hypercorn)\b")


def read_shell_scripts(folder: Folder) -> Iterator[Clue]:
    """The commands of scripts that speak of a server; what is no shell text says nothing."""
    for path, text in folder.texts.items():
        if not _SCRIPT.search(path) or not _STARTS.search(text):
            continue
        # A script starts in the working directory of whoever calls it, most often the project's.
        for clue in in_shell(text, Place(path, 1), Source.SCRIPT, ""):
            if isinstance(clue, Command | Remark):
                yield clue
