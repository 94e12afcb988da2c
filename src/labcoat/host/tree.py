"""CPU and memory of a process tree, read so that CPU never goes backwards."""

from __future__ import annotations

import time

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


class TreeReader:
    """Reads everything below one keeper.

        cpu_s = sum over the living of (own clock + reaped children) + reaped by the keeper

    A process that ends moves from its own clock (nanoseconds) to its parent's reaped time
    (kernel ticks of 10 ms), at one instant for the kernel. Parents are read before their
    children, and a reading during which a child vanished is taken again: so nothing is
    counted twice. What rounding to ticks would take back is withheld until it is made up
    for: a reading is never below the one before.
    """

    def __init__(self, keeper_pid: int) -> None:
        self.keeper_pid = keeper_pid
        self.cpu_s = 0.0
        self.system_s = 0.0

    def read(self) -> TreeCounters:
        """One reading. Raises: OSError if the keeper is gone."""
        for attempt in range(_RETRIES):
            try:
                return self._read()
            except OSError:
                if attempt == _RETRIES - 1:
                    raise
        raise AssertionError("unreachable")

    def _read(self) -> TreeCounters:
        at_ns = time.monotonic_ns()
        above = read_stat(self.keeper_pid)
        pids = descendants(self.keeper_pid)
        stats: list[Stat] = []
        cpu_s = above.reaped_s
        for pid in pids:
            stats.append(read_stat(pid))
            cpu_s += stats[-1].reaped_s + cpu_clock_s(pid)
        system_s = above.reaped_system_s + sum(s.system_s + s.reaped_system_s for s in stats)
        living = [pid for pid, stat in zip(pids, stats, strict=True) if stat.state != "Z"]
        pss = [
            proportional if (proportional := pss_bytes(pid)) is not None else stat.rss_bytes
            for pid, stat in zip(pids, stats, strict=True)
            if stat.state != "Z"
        ]
        switched = [switches(pid) for pid in living]
        self.cpu_s = max(self.cpu_s, cpu_s)
        self.system_s = max(self.system_s, system_s)
        return TreeCounters(
            at_ns=at_ns,
            cpu_s=self.cpu_s,
            system_s=self.system_s,
            rss_bytes=sum(stat.rss_bytes for stat in stats),
            pss_bytes=sum(pss),
            processes=len(living),
            threads=sum(stat.threads for stat in stats if stat.state != "Z"),
            switches_voluntary=sum(v for v, _ in switched),
            switches_involuntary=sum(i for _, i in switched),
        )
