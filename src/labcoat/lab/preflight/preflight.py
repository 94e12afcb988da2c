"""What would spoil a measurement on this machine: one row each, with a remedy.

Every check is a pure function of the readings; ``CHECKS`` is the list of them. A new one
is one function and one line. The limits come from the method: a noise source is a warning
when it costs blocks, and bad when it would void slices or make the answer another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum

from labcoat.host.readings import Disk, ProgramFound, Readings, steal_ratio


class Severity(IntEnum):
    """How much a row spoils."""

    OK = 0
    WARN = 1
    BAD = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One row of the doctor's answer.

    ``reading``: what was seen, in words. ``value``: the number behind it in SI base units,
    None where there is none. ``remedy``: what to do; None when nothing need be done.
    """

    name: str
    reading: str
    severity: Severity = Severity.OK
    value: float | None = None
    remedy: str | None = None


Check = Callable[[Readings], Iterable[Diagnosis]]

_MIB = 1 << 20
_GIB = 1 << 30
APP_SERVERS = frozenset({"uwsgi", "gunicorn", "granian", "uvicorn"})
GOOD_CLOCKS = frozenset({"tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page"})


def examine(readings: Readings) -> tuple[Diagnosis, ...]:
    """All rows, in the order of the checks."""
    return tuple(row for check in CHECKS for row in check(readings))


def graded(value: float, *, warn: float, bad: float) -> Severity:
    """The severity of a value that is better when lower; the limits belong to the worse."""
    return Severity.BAD if value >= bad else Severity.WARN if value >= warn else Severity.OK


def row(
    name: str, reading: str, severity: Severity, remedy: str, value: float | None = None
) -> Diagnosis:
    """A row whose remedy is dropped when all is well."""
    return Diagnosis(
        name=name,
        reading=reading,
        severity=severity,
        value=value,
        remedy=None if severity is Severity.OK else remedy,
    )


def steal(readings: Readings) -> Iterable[Diagnosis]:
    """Time that the hypervisor took while every CPU was wanted."""
    ratio = steal_ratio(readings.before, readings.after)
    window_s = (readings.after.at_ns - readings.before.at_ns) / 1e9
    yield row(
        "steal",
        f"{ratio:.1%} of the wanted CPU time, over {window_s:.1f} s",
        graded(ratio, warn=0.01, bad=0.10),
        "neighbours on the same machine: measure at a calmer hour or on a dedicated host; "
        "labcoat corrects for steal, at the price of more blocks",
        ratio,
    )


def disturbance(readings: Readings) -> Iterable[Diagnosis]:
    """Time that a pinned spinning program lost, to whomever."""
    ratio = readings.spin.lost_ratio
    yield row(
        "spin probe",
        f"{ratio:.1%} of a pinned program's time was taken from it",
        graded(ratio, warn=0.03, bad=0.15),
        "stop other programs; where steal is low and this is high, the hypervisor hides steal",
        ratio,
    )


def frequency(readings: Readings) -> Iterable[Diagnosis]:
    """The clock's drift while spinning, the governor and turbo where they show."""
    ratio = readings.spin.drift_ratio
    yield row(
        "clock drift",
        f"the same work took up to {ratio:.1%} more CPU time at one moment than at another",
        graded(ratio, warn=0.03, bad=0.15),
        "a warm or power-saving CPU, or a neighbour on the sibling thread: fix the frequency "
        "(cpupower frequency-set -g performance), let it cool",
        ratio,
    )
    governor = readings.facts.governor
    yield row(
        "governor",
        governor or "not shown here",
        Severity.OK if governor in {None, "performance"} else Severity.WARN,
        "cpupower frequency-set -g performance",
    )
    yield row(
        "turbo",
        {True: "on", False: "off", None: "not shown here"}[readings.turbo],
        Severity.WARN if readings.turbo else Severity.OK,
        "turbo depends on heat: echo 1 > /sys/devices/system/cpu/intel_pstate/no_turbo, "
        "or echo 0 > /sys/devices/system/cpu/cpufreq/boost",
    )


