"""The live view where nothing moves: the plain lines of a CI log."""

from __future__ import annotations

import math

import pytest

from labcoat.cli.live import LiveView, label, stake
from labcoat.lab.trial.events import (
    Asked,
    BlockJudged,
    BlockVoided,
    ComponentUp,
    Event,
    PhaseFinished,
    PhaseStarted,
    SliceMeasured,
    WarmingUp,
)
from labcoat.lab.trial.question import Question, Rule
from labcoat.model.metric import LATENCY_P99
from labcoat.model.stats import Decision, Effect, Evidence, Verdict
from labcoat.testing.experiment import question

Capture = pytest.CaptureFixture[str]
EFFECT = Effect(point=0.062, low=-0.008, high=0.134, method="anytime-t", n=5)
GUARD = question(kind="guard", rule=Rule(objective=LATENCY_P99, margin=0.1))


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labcoat.cli.live.clock", lambda seconds: "m:ss")


def evidence(better: float, worse: float) -> Evidence:
    return Evidence(
        better=math.log(better), worse=math.log(worse), not_better=0.0, not_worse=0.0,
        needed=math.log(40), needed_for_margin=math.log(20),
    )  # fmt: skip


def judged(
    verdict: Verdict | None,
    *,
    blocks: int = 5,
    effect: Effect | None = EFFECT,
    better: float = 11.42,
    worse: float = 0.1,
    asked: Question | None = None,
) -> BlockJudged:
    return BlockJudged(
        question=asked or question(),
        blocks=blocks,
        effect=effect,
        decision=Decision(
            verdict=verdict, reason="why", n=blocks, evidence=evidence(better, worse)
        ),
    )


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            judged(None),
            "  uwsgi.processes=2 · +6.2 % [-0.8 %, +13 %] · 5 blocks · E+ 11.4 / 40",
        ),
        (judged(None, better=0.1, worse=3.5), "E- 3.50 / 40"),
        (judged(None, blocks=1, effect=None), "  uwsgi.processes=2 · 1 block · E+ 11.4 / 40"),
        (
            judged(None, asked=GUARD),
            "  uwsgi.processes=2, p99 latency · +6.2 % [-0.8 %, +13 %] · 5 blocks",
        ),
        (
            judged(Verdict.IMPROVED),
            "✓ uwsgi.processes=2  +6.2 % [-0.8 %, +13 %]  5 blocks  m:ss  IMPROVED",
        ),
        (judged(Verdict.REGRESSED), "✗ uwsgi.processes=2  +6.2 %"),
        (judged(Verdict.NOT_BETTER), "NOT BETTER"),
        (judged(Verdict.INVALID, effect=None), "! uwsgi.processes=2    5 blocks  m:ss  INVALID"),
        (
            Asked(question=question(), experiment_id="e", blocks=7),
            "  uwsgi.processes=2 goes on after 7 blocks",
        ),
        (
            Asked(question=question(), experiment_id="e", blocks=1),
            "  uwsgi.processes=2 goes on after 1 block\n",
        ),
        (BlockVoided(index=3, reason="[1] errors"), "! block 3 void: [1] errors"),
        (PhaseFinished(name="saturation", summary="311 req/s"), "✓ saturation 311 req/s"),
    ],
)
def test_a_line_for_what_stays(event: Event, line: str, capsys: Capture) -> None:
    with LiveView(total_s=600.0) as view:
        view(Asked(question=question(), experiment_id="e", blocks=0))
        view(event)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert line in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(
    "event",
    [
        Asked(question=question(), experiment_id="e", blocks=0),
        PhaseStarted(name="saturation", expected_s=15.0),
        ComponentUp(name="nginx", arm="a", version="1.26", pid=7),
        WarmingUp(arm="a", spent_s=5.0),
        SliceMeasured(
            phase="try", done=3, total=160, throughput_per_s=99.0, latency_p99_s=0.04,
            steal_ratio=0.1,
        ),
    ],
)  # fmt: skip
def test_what_only_moves_leaves_no_line(event: Event, capsys: Capture) -> None:
    with LiveView(total_s=600.0) as view:
        view(event)
    assert capsys.readouterr().err == ""


def moving(view: LiveView) -> str:
    return str(view.__rich__().text)


def test_the_moving_line_says_what_is_measured_and_what_is_known() -> None:
    view = LiveView(total_s=600.0)
    view(Asked(question=question(), experiment_id="e", blocks=0))
    view(
        SliceMeasured(
            phase="try", done=3, total=160, throughput_per_s=99.0, latency_p99_s=0.04,
            steal_ratio=0.1,
        )
    )  # fmt: skip
    assert moving(view) == (
        "m:ss of about m:ss · uwsgi.processes=2"
        " · slice 3/160 · 99.0 req/s · p99 40.0 ms · steal 10%"
    )
    view(judged(None))
    view(WarmingUp(arm="b", spent_s=5.0))
    assert moving(view).endswith(
        " · uwsgi.processes=2 · +6.2 % [-0.8 %, +13 %] · 5 blocks · E+ 11.4 / 40"
        " · arm b warms up, 5 s so far"
    )


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (question(), "uwsgi.processes=2"),
        (question({"nginx.gzip": True}), "nginx.gzip=on"),
        (question({}, kind="aa"), "A/A"),
        (GUARD, "uwsgi.processes=2, p99 latency"),
    ],
)
def test_a_question_in_few_words(asked: Question, text: str) -> None:
    assert label(asked) == text


def test_no_evidence_is_not_told() -> None:
    assert stake(Decision(verdict=None, reason="no block yet", n=0)) == ""


def test_vast_evidence_is_a_number_still() -> None:
    found = Decision(
        verdict=None, reason="", n=40,
        evidence=Evidence(
            better=900.0, worse=0.0, not_better=0.0, not_worse=0.0, needed=math.log(40),
            needed_for_margin=math.log(20),
        ),
    )  # fmt: skip
    assert stake(found) == " · E+ 1.0e304 / 40"
