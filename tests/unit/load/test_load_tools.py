"""What adapters read from outputs of several versions of their tools, failures included."""

from __future__ import annotations

from pathlib import Path

import pytest

from labcoat.errors import LoadError, UsageError
from labcoat.load.tools import GENERATORS, find_tool, tool_for
from labcoat.load.tools.base import Said, ToolOrder, seconds_of

RECORDED = Path(__file__).with_name("recorded")
FILES = {
    "ab": ("percentiles.csv", "{}.csv"),
    "h2load": ("requests.tsv", "{}.tsv"),
    "k6": ("summary.json", "{}.json"),
}


def said(name: str, *, status: int = 0) -> Said:
    """A recording, with the files that belong to it."""
    tool = name.partition("-")[0]
    text = RECORDED / f"{name}.txt"
    words = RECORDED / f"{name}.err"
    files = {}
    pairs = [FILES[tool]] if tool in FILES else []
    for file, pattern in pairs:
        path = RECORDED / pattern.format(name)
        if path.exists():
            files[file] = path.read_text()
    return Said(
        status=status,
        stdout=text.read_text() if text.exists() else "",
        stderr=words.read_text() if words.exists() else "",
        files=files,
    )


@pytest.mark.parametrize(
    ("name", "ok", "wrong", "failed", "elapsed_s", "own_per_s", "p50_s", "max_s", "codes"),
    [
        # ab: 503 is neither failed nor left out of its rate; a reset is complete and no failure.
        ("ab-2.3-ordinary", 2573, 0, 0, 2.0, 1286.21, 0.006119, 0.012414, ()),
        ("ab-2.3-mixed", 2465, 1236, 0, 2.0, 1850.37, 0.005907, 0.007903, ("non_2xx",)),
        ("ab-2.3-reset", 3208, 0, 0, 2.003, 1601.98, 0.005869, 0.009488, ("not_kept",)),
        ("ab-2.2-ordinary", 49988, 0, 12, 8.2394, 6068.41, None, None, ()),
        ("wrk-4.1-ordinary", 2664, 0, 0, 2.0, 1329.74, 0.00594, 0.00786, ()),
        ("wrk-4.1-mixed", 2536, 1271, 0, 2.0, 1898.76, 0.00573, 0.0088, ()),
        ("wrk-4.1-reset", 2602, 0, 652, 2.0, 1300.42, 0.00607, 0.00677, ()),
        ("wrk-4.1-timeout", 8, 0, 8, 3.02, 2.65, 0.0, 0.0, ("timeouts",)),
        ("wrk-4.2-script", 185000, 546, 69, 30.09, 6166.46, 0.0319, 1.99, ("timeouts",)),
        ("h2load-1.52-ordinary", 2616, 0, 0, 2.0, 1308.0, 0.006227, 0.007358, ()),
        ("h2load-1.52-mixed", 2464, 1236, 0, 2.0, 1850.0, 0.005672, 0.008786, ()),
        ("h2load-1.52-reset", 28, 0, 0, 2.01, 14.0, 0.005522, 0.006744, ("idle_clients",)),
        ("h2load-1.30-ordinary", 9990, 10, 0, 1.25, 8000.0, None, None, ()),
        ("h2load-1.69-errored", 6480, 0, 20, 5.0, 1300.0, None, None, ()),
        ("hey-0.1.4-ordinary", 2464, 0, 0, 2.006, 1228.3222, 0.0064, 0.0112, ()),
        ("hey-0.1.4-mixed", 2485, 1242, 0, 2.0029, 1860.8176, 0.0057, 0.0097, ()),
        ("hey-0.1.4-reset", 2544, 0, 16, 2.0044, 1277.1982, 0.0062, 0.0092, ()),
        ("k6-0.49-ordinary", 12000, 0, 0, 10.0, 1200.0, 0.0064, 0.03125, ()),
        ("k6-2.2-failures", 4500, 500, 0, 10.0, 500.0, 0.00625, 1.03125, ("dropped_iterations",)),
        ("locust-2.47-mixed", 2813, 1406, 0, 2.598062, 1623.903, 0.006, 0.050425, ()),
        ("locust-2.20-mixed", 654, 0, 327, 1.63768, 599.018, 0.011, 0.069, ()),
        ("gobench-2016-ordinary", 110705, 0, 0, 10.0, 11070, None, None, ("whole_seconds",)),
        ("gobench-2016-failures", 9000, 250, 150, 2.0, 4500, None, None, ("whole_seconds",)),
        ("gobench-fork-ordinary", 658917, 0, 0, 10.002748474, 65873, None, None, ()),
    ],
)
def test_what_is_read(  # noqa: PLR0917 one argument for each column
    name: str,
    ok: int,
    wrong: int,
    failed: int,
    elapsed_s: float,
    own_per_s: float,
    p50_s: float | None,
    max_s: float | None,
    codes: tuple[str, ...],
) -> None:
    told = find_tool(name.partition("-")[0]).read(said(name))
    assert (told.ok, told.wrong_status, told.failed) == (ok, wrong, failed)
    assert told.elapsed_s == pytest.approx(elapsed_s, rel=1e-4)
    assert told.own_per_s == pytest.approx(own_per_s, rel=1e-6)
    assert told.latencies_s.get(0.5) == (None if p50_s is None else pytest.approx(p50_s))
    assert told.max_s == (None if max_s is None else pytest.approx(max_s, rel=1e-4))
    assert tuple(each.code for each in told.warnings) == codes


