"""The doctor's rows: each a function of readings made up for the test."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labcoat.host.readings import (
    Disk,
    Eater,
    ProgramFound,
    Readings,
    Spin,
    busy_ratio,
    chosen,
    number,
    steal_ratio,
    summarise_spins,
)
from labcoat.lab.preflight.preflight import APP_SERVERS, Severity, examine
from labcoat.model.host import HostCounters
from labcoat.testing.host import FACTS

OK, WARN, BAD = Severity.OK, Severity.WARN, Severity.BAD
BEFORE = HostCounters(
    at_ns=0,
    cores=4,
    busy_s=10.0,
    system_s=1.0,
    irq_s=0.1,
    idle_s=100.0,
    iowait_s=0.0,
    steal_s=1.0,
    listen_overflows=0,
    listen_drops=0,
    syn_retransmits=0,
    time_wait=0,
    throttled_s=0.0,
    throttled_n=0,
)
AFTER = replace(BEFORE, at_ns=2_000_000_000, busy_s=18.0)
DISK = Disk(path="/tmp/x", free_bytes=50 << 30, filesystem="ext4", refusal=None)
CALM = Readings(
    facts=FACTS,
    before=BEFORE,
    after=AFTER,
    spin=Spin(lost_ratio=0.001, drift_ratio=0.002),
    idle_busy_ratio=0.01,
    eaters=(),
    turbo=False,
    memory_available_bytes=6 << 30,
    swap_used_bytes=0,
    swapped_in_pages=0,
    nofile_hard=65536,
    clock_source="tsc",
    clock_sources=("tsc", "hpet"),
    huge_pages="madvise",
    address_randomisation=2,
    nap_lag_p99_s=0.0001,
    disks=(DISK, DISK, DISK),
    leftovers=0,
    programs=(ProgramFound(name="nginx", found="1.30 (path: /usr/sbin/nginx)"),),
)


def severities(readings: Readings) -> dict[str, Severity]:
    rows = examine(readings)
    found = {row.name: row.severity for row in rows}
    assert len(found) == len(rows), "two rows have one name"
    return found


def test_a_calm_machine_is_well_and_needs_no_remedy() -> None:
    rows = examine(CALM)
    assert {row.severity for row in rows} == {OK}
    assert {row.remedy for row in rows} == {None}
    assert all(row.reading for row in rows)


@pytest.mark.parametrize(
    ("change", "name", "severity"),
    [
        ({"after": replace(AFTER, steal_s=1.2)}, "steal", WARN),
        ({"after": replace(AFTER, steal_s=2.0)}, "steal", BAD),
        ({"spin": Spin(lost_ratio=0.05, drift_ratio=0.0)}, "spin probe", WARN),
        ({"spin": Spin(lost_ratio=0.5, drift_ratio=0.0)}, "spin probe", BAD),
        ({"spin": Spin(lost_ratio=0.0, drift_ratio=0.05)}, "clock drift", WARN),
        ({"spin": Spin(lost_ratio=0.0, drift_ratio=0.3)}, "clock drift", BAD),
        ({"facts": replace(FACTS, governor="powersave")}, "governor", WARN),
        ({"facts": replace(FACTS, governor=None)}, "governor", OK),
        ({"turbo": True}, "turbo", WARN),
        ({"idle_busy_ratio": 0.1}, "other load", WARN),
        ({"idle_busy_ratio": 0.5}, "other load", BAD),
        ({"facts": replace(FACTS, cpus=1)}, "cores", BAD),
        ({"facts": replace(FACTS, cpus=2)}, "cores", WARN),
        ({"facts": replace(FACTS, cpu_quota=1.5)}, "CPU quota", WARN),
        (
            {
                "facts": replace(FACTS, cpu_quota=1.5),
                "after": replace(AFTER, throttled_n=3, throttled_s=0.2),
            },
            "CPU quota",
            BAD,
        ),
        ({"memory_available_bytes": 1 << 30}, "memory", WARN),
        ({"memory_available_bytes": 100 << 20}, "memory", BAD),
        ({"swap_used_bytes": 100 << 20}, "swap", WARN),
        ({"swapped_in_pages": 5000}, "swap", BAD),
        ({"facts": replace(FACTS, nofile=1024)}, "open files", WARN),
        ({"facts": replace(FACTS, nofile=256)}, "open files", BAD),
        ({"facts": replace(FACTS, somaxconn=128)}, "somaxconn", WARN),
        ({"facts": replace(FACTS, port_range=(60000, 61000))}, "ephemeral ports", WARN),
        ({"after": replace(AFTER, time_wait=10_000)}, "TIME_WAIT", WARN),
        ({"after": replace(AFTER, time_wait=25_000)}, "TIME_WAIT", BAD),
        ({"clock_source": "hpet"}, "clock source", WARN),
        ({"clock_source": "kvm-clock"}, "clock source", OK),
        ({"clock_source": None}, "clock source", OK),
        ({"nap_lag_p99_s": 0.002}, "timer", WARN),
        ({"nap_lag_p99_s": 0.02}, "timer", BAD),
        ({"huge_pages": "always"}, "huge pages", WARN),
        ({"huge_pages": None}, "huge pages", OK),
        ({"address_randomisation": 0}, "address randomisation", WARN),
        ({"address_randomisation": None}, "address randomisation", OK),
        ({"facts": replace(FACTS, virtualised="docker")}, "virtualisation", OK),
        ({"facts": replace(FACTS, virtualised="docker on kvm")}, "virtualisation", WARN),
        (
            {"disks": (replace(DISK, free_bytes=1 << 30), DISK, DISK)},
            "disk of sandboxes",
            WARN,
        ),
        (
            {"disks": (DISK, replace(DISK, free_bytes=1 << 20), DISK)},
            "disk of the project",
            BAD,
        ),
        (
            {"disks": (DISK, DISK, replace(DISK, refusal="Read-only file system"))},
            "temporary files",
            BAD,
        ),
        ({"leftovers": 2}, "leftovers", WARN),
    ],
)
def test_each_obstacle_is_a_row_with_a_remedy(
    change: dict[str, Any], name: str, severity: Severity
) -> None:
    readings = replace(CALM, **change)
    found = {row.name: row for row in examine(readings)}
    assert found[name].severity is severity
    assert (found[name].remedy is None) == (severity is OK)
    others = {row.severity for row in found.values() if row.name != name}
    assert others == {OK}


def test_other_load_is_named() -> None:
    eater = Eater(pid=7, name="backup", cores=0.8)
    readings = replace(CALM, idle_busy_ratio=0.2, eaters=(eater,))
    (row,) = (row for row in examine(readings) if row.name == "other load")
    assert "backup (pid 7) 0.80 cores" in row.reading
    assert "backup (pid 7)" in str(row.remedy)


@pytest.mark.parametrize(
    ("uwsgi", "gunicorn", "severities_"),
    [
        (None, None, (WARN, WARN)),
        ("2.0", None, (OK, OK)),
        (None, "23.0", (OK, OK)),
    ],
)
def test_one_app_server_is_enough(
    uwsgi: str | None, gunicorn: str | None, severities_: tuple[Severity, Severity]
) -> None:
    programs = (
        ProgramFound(name="uwsgi", found=uwsgi, way_out="pip install uwsgi"),
        ProgramFound(name="gunicorn", found=gunicorn, way_out="pip install gunicorn"),
    )
    found = severities(replace(CALM, programs=programs))
    assert (found["uwsgi"], found["gunicorn"]) == severities_


def test_a_program_that_the_study_wants_and_is_missing_is_bad() -> None:
    programs = (
        ProgramFound(name="uwsgi", found=None, way_out="pip install uwsgi", wanted=True),
        ProgramFound(name="gunicorn", found="23.0"),
    )
    rows = {row.name: row for row in examine(replace(CALM, programs=programs))}
    assert (rows["uwsgi"].severity, rows["uwsgi"].remedy) == (BAD, "pip install uwsgi")


def test_steal_is_a_share_of_what_was_wanted() -> None:
    assert steal_ratio(BEFORE, replace(AFTER, steal_s=3.0)) == pytest.approx(0.2)
    assert steal_ratio(BEFORE, BEFORE) == 0.0
    assert busy_ratio(BEFORE, AFTER) == pytest.approx(1.0)
    assert busy_ratio(BEFORE, BEFORE) == 0.0


def test_the_worst_cpu_speaks_for_all() -> None:
    calm = {"pieces": 100, "wall_s": 1.0, "cpu_s": 1.0, "median_s": 0.01, "parts": [0.01, 0.01]}
    torn = {"pieces": 80, "wall_s": 1.0, "cpu_s": 0.8, "median_s": 0.01, "parts": [0.01, 0.011]}
    spin = summarise_spins([calm, torn])
    assert spin.lost_ratio == pytest.approx(0.2)
    assert spin.drift_ratio == pytest.approx(0.1)
    with pytest.raises(ValueError, match="said"):
        summarise_spins([{"pieces": "many"}])


@pytest.mark.parametrize(
    ("said", "word"), [("always [madvise] never", "madvise"), ("never", "never"), (None, None)]
)
def test_the_chosen_word_is_in_brackets(said: str | None, word: str | None) -> None:
    assert chosen(said) == word


@pytest.mark.parametrize(("said", "value"), [("2", 2), ("-1", -1), ("on", None), (None, None)])
def test_only_whole_numbers_are_numbers(said: str | None, value: int | None) -> None:
    assert number(said) == value


def test_every_row_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "host.md").read_text()
    programs = tuple(
        ProgramFound(name=name, found="1") for name in (*sorted(APP_SERVERS), "nginx", "postgres")
    )
    table = page.split("| row | warn | bad |")[1].split("`--json`")[0]
    documented = {
        name
        for line in table.splitlines()
        for name in re.findall("`([^`]+)`", line.split("|")[1] if "|" in line else "")
    }
    assert documented == set(severities(replace(CALM, programs=programs)))
