"""The control group that labcoat lives in: quota, throttling, memory limit.

Version 1, version 2, both at once (hybrid) and none: the controller decides, not the
mount. Only read, never written.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

_UNLIMITED_V1_BYTES = 1 << 60  # cgroup v1 says "no limit" as a number near 2^63


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Where this process's group lies for each controller; None where there is none.

    ``version``: 1, 2, or 0 without any CPU controller. ``stop``: the mounts, which
    bound the way up to the limits of parents.
    """

    version: int
    cpu: Path | None
    memory: Path | None
    stop: frozenset[Path]


@cache
def own_groups() -> Groups:
    """The groups of this process, found once: it does not move."""
    try:
        cgroup = Path("/proc/self/cgroup").read_text()
        mounts = Path("/proc/self/mountinfo").read_text()
    except OSError:
        return Groups(version=0, cpu=None, memory=None, stop=frozenset())
    return locate_groups(cgroup, mounts)


def locate_groups(cgroup: str, mounts: str) -> Groups:
    """Parse /proc/self/cgroup and /proc/self/mountinfo; pure but for a look at v2's controllers.

    In a container the path in /proc/self/cgroup may lie outside of what is mounted: then
    the mount point itself is the group.
    """
    where: dict[str, tuple[Path, str]] = {}
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        root, point = before.split()[3:5]
        if kind == "cgroup2":
            where["2"] = (Path(point), root)
        elif kind == "cgroup":
            for option in options.split(","):
                where[option.removeprefix("name=")] = (Path(point), root)
    cpu: Path | None = None
    memory: Path | None = None
    unified: Path | None = None
    for line in cgroup.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers and "2" in where:
            unified = _below(*where["2"], path)
        for controller in controllers.split(","):
            if controller == "cpu" and "cpu" in where:
                cpu = _below(*where["cpu"], path)
            if controller == "memory" and "memory" in where:
                memory = _below(*where["memory"], path)
    version = 1 if cpu is not None else 2 if unified is not None else 0
    return Groups(
        version=version,
        cpu=cpu if cpu is not None else unified,
        memory=memory if memory is not None else unified,
        stop=frozenset(point for point, _ in where.values()),
    )


def _below(point: Path, root: str, path: str) -> Path:
    """The group's folder below its mount point."""
    inner = path.removeprefix(root) if root != "/" else path
    folder = point / inner.lstrip("/")
    return folder if folder.is_dir() else point


def _upwards(folder: Path | None, stop: frozenset[Path]) -> list[Path]:
    """A group and its parents up to the mount point: every one of them limits."""
    found: list[Path] = []
    while folder is not None:
        found.append(folder)
        if folder in stop or folder == folder.parent:
            break
        folder = folder.parent
    return found


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def quota_cpus(groups: Groups | None = None) -> float | None:
    """CPUs' worth of quota, the tightest on the way up; None is unlimited."""
    groups = own_groups() if groups is None else groups
    limits: list[float] = []
    for folder in _upwards(groups.cpu, groups.stop):
        if groups.version == 1:
            quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
        else:
            quota, _, period = (_text(folder / "cpu.max") or "max").partition(" ")
        if quota and period and quota != "max" and int(quota) > 0:
            limits.append(int(quota) / int(period))
    return min(limits, default=None)


def memory_limit_bytes(groups: Groups | None = None) -> int | None:
    """The tightest memory limit on the way up; None is unlimited."""
    groups = own_groups() if groups is None else groups
    limits: list[int] = []
    for folder in _upwards(groups.memory, groups.stop):
        text = _text(folder / "memory.max") or _text(folder / "memory.limit_in_bytes")
        if text and text != "max" and int(text) < _UNLIMITED_V1_BYTES:
            limits.append(int(text))
    return min(limits, default=None)


def throttling(groups: Groups | None = None) -> tuple[float, int]:
    """Seconds and times that the group, or one above it, was held back by its quota.

    cpu.stat says ``throttled_time`` in ns (version 1) or ``throttled_usec`` (version 2).
    """
    groups = own_groups() if groups is None else groups
    seconds, times = 0.0, 0
    for folder in _upwards(groups.cpu, groups.stop):
        stat = dict(
            line.split() for line in (_text(folder / "cpu.stat") or "").splitlines() if " " in line
        )
        seconds += int(stat.get("throttled_time", 0)) / 1e9
        seconds += int(stat.get("throttled_usec", 0)) / 1e6
        times += int(stat.get("nr_throttled", 0))
    return seconds, times
