"""``labcoat diff``, ``apply``, ``rollback``, ``history``: what they print, and how they end."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from labcoat.cli.door import answer
from labcoat.journal import Journal
from labcoat.lab.handover.digests import digests_of
from labcoat.lab.handover.patch import hand_over
from labcoat.lab.study.study_file import read_study
from labcoat.model.variant import Level, Variant

Capture = pytest.CaptureFixture[str]
STUDY = """\
[app]
wsgi = "tiny:app"
[stack]
nginx = "nginx.conf"
uwsgi = "uwsgi.ini"
[workload]
requests = [{ path = "/" }]
"""
NGINX = "events {}\nhttp { server { location / { uwsgi_pass 127.0.0.1:1; } } }\n"
UWSGI = "[uwsgi]\nprocesses = 1\n"
PATCH = """\
--- a/uwsgi.ini
+++ b/uwsgi.ini
@@ -1,2 +1,2 @@
 [uwsgi]
-processes = 1
+processes = 4
"""

Tune = Callable[..., None]
Ask = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in (
        ("labcoat.toml", STUDY), ("nginx.conf", NGINX), ("uwsgi.ini", UWSGI), ("tiny.py", "app = 1\n"),
    ):  # fmt: skip
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tune(folder: Path) -> Tune:
    """A campaign that is over, and what it hands over."""

    def tuned(levels: dict[str, Level], **of: Any) -> None:
        study = read_study(folder / "labcoat.toml")
        handover, _ = hand_over(study, Variant.of(levels), digests_of(study))
        document = {
            "at": "2026-01-01T00:00:00+00:00", "outcome": "improved", "sentence": "nothing mattered",
            "handover": asdict(handover), **of,
        }  # fmt: skip
        with Journal.open(folder / ".labcoat" / "journal.db") as journal:
            journal.record_finding(journal.begin_study(study).id, "tune", document)

    return tuned


@pytest.fixture
def ask(capsys: Capture) -> Ask:
    def asked(*argv: str) -> tuple[int, str, str]:
        code = answer(argv)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return asked


def test_without_a_campaign_there_is_nothing_to_hand_over(folder: Path, ask: Ask) -> None:
    for verb in ("diff", "apply"):
        code, out, err = ask(verb)
        assert (code, out) == (1, "")
        assert "no finished campaign of this study" in err
        assert "labcoat tune" in err
    assert not (folder / ".labcoat" / "journal.db").exists()
    assert ask("history") == (0, "state 0 * your files as they are: nothing was applied yet\n", "")
    code, out, _ = ask("rollback")
    assert (code, out) == (0, "nothing to change: state 0 holds, before the first apply\n")
    assert ask("rollback", "1")[0] == 2


def test_an_interrupted_campaign_hands_nothing_over(tune: Tune, ask: Ask) -> None:
    tune({"uwsgi.processes": 4}, outcome="interrupted")
    assert ask("diff")[0] == 1


def test_the_patch_is_printed_alone(tune: Tune, ask: Ask) -> None:
    tune({"uwsgi.processes": 4})
    assert ask("diff") == (0, PATCH, "")
    document = json.loads(ask("diff", "--json")[1])
    assert document.pop("study_id")
    assert document == {
        "schema": 1, "study": document["study"], "at": "2026-01-01T00:00:00+00:00",
        "assignment": [["uwsgi.processes", 4]], "state": None,
        "files": [{"path": "uwsgi.ini", "lines": 2}], "by_hand": [], "patch": PATCH,
    }  # fmt: skip


def test_a_campaign_that_found_nothing_says_so(tune: Tune, ask: Ask) -> None:
    tune({})
    assert ask("diff") == (0, "", "nothing to change: nothing mattered\n")
    assert ask("apply")[1].splitlines()[1] == "nothing to change: nothing mattered"


def test_levels_that_are_there_already_are_told(folder: Path, tune: Tune, ask: Ask) -> None:
    tune({"uwsgi.processes": 4})
    (folder / "uwsgi.ini").write_text("[uwsgi]\nprocesses = 4\n")
    code, out, _ = ask("apply")
    assert (code, out.splitlines()[1]) == (0, "nothing to change: your files hold these levels")


def test_apply_and_back_in_words(folder: Path, tune: Tune, ask: Ask) -> None:
    tune({"uwsgi.processes": 4, "nginx.gzip": True, "python.MALLOC_ARENA_MAX": 2})
    first = (folder / "uwsgi.ini").read_text()
    _, out, _ = ask("apply", "--dry-run")
    assert "would become another state: 4 lines in 2 files\n  nginx.conf  " in out
    assert (folder / "uwsgi.ini").read_text() == first
    code, out, _ = ask("apply")
    assert code == 0
    assert "\nstate 1: 4 lines in 2 files\n" in out
    assert "\n  uwsgi.ini   2 lines\nby hand:\n  python.MALLOC_ARENA_MAX: MALLOC_ARENA_MAX=2" in out
    assert out.endswith(
        "nothing was restarted: reload nginx, restart uwsgi for it to work;"
        " labcoat rollback goes back\n"
    )
    assert (folder / "uwsgi.ini").read_text() == "[uwsgi]\nprocesses = 4\n"
    assert "applied already, as state 1" in ask("apply")[1]
    assert ask("diff")[1:] == ("", "nothing to change: applied already, as state 1\n")
    lines = ask("history")[1].splitlines()
    assert lines[0] == "state 0     before the first apply"
    assert lines[1].startswith("state 1   * 20")
    assert lines[1].endswith("nginx.gzip=on, python.MALLOC_ARENA_MAX=2, uwsgi.processes=4")
    assert ask("rollback")[1] == (
        "state 1 → state 0, before the first apply\n  nginx.conf\n  uwsgi.ini\n"
        "nothing was restarted; labcoat history lists the states\n"
    )
    assert (folder / "uwsgi.ini").read_text() == first


def test_the_same_as_documents(folder: Path, tune: Tune, ask: Ask) -> None:
    tune({"uwsgi.processes": 4})
    dry = json.loads(ask("apply", "--dry-run", "--json")[1])
    assert (dry["is_dry"], dry["is_new"], dry["state"]) == (True, False, None)
    document = json.loads(ask("apply", "--json")[1])
    assert set(document) == {
        "schema", "study", "study_id", "at", "assignment", "is_dry", "is_new", "state", "files", "by_hand",
    }  # fmt: skip
    assert (document["is_dry"], document["is_new"], document["state"]["number"]) == (False, True, 1)
    (folder / "uwsgi.ini").write_text("[uwsgi]\nprocesses = 5\n")
    history = json.loads(ask("history", "--json")[1])
    assert (history["holds"], history["edited_since"]) == (1, ["uwsgi.ini"])
    assert set(history["states"][0]) == {
        "number", "id", "at", "parent", "study_id", "variant", "assignment", "files",
    }  # fmt: skip
    assert "edited since: uwsgi.ini" in ask("history")[1]
    code, out, _ = ask("rollback", "--json")
    assert (code, json.loads(out)["error"]["kind"]) == (1, "HostError")
    (folder / "uwsgi.ini").write_text("[uwsgi]\nprocesses = 4\n")
    back = json.loads(ask("rollback", history["states"][0]["id"], "--json")[1])
    assert back == {"schema": 1, "held": 1, "holds": 1, "files": []}
    back = json.loads(ask("rollback", "0", "--json")[1])
    assert back == {"schema": 1, "held": 1, "holds": 0, "files": ["uwsgi.ini"]}


def test_a_changed_file_is_refused_with_a_way_out(folder: Path, tune: Tune, ask: Ask) -> None:
    tune({"uwsgi.processes": 4})
    (folder / "nginx.conf").write_text(NGINX + "# mine\n")
    for verb in ("diff", "apply"):
        code, out, err = ask(verb)
        assert (code, out) == (1, "")
        assert "nginx.conf: changed since" in err
        assert "labcoat tune" in err
    assert (folder / "uwsgi.ini").read_text() == UWSGI


def test_any_command_finishes_what_was_killed(folder: Path, tune: Tune, ask: Ask) -> None:
    tune({"uwsgi.processes": 4})
    ask("apply")
    applied = (folder / "uwsgi.ini").read_text()
    states = folder / ".labcoat" / "states"
    id_ = next(each for each in states.iterdir() if each.is_dir()).name
    for verb in ("history", "diff", "knobs"):
        (folder / "uwsgi.ini").write_text(UWSGI)
        (states / id_ / "done").unlink()
        (states / "pending").write_text(id_)
        code, _, err = ask(verb)
        assert code == 0
        assert err.startswith(
            "labcoat was killed while it changed your files: that is finished now"
        )
        assert (folder / "uwsgi.ini").read_text() == applied


def test_going_back_needs_no_study_that_can_be_read(folder: Path, tune: Tune, ask: Ask) -> None:
    tune({"uwsgi.processes": 4})
    ask("apply")
    (folder / "labcoat.toml").write_text("broken [")
    assert ask("apply")[0] == 2
    assert ask("rollback", "--study", str(folder / "labcoat.toml"))[0] == 0
    assert (folder / "uwsgi.ini").read_text() == UWSGI
    assert ask("history", "--study", "none.toml")[0] == 2


def test_options_of_the_study_file_are_applied_once(folder: Path, tune: Tune, ask: Ask) -> None:
    text = STUDY.replace('nginx = "nginx.conf"\nuwsgi = "uwsgi.ini"', "granian = true")
    (folder / "labcoat.toml").write_text(text)
    tune({"granian.workers": 2})
    assert ask("apply")[0] == 0
    assert "granian = {options = {workers = 2}}" in (folder / "labcoat.toml").read_text()
    code, out, _ = ask("apply")
    assert (code, "applied already, as state 1" in out) == (0, True)
    assert ask("rollback")[0] == 0
    assert (folder / "labcoat.toml").read_text() == text


PAGE = (Path(__file__).parents[3] / "docs/reference/handover.md").read_text()


def documented(command: str) -> set[str]:
    section = PAGE.partition(f"### {command} --json\n")[2].partition("\n### ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


def test_every_key_is_documented(tune: Tune, ask: Ask) -> None:
    tune({"uwsgi.processes": 4})
    for command in ("diff", "apply", "history", "rollback"):
        assert set(json.loads(ask(command, "--json")[1])) == documented(command), command
