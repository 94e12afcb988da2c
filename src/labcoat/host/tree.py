"""CPU and memory of a process tree, read so that CPU never goes backwards."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

from labcoat.host.proc import (
    Stat,
    cpu_clock_s,
    descendants,
    pss_bytes,
    read_stat,
    switches,
)
from labcoat.model.host import TreeCounters

_RETRIES = 5
PSS_AGE_S = 5.0


class TreeReader:
    """Reads everything below one keeper.

        cpu_s = sum over the living of (own clock + reaped children) + reaped by the keeper

    A process that ends moves from its own clock (nanoseconds) to its parent's reaped time
    (kernel ticks of 10 ms), at one instant for the kernel. Parents are read before their
    children, and a reading during which a child vanished is taken again: so nothing is
    counted twice. What rounding to ticks would take back is withheld until it is made up
    for: a reading is never below the one before.

    PSS makes the kernel walk every page of a process (half a millisecond each, eight times
    all the rest): it is read again only after five seconds, or when a process is new.
    """

    def __init__(self, keeper_pid: int) -> None:
        self.keeper_pid = keeper_pid
        self.cpu_s = 0.0
        self.system_s = 0.0
        self.pss: dict[tuple[int, int], int] = {}
        self.pss_until = 0.0

    def read(self) -> TreeCounters:
        """One reading. Raises: OSError if the keeper is gone.

        In a tree that forks all the time no attempt may be undisturbed; the last one
        leaves out whoever vanished.
        """
        for _ in range(_RETRIES):
            with contextlib.suppress(OSError):
                return self._read(tolerant=False)
        return self._read(tolerant=True)

    def _read(self, *, tolerant: bool) -> TreeCounters:
        at_ns = time.monotonic_ns()
        if at_ns / 1e9 > self.pss_until:
            self.pss.clear()
            self.pss_until = at_ns / 1e9 + PSS_AGE_S
        above = read_stat(self.keeper_pid)
        processes: list[_Reading] = []
        for pid in descendants(self.keeper_pid):
            try:
                processes.append(self._read_one(pid))
            except OSError:
                if not tolerant:
                    raise
        own = [each.stat for each in processes]
        living = [each for each in processes if each.stat.state != "Z"]
        cpu_s = above.reaped_s + sum(p.cpu_s + p.stat.reaped_s for p in processes)
        system_s = above.reaped_system_s + sum(s.system_s + s.reaped_system_s for s in own)
        self.cpu_s = max(self.cpu_s, cpu_s)
        self.system_s = max(self.system_s, system_s)
        return TreeCounters(
            at_ns=at_ns,
            cpu_s=self.cpu_s,
            system_s=self.system_s,
            rss_bytes=sum(each.stat.rss_bytes for each in living),
            pss_bytes=sum(each.pss_bytes for each in living),
            processes=len(living),
            threads=sum(each.stat.threads for each in living),
            switches_voluntary=sum(each.voluntary for each in living),
            switches_involuntary=sum(each.involuntary for each in living),
        )

    def _read_one(self, pid: int) -> _Reading:
        """One process; its reaped time before its clock. Raises: OSError if it is gone."""
        stat = read_stat(pid)
        cpu_s = cpu_clock_s(pid)
        if stat.state == "Z":
            return _Reading(stat, cpu_s)
        key = (pid, stat.start_ticks)
        if key not in self.pss:
            measured = pss_bytes(pid)
            self.pss[key] = stat.rss_bytes if measured is None else measured
        return _Reading(stat, cpu_s, self.pss[key], *switches(pid))


@dataclass(frozen=True, slots=True)
class _Reading:
    stat: Stat
    cpu_s: float
    pss_bytes: int = 0
    voluntary: int = 0
    involuntary: int = 0
