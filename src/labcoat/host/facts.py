"""Facts of this machine."""

from __future__ import annotations

import math
import os
import platform
import resource
from collections.abc import Mapping
from pathlib import Path

from labcoat.host.cgroup import memory_limit_bytes, own_groups, quota_cpus
from labcoat.model.host import Facts


def read_facts(programs: Mapping[str, str]) -> Facts:
    """What this machine is. ``programs``: name -> "version (path)"."""
    quota = quota_cpus()
    online = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0))
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = memory_limit_bytes()
    low, high = (text("/proc/sys/net/ipv4/ip_local_port_range") or "32768 60999").split()
    return Facts(
        hostname=platform.node(),
        kernel=platform.release(),
        machine=platform.machine(),
        cpu_model=cpu_model(text("/proc/cpuinfo") or ""),
        cpus=usable_cpus(mask=usable, quota=quota),
        cpus_online=online,
        cpu_quota=quota,
        ram_bytes=physical if limit is None else min(physical, limit),
        virtualised=virtualised(),
        governor=text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        cgroup=own_groups().version,
        somaxconn=int(text("/proc/sys/net/core/somaxconn") or 128),
        nofile=open_files()[0],
        port_range=(int(low), int(high)),
        python=platform.python_version(),
        is_root=os.geteuid() == 0,
        programs=tuple(sorted(programs.items())),
    )


def usable_cpus(*, mask: int, quota: float | None) -> int:
    """CPUs that work can use at once: those of the affinity mask (a cpuset narrows it), as far as
    the quota reaches; a part of a CPU counts as one.
    """
    return mask if quota is None else max(1, min(mask, math.ceil(quota)))


def open_files() -> tuple[int, int]:
    """Soft and hard limit of open files; where there is none, the kernel's own."""
    most = int(text("/proc/sys/fs/nr_open") or 1 << 20)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    return most if soft == unlimited else soft, most if hard == unlimited else hard


def text(path: str) -> str | None:
    """What a small file of the kernel says; None where it is not there or not for us."""
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def cpu_model(cpuinfo: str) -> str:
    """The name of the CPU; architectures spell it differently."""
    pairs = (line.partition(":") for line in cpuinfo.splitlines())
    named = {key.strip(): value.strip() for key, _, value in pairs}
    for key in ("model name", "Model", "Hardware", "cpu", "uarch"):
        if named.get(key):
            return named[key]
    return "unknown"


def virtualised() -> str | None:
    """Which container and which hypervisor labcoat runs under; None where none shows."""
    container = next((name for path, name in _CONTAINERS if Path(path).exists()), None)
    product = " ".join(
        text(f"/sys/class/dmi/id/{name}") or "" for name in ("sys_vendor", "product_name")
    )
    machine = hypervisor(
        product=product,
        kind=text("/sys/hypervisor/type"),
        cpuinfo=text("/proc/cpuinfo") or "",
    )
    return " on ".join(name for name in (container, machine) if name) or None


def hypervisor(*, product: str, kind: str | None, cpuinfo: str) -> str | None:
    """The hypervisor that the firmware, the kernel or at least the CPU's flags name."""
    for mark, name in _HYPERVISORS:
        if mark in product.lower():
            return name
    if kind:
        return kind
    flagged = any(" hypervisor" in line for line in cpuinfo.splitlines() if line[:5] == "flags")
    return "a virtual machine" if flagged else None


_CONTAINERS = (("/.dockerenv", "docker"), ("/run/.containerenv", "podman"))
_HYPERVISORS = (
    ("kvm", "kvm"),
    ("qemu", "kvm"),
    ("vmware", "vmware"),
    ("virtualbox", "virtualbox"),
    ("xen", "xen"),
    ("microsoft corporation virtual", "hyper-v"),
    ("amazon ec2", "ec2"),
    ("google", "google compute engine"),
    ("firecracker", "firecracker"),
)
