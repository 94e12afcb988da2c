"""The crew: how many workers keep the cores busy, and what another number of them promises. Pure.

Amdahl's bound says the same of two workers and of six: that idle cores could be used. Which
number uses them follows from how long a request works and how long it waits.
"""

from __future__ import annotations

from dataclasses import dataclass

from labcoat.model.baseline import Baseline
from labcoat.model.knob import Knob
from labcoat.stack.limits import WORKERS
from labcoat.stats.queueing import closed_throughput, enough_workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """Workers of one server on these cores.

    ``work_s``: CPU of a request, all layers and the generator; ``wait_s``: what its worker waits
    for beside; ``threads``: workers for each of what the knob counts.
    """

    server: str
    cores: int
    work_s: float
    wait_s: float
    threads: int = 1

    def counts(self, knob: Knob) -> bool:
        """Whether a knob says how many there are."""
        return knob.component == self.server and WORKERS.get(self.server) == knob.directive

    @property
    def wanted(self) -> int:
        """The least level of the knob that keeps the cores busy."""
        workers = enough_workers(cores=self.cores, work_s=self.work_s, wait_s=self.wait_s)
        return -(-workers // self.threads)

    def gain(self, before: int, after: int) -> float:
        """What a level promises over another, a ratio; below zero where it has fewer."""
        return self._per_s(after) / self._per_s(before) - 1

    def _per_s(self, level: int) -> float:
        return closed_throughput(
            max(1, level) * self.threads,
            cores=self.cores,
            work_s=self.work_s,
            wait_s=self.wait_s,
        )


def crew_of(found: Baseline, *, server: str) -> Crew:
    """The crew of a baseline."""
    account = found.waterfall
    spent = {layer.name: layer.cpu_per_request_s for layer in found.layers}
    spent |= {part.name: part.per_request_s for part in account.parts if part.name == "generator"}
    told = next(layer.counters for layer in found.layers if layer.name == server)
    threads = told.get("slots", 1.0) / max(told.get("processes", 1.0), 1.0)
    return Crew(
        server=server,
        cores=account.cores,
        work_s=max(sum(spent.values()), 1e-6),
        wait_s=found.ceiling.call_wait_s,
        threads=max(1, round(threads)),
    )
