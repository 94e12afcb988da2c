"""A baseline as text, against files that are reviewed."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from labcoat.errors import JournalError
from labcoat.journal import Journal
from labcoat.lab.baseline.findings import Gathered, compose
from labcoat.model.baseline import Baseline, Detectable
from labcoat.report.baseline import WIDTH, baseline_text
from labcoat.report.findings import read_baseline
from labcoat.testing.baseline import aa_outcome, gathered, honesty_row, reading, two_routes
from labcoat.testing.host import FACTS

GOLDEN = Path(__file__).parents[2] / "golden" / "baseline"


def found(of: Gathered | None = None) -> Baseline:
    return compose(
        two_routes(),
        "study-1",
        of or gathered(),
        at="2026-01-01T00:00:00+00:00",
        elapsed_s=160.0,
    )


def hopeless() -> Baseline:
    """Nothing that could go wrong went right."""
    outcome = aa_outcome()
    outcome.epochs = [
        [{name: 60 * value for name, value in block.items()} for block in epoch]
        for epoch in outcome.epochs
    ]
    outcome.voids = ["2 errors"]
    failed = (honesty_row("lag", passed=False, value=3.0), honesty_row("cpu"))
    outcome.readings = [
        (each, reading(latencies_s=(), routes=(), errors=1, rows=failed, steal_ratio=0.2))
        for each, _ in outcome.readings
    ]
    whole = gathered(outcome)
    silent = reading(latencies_s=(), routes=(), per_s=0.0)
    baseline = found(
        replace(
            whole,
            steady=False,
            headroom_per_s=None,
            swept={**whole.swept, 16: [silent, silent]},
            open_loop=replace(silent, plan=whole.open_loop.plan),
            account=replace(
                whole.account, layers=dict.fromkeys(whole.account.layers, 0.0), programs_s=1.0
            ),
            explained={},
        )
    )
    noise = replace(
        baseline.noise,
        metrics=tuple(
            replace(each, floor_ratio=None, low_ratio=None, high_ratio=None)
            for each in baseline.noise.metrics
        ),
        detectable=(Detectable(budget_s=300.0, blocks=18, effect_ratio=None),),
    )
    return replace(baseline, noise=noise)


BASELINES = {"ordinary": found, "hopeless": hopeless}


@pytest.mark.parametrize("name", BASELINES)
def test_the_text_is_as_reviewed(name: str) -> None:
    text = baseline_text(BASELINES[name](), FACTS)
    golden = GOLDEN / f"{name}.txt"
    if "LABCOAT_WRITE_GOLDEN" in os.environ:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()


def test_prose_is_folded_between_words_and_tables_are_not() -> None:
    name = "/a/route/that/goes/on/" * 5
    baseline = found()
    routes = (replace(baseline.saturation.routes[0], name=name),)
    saturation = replace(baseline.saturation, routes=routes)
    lines = baseline_text(replace(baseline, saturation=saturation), FACTS).splitlines()
    assert [line.split()[0] for line in lines if len(line) > WIDTH] == ["route", name]


def test_no_line_says_nan_or_ends_in_blanks() -> None:
    for make in BASELINES.values():
        text = baseline_text(make(), FACTS)
        assert "nan" not in text.lower()
        assert [line for line in text.splitlines() if line != line.rstrip()] == []


def test_a_baseline_comes_back_from_the_journal_as_it_was(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.db") as journal:
        study = journal.begin_study(two_routes(tmp_path))
        journal.record_facts(study.id, FACTS)
        with pytest.raises(JournalError, match="no baseline was finished"):
            read_baseline(journal, study.id)
        for make in BASELINES.values():
            baseline = make()
            journal.record_finding(study.id, "baseline", asdict(baseline))
            assert read_baseline(journal, study.id) == (baseline, FACTS)
        journal.record_finding(study.id, "baseline", {"schema": 0})
        with pytest.raises(JournalError, match="another version of labcoat") as caught:
            read_baseline(journal, study.id)
        assert caught.value.way_out == "measure it again: labcoat baseline"
