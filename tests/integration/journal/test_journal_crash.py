"""kill -9 at drawn moments: what was committed is there once, and nothing is half there."""

from __future__ import annotations

import os
import random
import secrets
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from labcoat.journal import Journal
from labcoat.model.experiment import Order
from labcoat.testing.journal import (
    a_measurement,
    a_study,
    a_trial,
    a_usage,
    assert_same_measurement,
    begun,
)

KILLS = 12
RECORDS = 3000  # wide enough a transaction for some kills to land in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a writer said that it had committed before it was killed."""

    trials: dict[int, str]


def write(where: str, experiment_id: str, start: int) -> None:
    """The child: trials in order, each told of only once it is committed."""
    with Journal.open(where) as journal:
        for index in range(start, 100_000):
            block = journal.record_block(experiment_id, index, Order.ABBA)
            trial = a_trial(experiment_id, block=block.id)
            record = journal.record_trial(trial, a_measurement(RECORDS, seed=index), a_usage())
            print(index, record.id, flush=True)


def killed_writer(where: Path | str, experiment_id: str, start: int, draw: random.Random) -> Told:
    """Let a child write, and kill it a drawn moment after a drawn number of trials."""
    child = subprocess.Popen(
        [sys.executable, __file__, str(where), experiment_id, str(start)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    assert child.stdout is not None
    told: dict[int, str] = {}
    try:
        for _ in range(draw.randint(1, 4)):
            index, trial_id = child.stdout.readline().split()
            told[int(index)] = trial_id
        # A trial takes some milliseconds, so this lands anywhere within one.
        child_ended = _wait(child, draw.uniform(0.0, 0.03))
        assert not child_ended, "the writer ended by itself"
    finally:
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read()
        child.wait()
        child.stdout.close()
    for line in rest.splitlines(keepends=True):
        if line.endswith("\n"):
            index, trial_id = line.split()
            told[int(index)] = trial_id
    return Told(trials=told)


def _wait(child: subprocess.Popen[str], seconds: float) -> bool:
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


@pytest.mark.slow
def test_what_was_committed_survives_kill_9_once_and_whole(where: Path | str) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    with Journal.open(where) as journal:
        _, experiment = begun(journal)
    told: dict[int, str] = {}
    start = 0
    for _ in range(KILLS):
        told |= killed_writer(where, experiment.id, start, draw).trials
        with Journal.open(where) as journal:
            blocks = {block.id: block.index for block in journal.blocks(experiment.id)}
            trials = journal.trials(experiment.id)
            ids = [record.id for record in trials]
            assert len(set(ids)) == len(ids)
            assert set(told.values()) <= set(ids), "a trial that was told of is lost"
            index_of = {record.id: blocks[record.trial.block or ""] for record in trials}
            assert len(set(index_of.values())) == len(trials), "a trial is there twice"
            assert len(trials) - len(told) <= KILLS, "more than one untold trial for each kill"
            for record in trials[-2:]:
                expected = a_measurement(RECORDS, seed=index_of[record.id])
                assert_same_measurement(journal.measurement(record.id), expected)
                assert journal.usage(record.id) == a_usage()
            start = max(blocks.values()) + 1
    with Journal.open(where, read_only=True) as journal:
        for record in journal.trials(experiment.id):
            assert len(journal.measurement(record.id).records) == RECORDS
            assert journal.usage(record.id) == a_usage()


@pytest.mark.slow
def test_a_journal_killed_while_it_is_made_can_be_made(tmp_path: Path) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    script = "import sys; from labcoat.journal import Journal; print('go', flush=True); Journal.open(sys.argv[1])"
    for attempt in range(6):
        path = tmp_path / f"{attempt}.db"
        child = subprocess.Popen(
            [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "go\n"
        _wait(child, draw.uniform(0.0, 0.04))
        child.kill()
        child.wait()
        child.stdout.close()
        with Journal.open(path) as journal:
            study = journal.begin_study(a_study())
            assert journal.studies() == (study,)


if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2], int(sys.argv[3]))
