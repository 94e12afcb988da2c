"""The doctor on this very machine, through the front door."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from labcoat.errors import PreflightError
from labcoat.host import readings
from labcoat.host.spin import probe
from labcoat.lab.preflight.preflight import examine


def doctor(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "labcoat", "doctor", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_document_has_every_row_and_nothing_else_is_printed(tmp_path: Path) -> None:
    completed = doctor("--json", cwd=tmp_path)
    assert (completed.returncode, completed.stderr) == (0, "")
    document = json.loads(completed.stdout)
    assert set(document) == {"schema", "worst", "facts", "programs", "rows"}
    assert document["facts"]["cpus"] >= 1
    rows = {row["name"]: row for row in document["rows"]}
    assert {"steal", "spin probe", "cores", "memory", "nginx", "postgres", "leftovers"} <= set(rows)
    for row in rows.values():
        assert set(row) == {"name", "severity", "reading", "value", "remedy"}
        assert (row["remedy"] is None) == (row["severity"] == "ok")
    order = ["ok", "warn", "bad"]
    assert document["worst"] == max((row["severity"] for row in rows.values()), key=order.index)


def test_the_text_is_plain_in_a_pipe(tmp_path: Path) -> None:
    completed = doctor(cwd=tmp_path)
    assert completed.returncode == 0
    assert "\x1b" not in completed.stdout
    assert "spin probe" in completed.stdout
    assert "rows" in completed.stdout.splitlines()[-1] or "nothing" in completed.stdout


def test_a_study_that_is_named_and_missing_is_a_mistake_of_usage(tmp_path: Path) -> None:
    completed = doctor("--study", "absent.toml", cwd=tmp_path)
    assert completed.returncode == 2
    assert "absent.toml" in completed.stderr


def test_a_machine_without_these_readings_is_no_place_to_measure(tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match="spin probe failed"):
        readings.spin_all([10**6], 0.01)
    taken = readings.take_readings(project=tmp_path, idle_s=0.2, spin_s=0.2)
    assert examine(taken)
    assert taken.after.at_ns > taken.before.at_ns
    assert all(disk.refusal is None for disk in taken.disks)


def test_a_folder_that_cannot_be_written_says_why() -> None:
    assert readings.disk(Path("/proc/absent/below")).refusal
    assert readings.disk(Path("/proc")).filesystem == "proc"


def test_the_spin_probe_accounts_for_its_time() -> None:
    spin = probe(0.2)
    pieces, wall_s, median_s = spin["pieces"], spin["wall_s"], spin["median_s"]
    assert isinstance(pieces, int)
    assert isinstance(wall_s, float)
    assert isinstance(median_s, float)
    assert pieces > 10
    assert wall_s >= 0.2
    assert 0.05 < pieces * median_s / wall_s < 1.5
