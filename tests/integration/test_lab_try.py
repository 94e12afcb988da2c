"""``labcoat try`` on a real stack: planted effects are found, and nothing else is.

The app is tiny and slices are short, so that a verdict takes seconds; what is found on the
shop, with slices of a second, stands in docs/explanation/method.md.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from labcoat.errors import JournalError
from labcoat.host.local import LocalHost
from labcoat.journal import Journal
from labcoat.knobs import find
from labcoat.lab.experiment.trying import Treatment, Try, try_levels
from labcoat.lab.study.study_file import read_study
from labcoat.lab.trial.arms import Warm
from labcoat.lab.trial.question import Rhythm
from labcoat.lab.trial.workbench import Workbench, measure_slice
from labcoat.load import Generator
from labcoat.model.domain import Phrase
from labcoat.model.finding import ExperimentFinding
from labcoat.model.knob import ApplyCost, Condition, Knob, Relief, Safety
from labcoat.model.load import ClosedLoop, Window
from labcoat.model.metric import THROUGHPUT
from labcoat.model.variant import Level
from labcoat.stack.standing import Standing
from labcoat.testing.traces import alive_with, is_gone

pytestmark = pytest.mark.slow

LABCOAT = (sys.executable, "-c", "from labcoat.cli import main; raise SystemExit(main())")
RHYTHM = Rhythm(slice_s=0.5, discard_s=0.1)

APP = """
import hashlib, time
import uwsgi

EXTRA = float(uwsgi.opt.get("planted-ratio", b"0"))

def app(environ, start_response):
    began = time.perf_counter()
    body = hashlib.sha256(b"x" * 3_000_000).hexdigest().encode() * 1024
    until = time.perf_counter() + EXTRA * (time.perf_counter() - began)
    while EXTRA and time.perf_counter() < until:
        pass
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""
STUDY = """
name = "tiny"

[app]
wsgi = "tiny:app"

[stack]
nginx = "nginx.conf"
uwsgi = "uwsgi.ini"

[workload]
users = 4
requests = [{ path = "/", name = "home", weight = 3 }, { path = "/again?n={1..9}", name = "again" }]
"""
NGINX = """
worker_processes 1;
events { worker_connections 64; }
http {
    access_log off;
    include mime.types;
    server {
        listen 8080;
        location / { include uwsgi_params; uwsgi_pass 127.0.0.1:3031; }
    }
}
"""
UWSGI = """[uwsgi]
module = tiny:app
master = true
disable-logging = true
socket = 127.0.0.1:3031
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    for name, text in {
        "tiny.py": APP,
        "labcoat.toml": STUDY,
        "nginx.conf": NGINX,
        "uwsgi.ini": UWSGI,
    }.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def soon_warm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny app is warm after half a second of load."""

    def warm_up(bench: Workbench, arms: Sequence[Standing]) -> tuple[Warm, ...]:
        window = Window(measure_s=0.5)
        plan = ClosedLoop(users=bench.study.users)
        for standing in arms:
            measure_slice(bench, standing, plan, window, seed=bench.study.seed)
        return tuple(Warm(standing=each, is_steady=True, warmup_s=0.5) for each in arms)

    monkeypatch.setattr("labcoat.lab.experiment.epoch.warm_up_both", warm_up)


def a_knob(name: str) -> Knob:
    """A row for a setting that no catalogue should offer."""
    return Knob(
        name=name,
        domain=Phrase(pattern=".+", examples=("anything",), form="words"),
        levels=lambda _: (),
        default=(("", None),),
        why="Planted.",
        condition=Condition(text="Planted."),
        cost=ApplyCost.RESTART,
        safety=Safety.SEMANTIC,
        relieves=(Relief.LAYER,),
        prior=0.1,
        source="this test",
        control=True,
    )


def ask(
    project: Path, *levels: tuple[Knob, str], budget_s: float = 120.0, generator: Any = None
) -> tuple[ExperimentFinding, ...]:
    study = read_study(project / "labcoat.toml")
    asked = Try(
        treatments=tuple(Treatment(knob=knob, text=text) for knob, text in levels)
        or (Treatment(),),
        objective=THROUGHPUT,
        margin=0.02,
        budget_s=budget_s,
        rhythm=RHYTHM,
    )
    with Journal.open(project / ".labcoat" / "journal.db") as journal, Generator() as own:
        found = try_levels(
            study,
            asked,
            host=LocalHost(),
            journal=journal,
            generator=generator or own,
            tell_event=lambda _: None,
        )
    json.dumps([str(each) for each in found.experiments])
    return found.experiments


