"""Readers beside a writer, two writers, and what each of them sees."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from labcoat.journal import Journal
from labcoat.testing.journal import a_measurement, a_study, a_trial, a_usage, begun

READER = """
import sys
from labcoat.journal import Journal
where, experiment, wanted = sys.argv[1], sys.argv[2], int(sys.argv[3])
with Journal.open(where, read_only=True) as journal:
    print("reading", flush=True)
    seen = 0
    while seen < wanted:
        trials = journal.trials(experiment)
        assert len(trials) >= seen, "a trial vanished"
        for record in trials[seen:]:
            assert len(journal.measurement(record.id).records) == record.requests == 2000
            assert len(journal.usage(record.id).layers_after) == 4
        seen = len(trials)
    print(seen)
"""
OPENER = """
import sys
from labcoat.journal import Journal
from labcoat.testing.journal import a_study
sys.stdin.readline()
with Journal.open(sys.argv[1]) as journal:
    for _ in range(20):
        journal.begin_study(a_study())
"""


@pytest.mark.slow
def test_another_process_reads_while_this_one_writes(where: Path | str) -> None:
    with Journal.open(where) as journal:
        _, experiment = begun(journal)
        reader = subprocess.Popen(
            [sys.executable, "-c", READER, str(where), experiment.id, "25"],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert reader.stdout is not None
            assert reader.stdout.readline() == "reading\n"
            for index in range(25):
                journal.record_trial(
                    a_trial(experiment.id, position=index), a_measurement(2000), a_usage()
                )
            told, _ = reader.communicate(timeout=60)
        finally:
            reader.kill()
            reader.wait()
    assert (told, reader.returncode) == ("25\n", 0)


@pytest.mark.slow
def test_two_processes_make_and_write_the_same_journal(where: Path | str) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", OPENER, str(where)], stdin=subprocess.PIPE)
        for _ in range(3)
    ]
    try:
        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.write(b"go\n")
            writer.stdin.flush()
        assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
            assert writer.stdin is not None
            writer.stdin.close()
    with Journal.open(where, read_only=True) as journal:
        studies = journal.studies()
    assert len(studies) == 60
    assert {study.fingerprint for study in studies} == {studies[0].fingerprint}


def test_a_reader_that_stays_open_sees_what_is_committed_later(where: Path | str) -> None:
    with Journal.open(where) as writer, Journal.open(where, read_only=True) as reader:
        assert reader.studies() == ()
        study = writer.begin_study(a_study())
        assert reader.studies() == (study,)
