"""What the operating system refused, as labcoat's own error: with the way out."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from labcoat.errors import HostError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_SLOT = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)


def refused(error: OSError, what: str, where: str | Path) -> HostError:
    """The HostError for an OSError: what was tried, where, why, the way out."""
    reason = error.strerror or str(error)
    place = str(error.filename or where)
    if error.errno in _NO_ROOM:
        place = f"{place} ({room_left(Path(place))})"
        way_out = "free space there, or point LABCOAT_SANDBOXES or TMPDIR at another disk"
    elif error.errno in _NO_RIGHT:
        way_out = "grant this user access there, or point LABCOAT_SANDBOXES elsewhere"
    elif error.errno in _NO_SLOT:
        way_out = "raise the limit: ulimit -n (files), ulimit -u (processes), or free memory"
    elif error.errno == errno.ENOENT:
        way_out = "check the path; install the program, or name its full path in the study"
    elif error.errno == errno.ENOEXEC:
        way_out = "it is no program for this machine: a script needs a '#!' line"
    else:
        way_out = "see 'dmesg' and the limits of this user (ulimit -a)"
    return HostError(f"{what}: {reason}", where=place, way_out=way_out)


def room_left(path: Path) -> str:
    """Which filesystem a path lies on and how much of it is free, in words."""
    while not path.exists() and path != path.parent:
        path = path.parent
    mount = path.resolve()
    while not os.path.ismount(mount):
        mount = mount.parent
    try:
        free = shutil.disk_usage(path).free
    except OSError:
        return f"filesystem {mount}"
    return f"filesystem {mount}: {free / 2**20:.1f} MiB free"
