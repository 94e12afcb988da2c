"""CPU per request now: the worker tree's clock, and how many requests were answered meanwhile."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from labcoat.errors import HostError, UsageError
from labcoat.host.proc import cpu_clock_s, descendants, read_stat
from labcoat.watch.production.compare import Cpu

SLICES = 12
PATIENCE_S = 3.0
_REQUESTS = re.compile(r"^\s*\d+\s+\d+\s+(\d+)\s*$", re.MULTILINE)


def sample(
    pid: int,
    answered: Callable[[], int],
    *,
    for_s: float,
    sleep: Callable[[float], None] = time.sleep,
) -> Cpu:
    """Twelve slices of this length in all. ``answered``: requests answered since whenever.

    Raises: HostError if the tree ends meanwhile.
    """
    spent, counts = [tree_cpu_s(pid)], [answered()]
    for _ in range(SLICES):
        sleep(for_s / SLICES)
        spent.append(tree_cpu_s(pid))
        counts.append(answered())
    return Cpu(
        cpu_s=np.diff(np.array(spent, dtype=np.float64)),
        requests=np.diff(np.array(counts, dtype=np.float64)),
        each_s=for_s / SLICES,
    )


def tree_cpu_s(pid: int) -> float:
    """CPU seconds of a process and all below it, the reaped ones too. Raises: HostError."""
    total = 0.0
    try:
        for each in (pid, *descendants(pid)):
            try:
                total += read_stat(each).reaped_s + cpu_clock_s(each)
            except OSError:
                if each == pid:
                    raise
    except OSError as error:
        raise HostError(
            f"process {pid} is not there",
            where="--pid",
            way_out="name the pid file of the running app server's master",
        ) from error
    return total


def read_pid(file: Path) -> int:
    """The number in a pid file. Raises: UsageError."""
    try:
        text = file.read_text(encoding="ascii").strip()
        if text.isdecimal() and int(text) > 0:
            return int(text)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            "the pid file cannot be read", where=file, way_out="check the path"
        ) from error
    raise UsageError(
        "the pid file holds no process id", where=file, way_out="name the master's pid file"
    )


def handled(url: str) -> int:
    """Requests that nginx has handled, as its stub_status says. Raises: HostError, UsageError."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise UsageError(
            f"{url!r} is no http URL", where="--stub-status", way_out="http://127.0.0.1/status"
        )
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:  # noqa: S310 - http(s) only
            text = answer.read(10_000).decode("ascii", "replace")
    except (OSError, ValueError) as error:
        raise HostError(
            f"nginx's status cannot be read: {error}",
            where=url,
            way_out="let a location with stub_status answer this machine",
        ) from error
    found = _REQUESTS.search(text)
    if found is None:
        raise HostError(
            "that is no stub_status", where=url, way_out="name a location with stub_status"
        )
    return int(found[1])


def grown(log: Path) -> Callable[[], int]:
    """Counts the lines that are written to a log from now on."""
    try:
        file = log.open("rb")
        file.seek(0, 2)
    except OSError as error:
        raise UsageError(
            f"the log cannot be read: {error.strerror}", where=log, way_out="check the path"
        ) from error
    count = 0

    def lines() -> int:
        nonlocal count
        while piece := file.read(1 << 20):
            count += piece.count(b"\n")
        return count

    return lines
