"""What a try found as text, against files that are reviewed."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from labcoat.errors import JournalError
from labcoat.journal import Journal
from labcoat.lab.experiment.guard import BROKEN, guard_memory
from labcoat.lab.experiment.told import Context, tell
from labcoat.lab.trial.pairing import VoidBlock
from labcoat.model.experiment import Arm
from labcoat.model.finding import SCHEMA, ExperimentFinding, TryFinding
from labcoat.model.metric import MEMORY
from labcoat.model.stats import Decision, Evidence, LabWarning, Verdict
from labcoat.report.experiment import MARKS, VERDICTS, change_text, try_text
from labcoat.report.findings import read_try
from labcoat.testing.baseline import two_routes
from labcoat.testing.experiment import experiment, latency_guard, question
from labcoat.testing.host import FACTS

GOLDEN = Path(__file__).parents[2] / "golden" / "try"
ORIGIN = Context(origin_level=1, origin_is_said=True, headroom_per_s=1200.0, online=True)
DEFAULT = replace(ORIGIN, origin_is_said=False)
EARLY = LabWarning(
    code="stopped_early",
    message="the estimate at stopping overstates the effect",
    remedy="quote the confirmation, on fresh blocks",
)
MEMORY_HELD = guard_memory(experiment(), metric=MEMORY, ram_bytes=FACTS.ram_bytes)


def decided(verdict: Verdict, *, better: float = 0.3, worse: float = 0.1, n: int = 6) -> Decision:
    """A decision as the rule words it; ``better``, ``worse``: evidence, not its log."""
    reason = {
        Verdict.IMPROVED: f"evidence {better:.0f} of 40 needed after {n} blocks",
        Verdict.REGRESSED: f"evidence {worse:.0f} of 40 needed after {n} blocks",
        Verdict.NOT_BETTER: f"not better by the margin, proven after {n} blocks",
        Verdict.EQUIVALENT: f"neither better nor worse by the margin, proven after {n} blocks",
        Verdict.INCONCLUSIVE: "no verdict within the cap of 40 blocks",
    }[verdict]
    early = verdict in {Verdict.IMPROVED, Verdict.REGRESSED}
    return Decision(
        verdict=verdict,
        reason=reason,
        n=n,
        evidence=Evidence(
            better=math.log(better), worse=math.log(worse), not_better=0.0, not_worse=0.0,
            needed=math.log(40), needed_for_margin=math.log(20),
        ),
        warnings=(EARLY,) if early else (),
    )  # fmt: skip


def found(*experiments: ExperimentFinding) -> TryFinding:
    return TryFinding(
        schema=SCHEMA,
        study="shop",
        study_id="study-1",
        at="2026-01-01T00:00:00+00:00",
        elapsed_s=233.0,
        experiments=experiments,
    )


def improved() -> TryFinding:
    """With its guardrails, counters, a void and an A/A that is missing."""
    of = experiment(
        voids=(VoidBlock(index=2, arm=Arm.BASELINE, reason="60% of the CPU was stolen"),)
    )
    of.explained = {
        Arm.BASELINE: {"uwsgi": {"slots": 1.0, "listen_queue": 12.0, "requests": 700.0}},
        Arm.TREATMENT: {"uwsgi": {"slots": 2.0, "listen_queue": 0.0, "requests": 740.0}},
    }
    guards = (latency_guard(ratios=(0.71, 0.73) * 4), MEMORY_HELD)
    return found(tell(of, decided(Verdict.IMPROVED, better=57), guards, DEFAULT))


def race() -> TryFinding:
    """Two levels are better, one is not shown to be; nothing was said in the user's file."""
    levels = (
        (2, (1.10, 1.12) * 3, decided(Verdict.IMPROVED, better=61)),
        (4, (1.13, 1.11) * 3, decided(Verdict.IMPROVED, better=44)),
        (8, (0.99, 1.0, 1.01, 1.0) * 2, decided(Verdict.NOT_BETTER, n=8)),
    )
    return found(
        *(
            tell(
                experiment(ratios, asked=question({"uwsgi.processes": level})),
                decision,
                (latency_guard(), MEMORY_HELD) if decision.verdict is Verdict.IMPROVED else (),
                replace(DEFAULT, online=level == 2),
            )
            for level, ratios, decision in levels
        )
    )


def invalid() -> TryFinding:
    """The treatment did not come up: no block at all."""
    decision = Decision(
        verdict=Verdict.INVALID,
        reason="the treatment does not stand: uwsgi did not become ready; bind(): Address in use",
        n=0,
    )
    asked = question({"uwsgi.listen": 4096})
    return found(tell(experiment((), asked=asked), decision, (), replace(ORIGIN, origin_level=100)))


def false_verdict() -> TryFinding:
    """The stack against itself, and unlucky."""
    of = experiment(asked=question({}, kind="aa"))
    nothing = replace(ORIGIN, origin_level=None, origin_is_said=False)
    return found(tell(of, decided(Verdict.IMPROVED, better=41), (), nothing))


