"""``labcoat check``: what is read of a log, what is compared, and what is said."""

from __future__ import annotations

import gzip
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from labcoat.cli.door import answer
from labcoat.errors import UsageError
from labcoat.watch.model.status import Status
from labcoat.watch.perfdata.output import parse
from labcoat.watch.production import log_end
from labcoat.watch.production.compare import Compared, Cpu, compare, kept
from labcoat.watch.production.log_end import read_end
from labcoat.watch.production.promises import promise_of
from labcoat.watch.production.reference import Phase, Reference, logged_ms
from labcoat.watch.production.routes import Matcher
from labcoat.watch.production.spending import handled, read_pid
from labcoat.watch.production.traffic import Traffic
from labcoat.watch.production.verdict import Checked, text_of
from labcoat.workload.log_format import COMBINED, given_format

TIMED = given_format(COMBINED + " $request_time")
Capture = pytest.CaptureFixture[str]
NOW = 1_790_000_000


def took(rng: np.random.Generator, n: int, mean_s: float = 0.02) -> np.ndarray:
    return mean_s * rng.lognormal(0.0, 0.4, n)


def phase(seed: int, rate_per_s: float, n: int = 8000, mean_s: float = 0.02) -> Phase:
    rng = np.random.default_rng(seed)
    return Phase(
        rate_per_s=rate_per_s,
        took_s=took(rng, n, mean_s),
        route=rng.integers(0, 2, n).astype(np.int16),
        cpu_per_request_s=(0.0101, 0.0099, 0.01),
    )


def reference() -> Reference:
    return Reference(
        at=datetime(2026, 1, 1, tzinfo=UTC),
        state=1,
        routes=("home", "item"),
        requests=(
            {"name": "home", "method": "GET", "path": "/"},
            {"name": "item", "method": "GET", "path": "/item/{1..9}"},
        ),
        alone=phase(1, 50.0),
        loaded=phase(2, 200.0),
        saturation_per_s=280.0,
        errors=0,
        answered=10_000,
        calls_cpu_s=(0.01, 0.01),
    )


def traffic(
    seed: int, *, slower: float = 1.0, n: int = 30_000, errors: float = 0.0, timed: bool = True
) -> Traffic:
    rng = np.random.default_rng(seed)
    route = rng.integers(0, 2, n).astype(np.int16)
    ms = logged_ms(took(rng, n) * np.where(route == 1, slower, 1.0), rng)
    return Traffic(
        second=np.sort(rng.integers(NOW - 300, NOW, n)),
        took_ms=ms if timed else np.full(n, -1, np.int32),
        route=route,
        status=np.where(rng.random(n) < errors, 500, 200).astype(np.int16),
        since_s=NOW - 300,
        until_s=NOW,
    )


def worst_of(found: Compared) -> Status:
    return max([row.status for row in found.rows] + [Status.UNKNOWN for _ in found.troubles])


def test_a_healthy_stack_is_not_accused() -> None:
    accused = [seed for seed in range(20) if worst_of(compare(traffic(seed), reference()))]
    assert accused == []


@pytest.mark.parametrize(("slower", "status"), [(1.15, Status.WARNING), (1.5, Status.CRITICAL)])
def test_a_slower_route_is_found_and_the_other_is_not(slower: float, status: Status) -> None:
    rows = {(r.of, r.what): r for r in compare(traffic(3, slower=slower), reference()).rows}
    slow = rows["item", "p50"]
    assert slow.status is status
    assert slow.low is not None
    assert slow.low < slower < 1.1 * slow.low
    assert rows["home", "p50"].status is Status.OK


def test_errors_beyond_the_baselines_are_found() -> None:
    rows = {r.what: r for r in compare(traffic(4, errors=0.02), reference()).rows}
    assert rows["errors"].status is Status.CRITICAL


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (traffic(5, n=100), "say nothing"),
        (traffic(5, n=90_000), "beyond the baseline's"),
    ],
)
def test_what_cannot_be_told_is_unknown_with_a_way_out(found: Traffic, said: str) -> None:
    compared = compare(found, reference())
    assert said in compared.troubles[0].what
    assert compared.troubles[0].way_out


def test_strange_traffic_is_unknown() -> None:
    strange = traffic(6)
    strange.route[:] = -1
    assert "of the baseline's workload" in compare(strange, reference()).troubles[0].what


def test_a_log_without_times_compares_errors_and_says_so() -> None:
    found = compare(traffic(7, timed=False), reference())
    assert [row.what for row in found.rows] == ["errors"]
    assert "$request_time" in found.notes[0]


@pytest.mark.parametrize(("factor", "status"), [(1.0, Status.OK), (1.6, Status.CRITICAL)])
def test_cpu_per_request_is_compared(factor: float, status: Status) -> None:
    rng = np.random.default_rng(8)
    requests = rng.integers(45, 55, 12).astype(float)
    spent = requests * 0.01 * factor * rng.lognormal(0, 0.02, 12)
    cpu = Cpu(cpu_s=spent, requests=requests, each_s=0.5)
    rows = {r.what: r for r in compare(traffic(8), reference(), cpu=cpu).rows}
    assert rows["CPU per request"].status is status


def test_promises_are_facts_of_the_window() -> None:
    asked = [promise_of(text) for text in ("p99=10ms", "p50=1s", "errors=1%")]
    found = [row.status for row in kept(traffic(9), asked) if hasattr(row, "status")]
    assert found == [Status.CRITICAL, Status.OK, Status.OK]


