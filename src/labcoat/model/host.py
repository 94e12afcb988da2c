"""Where things run: facts of the machine, and readings of its counters."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a knob's domain, a report and a later reader need to know of a host.

    ``cpus``: usable CPUs: min(affinity mask, cpuset, ceil(cgroup quota)).
    ``cpu_quota``: CPUs' worth of cgroup quota, None is unlimited.
    ``ram_bytes``: min(physical, cgroup limit). ``governor``: cpufreq, None where unseen.
    ``programs``: name -> "version (path)" of every program that labcoat may start.
    """

    hostname: str
    kernel: str
    machine: str
    cpu_model: str
    cpus: int
    cpus_online: int
    cpu_quota: float | None
    ram_bytes: int
    virtualised: str | None
    governor: str | None
    cgroup: int
    somaxconn: int
    nofile: int
    port_range: tuple[int, int]
    python: str
    is_root: bool
    programs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCounters:
    """A reading of the whole host's counters; differences of two readings are used.

    CPU times are seconds summed over ``cores`` CPUs since boot. ``at_ns`` is
    CLOCK_MONOTONIC. ``throttled_s`` and ``throttled_n`` come from the cgroup's cpu.stat.
    """

    at_ns: int
    cores: int
    busy_s: float
    system_s: float
    irq_s: float
    idle_s: float
    iowait_s: float
    steal_s: float
    listen_overflows: int
    listen_drops: int
    syn_retransmits: int
    time_wait: int
    throttled_s: float
    throttled_n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeCounters:
    """A reading of one component's process tree.

    ``cpu_s``: CPU seconds since it started, children that ended included.
    ``pss_bytes``/``rss_bytes``: now, over the living. ``switches``: voluntary and
    involuntary context switches of the living.
    """

    at_ns: int
    cpu_s: float
    system_s: float
    rss_bytes: int
    pss_bytes: int
    processes: int
    threads: int
    switches_voluntary: int
    switches_involuntary: int
