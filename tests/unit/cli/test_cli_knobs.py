from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from labcoat.cli.door import answer
from labcoat.cli.exit_codes import ExitCode
from labcoat.cli.knobs import COMPONENTS
from labcoat.knobs import KNOBS


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert answer(["knobs", *argv]) == ExitCode.FINISHED
    return capsys.readouterr().out


def names(text: str) -> list[str]:
    return [line.split()[0] for line in text.split("\n\n", maxsplit=1)[0].splitlines()[1:]]


def test_the_list_has_every_knob_on_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys)
    assert names(text) == [knob.name for knob in KNOBS]
    assert "origin" not in text.splitlines()[0]
    assert text.endswith(f"{len(KNOBS)} of {len(KNOBS)} knobs; labcoat knobs NAME explains one\n")
    assert max(len(line) for line in text.splitlines()) <= 110


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_is_picked(capsys: pytest.CaptureFixture[str], component: str) -> None:
    listed = names(said(capsys, "--component", component))
    assert listed == [knob.name for knob in KNOBS if knob.component == component]


def test_a_class_and_words_narrow_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert names(said(capsys, "--class", "durability")) == ["postgres.synchronous_commit"]
    listed = names(said(capsys, "Keepalive", "--component", "gunicorn"))
    assert listed == ["gunicorn.keepalive"]
    assert "uwsgi.listen" in names(said(capsys, "queue", "bursts"))


@pytest.mark.parametrize("argv", [["uwsgi.processes"], ["explain", "uwsgi.processes"]])
def test_a_knob_is_explained(capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    text = said(capsys, *argv)
    assert text.startswith("uwsgi.processes\n  why ")
    for title in ("counts only if", "trade-off", "domain here", "worth trying", "default", "takes"):
        assert f"\n  {title}" in text
    for part in ("1 to ", "a restart", "memory: ", "fit into postgres.max_connections", "uWSGI, "):
        assert part in text


@pytest.mark.parametrize("knob", KNOBS, ids=[knob.name for knob in KNOBS])
def test_every_knob_can_be_explained(capsys: pytest.CaptureFixture[str], knob: Any) -> None:
    text = said(capsys, "explain", knob.name)
    assert max(len(line) for line in text.splitlines()) <= 90
    assert ("no campaign proposes it" in text) == knob.control
    assert ("or later" in text) == bool(knob.needs)


@pytest.mark.parametrize(
    ("argv", "what", "way_out"),
    [
        (["uwsgi.proceses"], "did you mean uwsgi.processes?", "labcoat knobs lists them"),
        (["explain", "worker_processes"], "did you mean nginx.worker_processes?", "labcoat knobs"),
        (["explain"], "explain takes the name of one knob", "labcoat knobs explain"),
        (["no-such-word"], "there is no knob 'no-such-word'", "labcoat knobs lists them"),
        (["no-such-word", "gzip"], "no knob is like that", "fewer words"),
        (["gzip", "--component", "uwsgi"], "there is no knob 'gzip'", "labcoat knobs"),
        (["--class", "secure"], "'secure' is not one of", "labcoat knobs --help"),
    ],
)
def test_what_is_not_there_is_told(
    capsys: pytest.CaptureFixture[str], argv: list[str], what: str, way_out: str
) -> None:
    assert answer(["knobs", *argv]) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert what in captured.err
    assert way_out in captured.err


def test_the_document_is_one_shape_for_a_list_and_for_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    every = json.loads(said(capsys, "--json"))
    one = json.loads(said(capsys, "explain", "nginx.keepalive_requests", "--json"))
    assert (every["schema"], every["study"], len(every["knobs"])) == (1, None, len(KNOBS))
    (row,) = one["knobs"]
    assert row in every["knobs"]
    assert row["default"] == [{"since": None, "level": 100}, {"since": "1.19.10", "level": 1000}]
    assert (row["class"], row["takes"], row["control"]) == ("memory", "reload", False)
    assert row["levels"] == [10_000]


@pytest.mark.slow
def test_a_study_shows_what_the_users_files_say(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "tiny.py").write_text("app = None\n")
    (tmp_path / "uwsgi.ini").write_text("[uwsgi]\nprocesses = 7\n")
    (tmp_path / "labcoat.toml").write_text(
        'name = "tiny"\n[app]\nwsgi = "tiny:app"\nenv = { PYTHONMALLOC = "malloc" }\n'
        '[stack]\nuwsgi = "uwsgi.ini"\n[workload]\nrequests = [ { path = "/" } ]\n'
    )
    text = said(capsys)
    assert {name.partition(".")[0] for name in names(text)} == {"uwsgi", "python", "app", "stack"}
    lines = {line.split()[0]: line.split()[1] for line in text.splitlines() if "." in line}
    assert lines["uwsgi.processes"] == "7"
    assert lines["uwsgi.threads"] == "unset"
    assert lines["python.PYTHONMALLOC"] == "malloc"
    assert names(said(capsys, "--component", "nginx", "multi_accept")) == ["nginx.multi_accept"]
    assert "origin          7 (tiny)" in said(capsys, "uwsgi.processes")
    document = json.loads(said(capsys, "uwsgi.processes", "--json"))
    assert (document["study"], document["knobs"][0]["origin"]) == ("tiny", "7")


@pytest.mark.slow
def test_a_list_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom labcoat.cli.door import answer\nanswer(['knobs'])\n"
        "print([name for name in ('numpy', 'scipy', 'pydantic', 'libcst', 'sqlalchemy')"
        " if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