def other_load(readings: Readings) -> Iterable[Diagnosis]:
    """What was busy before anything was asked."""
    ratio = readings.idle_busy_ratio
    names = ", ".join(
        f"{eater.name} (pid {eater.pid}) {eater.cores:.2f} cores" for eater in readings.eaters[:3]
    )
    yield row(
        "other load",
        f"{ratio:.1%} of {readings.after.cores} CPUs busy before we began"
        + (f": {names}" if names else ""),
        graded(ratio, warn=0.05, bad=0.25),
        "stop what is not part of the measurement" + (f": {names}" if names else ""),
        ratio,
    )


def cores(readings: Readings) -> Iterable[Diagnosis]:
    """CPUs that may be used."""
    cpus = readings.facts.cpus
    severity = Severity.BAD if cpus < 2 else Severity.WARN if cpus < 4 else Severity.OK
    yield row(
        "cores",
        f"{cpus} usable of {readings.facts.cpus_online} ({readings.facts.cpu_model})",
        severity,
        "stack and generator share these cores, so gains look smaller than they are (labcoat "
        "states by how much): four or more keep them apart",
        float(cpus),
    )


def quota(readings: Readings) -> Iterable[Diagnosis]:
    """The control group's CPU quota, and whether it held us back."""
    limit = readings.facts.cpu_quota
    throttled_s = readings.after.throttled_s - readings.before.throttled_s
    times = readings.after.throttled_n - readings.before.throttled_n
    if limit is None:
        reading = "none"
    else:
        reading = f"{limit:g} CPUs; held back {times} times, {throttled_s:.2f} s, in the probe"
    yield row(
        "CPU quota",
        reading,
        Severity.OK if limit is None else Severity.BAD if times else Severity.WARN,
        "a slice that is throttled is void: lift the quota (docker run without --cpus, no CPU "
        "limit in Kubernetes), or pin to whole CPUs with a cpuset",
        limit,
    )


def memory(readings: Readings) -> Iterable[Diagnosis]:
    """What is free, and whether the machine swaps."""
    free = readings.memory_available_bytes
    yield row(
        "memory",
        f"{free / _GIB:.1f} GiB free of {readings.facts.ram_bytes / _GIB:.1f} GiB",
        Severity.BAD if free < 512 * _MIB else Severity.WARN if free < 2 * _GIB else Severity.OK,
        "end what is not needed: a stack that swaps measures the disk",
        float(free),
    )
    used, pages = readings.swap_used_bytes, readings.swapped_in_pages
    yield row(
        "swap",
        f"{used / _MIB:.0f} MiB in use, {pages} pages came back during the probe",
        Severity.BAD if pages > 100 else Severity.WARN if used > 64 * _MIB else Severity.OK,
        "free memory, then: swapoff -a && swapon -a",
        float(used),
    )


def limits(readings: Readings) -> Iterable[Diagnosis]:
    """Open files, and the queue of connections not yet accepted."""
    nofile, hard = readings.facts.nofile, readings.nofile_hard
    yield row(
        "open files",
        f"{nofile} (hard limit {hard})",
        Severity.BAD if nofile < 512 else Severity.WARN if nofile < 4096 else Severity.OK,
        "ulimit -n 65536",
        float(nofile),
    )
    somaxconn = readings.facts.somaxconn
    yield row(
        "somaxconn",
        str(somaxconn),
        Severity.WARN if somaxconn < 1024 else Severity.OK,
        "no server can have a longer listen queue: sysctl net.core.somaxconn=4096",
        float(somaxconn),
    )


def ports(readings: Readings) -> Iterable[Diagnosis]:
    """Ephemeral ports, and how many wait."""
    low, high = readings.facts.port_range
    count = high - low + 1
    yield row(
        "ephemeral ports",
        f"{count} ({low} to {high})",
        Severity.WARN if count < 10_000 else Severity.OK,
        "sysctl net.ipv4.ip_local_port_range='10240 65000'",
        float(count),
    )
    waiting = readings.after.time_wait
    yield row(
        "TIME_WAIT",
        f"{waiting} sockets, {waiting / count:.0%} of the ports",
        graded(waiting / count, warn=0.2, bad=0.6),
        "wait a minute after other loads with new connections; sysctl net.ipv4.tcp_tw_reuse=1",
        float(waiting),
    )


