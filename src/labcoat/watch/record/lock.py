"""One watch per folder: a locked file that names the process."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from labcoat.errors import LabcoatError


class AlreadyWatching(LabcoatError):
    """Another watch works on this folder."""

    exit_code = 3


@contextlib.contextmanager
def only_watch(file: Path) -> Iterator[None]:
    """Be the only watch of a folder for a while; the lock ends with the process.

    Raises: AlreadyWatching, naming the other's process id.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.pread(descriptor, 32, 0).decode().strip() or "unknown"
            raise AlreadyWatching(
                f"another watch is at work here: process {pid}",
                where=file,
                way_out=f"end it first (kill {pid}), or watch from another folder",
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)