@pytest.mark.parametrize(
    ("name", "status", "expected"),
    [
        ("ab-2.3-aborted", 111, "Connection refused"),
        ("ab-2.3-refused", 0, "nothing was answered"),
        ("wrk-4.1-refused", 1, "Connection refused"),
        ("h2load-1.52-refused", 0, "nothing was answered"),
        ("h2load-1.52-crashed", -6, "did not say how it finished"),
        ("hey-0.1.4-refused", 0, "connection refused"),
        ("hey-0.1.4-timeout", 0, "Client.Timeout exceeded"),
        ("k6-2.2-refused", 0, "nothing was answered well"),
        ("locust-2.47-refused", 0, "nothing was answered"),
        ("gobench-2016-refused", 0, "nothing was answered"),
        *((f"{tool.name}-none", 1, "gave no result") for tool in GENERATORS),
    ],
)
def test_what_is_no_result(name: str, status: int, expected: str) -> None:
    with pytest.raises(LoadError) as caught:
        find_tool(name.partition("-")[0]).read(said(name, status=status))
    assert expected in str(caught.value)
    assert f"exit status {status}" in str(caught.value)


def test_every_wrong_answer_is_told_and_no_throughput() -> None:
    for name in ("ab-2.3-busy", "wrk-4.1-busy", "h2load-1.52-busy", "hey-0.1.4-busy"):
        told = find_tool(name.partition("-")[0]).read(said(name))
        assert told.ok == 0
        assert told.wrong_status > 0
        assert told.throughput_per_s == 0.0
        assert told.own_per_s > 1000  # what the tool itself calls its rate


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("453.00us", 453e-6), ("7.86ms", 0.00786), ("1.20s", 1.2), ("1m2.5s", 62.5), ("2.00h", 7200)],
)
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of(text) == pytest.approx(seconds)


def test_scripts_are_used_as_they_are(tmp_path: Path) -> None:
    for suffix, name in ((".py", "locust"), (".js", "k6"), (".lua", "wrk")):
        script = tmp_path / f"mine{suffix}"
        script.write_text("")
        tool = tool_for(script)
        assert tool.name == name
        order = ToolOrder(url="http://127.0.0.1:1/", users=2, measure_s=1, script=script)
        assert str(script) in tool.argv(order, tmp_path)
        assert tool.files(order) == {}
    with pytest.raises(UsageError, match="no tool takes a script"):
        tool_for(Path(__file__).with_name("recorded") / "README.md")
    with pytest.raises(UsageError, match="no such script"):
        tool_for(tmp_path / "absent.lua")
    with pytest.raises(UsageError, match="no load tool 'siege'"):
        find_tool("siege")


def test_what_a_tool_cannot_do_is_said() -> None:
    order = ToolOrder(url="http://127.0.0.1:1/", users=2, measure_s=1, keep_alive=False)
    assert find_tool("h2load").lacks(order) == "h2load always keeps its connections"
    assert find_tool("wrk").lacks(order) is None
    order = ToolOrder(url="http://h/", users=2, measure_s=1, headers=(("A", "b"),))
    assert find_tool("gobench").lacks(order) == "gobench sends no headers of your own"
    order = ToolOrder(url="http://h/", users=2, measure_s=1, method="PATCH", body="x")
    assert "PATCH" in (find_tool("ab").lacks(order) or "")
