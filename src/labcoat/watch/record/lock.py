"""One watch per folder: a locked file that names the process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from labcoat.errors import LabcoatError

PATIENCE_S = 2.0
POLL_S = 0.02


class AlreadyWatching(LabcoatError):
    """Another watch works on this folder."""

    exit_code = 3


@contextlib.contextmanager
def only_watch(file: Path) -> Iterator[None]:
    """Be the only watch of a folder for a while; the lock ends with the process.

    A watch that was just killed may leave the lock for a moment to a child that has not
    yet become its own program: that is waited for.
    Raises: AlreadyWatching, naming the other's process id.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(descriptor, file)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, file: Path) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() < deadline_s:
                time.sleep(POLL_S)
                continue
            pid = os.pread(descriptor, 32, 0).decode().strip() or "unknown"
            raise AlreadyWatching(
                f"another watch is at work here: process {pid}",
                where=file,
                way_out=f"end it first (kill {pid}), or watch from another folder",
            ) from error
        return
