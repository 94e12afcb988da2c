"""What a machine shows of itself before anything is measured on it: the doctor's readings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from labcoat.errors import PreflightError
from labcoat.host.census import Census, take_census
from labcoat.host.facts import open_files, read_facts, text
from labcoat.host.leftovers import dead_sandboxes
from labcoat.host.machine import read_host_counters
from labcoat.host.sandbox import default_base
from labcoat.model.host import Facts, HostCounters

SPIN = Path(__file__).with_name("spin.py")
_SPIN_CPUS = 16  # more would heat the machine and tell no more
_NAPS = 200
_NAP_S = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Spin:
    """What the spin probe found, on all CPUs at once; ratios are the worst CPU's.

    ``lost_ratio``: wall time beyond what the pieces of work take undisturbed, whoever took
    it: steal (even where the hypervisor hides it), other programs, interrupts.
    ``drift_ratio``: CPU time of a piece, slowest tenth over fastest, minus one: the clock
    frequency, or a neighbour on the same core.
    """

    lost_ratio: float
    drift_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Eater:
    """Another program that used CPU while nothing was asked of the machine."""

    pid: int
    name: str
    cores: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A folder that labcoat writes to. ``refusal``: why it cannot, or None."""

    path: str
    free_bytes: int
    filesystem: str
    refusal: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramFound:
    """A program of a stack. ``found``: version and path; None is missing, ``why`` says how."""

    name: str
    found: str | None
    why: str = ""
    way_out: str = ""
    wanted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """Everything that the doctor looks at. None: this machine does not show it.

    ``before``/``after``: around the spin probe, of ``window_s``. ``idle_busy_ratio``: share
    of all cores that was busy before it, ``eaters`` with what.
    """

    facts: Facts
    before: HostCounters
    after: HostCounters
    spin: Spin
    idle_busy_ratio: float
    eaters: tuple[Eater, ...]
    turbo: bool | None
    memory_available_bytes: int
    swap_used_bytes: int
    swapped_in_pages: int
    nofile_hard: int
    clock_source: str | None
    clock_sources: tuple[str, ...]
    huge_pages: str | None
    address_randomisation: int | None
    nap_lag_p99_s: float
    disks: tuple[Disk, ...]
    leftovers: int
    programs: tuple[ProgramFound, ...]


def take_readings(
    *,
    project: Path,
    programs: Iterable[ProgramFound] = (),
    idle_s: float = 1.0,
    spin_s: float = 2.0,
) -> Readings:
    """Look at this machine for a few seconds: quiet first, then with every CPU spinning.

    Raises: PreflightError where /proc does not tell the least.
    """
    try:
        census = take_census()
        quiet = read_host_counters()
        naps = nap_lags()
        time.sleep(max(0.0, idle_s - _NAPS * _NAP_S))
        before = read_host_counters()
        eaters = eaters_between(census, take_census())
        pages = int(vmstat().get("pswpin", 0))
        spin = spin_all(sorted(os.sched_getaffinity(0))[:_SPIN_CPUS], spin_s)
        after = read_host_counters()
        swapped_in = int(vmstat().get("pswpin", 0)) - pages
        memory = meminfo()
    except (OSError, ValueError) as error:
        raise PreflightError(
            f"this machine cannot be read: {error}",
            where="/proc",
            way_out="labcoat needs Linux with /proc mounted and readable",
        ) from error
    base = default_base()
    return Readings(
        facts=read_facts({found.name: found.found for found in programs if found.found}),
        before=before,
        after=after,
        spin=spin,
        idle_busy_ratio=busy_ratio(quiet, before),
        eaters=eaters,
        turbo=turbo(),
        memory_available_bytes=memory.get("MemAvailable", memory.get("MemFree", 0)),
        swap_used_bytes=memory.get("SwapTotal", 0) - memory.get("SwapFree", 0),
        swapped_in_pages=swapped_in,
        nofile_hard=open_files()[1],
        clock_source=text(f"{_CLOCK}/current_clocksource"),
        clock_sources=tuple((text(f"{_CLOCK}/available_clocksource") or "").split()),
        huge_pages=chosen(text("/sys/kernel/mm/transparent_hugepage/enabled")),
        address_randomisation=number(text("/proc/sys/kernel/randomize_va_space")),
        nap_lag_p99_s=sorted(naps)[int(len(naps) * 0.99)],
        disks=tuple(disk(path) for path in (base, project, Path(tempfile.gettempdir()))),
        leftovers=len(dead_sandboxes(base)),
        programs=tuple(programs),
    )


_CLOCK = "/sys/devices/system/clocksource/clocksource0"


