"""``labcoat tune`` on a real stack: killed again and again, it finds what was planted.

The campaign is the real one but for three things that keep it to minutes: the catalogue has
two rows, an instance counts as warm after a second of load, and a confirmation has six epochs.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

from labcoat.errors import JournalError
from labcoat.journal import Journal
from labcoat.testing.traces import alive_with, is_gone

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

KILLS = 5

# ``labcoat`` with a catalogue of two: one level takes the planted delay away, the other does nothing.
DRIVER = """\
import functools
from labcoat.cli import main
from labcoat.lab.baseline.pace import Pace
from labcoat.lab.campaign import asked, course, tuning
from labcoat.lab.trial import arms
from labcoat.lab.trial.steady import Steadiness
from labcoat.model.knob import Relief
from labcoat.model.load import Window
from labcoat.testing.campaign import a_knob

knobs = (
    a_knob("uwsgi.placebo-note", "nothing", prior=0.5, relieves=(Relief.APP,)),
    a_knob("uwsgi.planted-ratio", 0, prior=0.4, relieves=(Relief.APP,)),
)
pace = Pace(
    sweep_rounds=1, sweep=Window(warmup_s=0.1, measure_s=0.2), account_slices=1,
    account=Window(measure_s=1.0), open_loop=Window(warmup_s=0.2, measure_s=1.0), epochs=6,
    blocks_per_epoch=1, slice_s=0.3, discard_s=0.1, call_s=0.5,
)
asked.Tune = functools.partial(asked.Tune, knobs=knobs)
arms.BINS = 1
arms.steadiness = lambda _: Steadiness(is_steady=True, spread_ratio=0.0, trend_ratio=0.0)
course.EPOCHS = course.LEAST_EPOCHS = 6
tuning.pace_of = lambda _: pace
raise SystemExit(main())
"""
APP = """\
import hashlib, time

try:
    import uwsgi
    EXTRA = float(uwsgi.opt.get("planted-ratio", b"0"))
except ImportError:  # called without its server
    EXTRA = 0.0

def app(environ, start_response):
    began = time.perf_counter()
    body = hashlib.sha256(b"x" * 3_000_000).hexdigest().encode()
    until = time.perf_counter() + EXTRA * (time.perf_counter() - began)
    while EXTRA and time.perf_counter() < until:
        pass
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""
STUDY = """\
name = "tiny"

[app]
wsgi = "tiny:app"

[stack]
uwsgi = "uwsgi.ini"

[workload]
users = 4
requests = [{ path = "/", name = "home" }]
"""
UWSGI = """\
[uwsgi]
; the user's own words
module = tiny:app
master = true
disable-logging = true
planted-ratio = 3
http-socket = 127.0.0.1:8080
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    for name, text in {"tiny.py": APP, "labcoat.toml": STUDY, "uwsgi.ini": UWSGI}.items():
        (folder / name).write_text(text)
    return folder


def digests(project: Path) -> dict[str, str]:
    """Of everything that is the user's."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(project.iterdir())
        if path.is_file()
    }


def started(project: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, "tune", "--budget", "12m", "--slice", "0.4s", "--json"],
        cwd=project,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def trials_in(project: Path, *, of_baseline: bool) -> int:
    """Of the campaign's own experiments, or of all; only those have a rule."""
    try:
        with Journal.open(project / ".labcoat" / "journal.db", read_only=True) as journal:
            return sum(
                len(journal.trials(experiment.id))
                for study in journal.studies()
                for experiment in journal.experiments(study.id)
                if of_baseline or "rule" in experiment.question
            )
    except JournalError:  # not made yet, or half made
        return 0


def test_killed_at_drawn_moments_it_finds_what_was_planted_and_no_placebo(
    project: Path, boxes: Path
) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201 - shown when it fails
    coin = Random(seed)
    before = digests(project)
    for kills in range(KILLS):
        process = started(project)
        is_first = kills == 0  # within the baseline, which a later sitting measures once
        wanted = trials_in(project, of_baseline=is_first) + coin.randint(1, 8)
        deadline = time.monotonic() + 180
        while trials_in(project, of_baseline=is_first) < wanted:
            assert process.poll() is None, process.communicate()  # too soon to be killed so often
            assert time.monotonic() < deadline, "no slice was committed"
            time.sleep(0.05)
        time.sleep(coin.uniform(0, 1))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        assert is_gone(boxes), alive_with(str(boxes))
    process = started(project)
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    found = json.loads(out)
    assert found["outcome"] == "improved", found["sentence"]
    assert found["handover"]["assignment"] == [["uwsgi.planted-ratio", 0]]
    assert found["confirmation"]["low_ratio"] > 0.5
    assert found["confirmation"]["epochs"] == 6
    assert [step["change"]["knob"] for step in found["steps"] if step["is_kept"]] == [
        "uwsgi.planted-ratio"
    ]
    assert_each_trial_once(project, found)
    assert digests(project) == before
    assert is_gone(boxes), alive_with(str(boxes))
    assert_patch_applies(project)


def assert_each_trial_once(project: Path, found: dict[str, Any]) -> None:
    told = {
        each["experiment_id"]: each["blocks"]
        for each in (
            *(step["experiment"] for step in found["steps"]),
            *(each for row in found["considered"] for each in row["experiments"]),
            found["confirmation"]["experiment"],
        )
    }
    with Journal.open(project / ".labcoat" / "journal.db", read_only=True) as journal:
        records = [
            record for study in journal.studies() for record in journal.experiments(study.id)
        ]
        kinds = [record.kind for record in records if record.kind in {"confirmation", "guard"}]
        assert sorted(kinds) == ["confirmation", "guard"]
        for record in records:
            if "rule" not in record.question:
                continue  # the A/A of a baseline that was killed is begun anew
            good = [block for block in journal.blocks(record.id) if block.void is None]
            assert [block.index for block in good] == list(range(len(good)))
            if record.id in told:
                assert len(good) == told[record.id]
            trials = journal.trials(record.id)
            for block in good:
                mine = [each.trial.position for each in trials if each.trial.block == block.id]
                assert mine == [0, 1, 2, 3]


def assert_patch_applies(project: Path) -> None:
    subprocess.run(
        ["git", "apply", str(project / ".labcoat" / "tuned.patch")], cwd=project, check=True
    )
    assert (project / "uwsgi.ini").read_text() == UWSGI.replace(
        "planted-ratio = 3", "planted-ratio = 0"
    )
