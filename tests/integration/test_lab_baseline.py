"""A real baseline of a tiny app under a real server: whole, closed, and nothing left behind."""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from random import Random

import pytest

from labcoat.host.local import LocalHost
from labcoat.journal import Journal
from labcoat.lab.baseline.baseline import measure_baseline
from labcoat.lab.baseline.pace import Pace
from labcoat.lab.study.study_file import read_study
from labcoat.lab.trial.events import Event, PhaseFinished
from labcoat.load import Generator
from labcoat.model.load import Window
from labcoat.report.baseline import baseline_text
from labcoat.report.findings import read_baseline
from labcoat.testing.traces import alive_with, is_gone

pytestmark = pytest.mark.slow

LABCOAT = (sys.executable, "-c", "from labcoat.cli import main; raise SystemExit(main())")

# Some milliseconds of work, as an app has, and threads, for they keep connections alive: to
# close one after each answer is time in which a user has no request in flight, and too much
# of it to be honest as soon as other programs keep the generator waiting.
APP = """
import hashlib

def app(environ, start_response):
    body = hashlib.sha256(b"x" * 2_000_000).hexdigest().encode() * 4
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""

STUDY = """
name = "tiny"

[app]
wsgi = "tiny:app"

[stack]
gunicorn = { options = { workers = 2, threads = 2 } }

[workload]
users = 4
requests = [{ path = "/", name = "home", weight = 3 }, { path = "/again?n={1..9}", name = "again" }]
"""

SHORT = Pace(
    sweep_rounds=2,
    sweep=Window(warmup_s=0.1, measure_s=0.2),
    account_slices=1,
    account=Window(measure_s=2.0),
    open_loop=Window(warmup_s=0.2, measure_s=1.0),
    epochs=6,
    blocks_per_epoch=1,
    slice_s=0.2,
    discard_s=0.1,
    call_s=0.5,
)
PHASES = ("headroom", "boot", "sweep", "A/A", "account", "open loop", "ceiling")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "tiny.py").write_text(APP)
    (folder / "labcoat.toml").write_text(STUDY)
    return folder


def read_everything(journal: Path) -> dict[str, int]:
    """Every committed trial, with its records and its readings; counted by kind."""
    counts: dict[str, int] = {}
    with Journal.open(journal) as opened:
        for study in opened.studies():
            for experiment in opened.experiments(study.id):
                trials = opened.trials(experiment.id)
                for record in trials:
                    measurement = opened.measurement(record.id)
                    assert len(measurement.records) == record.requests
                    assert opened.usage(record.id).layers_after.keys() == {"gunicorn"}
                counts[experiment.kind] = counts.get(experiment.kind, 0) + len(trials)
    return counts


def test_a_whole_baseline(project: Path, boxes: Path) -> None:
    study = read_study(project / "labcoat.toml")
    events: list[Event] = []
    path = project / ".labcoat" / "journal.db"
    with Journal.open(path) as journal, Generator() as generator:
        found = measure_baseline(
            study,
            host=LocalHost(),
            journal=journal,
            generator=generator,
            tell=events.append,
            pace=SHORT,
        )
        again, facts = read_baseline(journal, found.study_id)
    assert again == found
    json.dumps(asdict(found), allow_nan=False)
    assert tuple(e.name for e in events if isinstance(e, PhaseFinished)) == PHASES
    parts = {part.name: part.share_ratio for part in found.waterfall.parts}
    # Others go on while a census is taken, and what ignored children spent is lost. A quarter
    # of their share is no licence: time counted twice would be part of it, and miss by all of it.
    disturbed_ratio = parts["other programs"] + parts["stolen"]
    assert 0 <= disturbed_ratio < 1
    assert abs(found.waterfall.closure_ratio) < 0.05 + disturbed_ratio / 4
    # The ideal is measured seconds later than the throughput, on a machine that others use.
    assert 0 < found.ceiling.efficiency_ratio < 1.3 * (1 + disturbed_ratio)
    assert found.saturation.errors == found.responsiveness.errors == 0
    assert [route.name for route in found.saturation.routes] == ["home", "again"]
    assert all(route.mean_bytes == 256 for route in found.saturation.routes)
    assert all(route.call_cpu_s for route in found.saturation.routes)
    assert [point.users for point in found.sweep] == [1, 2, 4, 8]
    assert [layer.name for layer in found.layers] == ["gunicorn"]
    assert parts["app"] > parts["labcoat"]
    assert found.ceiling.call_database_cpu_s == 0.0
    assert found.ceiling.call_app_cpu_s == pytest.approx(found.ceiling.call_cpu_s)
    assert f"labcoat baseline · tiny · gunicorn {found.layers[0].version}" in baseline_text(
        found, facts
    )
    kinds = read_everything(path)
    assert kinds.pop("aa") >= 24  # the slices of void blocks are kept too
    assert kinds == {"sweep": 8, "account": 1, "open loop": 1}
    assert is_gone(boxes)


def started(project: Path) -> subprocess.Popen[str]:
    """``labcoat baseline`` as a user starts it, once it has opened its journal."""
    process = subprocess.Popen(
        [*LABCOAT, "baseline", "--quick", "--json"],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (project / ".labcoat").exists() and process.poll() is None:
        time.sleep(0.01)
    return process


def end(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str, str]:
    """Status and words of a labcoat that gets a signal; it is not left behind if it hangs."""
    try:
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_at_any_moment_nothing_is_left(
    project: Path, boxes: Path, number: signal.Signals
) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201 - shown when it fails
    moment_s = Random(seed).uniform(0.0, 14.0)
    process = started(project)
    time.sleep(moment_s)
    assert process.poll() is None
    status, out, err = end(process, number)
    if number is signal.SIGKILL:
        assert (status, out) == (-signal.SIGKILL, "")
    else:
        assert status == 130, err
        assert json.loads(out)["error"]["kind"] == "Interrupted"
        assert "Traceback" not in err
    assert is_gone(boxes), alive_with(str(boxes))
    read_everything(project / ".labcoat" / "journal.db")


def test_a_fresh_baseline_starts_where_a_killed_one_lay(project: Path, boxes: Path) -> None:
    path = project / ".labcoat" / "journal.db"
    for number, status in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 130)):
        process = started(project)
        before = sum(read_everything(path).values())
        deadline = time.monotonic() + 90
        while sum(read_everything(path).values()) == before and process.poll() is None:
            assert time.monotonic() < deadline, "no slice was committed"
            time.sleep(0.3)
        ended, _, err = end(process, number)
        assert ended == status, err
    assert is_gone(boxes), alive_with(str(boxes))
    kinds = read_everything(path)
    assert kinds["sweep"] >= 2
    with Journal.open(path) as journal:
        assert len(journal.studies()) == 2