def clocks(readings: Readings) -> Iterable[Diagnosis]:
    """The clock source, and how late naps end."""
    source = readings.clock_source
    others = ", ".join(readings.clock_sources) or "none shown"
    yield row(
        "clock source",
        source or "not shown here",
        Severity.OK if source is None or source in GOOD_CLOCKS else Severity.WARN,
        f"every look at this clock is a slow call; better ones where available ({others}): "
        "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource",
    )
    lag_s = readings.nap_lag_p99_s
    yield row(
        "timer",
        f"naps of 1 ms end up to {lag_s * 1e3:.2f} ms late (p99)",
        graded(lag_s, warn=0.001, bad=0.01),
        "an open loop sends late by as much: stop other programs, use a machine with "
        "high-resolution timers",
        lag_s,
    )


def kernel(readings: Readings) -> Iterable[Diagnosis]:
    """Huge pages, address randomisation, and what lies below the kernel."""
    pages = readings.huge_pages
    yield row(
        "huge pages",
        pages or "not shown here",
        Severity.WARN if pages == "always" else Severity.OK,
        "copy-on-write after a fork then copies 2 MiB at a time: "
        "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
    )
    level = readings.address_randomisation
    yield row(
        "address randomisation",
        "not shown here" if level is None else "off" if level == 0 else f"on ({level})",
        Severity.WARN if level == 0 else Severity.OK,
        "restarts then repeat one layout and look more alike than they are: "
        "sysctl kernel.randomize_va_space=2",
        None if level is None else float(level),
    )
    below = readings.facts.virtualised
    yield row(
        "virtualisation",
        below or "none",
        Severity.OK if below in {None, "docker", "podman"} else Severity.WARN,
        "neighbours are out of sight: trust paired blocks, not single numbers",
    )


def storage(readings: Readings) -> Iterable[Diagnosis]:
    """Room and right to write: sandboxes, project, temporary files."""
    names = ("disk of sandboxes", "disk of the project", "temporary files")
    for name, disk in zip(names, readings.disks, strict=True):
        yield _stored(name, disk)


def _stored(name: str, disk: Disk) -> Diagnosis:
    free = disk.free_bytes
    reading = f"{free / _GIB:.1f} GiB free, {disk.filesystem} ({disk.path})"
    if disk.refusal is not None:
        return row(
            name,
            f"{disk.path} cannot be written: {disk.refusal}",
            Severity.BAD,
            "grant this user access, or point LABCOAT_SANDBOXES or TMPDIR elsewhere",
            float(free),
        )
    return row(
        name,
        reading,
        Severity.BAD if free < 256 * _MIB else Severity.WARN if free < 2 * _GIB else Severity.OK,
        "free space there, or point LABCOAT_SANDBOXES or TMPDIR at another disk",
        float(free),
    )


def programs(readings: Readings) -> Iterable[Diagnosis]:
    """What a stack can be made of. One app server of several is enough."""
    found = {program.name for program in readings.programs if program.found}
    for program in readings.programs:
        is_spare = program.name in APP_SERVERS and not APP_SERVERS.isdisjoint(found)
        yield _available(program, is_spare=is_spare)


def _available(program: ProgramFound, *, is_spare: bool) -> Diagnosis:
    if program.found is not None:
        return Diagnosis(name=program.name, reading=program.found)
    severity = Severity.WARN
    if program.wanted:
        severity = Severity.BAD
    elif is_spare:
        severity = Severity.OK
    return row(program.name, program.why or "missing", severity, program.way_out)


def leftovers(readings: Readings) -> Iterable[Diagnosis]:
    """Sandboxes of labcoats that were killed."""
    count = readings.leftovers
    yield row(
        "leftovers",
        f"{count} sandboxes of killed labcoats" if count else "none",
        Severity.WARN if count else Severity.OK,
        "the next labcoat up, baseline or tune ends and removes them",
        float(count),
    )


CHECKS: tuple[Check, ...] = (
    cores,
    quota,
    steal,
    disturbance,
    frequency,
    other_load,
    memory,
    clocks,
    kernel,
    limits,
    ports,
    storage,
    programs,
    leftovers,
)
