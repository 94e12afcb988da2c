"""``labcoat bench`` as a user calls it: what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from labcoat.testing.http import Received, Reply, ScriptedServer, reply

LABCOAT = (sys.executable, "-c", "from labcoat.cli import main; raise SystemExit(main())")
SHORT = ("-d", "0.3", "--warmup", "0.1", "-c", "2")


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LABCOAT, "bench", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def slow(_: Received) -> Reply:
    return replace(reply(), delay_s=0.02)


def test_a_closed_loop_for_people() -> None:
    with ScriptedServer(slow) as server:
        done = bench(server.target.url + "/x", *SHORT)
    assert done.returncode == 0, done.stdout
    assert "OK answers per second" in done.stdout
    assert "closed loop: not what users see" in done.stdout
    assert "p99.9" in done.stdout
    assert "generator: honest" in done.stdout
    assert done.stderr.splitlines() == [
        f"labcoat bench · {server.target.url}/x · closed loop, 2 users · 0.1 + 0.3 s"
    ]
    assert {request.path for request in server.requests} == {"/x"}


def test_one_document_for_programs() -> None:
    with ScriptedServer(slow) as server:
        done = bench(server.target.url, *SHORT, "--json", "--rate", "50", "--poisson")
    document = json.loads(done.stdout)
    assert set(document) == {
        "schema", "url", "method", "plan", "window", "requests", "throughput_per_s",
        "received_bytes", "latency", "outcomes", "statuses", "errors", "send_lag_p99_s",
        "mean_in_flight", "generator", "honest", "checks", "notes", "routes",
    }  # fmt: skip
    assert document["plan"] == {
        "loop": "open",
        "rate_per_s": 50.0,
        "arrivals": "poisson",
        "connections": 2,
    }
    assert document["outcomes"]["ok"] == document["statuses"]["200"] > 0
    assert document["latency"]["p50_s"] >= 0.02
    assert {check["name"] for check in document["checks"]} >= {"achieved_ratio", "send_lag_p99"}


def test_what_the_flags_send(tmp_path: Path) -> None:
    (tmp_path / "body").write_text("n={1..9}")
    with ScriptedServer() as server:
        done = bench(
            server.target.url + "/a?b={c|d}",
            *SHORT,
            *("-m", "put", "-H", "X-A: 1", "-H", "X-B:2", "--body", f"@{tmp_path}/body"),
            "--no-keep-alive",
        )
    assert done.returncode in {0, 4}, done.stderr
    request = server.requests[-1]
    assert request.method == "PUT"
    assert {each.path for each in server.requests} == {"/a?b=c", "/a?b=d"}
    assert (request.headers["x-a"], request.headers["x-b"]) == ("1", "2")
    assert request.headers["connection"] == "close"
    assert request.body in {b"n=%d" % n for n in range(1, 10)}


def test_errors_of_requests_are_an_answer() -> None:
    with ScriptedServer(lambda _: replace(reply(status=503), delay_s=0.02)) as server:
        done = bench(server.target.url, *SHORT, "--json")
    assert done.returncode == 0
    document = json.loads(done.stdout)
    assert document["throughput_per_s"] == 0
    assert document["latency"]["p99_s"] is None
    assert document["outcomes"]["wrong_status"] == document["errors"] > 0


def test_what_is_not_to_be_trusted_exits_4() -> None:
    with ScriptedServer(slow) as server:
        done = bench(server.target.url, "-d", "0.5", "-c", "1", "--rate", "500")
    assert done.returncode == 4
    assert "NOT TO BE TRUSTED" in done.stdout
    assert "lower the rate" in done.stdout


def test_nothing_listening_exits_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = bench(f"http://127.0.0.1:{port}/")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "error: cannot connect: Connection refused" in done.stderr
    assert "way out" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ftp://a/",), "not a URL to put load on: the scheme is ftp"),
        (("127.0.0.1:80",), "not a URL to put load on"),
        (("http://a/{oops}",), "no such placeholder: {oops}"),
        (("http://a/", "-c", "0"), "0 is not in the range"),
        (("http://a/", "-d", "0"), "0.0 is not in the range"),
        (("http://a/", "--rate", "0"), "0.0 is not in the range"),
        (("http://a/", "--poisson"), "--poisson needs a rate"),
        (("http://a/", "-H", "nonsense"), "not a header"),
        (("http://a/", "--body", "@/no/such/file"), "the body cannot be read"),
        ((), "Missing argument 'URL'"),
    ],
)
def test_mistakes_exit_2(arguments: tuple[str, ...], message: str) -> None:
    done = bench(*(each.replace("http://a/", "http://127.0.0.1:9/") for each in arguments))
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_exits_130(number: signal.Signals) -> None:
    with ScriptedServer(slow) as server:
        process = subprocess.Popen(
            [*LABCOAT, "bench", server.target.url, "-d", "60"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            deadline = time.monotonic() + 20
            while not server.requests and time.monotonic() < deadline:
                time.sleep(0.01)
            process.send_signal(number)
            said, complaint = process.communicate(timeout=20)
    assert server.requests
    assert process.returncode == 130
    assert said == ""
    assert "Traceback" not in complaint


def test_a_terminal_sees_a_live_line() -> None:
    primary, secondary = pty.openpty()
    with ScriptedServer(slow) as server:
        done = subprocess.run(
            [*LABCOAT, "bench", server.target.url, *SHORT],
            stdout=subprocess.PIPE,
            stderr=secondary,
            check=False,
            timeout=60,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
        )
    os.close(secondary)
    shown = os.read(primary, 100_000).decode()
    os.close(primary)
    assert done.returncode == 0
    assert "requests" in shown
    assert "of 0.4 s" in shown


def test_the_help_warns() -> None:
    done = bench("--help")
    assert done.returncode == 0
    assert "it is an attack" in " ".join(done.stdout.split())


MIX = """
[workload]
users = 2
setup = [{ path = "/form", capture = { token = { header = "X-Token" } } }]
requests = [
  { name = "page", path = "/page?t={captured:token}", weight = 3 },
  { name = "form", path = "/form", capture = { token = { header = "X-Token" } } },
]
"""


def test_the_mix_of_a_workload_file(tmp_path: Path) -> None:
    forms = 0

    def script(received: Received) -> Reply:
        nonlocal forms
        if received.path != "/form":
            return replace(reply(), delay_s=0.01)
        forms += 1
        return replace(reply(headers="X-Token: a/b\r\n" if forms <= 2 else ""), delay_s=0.01)

    file = tmp_path / "mix.toml"
    file.write_text(MIX)
    with ScriptedServer(script) as server:
        done = bench(server.target.url, "-d", "0.6", "--warmup", "0", "--workload", str(file))
        refused = bench(f"{server.target.url}/x", "--workload", str(file))
    assert done.returncode == 4, (
        done.stdout
    )  # what came after the lost value was sent with an old one
    assert {request.path for request in server.requests} == {"/form", "/page?t=a%2Fb"}
    assert re.search(r"form .* \d+ not_captured", done.stdout)
    assert re.search(r"✗ answers lacked what was to be captured: \d+ of form", done.stdout)
    assert "note: 2 users were set up in " in done.stdout
    assert refused.returncode == 2
    assert "a workload file says what to send" in refused.stderr