def test_a_planted_delay_is_found_and_a_placebo_is_not(
    project: Path, boxes: Path, soon_warm: None
) -> None:
    planted = a_knob("uwsgi.planted-ratio")
    (slowed,) = ask(project, (planted, "1.0"))
    assert slowed.verdict == "regressed", slowed.reason
    throughput = slowed.compared[0]
    assert throughput.effect_ratio is not None
    assert throughput.effect_ratio < -0.2
    assert slowed.points_up == 0
    assert slowed.layers[1].name == "uwsgi"
    assert (
        slowed.layers[1].treatment_cpu_per_request_s
        > 1.3 * slowed.layers[1].baseline_cpu_per_request_s
    )
    assert slowed.answers_compared > 0
    # Of forty placebos the rule may call one better; two of the same in a row, one in 1,600.
    (same,) = ask(project, (planted, "0"), budget_s=45.0)
    assert same.blocks > 0
    if same.verdict == "improved":
        (same,) = ask(project, (planted, "0.0"), budget_s=45.0)
    assert same.verdict != "improved", same.reason
    assert is_gone(boxes)


def test_a_slower_line_is_a_regression(project: Path, boxes: Path, soon_warm: None) -> None:
    """Each answer is 64 KiB, of which nginx lets 60 through at once; the rest has to wait."""
    (found,) = ask(project, (find("nginx.limit_rate"), "60k"))
    assert found.verdict == "regressed", found.reason
    assert is_gone(boxes)


def test_a_truncating_setting_is_a_regression_however_fast(
    project: Path, boxes: Path, soon_warm: None
) -> None:
    (found,) = ask(project, (a_knob("nginx.return"), '200 "ok"'))
    assert found.verdict == "regressed"
    assert "answers differently" in found.reason
    assert "another body (2 bytes, not 65536) (and 1 more route)" in found.reason
    assert found.blocks == 0
    assert is_gone(boxes)


@pytest.mark.parametrize(
    ("name", "level", "words"),
    [
        ("uwsgi.need-plugin", "no_such_thing", "no_such_thing"),
        ("nginx.worker_shutdown_timeout", "sideways", "worker_shutdown_timeout"),
    ],
)
def test_a_level_that_cannot_start_is_invalid_with_its_words(
    project: Path, boxes: Path, soon_warm: None, name: str, level: Level, words: str
) -> None:
    (found,) = ask(project, (a_knob(name), str(level)))
    assert found.verdict == "invalid"
    assert words in found.reason
    assert is_gone(boxes)


@contextmanager
def starved(generator: Generator) -> Iterator[None]:
    """Let the generator work for a tenth of the time."""
    over = threading.Event()

    def starve() -> None:
        while not over.is_set():
            pid = generator.pid
            if pid is None:
                time.sleep(0.01)
                continue
            os.kill(pid, signal.SIGSTOP)
            time.sleep(0.09)
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.01)

    thread = threading.Thread(target=starve)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_starved_generator_is_invalid_not_equivalent(
    project: Path, boxes: Path, soon_warm: None
) -> None:
    with Generator() as generator, starved(generator):
        (found,) = ask(project, (a_knob("uwsgi.planted-ratio"), "0"), generator=generator)
    assert found.verdict == "invalid"
    assert "generator" in found.reason
    assert is_gone(boxes)


def started(project: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*LABCOAT, "try", *words],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def trials_in(project: Path) -> int:
    try:
        with Journal.open(project / ".labcoat" / "journal.db", read_only=True) as journal:
            return sum(
                len(journal.trials(experiment.id))
                for study in journal.studies()
                for experiment in journal.experiments(study.id)
            )
    except JournalError:  # not made yet, or half made
        return 0


def test_interrupted_and_killed_the_command_goes_on(project: Path, boxes: Path) -> None:
    """SIGINT, then kill -9 at drawn moments after slices were committed; then to an end."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201 - shown when it fails
    coin = Random(seed)
    ask_it = ("--slice", "0.4s", "nginx.server_tokens=off")
    for number, status in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        process = started(project, *ask_it)
        before, deadline = trials_in(project), time.monotonic() + 90
        wanted = before + coin.randint(1, 6)
        while trials_in(project) < wanted and process.poll() is None:
            assert time.monotonic() < deadline, "no slice was committed"
            time.sleep(0.05)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        assert process.returncode == status, err
        if number is signal.SIGINT:
            assert "goes on from there" in err
        assert is_gone(boxes), alive_with(str(boxes))
    process = started(project, *ask_it, "--budget", "20s", "--json")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    (found,) = json.loads(out)["experiments"]
    with Journal.open(project / ".labcoat" / "journal.db", read_only=True) as journal:
        (study,) = journal.studies()
        (experiment,) = journal.experiments(study.id)
        blocks = journal.blocks(experiment.id)
        trials = journal.trials(experiment.id)
    assert found["experiment_id"] == experiment.id
    good = [block for block in blocks if block.void is None]
    assert [block.index for block in good] == list(range(found["blocks"]))
    for block in good:
        mine = [each.trial.position for each in trials if each.trial.block == block.id]
        assert mine == [0, 1, 2, 3]
    assert is_gone(boxes), alive_with(str(boxes))
