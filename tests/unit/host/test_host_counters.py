"""Parsing what the kernel says, without a kernel."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from labcoat.host import machine
from labcoat.host.facts import cpu_model, hypervisor
from labcoat.host.leftovers import LOCK_TITLE, Recorded, read_records
from labcoat.host.local import in_words, tail_of
from labcoat.host.proc import TICK_S
from labcoat.host.refusal import refused, room_left

STAT = """\
cpu  100 10 50 1000 20 3 7 40 5 0
cpu0 50 5 25 500 10 1 4 20 2 0
cpu1 50 5 25 500 10 2 3 20 3 0
intr 1 2 3
"""
NETSTAT = """\
TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPSynRetrans
TcpExt: 0 12 13 14
IpExt: InNoRoutes InTruncatedPkts
IpExt: 1 2
"""


def test_guest_time_is_not_counted_twice() -> None:
    assert machine.cpu_seconds(STAT) == {
        "busy_s": pytest.approx(170 * TICK_S),
        "system_s": pytest.approx(50 * TICK_S),
        "irq_s": pytest.approx(10 * TICK_S),
        "idle_s": pytest.approx(1000 * TICK_S),
        "iowait_s": pytest.approx(20 * TICK_S),
        "steal_s": pytest.approx(40 * TICK_S),
    }


def test_an_old_kernel_without_steal_says_none() -> None:
    assert machine.cpu_seconds("cpu  1 2 3 4 5 6 7\n")["steal_s"] == 0.0


def test_counters_in_pairs_of_lines() -> None:
    found = machine.paired(NETSTAT)
    assert found["TcpExt.ListenOverflows"] == 12
    assert found["TcpExt.TCPSynRetrans"] == 14
    assert found["IpExt.InTruncatedPkts"] == 2
    assert machine.paired("") == {}


@pytest.mark.parametrize(
    ("sockstat", "count"),
    [
        ("sockets: used 9\nTCP: inuse 1 orphan 0 tw 77 alloc 2 mem 1\nUDP: inuse 0", 77),
        ("sockets: used 9", 0),
        ("", 0),
    ],
)
def test_sockets_that_wait(sockstat: str, count: int) -> None:
    assert machine.time_wait(sockstat) == count


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [
        ("processor : 0\nmodel name\t: AMD EPYC\nflags : a b\n", "AMD EPYC"),
        ("processor: 0\nHardware : BCM2835\n", "BCM2835"),
        ("", "unknown"),
    ],
)
def test_the_cpu_has_a_name(cpuinfo: str, name: str) -> None:
    assert cpu_model(cpuinfo) == name


@pytest.mark.parametrize(
    ("product", "kind", "cpuinfo", "name"),
    [
        ("QEMU Standard PC", None, "", "kvm"),
        ("VMware, Inc. VMware7,1", None, "", "vmware"),
        ("", "xen", "", "xen"),
        ("", None, "flags\t\t: fpu hypervisor lahf", "a virtual machine"),
        ("Dell Inc. PowerEdge", None, "flags\t\t: fpu vme", None),
    ],
)
def test_the_hypervisor_shows_in_one_place_or_another(
    product: str, kind: str | None, cpuinfo: str, name: str | None
) -> None:
    assert hypervisor(product=product, kind=kind, cpuinfo=cpuinfo) == name


def test_records_skip_the_title_and_a_line_cut_short() -> None:
    text = f"{LOCK_TITLE}\n12 3456 nginx\nnot a record\n78 90 app\n99 10"
    assert read_records(text) == (Recorded(12, 3456), Recorded(78, 90))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "exited with status 0"),
        (3, "exited with status 3"),
        (-9, "ended by signal 9 (SIGKILL)"),
        (-64 - 1, "ended by signal 65 (unknown)"),
        (None, "it cannot be read"),
    ],
)
def test_a_status_in_words(status: int | None, words: str) -> None:
    assert in_words(status) == words


def test_the_tail_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    assert tail_of(log, 20) == ()
    log.write_bytes(b"".join(b"line %d \xff\n" % n for n in range(50_000)))
    tail = tail_of(log, 20)
    assert len(tail) == 20
    assert tail[-1] == "line 49999 \N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("number", "where", "way_out"),
    [
        (errno.ENOSPC, "MiB free", "LABCOAT_SANDBOXES or TMPDIR"),
        (errno.EDQUOT, "MiB free", "LABCOAT_SANDBOXES or TMPDIR"),
        (errno.EACCES, "/nowhere", "grant this user access"),
        (errno.EROFS, "/nowhere", "grant this user access"),
        (errno.EMFILE, "/nowhere", "ulimit -n"),
        (errno.ENOENT, "/nowhere", "check the path"),
        (errno.ENOEXEC, "/nowhere", "no program for this machine"),
        (errno.EIO, "/nowhere", "dmesg"),
    ],
)
def test_every_refusal_has_a_place_and_a_way_out(number: int, where: str, way_out: str) -> None:
    error = OSError(number, os.strerror(number), "/nowhere/at/all")
    told = refused(error, "cannot write", Path("/"))
    assert told.what == f"cannot write: {os.strerror(number)}"
    assert where in str(told.where)
    assert way_out in str(told.way_out)


def test_the_room_left_names_the_filesystem() -> None:
    assert room_left(Path("/proc/absent")).startswith("filesystem /proc:")