@pytest.mark.parametrize("text", ["p99", "p0=1s", "p99=fast", "errors=1", "errors=200%", ""])
def test_a_bad_promise_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="SLO"):
        promise_of(text)


def test_the_plugin_line_is_read_back() -> None:
    compared = compare(traffic(10, slower=1.5), reference())
    checked = Checked(
        rows=compared.rows,
        troubles=(),
        notes=(),
        rate_per_s=100.0,
        most_per_s=210.0,
        requests=30_000,
        window_s=300,
        against="x",
    )
    output = parse(text_of(checked))
    assert output.text.startswith("LABCOAT CRITICAL - ")
    assert output.skipped == 0
    labels = {sample.label: sample for sample in output.samples}
    ratio = labels["item p50 ratio"]
    assert ratio.value is not None
    assert ratio.critical is not None
    assert ratio.critical.alerts(ratio.value)
    assert labels["item p50"].uom == "s"


# -- the log ---------------------------------------------------------------------------


def line(second: int, target: str = "/", *, ms: int = 5, status: int = 200) -> bytes:
    at = datetime.fromtimestamp(second, tz=UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
    return (
        f'127.0.0.1 - - [{at}] "GET {target} HTTP/1.1" {status} 5 "-" "x" {ms / 1000:.3f}\n'
    ).encode()


def read(log: Path, since_s: float = NOW - 300, most: int = 10**6) -> Traffic:
    matcher = Matcher(reference().requests)
    return read_end(log, TIMED, matcher, since_s=since_s, until_s=NOW, most=most)


def test_only_the_end_of_a_log_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_end, "CHUNK", 1000)
    log = tmp_path / "access.log"
    old, new = (
        b"".join(line(s) for s in r) for r in (range(NOW - 9000, NOW - 300), range(NOW - 300, NOW))
    )
    log.write_bytes(old + new + line(NOW - 1)[:30])
    pieces: list[int] = []
    pread = os.pread

    def counted(descriptor: int, length: int, at: int) -> bytes:
        pieces.append(length)
        return pread(descriptor, length, at)

    monkeypatch.setattr(os, "pread", counted)
    found = read(log)
    assert found.second.tolist() == list(range(NOW - 300, NOW))
    assert set(found.took_ms.tolist()) == {5}
    assert sum(pieces) < len(new) + 10_000


def test_what_was_rotated_away_is_read_too(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(line(NOW - 10))
    (tmp_path / "access.log.1").write_bytes(line(NOW - 100) + line(NOW - 20))
    (tmp_path / "access.log.2.gz").write_bytes(gzip.compress(line(NOW - 9000) + line(NOW - 200)))
    (tmp_path / "access.log-other").write_bytes(line(NOW - 5))
    assert read(log).second.tolist() == [NOW - 200, NOW - 100, NOW - 20, NOW - 10]


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_end, "CHUNK", 1000)
    log = tmp_path / "access.log"
    log.write_bytes(b"".join(line(second) for second in range(NOW - 300, NOW)))
    found = read(log, most=50)
    assert found.is_cut
    assert 50 <= len(found) < 70
    assert found.since_s == found.second[0]
    assert found.second[-1] == NOW - 1


def test_requests_find_their_routes() -> None:
    matcher = Matcher(
        [
            {"method": "GET", "path": "/item/{1..9}"},
            {"method": "GET", "path": "/item/new"},
            {"method": "POST", "path": "/item/new"},
            {"method": "GET", "path": "/find?q={a|b}"},
            {"method": "GET", "path": "/{{x}}/{file:slugs.txt}"},
        ]
    )
    asked = [b"/item/7", b"/item/new", b"/find?q=1&utm=2", b"/find", b"/{x}/a/b", b"/item/7/8"]
    assert [matcher.of(b"GET", target) for target in asked] == [0, 1, 3, -1, 4, -1]
    assert matcher.of(b"POST", b"/item/new") == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"nonsense\n" * 50, "do not have the format"), (b"x" * 5_000_000, "no end")],
)
def test_a_bad_log_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(content + b"\n")
    with pytest.raises(UsageError, match=said):
        read(log)


def test_bad_pid_files_and_urls_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text("not a number")
    for name in ("pid", "missing"):
        with pytest.raises(UsageError, match="pid file"):
            read_pid(tmp_path / name)
    with pytest.raises(UsageError, match="no http URL"):
        handled("file:///etc/passwd")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to look at"),
        (["--access-log", "missing.log"], "cannot be read"),
        (["--access-log", "missing.log", "--slo", "fast"], "is no SLO"),
        (["--access-log", "missing.log", "--window", "x"], "no length of time"),
    ],
)
def test_every_failure_is_unknown(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labcoat.toml").write_text("")
    assert answer(["check", *arguments]) == 3
    assert said in capsys.readouterr().err


def test_without_a_baseline_an_slo_is_judged_all_the_same(tmp_path: Path, capsys: Capture) -> None:
    log = tmp_path / "access.log"
    now = int(time.time())
    log.write_bytes(b"".join(line(now - 1 - n % 60, ms=400) for n in range(1000)))
    journal = str(tmp_path / ".labcoat" / "journal.db")
    asked = ["check", "--access-log", str(log), "--format", TIMED[1].text, "--journal", journal]
    assert answer(asked) == 3
    assert "labcoat baseline" in capsys.readouterr().out
    assert answer([*asked, "--slo", "p99=300ms", "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["status"] == "CRITICAL"
    assert told["troubles"][0]["way_out"] == "measure first: labcoat baseline"
