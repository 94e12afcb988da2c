"""``labcoat workload``: what it writes, refuses and shows."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from labcoat.cli.door import answer
from labcoat.cli.workload import command
from labcoat.lab.study.study_file import read_study, read_workload
from labcoat.workload import SOURCES

LINE = '10.0.0.1 - - [24/Nov/2026:00:00:{second:02d} +0000] "GET {path} HTTP/1.1" 200 12 "-" "-"\n'
USERS = """
[workload]
users = 4
setup = [
  { name = "form", path = "/login", capture = { csrf = { regex = 'value="([^"]+)"' } } },
  { name = "login", method = "POST", path = "/login", body = "csrf={captured:csrf}&name=u{user}&password={env:LABCOAT_NO_SUCH}&pin=1234" },
]
[[workload.requests]]
path = "/account/{1..9}?token=zyx&q=x"
weight = 3
headers = { X-CSRF = "{captured:csrf}", Authorization = "Bearer zyx", X-Plain = "yes" }
expect = { contains = "user" }
[[workload.requests]]
method = "POST"
path = "/buy"
headers = { Content-Type = "application/json" }
body = '{{"api_key": "zyx", "n": {1..3}, "csrf": "{captured:csrf}"}}'
"""  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = [LINE.format(path=f"/p/{n % 7}?token=zyx", second=n % 60) for n in range(300)]
    (tmp_path / "access.log").write_text("".join(rows) + LINE.format(path="/", second=59))
    return tmp_path


def test_every_source_has_its_command() -> None:
    assert set(command.commands) == {row.command for row in SOURCES} | {"show"}


def test_a_draft_is_written_and_used_by_the_study(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(["workload", "from-access-log", "access.log"]) == 0
    said = capsys.readouterr().out
    assert "secret taken out   token, 300 times" in said
    assert "zyx" not in said + (here / "workload.toml").read_text()
    (here / "labcoat.toml").write_text(
        'workload = "workload.toml"\n[app]\nwsgi = "shop:app"\n[stack]\ngunicorn = true\n'
    )
    study = read_study(here / "labcoat.toml")
    assert [(r.name, r.path) for r in study.workload.requests] == [
        ("/p/*", "/p/{0..6}"),
        ("/", "/"),
    ]


def test_nothing_is_overwritten_unasked(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "workload.toml").write_text("mine")
    assert answer(["workload", "from-access-log", "access.log", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["where"] == "workload.toml"
    assert (here / "workload.toml").read_text() == "mine"
    assert answer(["workload", "from-access-log", "access.log", "--json", "--force"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["routes"][0]["share_ratio"] == pytest.approx(300 / 301)
    assert document["secrets"] == [{"name": "token", "count": 300}]
    assert answer(["workload", "from-access-log", "access.log", "-o", "no/where.toml"]) == 2
    assert "there is no such folder" in capsys.readouterr().err


def test_a_log_from_standard_input(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with (here / "access.log").open() as log:
        monkeypatch.setattr(sys, "stdin", log)
        assert answer(["workload", "from-access-log", "-", "-o", "mix.toml"]) == 0
    assert len(read_workload(here / "mix.toml")[0].requests) == 2
    assert "mix.toml: 2 routes from - (combined)" in capsys.readouterr().out


def test_an_api_and_a_recording(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "api.yaml").write_text("openapi: 3.0.0\npaths: {/a: {get: {}}}\n")
    assert answer(["workload", "from-openapi", "api.yaml", "-o", "a.toml"]) == 0
    request = {"method": "GET", "url": "http://shop.test/b"}
    entry = {
        "startedDateTime": "2026-11-24T23:14:00Z",
        "request": request,
        "response": {"status": 200},
    }
    (here / "it.har").write_text(json.dumps({"log": {"entries": [entry]}}))
    assert answer(["workload", "from-har", "it.har", "-o", "b.toml"]) == 0
    capsys.readouterr()
    assert [read_workload(here / f"{n}.toml")[0].requests[0].path for n in "ab"] == ["/a", "/b"]


def test_show_says_what_will_be_sent_and_no_secret(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "users.toml").write_text(USERS)
    assert answer(["workload", "show", "users.toml"]) == 2  # the study would refuse it too
    assert "LABCOAT_NO_SUCH is not set" in capsys.readouterr().err


def test_show_masks_and_explains(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABCOAT_NO_SUCH", "hidden")
    (here / "users.toml").write_text(USERS)
    assert answer(["workload", "show", "users.toml", "--json", "--requests", "128"]) == 0
    said = capsys.readouterr().out
    assert "hidden" not in said
    assert "zyx" not in said
    assert "1234" not in said
    document = json.loads(said)
    form, login = document["setup"]
    assert form["captures"] == ['csrf by regex value="([^"]+)"']
    assert login["example"]["body"] == "csrf=<csrf>&name=u<user>&password=***&pin=***"
    account, buy = document["routes"]
    assert account["share_ratio"] == 0.75
    assert account["placeholders"] == ["a whole number from 1 to 9", "what was captured as csrf"]
    assert account["example"]["path"].endswith("?token=***&q=x")
    headers = dict(account["example"]["headers"])
    assert (headers["Authorization"], headers["X-Plain"]) == ("***", "yes")
    assert buy["example"]["body"] in {
        f'{{"api_key": "***", "n": {n}, "csrf": "<csrf>"}}' for n in (1, 2, 3)
    }
    assert [each["route"] for each in document["first"]].count("POST /buy") == 32
    assert (document["users"], document["think_s"]) == (4, 0.0)


def test_show_for_people(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABCOAT_NO_SUCH", "hidden")
    (here / "users.toml").write_text(USERS)
    assert answer(["workload", "show", "users.toml"]) == 0
    said = capsys.readouterr().out
    assert "set-up, once per user: login\n    POST /login\n" in said
    assert "  varies    the user's number; what was captured as csrf\n" not in said
    assert "expects   status below 400, holds 'user'" in said
    assert "the first requests of a slice with seed 1" in said
