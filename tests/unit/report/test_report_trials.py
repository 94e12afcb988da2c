"""The trials behind a report, as the journal holds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from labcoat.journal import Journal
from labcoat.lab.trial.workbench import Reading
from labcoat.load.summary import summarise
from labcoat.model.experiment import Arm, Order, Trial
from labcoat.model.load import Plan
from labcoat.model.variant import ORIGIN, Variant
from labcoat.report import trials
from labcoat.report.trials import (
    latency_p99_s,
    read_background,
    steal_ratio,
    throughput_per_s,
)
from labcoat.testing import tune
from labcoat.testing.baseline import two_routes
from labcoat.testing.host import FACTS
from labcoat.testing.journal import CLOSED, POISSON, a_measurement


@pytest.mark.parametrize("plan", [CLOSED, POISSON])
@pytest.mark.parametrize("seed", range(5))
def test_a_trial_reads_as_the_lab_read_it(plan: Plan, seed: int) -> None:
    """The report must not import what the lab used, so it counts itself: the same."""
    measurement = a_measurement(500, seed=seed, plan=plan)
    summary = summarise(measurement)
    assert throughput_per_s(measurement) == summary.throughput_per_s
    assert latency_p99_s(measurement) == summary.latency.p99_s
    reading = Reading.of(tune.a_slice(), tune.a_usage())
    assert steal_ratio(tune.a_usage()) == reading.steal_ratio == pytest.approx(0.02)


def test_a_trial_without_an_answer_has_no_latency() -> None:
    assert latency_p99_s(tune.a_slice(0)) is None
    assert throughput_per_s(tune.a_slice(0)) == 0


@pytest.mark.slow
def test_blocks_and_trials_stand_under_their_experiment(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.db") as journal:
        of = tune.record_campaign(journal, tune.interrupted(), blocks=2)
        background = read_background(journal, of.study_id)
        bare = read_background(journal, of.study_id, in_full=False)
    assert background.facts == FACTS
    assert background.labcoat
    first = background.experiments[0]
    assert first.asks == "uwsgi.processes as it was → 2"
    assert [(block.index, block.attempt, block.void) for block in first.blocks] == [
        (0, 0, None),
        (1, 0, "61% of the CPU was stolen"),
        (1, 1, None),
    ]
    assert first.trials == 8
    assert [trial.position for trial in first.blocks[0].trials] == [0, 1, 2, 3]
    trial = first.blocks[0].trials[0]
    assert (trial.throughput_per_s, trial.latency_p99_s) == (20.0, 0.01)
    assert trial.steal_ratio == pytest.approx(0.02)
    assert bare.experiments[0].blocks[0].trials[0].throughput_per_s is None


def test_trials_without_a_block_stand_first_and_blocks_past_the_most_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "FULL_BLOCKS", 3)
    with Journal.open(tmp_path / "journal.db") as journal:
        study = journal.begin_study(two_routes(tmp_path))
        for _ in range(2):
            record = journal.begin_experiment(
                study.id, "sweep", {}, ORIGIN, Variant.of({"nginx.gzip": True}), seed=1
            )
            for index in range(2):
                journal.record_block(record.id, index, Order.ABBA)
            loose = Trial(experiment=record.id, arm=Arm.BASELINE, position=0, variant=ORIGIN)
            journal.record_trial(loose, tune.a_slice(), tune.a_usage())
        one, other = read_background(journal, study.id).experiments
    assert [(len(each.blocks), each.untold) for each in (one, other)] == [(3, 0), (0, 2)]
    assert one.blocks[0].id == ""
    assert one.blocks[0].trials[0].throughput_per_s == 20.0
    assert one.asks == "nginx.gzip as it was → on"
    assert np.isfinite(one.trials)
