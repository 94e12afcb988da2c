"""kill -9 at drawn moments: what was committed is there once, and nothing is half there."""

# ruff: noqa: T201 - a child says on stdout what it has committed
from __future__ import annotations

import os
import random
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import pytest
from sqlalchemy import func, select

from labcoat.journal import Journal, schema
from labcoat.model.experiment import Order
from labcoat.testing.journal import (
    a_measurement,
    a_study,
    a_trial,
    a_usage,
    assert_same_measurement,
    begun,
)

KILLS = 25
RECORDS = 3000  # wide enough a transaction for some kills to land in it


def write(where: str, experiment_id: str, start: int) -> None:
    """The writer: trials in order, each told of only once it is committed."""
    with Journal.open(where) as journal:
        for index in range(start, 100_000):
            block = journal.record_block(experiment_id, index, Order.ABBA)
            trial = a_trial(experiment_id, block=block.id)
            record = journal.record_trial(trial, a_measurement(RECORDS, seed=index), a_usage())
            print("trial", index, record.id, flush=True)


def fork_writers(where: str, experiment_id: str) -> None:
    """The nursery: all imports done, a writer for each line that it is told, one at a time."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            write(where, experiment_id, int(line))
        print("writer", pid, "0", flush=True)
        os.waitpid(pid, 0)
        print("ended", pid, "0", flush=True)


class Nursery:
    """A process that gives birth to writers, so that each is killed while it writes."""

    def __init__(self, where: Path | str, experiment_id: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(where), experiment_id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._ask, self._hear = self._process.stdin, self._process.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._ask.close()
        self._process.wait(20)
        self._hear.close()

    def killed_writer(self, start: int, draw: random.Random) -> dict[int, str]:
        """What a writer told of before it was killed, some moment after some trials."""
        self._ask.write(f"{start}\n")
        self._ask.flush()
        told: dict[int, str] = {}
        pid, trials = None, draw.randint(1, 3)
        while pid is None or len(told) < trials:
            word, number, trial_id = self._hear.readline().split()
            assert word != "ended", "the writer ended by itself"
            if word == "writer":
                pid = int(number)
            else:
                told[int(number)] = trial_id
        # A trial takes some milliseconds, so this lands anywhere within one.
        time.sleep(draw.uniform(0.0, 0.03))
        os.kill(pid, signal.SIGKILL)
        while True:
            word, number, trial_id = self._hear.readline().split()
            if word == "ended":
                return told
            told[int(number)] = trial_id


def rows_of_each_table(journal: Journal) -> list[float]:
    """Rows of trials, and of what belongs to them, for each trial; no join hides any."""
    tables = {
        schema.trials: 1,
        schema.measurements: 1,
        schema.host_readings: 2,
        schema.layer_readings: 8,
    }
    with journal._engines.reading.connect() as connection:
        return [
            connection.execute(select(func.count()).select_from(table)).scalar_one() / share
            for table, share in tables.items()
        ]


def check_all_is_there(
    where: Path | str, experiment_id: str, told: dict[int, str], kills: int
) -> int:
    """Every trial that was told of is there once and whole; the next free index."""
    only_reading = kills % 2 == 1  # a reader, too, may be the first after a crash
    with Journal.open(where, read_only=only_reading) as journal:
        blocks = {block.id: block.index for block in journal.blocks(experiment_id)}
        trials = journal.trials(experiment_id)
        index_of = {record.id: blocks[record.trial.block or ""] for record in trials}
        assert len(set(index_of.values())) == len(trials), "a trial is there twice"
        assert {index_of.get(id_) for id_ in told.values()} == set(told), "a trial is lost"
        assert len(trials) - len(told) <= kills, "more than one untold trial for each kill"
        assert rows_of_each_table(journal) == [len(trials)] * 4, "a trial is half there"
        for record in trials[-2:]:
            expected = a_measurement(RECORDS, seed=index_of[record.id])
            assert_same_measurement(journal.measurement(record.id), expected)
            assert journal.usage(record.id) == a_usage()
    return max(blocks.values()) + 1


# Eight seconds on a disk at rest; each kill waits for some syncs, and a busy disk has taken all
# of the usual five minutes for them. The time of each kill tells a slow disk from a hang.
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_what_was_committed_survives_kill_9_once_and_whole(where: Path | str) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    with Journal.open(where) as journal:
        _, experiment = begun(journal)
    told: dict[int, str] = {}
    start = 0
    with Nursery(where, experiment.id) as nursery:
        for kills in range(1, KILLS + 1):
            began = time.monotonic()
            told |= nursery.killed_writer(start, draw)
            print(f"kill {kills} took {time.monotonic() - began:.1f} s")
            start = check_all_is_there(where, experiment.id, told, kills)
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
        time.sleep(draw.uniform(0.0, 0.04))
        child.kill()
        child.wait()
        child.stdout.close()
        with Journal.open(path) as journal:
            study = journal.begin_study(a_study())
            assert journal.studies() == (study,)


if __name__ == "__main__":
    fork_writers(sys.argv[1], sys.argv[2])
