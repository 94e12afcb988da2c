"""Readings of /proc for one process and for a tree of them."""

# ruff: noqa: PTH123, PTH208  a Path costs as much as the reading itself
from __future__ import annotations

import os
import time
from dataclasses import dataclass

from labcoat.host import keeper

TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """One process, from /proc/PID/stat; CPU in seconds, rounded to ticks by the kernel."""

    state: str
    parent: int
    session: int
    system_s: float
    reaped_s: float
    reaped_system_s: float
    threads: int
    start_ticks: int
    rss_bytes: int


def read_stat(pid: int) -> Stat:
    """Raises: OSError if the process is gone."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return Stat(
        state=fields[0].decode(),
        parent=int(fields[1]),
        session=int(fields[3]),
        system_s=int(fields[12]) * TICK_S,
        reaped_s=(int(fields[13]) + int(fields[14])) * TICK_S,
        reaped_system_s=int(fields[14]) * TICK_S,
        threads=int(fields[17]),
        start_ticks=int(fields[19]),
        rss_bytes=int(fields[21]) * PAGE_BYTES,
    )


def cpu_clock_s(pid: int) -> float:
    """CPU seconds of a whole thread group, ended threads included, in nanoseconds' grain.

    The clock id is what clock_getcpuclockid(3) makes of a pid, as glibc encodes it.
    Raises: OSError if the process is gone.
    """
    return time.clock_gettime((~pid << 3) | 2)


def pss_bytes(pid: int) -> int | None:
    """Proportional set size; None when not permitted. Raises: OSError if gone."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except PermissionError:
        return None
    return None


def switches(pid: int) -> tuple[int, int]:
    """Voluntary and involuntary context switches of all threads. Raises: OSError if gone."""
    voluntary = involuntary = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status", "rb") as file:
            text = file.read()
        at = text.rfind(b"voluntary_ctxt_switches:", 0, text.rfind(b"nonvoluntary"))
        fields = text[at:].split()
        voluntary += int(fields[1])
        involuntary += int(fields[3])
    return voluntary, involuntary


def descendants(pid: int) -> list[int]:
    """Every process below this one, parents before their children."""
    return keeper.descendants(pid)


def is_same(pid: int, start_ticks: int) -> bool:
    """Whether this very process (not one that was given its number) still lives."""
    try:
        stat = read_stat(pid)
    except OSError:
        return False
    return stat.start_ticks == start_ticks and stat.state != "Z"


def all_pids() -> list[int]:
    """Every visible process."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]
