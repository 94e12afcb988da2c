"""``labcoat replicate`` with real stacks: shipped protocols stand, and wrong ones start nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from labcoat.cli.replicate import SHIPPED, file_of, shipped
from labcoat.host.local import LocalHost
from labcoat.host.sandbox import Sandbox
from labcoat.lab.replication.protocol_file import read_protocol
from labcoat.lab.replication.replicating import refuse_lacking, refuse_missing
from labcoat.stack import probe
from labcoat.stack.rig import Rig

LABCOAT = (sys.executable, "-c", "from labcoat.cli import main; raise SystemExit(main())")
SEEN = """\
name = "seen"
title = "Where workers run"
about = "Read from the running workers."
study = "apps/api/uwsgi.toml"
packages = ["flask"]

[origin]
"uwsgi.processes" = 2

[[sightings]]
name = "shared"
claim = "one CPU"
published = "processes share one CPU"
source = "a talk"

[[sightings]]
name = "bound"
set = { "uwsgi.cpu-affinity" = 1 }
claim = "all CPUs"
published = "one for each"
source = "uWSGI, Options"
"""


def replicate(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LABCOAT, "replicate", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        cwd=cwd,
    )


@pytest.mark.parametrize("name", shipped())
def test_the_whole_ladder_of_a_shipped_protocol_stands(
    name: str, boxes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    host = LocalHost()
    protocol = read_protocol(file_of(name), host.facts())
    refuse_missing(protocol, host)
    with Sandbox.open(host) as sandbox, Rig(host, sandbox, protocol.study) as rig:
        refuse_lacking(protocol, rig, host.facts())
        top = protocol.asked()[-1][3]
        standing = rig.boot("a", top)
        path = protocol.study.workload.requests[0].path.replace("{40..60}", "50")
        answer = probe.ask(
            standing.layers[0].wiring.listen, "GET", path.replace("{1..60000}", "7"), timeout_s=10.0
        )
        assert answer is not None
        assert answer.status == 200
    assert not boxes.exists() or not list(boxes.iterdir())


def test_what_the_running_workers_say(tmp_path: Path, boxes: Path) -> None:
    shutil.copytree(Path(str(SHIPPED)) / "apps", tmp_path / "apps")
    (tmp_path / "seen.toml").write_text(SEEN)
    done = replicate(tmp_path, "seen.toml", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    shared, bound = found["claims"]
    assert len(shared["explains"]) == len(bound["explains"]) == 2
    if len(os.sched_getaffinity(0)) > 1:
        assert shared["outcome"] != "confirmed"  # undecided where a neighbour takes a CPU
        assert bound["outcome"] == "confirmed"
        assert "each is bound to one" in bound["reason"]
    assert found["aa"] is None
    assert not boxes.exists() or not list(boxes.iterdir())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (('"uwsgi.cpu-affinity"', '"uwsgi.cpu-afinity"'), "line 18"),
        (('"uwsgi.processes" = 2', '"uwsgi.processes" = 0'), "line 8"),
        (('packages = ["flask"]', 'packages = ["no_such_package"]'), "no_such_package"),
        (('packages = ["flask"]', 'programs = ["no-such-tool"]'), "no-such-tool"),
    ],
)
def test_what_is_wrong_fails_before_anything_starts(
    change: tuple[str, str], expected: str, tmp_path: Path
) -> None:
    shutil.copytree(Path(str(SHIPPED)) / "apps", tmp_path / "apps")
    (tmp_path / "seen.toml").write_text(SEEN.replace(*change))
    done = replicate(tmp_path, "seen.toml")
    assert done.returncode in {1, 2}
    assert done.stdout == ""
    assert expected in done.stderr
    assert "seen.toml" in done.stderr
    assert "Traceback" not in done.stderr


def test_levels_that_are_impossible_together_start_nothing(tmp_path: Path, boxes: Path) -> None:
    shutil.copytree(Path(str(SHIPPED)) / "apps", tmp_path / "apps")
    text = (Path(str(SHIPPED)) / "bencane-nginx.toml").read_text()
    (tmp_path / "mine.toml").write_text(text.replace("= 4000", "= 4096"))
    done = replicate(tmp_path, "mine.toml")
    assert done.returncode == 2
    line = text[: text.index('name = "more-connections"')].count("\n")
    assert f"line {line}  more-connections (on top)" in done.stderr
    assert "is not under the file limit of 4096" in done.stderr
    assert not boxes.exists() or not list(boxes.iterdir())


def test_names_are_told(tmp_path: Path) -> None:
    listed = replicate(tmp_path, "--list")
    assert listed.returncode == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(shipped())
    wrong = replicate(tmp_path, "bencane-apache")
    assert wrong.returncode == 2
    assert "bencane-nginx" in wrong.stderr
    assert list(tmp_path.iterdir()) == []
