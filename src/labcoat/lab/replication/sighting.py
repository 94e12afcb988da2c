"""Where workers run, read from the running workers while they are under load.

The claim that processes share one CPU is none about speed, so no experiment decides it: the
kernel says which CPUs each may use, and on which it ran last.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labcoat.host.proc import descendants
from labcoat.lab.trial.arms import boot, server_layer
from labcoat.lab.trial.workbench import Workbench, measure_slice
from labcoat.model.load import ClosedLoop, Window
from labcoat.model.replication import Outcome
from labcoat.model.variant import Variant
from labcoat.stack.rig import Rig

LOADED = Window(warmup_s=0.5, measure_s=4.0)
EVERY_S = 0.02
_ALLOWED = re.compile(r"^Cpus_allowed_list:\s+(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One process of the server. ``allowed``: as the kernel spells it; ``seen``: CPUs it ran on."""

    pid: int
    allowed: str
    seen: tuple[int, ...]
    samples: int


def watch_workers(bench: Workbench, rig: Rig, variant: Variant) -> tuple[Worker, ...]:
    """Boot a variant, load it, and look at its processes fifty times a second.

    The master, which serves nothing, is left out. Raises: StackError, LoadError.
    """
    standing = boot(bench, rig, "a", variant)
    try:
        root = server_layer(standing).process.pid
        looking = _Looking(root)
        looking.start()
        plan = ClosedLoop(users=bench.study.users)
        try:
            measure_slice(bench, standing, plan, LOADED, seed=bench.study.seed)
        finally:
            looking.stop()
        return looking.workers()
    finally:
        bench.generator.forget(standing.target)
        rig.stop(standing)


class _Looking(threading.Thread):
    """Samples the CPU that each descendant of a process ran on last."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self._root = root
        self._ended = threading.Event()
        self._seen: dict[int, list[int]] = {}
        self._allowed: dict[int, str] = {}

    def run(self) -> None:
        while not self._ended.wait(EVERY_S):
            for pid in descendants(self._root):
                try:
                    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
                    if pid not in self._allowed:
                        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
                        found = _ALLOWED.search(status)
                        self._allowed[pid] = found[1] if found else "?"
                except OSError:
                    continue  # it has gone meanwhile
                self._seen.setdefault(pid, []).append(int(stat.rpartition(")")[2].split()[36]))

    def stop(self) -> None:
        self._ended.set()
        self.join()

    def workers(self) -> tuple[Worker, ...]:
        return tuple(
            Worker(
                pid=pid,
                allowed=self._allowed[pid],
                seen=tuple(sorted(set(cpus))),
                samples=len(cpus),
            )
            for pid, cpus in sorted(self._seen.items())
        )


def judge_workers(
    workers: Sequence[Worker], *, is_one_cpu: bool, cpus: int
) -> tuple[Outcome, str, tuple[str, ...]]:
    """What was seen says of the claim: outcome, reason, and one line for each worker. Pure.

    ``is_one_cpu``: the claim is that all share one. ``cpus``: usable here. Workers that may use
    several, and were seen on one, had busy neighbours: that says nothing of the server.
    """
    lines = tuple(
        f"worker {n + 1}: may use CPUs {each.allowed}; ran on"
        f" {', '.join(map(str, each.seen))} in {each.samples} looks"
        for n, each in enumerate(workers)
    )
    if cpus < 2 or len(workers) < 2:
        what = f"{len(workers)} workers on {cpus} CPUs can show nothing"
        return Outcome.UNDECIDED, what, lines
    used = {cpu for each in workers for cpu in each.seen}
    masks = {each.allowed for each in workers}
    are_bound = all(mask.isdecimal() for mask in masks)
    may = "each is bound to one" if are_bound else f"may use {', '.join(sorted(masks))}"
    what = f"{len(workers)} workers ran on {len(used)} of {cpus} CPUs, and {may}"
    if len(used) == 1 and not are_bound:
        return Outcome.UNDECIDED, f"{what}: the others were busy with something else", lines
    share_one = are_bound and len(masks) == 1
    return (Outcome.CONFIRMED if share_one == is_one_cpu else Outcome.REFUTED), what, lines
