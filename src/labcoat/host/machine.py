"""Counters of the whole machine, from /proc; the parsing is pure."""

from __future__ import annotations

import time
from pathlib import Path

from labcoat.host.cgroup import throttling
from labcoat.host.proc import TICK_S
from labcoat.model.host import HostCounters


def read_host_counters() -> HostCounters:
    """One reading of the machine. Raises: OSError if /proc is not there."""
    at_ns = time.monotonic_ns()
    stat = Path("/proc/stat").read_text()
    tcp = paired(_read("/proc/net/netstat")) | paired(_read("/proc/net/snmp"))
    throttled_s, throttled_n = throttling()
    return HostCounters(
        at_ns=at_ns,
        cores=stat.count("\ncpu"),
        **cpu_seconds(stat),
        listen_overflows=tcp.get("TcpExt.ListenOverflows", 0),
        listen_drops=tcp.get("TcpExt.ListenDrops", 0),
        syn_retransmits=tcp.get("TcpExt.TCPSynRetrans", 0),
        time_wait=time_wait(_read("/proc/net/sockstat")),
        throttled_s=throttled_s,
        throttled_n=throttled_n,
    )


def _read(path: str) -> str:
    """A file that a kernel without networking does not have."""
    try:
        return Path(path).read_text()
    except FileNotFoundError:
        return ""


def cpu_seconds(stat: str) -> dict[str, float]:
    """The first line of /proc/stat in seconds; guest time is within user time.

    ``busy_s`` is user + nice + system + irq + softirq.
    """
    fields = [int(field) * TICK_S for field in stat.split("\n", 1)[0].split()[1:]]
    user, nice, system, idle, iowait, irq, softirq, steal = (fields + [0.0] * 8)[:8]
    return {
        "busy_s": user + nice + system + irq + softirq,
        "system_s": system,
        "irq_s": irq + softirq,
        "idle_s": idle,
        "iowait_s": iowait,
        "steal_s": steal,
    }


def paired(text: str) -> dict[str, int]:
    """Counters of /proc/net/netstat or snmp: a line of names, then a line of values."""
    lines = text.splitlines()
    found: dict[str, int] = {}
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        prefix = names.partition(":")[0]
        for name, value in zip(names.split()[1:], values.split()[1:], strict=False):
            found[f"{prefix}.{name}"] = int(value)
    return found


def time_wait(sockstat: str) -> int:
    """Sockets in TIME_WAIT, of the network namespace."""
    for line in sockstat.splitlines():
        if line.startswith("TCP:"):
            fields = line.split()
            return int(fields[fields.index("tw") + 1])
    return 0
