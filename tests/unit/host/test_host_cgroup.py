"""Control groups, version 1, version 2, both and none, from folders made for the test."""

from __future__ import annotations

from pathlib import Path

import pytest

from labcoat.host.cgroup import locate_groups, memory_limit_bytes, quota_cpus, throttling
from labcoat.host.facts import usable_cpus

V1_MOUNTS = """\
30 24 0:26 / {root}/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
31 24 0:27 / {root}/memory rw,relatime shared:9 - cgroup cgroup rw,memory
32 24 0:28 / {root}/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
1 0 8:1 / / rw,relatime - ext4 /dev/root rw
"""
V2_MOUNTS = "35 24 0:29 / {root}/unified rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
HYBRID_MOUNTS = V1_MOUNTS + V2_MOUNTS


def make(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text + "\n")


def test_version_1_reads_quota_throttling_and_memory(tmp_path: Path) -> None:
    make(
        tmp_path / "cpu,cpuacct/docker/x",
        {
            "cpu.cfs_quota_us": "150000",
            "cpu.cfs_period_us": "100000",
            "cpu.stat": "nr_periods 10\nnr_throttled 4\nthrottled_time 2500000000",
        },
    )
    make(tmp_path / "memory/docker/x", {"memory.limit_in_bytes": str(1 << 30)})
    cgroup = "4:memory:/docker/x\n2:cpu,cpuacct:/docker/x\n1:name=systemd:/docker/x"
    groups = locate_groups(cgroup, V1_MOUNTS.format(root=tmp_path))
    assert groups.version == 1
    assert quota_cpus(groups) == 1.5
    assert throttling(groups) == (2.5, 4)
    assert memory_limit_bytes(groups) == 1 << 30


def test_version_2_reads_the_tightest_limit_on_the_way_up(tmp_path: Path) -> None:
    pod = tmp_path / "unified/pod"
    make(pod, {"cpu.max": "50000 100000", "memory.max": "max"})
    make(
        pod / "app",
        {
            "cpu.max": "max 100000",
            "memory.max": str(2 << 30),
            "cpu.stat": "usage_usec 7\nnr_throttled 3\nthrottled_usec 500000",
        },
    )
    groups = locate_groups("0::/pod/app", V2_MOUNTS.format(root=tmp_path))
    assert groups.version == 2
    assert quota_cpus(groups) == 0.5
    assert throttling(groups) == (0.5, 3)
    assert memory_limit_bytes(groups) == 2 << 30


def test_in_a_hybrid_the_controller_decides_not_the_mount(tmp_path: Path) -> None:
    make(tmp_path / "cpu,cpuacct", {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"})
    make(tmp_path / "memory", {"memory.limit_in_bytes": "9223372036854771712"})
    make(tmp_path / "unified", {})
    cgroup = "4:memory:/\n2:cpu,cpuacct:/\n0::/"
    groups = locate_groups(cgroup, HYBRID_MOUNTS.format(root=tmp_path))
    assert groups.version == 1
    assert groups.cpu == tmp_path / "cpu,cpuacct"
    assert quota_cpus(groups) is None
    assert memory_limit_bytes(groups) is None
    assert throttling(groups) == (0.0, 0)


@pytest.mark.parametrize("cgroup", ["", "0::/"])
def test_without_a_mount_there_is_no_group_and_no_limit(cgroup: str) -> None:
    groups = locate_groups(cgroup, "1 0 8:1 / / rw,relatime - ext4 /dev/root rw")
    assert groups.version == 0
    assert quota_cpus(groups) is None
    assert memory_limit_bytes(groups) is None
    assert throttling(groups) == (0.0, 0)


def test_in_a_container_the_mount_point_itself_is_the_group(tmp_path: Path) -> None:
    make(tmp_path / "unified", {"cpu.max": "200000 100000"})
    cgroup = "0::/../../system.slice/docker-1234.scope"
    groups = locate_groups(cgroup, V2_MOUNTS.format(root=tmp_path))
    assert groups.cpu == tmp_path / "unified"
    assert quota_cpus(groups) == 2.0


def test_a_bind_mounted_group_is_found_below_its_root(tmp_path: Path) -> None:
    mounts = f"35 24 0:29 /docker/x {tmp_path}/unified rw - cgroup2 cgroup2 rw\n"
    make(tmp_path / "unified/app", {"cpu.max": "300000 100000"})
    groups = locate_groups("0::/docker/x/app", mounts)
    assert groups.cpu == tmp_path / "unified/app"


@pytest.mark.parametrize(
    ("mask", "quota", "cpus"),
    [(8, None, 8), (8, 2.0, 2), (8, 1.5, 2), (8, 0.5, 1), (2, 4.0, 2), (8, 0.01, 1)],
)
def test_the_mask_and_the_quota_both_limit(mask: int, quota: float | None, cpus: int) -> None:
    assert usable_cpus(mask=mask, quota=quota) == cpus
