"""The contract of other people's load tools: real slices of them on a server of ours."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from labcoat.errors import LoadError
from labcoat.host.local import LocalHost
from labcoat.load.tools.base import LoadTool, ToolOrder
from labcoat.load.tools.running import Found, locate, run_tool
from labcoat.testing.http import Received, Reply, ScriptedServer, reply

KEPT = "Connection: keep-alive\r\n"
"""ab speaks HTTP/1.0, in which a connection that is kept must be said to be."""


def answers(received: Received) -> Reply:
    """A hundred bytes, after 5 ms."""
    del received
    return replace(reply(b"x" * 100, headers=KEPT), delay_s=0.005)


class LoadToolContract:
    """What every adapter must do with its real tool; subclass it with a fixture ``tool``.

    A tool that is not installed fails here: it is an error of the setup. No absolute time is
    asserted but the planted stall, which is larger than any noise.
    """

    def test_the_same_order_gives_the_same_command(self, tool: LoadTool, tmp_path: Path) -> None:
        order = ToolOrder(url="http://127.0.0.1:1/", users=3, measure_s=1.2)
        assert tool.argv(order, tmp_path) == tool.argv(order, tmp_path)
        assert tool.argv(order, tmp_path)[0] == tool.name
        longer = ToolOrder(url="http://127.0.0.1:1/", users=3, measure_s=9.0)
        assert tool.argv(longer, tmp_path) != tool.argv(order, tmp_path)

    def test_counts_agree_with_the_server(self, tool: LoadTool) -> None:
        with ScriptedServer(answers) as server:
            order = ToolOrder(url=f"{server.target.url}/", users=4, measure_s=1)
            found = _found(tool, order)
            told = run_tool(found, order, LocalHost(), cores=2).told
            served = len(server.requests)
        assert 0 < told.ok <= served
        assert told.ok >= 0.9 * served  # what is in flight at the end is nobody's
        assert told.wrong_status == told.failed == 0
        assert told.max_s is None or told.max_s >= 0.004

    def test_a_refused_request_is_no_throughput(self, tool: LoadTool) -> None:
        statuses = itertools.cycle((200, 503))

        def every_other(received: Received) -> Reply:
            del received
            return replace(reply(status=next(statuses), headers=KEPT), delay_s=0.005)

        with ScriptedServer(every_other) as server:
            order = ToolOrder(url=f"{server.target.url}/", users=4, measure_s=1)
            told = run_tool(_found(tool, order), order, LocalHost(), cores=2).told
        assert told.wrong_status > 10
        assert abs(told.ok - told.wrong_status) <= 10

    def test_a_stall_shows_or_is_said_to_hide(self, tool: LoadTool) -> None:
        def stalls_once(received: Received) -> Reply:
            if len(server.requests) == 1:  # from there, for some tools take seconds to begin
                server.stall(1.0, after_s=1.0)
            return answers(received)

        with ScriptedServer(stalls_once) as server:
            order = ToolOrder(url=f"{server.target.url}/", users=2, measure_s=4)
            told = run_tool(_found(tool, order), order, LocalHost(), cores=2).told
        assert told.max_s is not None
        assert told.max_s > 0.8
        is_hidden = told.latencies_s[0.99] < 0.5
        assert is_hidden == tool.hides_stalls

    def test_what_is_sent(self, tool: LoadTool) -> None:
        with ScriptedServer(answers) as server:
            order = ToolOrder(
                url=f"{server.target.url}/a?b=c",
                users=1,
                measure_s=1,
                method="POST",
                headers=(("X-A", "1 2"),),
                body='{"n": "é\\"}',
            )
            run_tool(_found(tool, order), order, LocalHost(), cores=2)
            asked = server.requests[-1]
        assert (asked.method, asked.path) == ("POST", "/a?b=c")
        assert asked.headers["x-a"] == "1 2"
        assert asked.body == '{"n": "é\\"}'.encode()

    def test_nobody_listening_is_an_error(self, tool: LoadTool) -> None:
        order = ToolOrder(url="http://127.0.0.1:1/", users=2, measure_s=1)
        with pytest.raises(LoadError) as caught:
            run_tool(_found(tool, order), order, LocalHost(), cores=2)
        assert tool.name in caught.value.what
        assert caught.value.way_out


def _found(tool: LoadTool, order: ToolOrder) -> Found:
    return locate(tool, order, LocalHost())
