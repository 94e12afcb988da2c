"""One watch per folder: a locked file that names the process."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from labcoat.errors import LabcoatError
from labcoat.host.hold import hold


class AlreadyWatching(LabcoatError):
    """Another watch works on this folder."""

    exit_code = 3


def only_watch(file: Path) -> AbstractContextManager[None]:
    """Be the only watch of a folder for a while; the lock ends with the process.

    Raises, on entering: AlreadyWatching, naming the other's process id; HostError.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return hold(
        file,
        lambda pid: AlreadyWatching(
            f"another watch is at work here: process {pid}",
            where=file,
            way_out=f"end it first (kill {pid}), or watch from another folder",
        ),
    )
