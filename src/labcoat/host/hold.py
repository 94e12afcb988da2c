"""A file that one process holds at a time: it names who, and is free again when that one ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from labcoat.errors import LabcoatError
from labcoat.host.refusal import refused


@contextlib.contextmanager
def hold(file: Path, refusal: Callable[[str], LabcoatError]) -> Iterator[None]:
    """Hold a file, made if need be; even kill -9 lets go of it.

    ``refusal``: the error to raise where another process holds it, made of its pid in words.
    Raises: that; HostError where the file cannot be made.
    """
    try:
        file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise refused(error, "cannot make a lock", file) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            raise refusal(pid or "unknown") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
