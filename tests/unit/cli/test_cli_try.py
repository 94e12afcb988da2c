"""``labcoat try``: what it refuses, what it prints, and how it ends."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from labcoat.cli.door import answer
from labcoat.errors import LoadError
from labcoat.journal import Journal
from labcoat.lab.experiment.told import Context, tell
from labcoat.lab.experiment.trying import Try
from labcoat.model.finding import SCHEMA, TryFinding
from labcoat.model.metric import LATENCY_P99, THROUGHPUT
from labcoat.model.stats import Decision, Verdict
from labcoat.model.study import Study
from labcoat.testing.experiment import experiment

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
        self.asked: list[tuple[Study, Try]] = []
        self.verdicts: tuple[Verdict, ...] = (Verdict.IMPROVED,)
        self.ends: BaseException | None = None

    def try_levels(self, study: Study, asked: Try, *, journal: Journal, **_: Any) -> TryFinding:
        self.asked.append((study, asked))
        if self.ends is not None:
            raise self.ends
        record = journal.begin_study(study, resume=True)
        context = Context(
            origin_level=1, origin_is_said=True, headroom_per_s=None, online=False
        )  # fmt: skip
        found = TryFinding(
            schema=SCHEMA,
            study=study.name,
            study_id=record.id,
            at="2026-01-01T00:00:00+00:00",
            elapsed_s=60.0,
            experiments=tuple(
                tell(experiment(), Decision(verdict=each, reason="so it is", n=6), (), context)
                for each in self.verdicts
            ),
        )
        journal.record_finding(record.id, "try", asdict(found))
        return found


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    fake = Lab()
    (tmp_path / "labcoat.toml").write_text(STUDY)
    (tmp_path / "tiny.py").write_text("app = None\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("labcoat.lab.experiment.trying.try_levels", fake.try_levels)
    monkeypatch.setattr("labcoat.load.Generator", contextlib.nullcontext)
    return fake


USAGE = [
    ([], "nothing was asked", "labcoat try", "labcoat try uwsgi.processes=4"),
    (["--aa", "uwsgi.processes=2"], "it has no knob", "labcoat try --aa uwsgi", "leave out --aa"),
    (["uwsgi.processes"], "not a question", "uwsgi.processes", "write uwsgi.processes=LEVEL"),
    (["uwsgi.processes="], "not a question", "uwsgi.processes=", "write uwsgi.processes=LEVEL"),
    (["uwsgi.procesess=2"], "did you mean uwsgi.processes?", "catalogue", "labcoat knobs"),
    (["=2"], "there is no knob ''", "catalogue", "labcoat knobs"),
    (
        ["uwsgi.processes=2", "--objective", "speed"],
        "there is no metric 'speed'",
        "--objective",
        "one of throughput, cpu_per_request",
    ),
    (["uwsgi.processes=2", "--margin", "2"], "--margin", "labcoat try", "labcoat try --help"),
    (["uwsgi.processes=2", "--budget", "0"], "no length of time", "labcoat try", "--help"),
    (["uwsgi.processes=2", "--budget", "soon"], "no length of time", "labcoat try", "--help"),
    (["uwsgi.processes=2", "--slice", "0"], "no length of time", "labcoat try", "--help"),
    (["uwsgi.processes=2", "--blocks-per-restart", "3"], "1<=x<=2", "labcoat try", "--help"),
    (["uwsgi.processes=2", "--study", "gone.toml"], "gone.toml", "gone.toml", ""),
    (["uwsgi.processes=2", "--workload", "gone.toml"], "gone.toml", "gone.toml", ""),
]


@pytest.mark.parametrize(("argv", "what", "where", "way_out"), USAGE)
def test_what_is_not_a_question_is_a_usage_error(
    lab: Lab, capsys: Capture, argv: list[str], what: str, where: str, way_out: str
) -> None:
    assert answer(["try", *argv, "--json"]) == 2
    said = json.loads(capsys.readouterr().out)["error"]
    assert (said["kind"], said["exit_code"]) == ("UsageError", 2)
    assert what in f"{said['what']} {said['where']}"
    assert where in said["where"]
    assert way_out in said["way_out"]
    assert lab.asked == []


def test_every_level_of_every_knob_is_a_treatment(lab: Lab) -> None:
    assert answer(["try", "uwsgi.processes=2,4", "nginx.gzip=on"]) == 0
    ((_, asked),) = lab.asked
    assert [(each.knob.name, each.text) for each in asked.treatments if each.knob is not None] == [
        ("uwsgi.processes", "2"), ("uwsgi.processes", "4"), ("nginx.gzip", "on"),
    ]  # fmt: skip


def test_what_is_not_said_comes_from_the_study(lab: Lab) -> None:
    assert answer(["try", "uwsgi.processes=2"]) == 0
    ((study, asked),) = lab.asked
    assert (asked.objective, asked.margin, asked.budget_s) == (THROUGHPUT, 0.03, 600.0)
    assert (asked.rhythm.slice_s, asked.rhythm.blocks_per_epoch, asked.anew) == (1.5, 1, False)
    assert study.users == 5


def test_what_is_said_overrules_it(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "buyers.toml").write_text(
        '[workload]\nusers = 9\nrequests = [{ path = "/buy", name = "buy" }]\n'
    )
    argv = ["--aa", "--objective", "latency_p99", "--margin", "0.1", "--budget", "2m", "--slice"]
    argv += ["2s", "--blocks-per-restart", "2", "--again", "--workload", "buyers.toml"]
    assert answer(["try", *argv]) == 0
    ((study, asked),) = lab.asked
    assert [(each.knob, each.text) for each in asked.treatments] == [(None, None)]
    assert (asked.objective, asked.margin, asked.budget_s) == (LATENCY_P99, 0.1, 120.0)
    assert (asked.rhythm.slice_s, asked.rhythm.blocks_per_epoch, asked.anew) == (2.0, 2, True)
    assert (study.users, study.workload.routes) == (9, ("buy",))


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        *(((verdict,), 0) for verdict in Verdict if verdict is not Verdict.INVALID),
        ((Verdict.INVALID,), 4),
        ((Verdict.IMPROVED, Verdict.INVALID), 4),
    ],
)
def test_an_answer_is_0_whatever_it_is_and_invalid_is_4(
    lab: Lab, capsys: Capture, verdicts: tuple[Verdict, ...], code: int
) -> None:
    lab.verdicts = verdicts
    assert answer(["try", "uwsgi.processes=2"]) == code
    printed = capsys.readouterr()
    assert verdicts[-1].value.upper().replace("_", " ") in printed.out
    assert printed.err == ""


@pytest.mark.parametrize(("verdict", "code"), [(Verdict.IMPROVED, 0), (Verdict.INVALID, 4)])
def test_json_is_exactly_one_document(
    lab: Lab, capsys: Capture, verdict: Verdict, code: int
) -> None:
    lab.verdicts = (verdict,)
    assert answer(["try", "uwsgi.processes=2", "--json"]) == code
    document = json.loads(capsys.readouterr().out)  # more than one would be an error here
    assert document["schema"] == SCHEMA
    assert [each["verdict"] for each in document["experiments"]] == [verdict.value]


def test_an_interruption_says_how_to_go_on(lab: Lab, capsys: Capture) -> None:
    lab.ends = KeyboardInterrupt()
    assert answer(["try", "uwsgi.processes=2", "--json"]) == 130
    printed = capsys.readouterr()
    assert printed.err.splitlines()[0] == (
        "what was measured is kept: the same command goes on from there"
    )
    assert json.loads(printed.out)["error"]["kind"] == "Interrupted"


def test_an_error_is_1_in_three_parts(lab: Lab, capsys: Capture) -> None:
    lab.ends = LoadError("nothing was sent", where="arm a", way_out="look at the log")
    assert answer(["try", "uwsgi.processes=2"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        "error: nothing was sent\n  where    arm a\n  way out  look at the log\n"
    )


def test_what_is_printed_comes_from_the_journal(
    lab: Lab, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a report made later says the same."""
    measured = lab.try_levels

    def lie(*given: Any, **named: Any) -> TryFinding:
        return replace(measured(*given, **named), study="another")

    patched: Callable[..., TryFinding] = lie
    monkeypatch.setattr("labcoat.lab.experiment.trying.try_levels", patched)
    assert answer(["try", "uwsgi.processes=2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["study"] != "another"
