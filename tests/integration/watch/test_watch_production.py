"""``labcoat check`` on a real nginx and Gunicorn: a planted delay is found, nothing else is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from labcoat.cli.door import answer
from labcoat.host.local import LocalHost
from labcoat.host.sandbox import Sandbox
from labcoat.journal import Journal
from labcoat.lab.baseline.phases import load_phase
from labcoat.lab.trial.workbench import Workbench
from labcoat.load import Generator
from labcoat.model.load import Arrivals, ClosedLoop, OpenLoop, Window
from labcoat.model.study import ComponentSpec
from labcoat.stack.rig import Rig
from labcoat.stack.standing import Standing
from labcoat.testing.stack import tiny_study

pytestmark = pytest.mark.slow

APP = """\
import os, time
def app(environ, start_response):
    time.sleep(0.018 if os.path.exists("{planted}") else 0.006)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""
FORMAT = '$remote_addr [$time_local] "$request" $status $request_time'
NGINX = """\
worker_processes 1;
events {{ worker_connections 64; }}
http {{
    log_format timed '{format}';
    access_log access.log timed;
    server {{
        listen 8080;
        location / {{ proxy_pass http://127.0.0.1:8000; }}
    }}
}}
"""
RATE_PER_S = 40.0  # a third of what the worker can: queues add little noise
Capture = pytest.CaptureFixture[str]


def open_loop(rate_per_s: float) -> OpenLoop:
    return OpenLoop(rate_per_s=rate_per_s, arrivals=Arrivals.POISSON, connections=16)


@contextmanager
def measured(tmp_path: Path) -> Iterator[tuple[Workbench, Standing]]:
    """A stack with the phases of a baseline that production is compared with, journaled."""
    conf = tmp_path / "nginx.conf"
    conf.write_text(NGINX.format(format=FORMAT))
    stack = (ComponentSpec(name="nginx", file=conf), ComponentSpec(name="gunicorn"))
    study = tiny_study(tmp_path, stack, source=APP.format(planted=tmp_path / "planted"))
    host = LocalHost()
    with (
        Journal.open(tmp_path / ".labcoat" / "journal.db") as journal,
        Generator() as generator,
        Sandbox.open(host) as sandbox,
        Rig(host, sandbox, study) as rig,
    ):
        record = journal.begin_study(study)
        bench = Workbench(
            study=study,
            study_id=record.id,
            host=host,
            generator=generator,
            journal=journal,
            tell=lambda _: None,
        )
        standing = rig.boot("a")
        alone = [ClosedLoop(users=1)] * 2
        load_phase(bench, standing, "sweep", alone, Window(warmup_s=0.5, measure_s=1.5))
        loaded = [open_loop(1.4 * RATE_PER_S)]
        load_phase(bench, standing, "open loop", loaded, Window(warmup_s=0.5, measure_s=5.0))
        found: dict[str, Any] = {"throughput_per_s": {"value": 120.0}}
        routes = [{"call_cpu_s": None} for _ in study.workload.requests]
        journal.record_finding(record.id, "baseline", {"saturation": {**found, "routes": routes}})
        yield bench, standing


def checked(
    bench: Workbench, standing: Standing, tmp_path: Path, capsys: Capture
) -> tuple[int, dict[str, Any]]:
    """Production for eight seconds, 320 requests; then what the check says of them."""
    time.sleep(1.1)  # the log's seconds are whole: none of an earlier load is in the window
    began_s = time.time()
    window = Window(measure_s=8.0)
    load_phase(bench, standing, "production", [open_loop(RATE_PER_S)], window)
    capsys.readouterr()
    nginx = standing.layers[0]
    status = answer(
        [
            "check",
            *("--access-log", str(nginx.wiring.directory / "access.log")),
            *("--format", FORMAT, "--window", f"{time.time() - began_s:.2f}s"),
            *("--journal", str(tmp_path / ".labcoat" / "journal.db"), "--json"),
        ]
    )
    return status, json.loads(capsys.readouterr().out)


def test_a_planted_delay_is_found_and_a_healthy_stack_is_not_accused(
    tmp_path: Path, boxes: Path, capsys: Capture
) -> None:
    with measured(tmp_path) as (bench, standing):
        status, told = checked(bench, standing, tmp_path, capsys)
        assert (status, told["status"]) == (0, "OK"), told
        assert {row["what"] for row in told["rows"]} >= {"p50", "errors"}

        (tmp_path / "planted").touch()
        status, told = checked(bench, standing, tmp_path, capsys)
        assert (status, told["status"]) == (2, "CRITICAL"), told
        assert "p50 of all routes" in told["headline"]
        assert told["requests"] < 500

        (tmp_path / "planted").unlink()
        status, told = checked(bench, standing, tmp_path, capsys)
        assert status == 0, told