def aa() -> TryFinding:
    """The stack against itself, until the budget ended."""
    decision = replace(
        decided(Verdict.INCONCLUSIVE, better=0.4, worse=0.6),
        reason="the budget of 2 min ended after 7 blocks",
    )
    of = experiment(
        (1.01, 0.99, 1.02, 1.0, 0.98, 1.0, 1.01),
        asked=question({}, kind="aa"),
        steal_ratio=0.04,
    )
    nothing = replace(ORIGIN, origin_level=None, origin_is_said=False, online=False)
    return found(tell(of, decision, (), nothing))


def answers() -> TryFinding:
    """Faster, and wrong: it ended before the first block of the second epoch."""
    of = experiment((1.4,), asked=question({"nginx.gzip": True}))
    of.compared = 4
    decision = Decision(
        verdict=Verdict.REGRESSED,
        reason="the treatment answers differently: home: content-type None, not 'text/html'"
        " (and 1 more route)",
        n=1,
    )
    return found(tell(of, decision, (), replace(ORIGIN, origin_level=False)))


def guarded() -> TryFinding:
    """More throughput, later answers: the guardrail broke."""
    guards = (
        latency_guard(ratios=(1.3, 1.36) * 4, answer=BROKEN, reason="worse by 33 %, 10 % allowed"),
        MEMORY_HELD,
    )
    of = experiment(asked=question({"uwsgi.threads": 8}))
    of.is_recorded = True
    return found(tell(of, decided(Verdict.IMPROVED, better=57), guards, ORIGIN))


def unbegun() -> TryFinding:
    """A race whose budget ended before its turn came."""
    decision = Decision(
        verdict=Verdict.INCONCLUSIVE, reason="the budget of 60 s ended after 0 blocks", n=0
    )
    return found(tell(experiment(()), decision, (), ORIGIN))


def inconclusive() -> TryFinding:
    """Forty epochs, and nothing."""
    ratios = (0.9, 1.14, 1.0, 0.96, 1.07) * 8
    of = experiment(ratios, asked=question({"nginx.worker_processes": "auto"}))
    of.unstable, of.unsteady = {"buy": None}, 3
    return found(
        tell(
            of,
            decided(Verdict.INCONCLUSIVE, better=3.2, n=40),
            (),
            replace(ORIGIN, origin_level=None, origin_is_said=False, online=False),
        )
    )


FOUND: dict[str, Callable[[], TryFinding]] = {
    "improved": improved,
    "race": race,
    "invalid": invalid,
    "aa": aa,
    "aa-false": false_verdict,
    "regressed-by-answers": answers,
    "regressed-by-guardrail": guarded,
    "inconclusive": inconclusive,
    "unbegun": unbegun,
}


@pytest.mark.parametrize("name", FOUND)
def test_the_text_is_as_reviewed(name: str) -> None:
    """To accept a change: ``LABCOAT_WRITE_GOLDEN=1``, and read the difference."""
    text = try_text(FOUND[name]())
    golden = GOLDEN / f"{name}.txt"
    if "LABCOAT_WRITE_GOLDEN" in os.environ:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()


def test_no_line_says_nan_or_ends_in_blanks() -> None:
    for make in FOUND.values():
        text = try_text(make())
        assert "nan" not in text.lower()
        assert "None" not in text.replace("content-type None", "")
        assert [line for line in text.splitlines() if line != line.rstrip()] == []


def test_no_golden_text_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(FOUND)


def test_every_verdict_has_its_mark_and_its_word() -> None:
    assert set(MARKS) == set(VERDICTS) == {verdict.value for verdict in Verdict}


@pytest.mark.parametrize(
    ("before", "is_said", "level", "text"),
    [
        (1, True, 2, "uwsgi.processes 1 → 2"),
        (1, False, 2, "uwsgi.processes 1 (default) → 2"),
        (None, False, "auto", "uwsgi.processes unset → auto"),
        (False, True, True, "uwsgi.processes off → on"),
    ],
)
def test_a_change_in_few_words(before: object, is_said: bool, level: object, text: str) -> None:
    (one,) = improved().experiments
    asked = replace(one, origin_level=before, origin_is_said=is_said, level=level)  # type: ignore[arg-type]
    assert change_text(asked) == text


def test_the_evidence_is_told_once_and_only_where_it_decided() -> None:
    for name, times in (("improved", 1), ("regressed-by-guardrail", 0), ("invalid", 0)):
        assert try_text(FOUND[name]()).count("40 needed") == times, name


def test_a_try_comes_back_from_the_journal_as_it_was(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.db") as journal:
        study = journal.begin_study(two_routes(tmp_path))
        with pytest.raises(JournalError, match="nothing was tried to the end"):
            read_try(journal, study.id)
        for make in FOUND.values():
            journal.record_finding(study.id, "try", asdict(make()))
            assert read_try(journal, study.id) == make()
        journal.record_finding(study.id, "try", {"schema": 0})
        with pytest.raises(JournalError, match="another version of labcoat") as caught:
            read_try(journal, study.id)
        assert caught.value.way_out == "ask again: labcoat try KNOB=LEVEL"