def busy_ratio(one: HostCounters, two: HostCounters) -> float:
    """Share of all cores' time that was busy between two readings."""
    elapsed = (two.at_ns - one.at_ns) / 1e9 * two.cores
    return max(0.0, min(1.0, (two.busy_s - one.busy_s) / elapsed)) if elapsed else 0.0


def steal_ratio(one: HostCounters, two: HostCounters) -> float:
    """Share of the wanted time (busy and stolen) that the hypervisor took."""
    stolen = two.steal_s - one.steal_s
    wanted = two.busy_s - one.busy_s + stolen
    return stolen / wanted if wanted > 0 else 0.0


def eaters_between(one: Census, two: Census, *, least_cores: float = 0.02) -> tuple[Eater, ...]:
    """Who used CPU between two censuses, the hungriest first; not this very program."""
    elapsed_s = (two.at_ns - one.at_ns) / 1e9
    found: list[Eater] = []
    for key, now in two.entries.items():
        was = one.entries.get(key)
        if was is None or key[0] == os.getpid():
            continue
        cores = (now.cpu_s - was.cpu_s) / elapsed_s
        if cores >= least_cores:
            name = text(f"/proc/{key[0]}/comm") or "ended"
            found.append(Eater(pid=key[0], name=name, cores=cores))
    return tuple(sorted(found, key=lambda eater: -eater.cores))


def nap_lags() -> list[float]:
    """How much too late each of many short naps ends."""
    lags: list[float] = []
    for _ in range(_NAPS):
        began = time.perf_counter()
        time.sleep(_NAP_S)
        lags.append(time.perf_counter() - began - _NAP_S)
    return lags


def spin_all(cpus: list[int], seconds: float) -> Spin:
    """Spin on every CPU at once. Raises: PreflightError if a probe fails."""
    probes = [
        subprocess.Popen(
            [sys.executable, "-I", "-S", str(SPIN), str(cpu), str(seconds)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for cpu in cpus
    ]
    said = [probe.communicate() for probe in probes]
    for probe, (_, words) in zip(probes, said, strict=True):
        if probe.returncode != 0:
            raise PreflightError(
                "the spin probe failed",
                where=SPIN,
                way_out="is this Python able to start? its words are above",
                log=words.splitlines()[-20:],
            )
    return summarise_spins([json.loads(words) for words, _ in said])


def summarise_spins(spins: list[dict[str, object]]) -> Spin:
    """The worst CPU of all."""
    lost: list[float] = []
    drift: list[float] = []
    for spin in spins:
        match spin:
            case {
                "pieces": int(pieces),
                "wall_s": float(wall_s),
                "median_s": float(median_s),
                "parts": list(parts),
            }:
                lost.append(max(0.0, 1.0 - pieces * median_s / wall_s))
                drift.append(max(parts) / min(parts) - 1.0)
            case _:
                raise ValueError(f"the spin probe said {spin}")
    return Spin(lost_ratio=max(lost), drift_ratio=max(drift))


def turbo() -> bool | None:
    """Whether the CPU may exceed its nominal clock."""
    none = number(text("/sys/devices/system/cpu/intel_pstate/no_turbo"))
    if none is not None:
        return none == 0
    boost = number(text("/sys/devices/system/cpu/cpufreq/boost"))
    return None if boost is None else boost == 1


def number(said: str | None) -> int | None:
    """A whole number that the kernel says, or None."""
    return int(said) if said is not None and said.lstrip("-").isdigit() else None


def chosen(said: str | None) -> str | None:
    """The bracketed word: ``always [madvise] never``."""
    if said is None or "[" not in said:
        return said
    return said.split("[", 1)[1].split("]", 1)[0]


def vmstat() -> dict[str, str]:
    """Counters of the virtual memory."""
    return dict(line.split() for line in (text("/proc/vmstat") or "").splitlines())


def meminfo() -> dict[str, int]:
    """Sizes of memory, in bytes. Raises: OSError."""
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return {fields[0].rstrip(":"): int(fields[1]) * 1024 for fields in lines if len(fields) == 3}


def disk(path: Path) -> Disk:
    """The filesystem that a folder lies, or would lie, on; and whether it can be written."""
    place = path.absolute()
    while not place.exists():
        place = place.parent
    refusal: str | None = None
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        refusal = error.strerror or str(error)
    mounts = (line.split() for line in (text("/proc/mounts") or "").splitlines())
    kinds = {fields[1]: fields[2] for fields in mounts}
    mount = place.resolve()
    while str(mount) not in kinds and mount != mount.parent:
        mount = mount.parent
    return Disk(
        path=str(path),
        free_bytes=shutil.disk_usage(place).free,
        filesystem=kinds.get(str(mount), "unknown"),
        refusal=refusal,
    )
