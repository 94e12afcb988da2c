"""``labcoat bench --tool`` and ``--load`` as a user calls them, with the real tools."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from labcoat.testing.http import Received, Reply, ScriptedServer, reply

LABCOAT = (sys.executable, "-c", "from labcoat.cli import main; raise SystemExit(main())")


def bench(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LABCOAT, "bench", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=cwd,
    )


def patient(_: Received) -> Reply:
    """Far from any limit: so many users, each answered after 50 ms."""
    return replace(reply(headers="Connection: keep-alive\r\n"), delay_s=0.05)


def test_four_tools_agree_where_the_target_is_the_limit() -> None:
    with ScriptedServer(patient) as server:
        done = bench(
            server.target.url, "--tool", "ab,wrk,h2load,hey", "-c", "4", "-d", "1",
            *("--rounds", "3", "--json"),
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    tools = {each["tool"]: each for each in document["tools"]}
    assert list(tools) == ["labcoat", "ab", "wrk", "h2load", "hey"]
    assert {each["bottleneck"] for each in tools.values()} <= {"target", "cpus"}
    assert all(len(each["rounds"]) == 3 for each in tools.values())
    with_own = [pair for pair in document["pairs"] if pair["first"] == "labcoat"]
    assert len(with_own) == 4
    assert sum(pair["answer"] != "differ" for pair in with_own) >= 3
    assert all(pair["why"] for pair in document["pairs"] if pair["answer"] == "differ")
    assert "round 3 of 3" in done.stderr


def test_a_script_is_used_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.lua").write_text('dofile("path.lua")\n')  # found where labcoat was started
    (tmp_path / "path.lua").write_text('wrk.path = "/from/lua"\n')
    with ScriptedServer(patient) as server:
        done = bench(
            server.target.url, "--load", "mine.lua", "-c", "2", "-d", "1", "--rounds", "2",
            cwd=tmp_path,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {each.path for each in server.requests} == {"/from/lua"}
    assert "bottleneck" in done.stdout
    assert "not what users see" in done.stdout


@pytest.mark.parametrize(
    ("flags", "code", "expected"),
    [
        (("--tool", "ab,siege"), 2, "there is no load tool 'siege'"),
        (("--tool", "gobench"), 1, "gobench is not installed"),
        (("--tool", "ab", "--rate", "10"), 2, "they keep no rate"),
        (("--tool", "h2load", "--no-keep-alive"), 2, "h2load always keeps its connections"),
        (("--load", "absent.lua"), 2, "there is no such script"),
        (("--load", __file__, "--tool", "ab"), 2, "give one of them"),
        (("--tool", "ab", "-H", "X: {1..5}"), 2, "the other tools know no placeholders"),
        (("--tool", "ab", "--unix-socket", "/x"), 2, "leave out --tool"),
    ],
)
def test_what_cannot_be_done_fails_before_anything_starts(
    flags: tuple[str, ...], code: int, expected: str
) -> None:
    with ScriptedServer() as server:
        done = bench(server.target.url, *flags)
    assert done.returncode == code, done.stdout + done.stderr
    assert expected in done.stderr
    assert server.connections == 0


def test_errors_are_no_throughput() -> None:
    def busy(_: Received) -> Reply:
        return reply(status=503, headers="Connection: keep-alive\r\n")

    with ScriptedServer(busy) as server:
        done = bench(server.target.url, "--tool", "ab", "-d", "1", "--rounds", "2")
    assert done.returncode == 1
    assert "was not answered well once" in done.stderr
