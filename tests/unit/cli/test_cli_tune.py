"""``labcoat tune``: what it refuses, what it asks for, what it prints, and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labcoat.cli.door import answer
from labcoat.errors import PreflightError
from labcoat.journal import Journal
from labcoat.lab.campaign.asked import Tune
from labcoat.model.knob import Safety
from labcoat.model.metric import LATENCY_P99, THROUGHPUT
from labcoat.model.study import Study
from labcoat.model.tune import SCHEMA, TuneFinding
from labcoat.testing.tune import (
    found,
    guardrail,
    interrupted,
    nothing,
    record_campaign,
    unconfirmed,
)

Capture = pytest.CaptureFixture[str]
STUDY = """\
[app]
wsgi = "tiny:app"
[stack]
gunicorn = true
[workload]
users = 5
requests = [{ path = "/" }]
[study]
margin = 0.03
"""


class Lab:
    """Stands for everything behind the command; ``ends``: what is raised instead of an answer."""

    def __init__(self) -> None:
        self.asked: list[tuple[Study, Tune]] = []
        self.finds: Callable[[], TuneFinding] = found
        self.ends: BaseException | None = None
        self.during: Callable[[Tune], None] = lambda _: None

    def tune(self, study: Study, asked: Tune, *, journal: Journal, **_: Any) -> TuneFinding:
        self.asked.append((study, asked))
        self.during(asked)
        if self.ends is not None:
            raise self.ends
        return record_campaign(journal, self.finds(), study=study, blocks=0)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    fake = Lab()
    (tmp_path / "labcoat.toml").write_text(STUDY)
    (tmp_path / "tiny.py").write_text("app = None\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("labcoat.lab.campaign.tuning.tune", fake.tune)
    monkeypatch.setattr("labcoat.load.Generator", contextlib.nullcontext)
    return fake


@pytest.mark.parametrize(
    ("argv", "what"),
    [
        (["--budget", "soon"], "no length of time"),
        (["--budget", "0"], "no length of time"),
        (["--slice", "0"], "no length of time"),
        (["--margin", "2"], "--margin"),
        (["--allow", "everything"], "--allow"),
        (["--objective", "speed"], "there is no metric 'speed'"),
        (["--study", "gone.toml"], "gone.toml"),
        (["uwsgi.processes=2"], "uwsgi.processes=2"),
    ],
)
def test_what_cannot_be_asked_is_a_usage_error(
    lab: Lab, capsys: Capture, argv: list[str], what: str
) -> None:
    assert answer(["tune", *argv, "--json"]) == 2
    said = json.loads(capsys.readouterr().out)["error"]
    assert (said["kind"], said["exit_code"]) == ("UsageError", 2)
    assert what in f"{said['what']} {said['where']}"
    assert lab.asked == []


def test_what_is_not_said_comes_from_the_study(lab: Lab) -> None:
    assert answer(["tune"]) == 0
    ((study, asked),) = lab.asked
    assert (asked.objective, asked.margin, asked.budget_s) == (THROUGHPUT, 0.03, 1200.0)
    assert (asked.rhythm.slice_s, asked.rhythm.discard_s) == (1.0, 0.3)
    assert (asked.allowed, asked.only, asked.skip) == (frozenset(), (), ())
    assert study.users == 5


def test_what_is_said_overrules_it(lab: Lab) -> None:
    argv = ["--budget", "2h", "--objective", "latency_p99", "--margin", "0.1", "--slice", "2s"]
    argv += [
        "--allow",
        "durability",
        "--allow",
        "semantic",
        "--only",
        "uwsgi.*",
        "--only",
        "nginx.*",
    ]
    argv += ["--skip", "nginx.gzip*"]
    assert answer(["tune", *argv]) == 0
    ((_, asked),) = lab.asked
    assert (asked.objective, asked.margin, asked.budget_s) == (LATENCY_P99, 0.1, 7200.0)
    assert asked.rhythm.slice_s == 2.0
    assert asked.allowed == {Safety.DURABILITY, Safety.SEMANTIC}
    assert (asked.only, asked.skip) == (("uwsgi.*", "nginx.*"), ("nginx.gzip*",))


def test_a_short_budget_has_short_slices(lab: Lab) -> None:
    assert answer(["tune", "--budget", "14m"]) == 0
    ((_, asked),) = lab.asked
    assert asked.rhythm.slice_s == 0.5


@pytest.mark.parametrize("finds", [found, nothing, unconfirmed, guardrail])
def test_a_finished_campaign_is_0_whatever_it_found(
    lab: Lab, capsys: Capture, finds: Callable[[], TuneFinding]
) -> None:
    lab.finds = finds
    assert answer(["tune"]) == 0
    printed = capsys.readouterr()
    assert finds().sentence.split()[0] in printed.out
    assert printed.err == ""


@pytest.mark.parametrize(("finds", "code"), [(found, 0), (interrupted, 130)])
def test_json_is_exactly_one_document(
    lab: Lab, capsys: Capture, finds: Callable[[], TuneFinding], code: int
) -> None:
    lab.finds = finds
    assert answer(["tune", "--json"]) == code
    document = json.loads(capsys.readouterr().out)  # more than one would be an error here
    assert (document["schema"], document["outcome"]) == (SCHEMA, finds().outcome)


def test_the_first_ctrl_c_is_a_wish_that_the_campaign_hears(lab: Lab, capsys: Capture) -> None:
    heard = []

    def interrupt(asked: Tune) -> None:
        heard.append(asked.stops())
        os.kill(os.getpid(), signal.SIGINT)
        heard.append(asked.stops())

    lab.during, lab.finds = interrupt, interrupted
    assert answer(["tune"]) == 130
    assert heard == [False, True]
    assert "Interrupted" in capsys.readouterr().out


def test_the_second_ctrl_c_ends_it_at_once_and_says_how_to_go_on(lab: Lab, capsys: Capture) -> None:
    lab.ends = KeyboardInterrupt()
    assert answer(["tune", "--json"]) == 130
    printed = capsys.readouterr()
    assert printed.err.splitlines()[0] == (
        "what was measured is kept: the same command goes on from there"
    )
    assert json.loads(printed.out)["error"]["kind"] == "Interrupted"


def test_an_error_is_1_in_three_parts(lab: Lab, capsys: Capture) -> None:
    lab.ends = PreflightError("too noisy", where="study tiny", way_out="give it --budget 30m")
    assert answer(["tune"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        "error: too noisy\n  where    study tiny\n  way out  give it --budget 30m\n"
    )
