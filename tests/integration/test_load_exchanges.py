"""The generator against real servers that answer well, oddly and badly."""

from __future__ import annotations

import gzip
import socket
import ssl
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import trustme

from labcoat.errors import LoadError
from labcoat.load import Generator, summarise
from labcoat.model.load import ClosedLoop, Measurement, OpenLoop, Outcome, Plan, Window
from labcoat.model.workload import Expectation, RequestTemplate, Workload
from labcoat.testing.http import Received, Reply, Script, ScriptedServer, reply

SHORT = Window(measure_s=0.25)
TWO = ClosedLoop(users=2)


@pytest.fixture(scope="module")
def generator() -> Iterator[Generator]:
    with Generator() as started:
        yield started


def one(path: str = "/", *, method: str = "GET", **more: object) -> Workload:
    return Workload(
        requests=(RequestTemplate(path=path, name="one", method=method, **more),)  # type: ignore[arg-type]
    )


def loaded(
    generator: Generator,
    script: Script,
    workload: Workload,
    *,
    plan: Plan = TWO,
    window: Window = SHORT,
    timeout_s: float = 10.0,
    keep_alive: bool = True,
) -> tuple[Measurement, ScriptedServer]:
    with ScriptedServer(script) as server:
        measurement = generator.load(
            server.target,
            workload,
            plan,
            window,
            seed=1,
            timeout_s=timeout_s,
            keep_alive=keep_alive,
        )
        generator.forget(server.target)
    return measurement, server


def outcomes(measurement: Measurement) -> Counter[Outcome]:
    found = Counter(map(Outcome, measurement.records.outcome.tolist()))
    del found[Outcome.UNFINISHED]
    return found


def always(*raw: bytes, closes: bool = False) -> Script:
    return lambda _: Reply(raw=raw, closes=closes)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
GZIPPED = gzip.compress(b"a needle in here")


@pytest.mark.parametrize(
    ("script", "status", "received"),
    [
        pytest.param(lambda _: reply(b"hello"), 200, 5, id="length"),
        pytest.param(always(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", b"world"), 200, 10, id="body in pieces"),
        pytest.param(always(b"HTTP/1.1 200 O", b"K\r\ncontent-length: 2\r", b"\n\r\nhi"), 200, 2, id="head in pieces"),
        pytest.param(always(CHUNKED + b"5\r\nhello\r\n", b"3\r\nabc\r\n0\r\n\r\n"), 200, 8, id="chunks"),
        pytest.param(always(CHUNKED + b"5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n"), 200, 5, id="trailer"),
        pytest.param(always(b"HTTP/1.1 204 No Content\r\n\r\n"), 204, 0, id="204"),
        pytest.param(always(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n"), 304, 0, id="304"),
        pytest.param(always(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", closes=True), 200, 13, id="until close"),
        pytest.param(always(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", closes=True), 200, 2, id="HTTP/1.0"),
        pytest.param(always(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), 200, 2, id="informational"),
        pytest.param(always(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", closes=True), 200, 2, id="close"),
        pytest.param(always(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"), 200, 2, id="says close, does not"),
    ],
)  # fmt: skip
def test_good_answers(generator: Generator, script: Script, status: int, received: int) -> None:
    measurement, server = loaded(generator, script, one())
    assert set(outcomes(measurement)) == {Outcome.OK}
    assert outcomes(measurement)[Outcome.OK] > 5
    answered = measurement.records.outcome == Outcome.OK
    assert set(measurement.records.status[answered].tolist()) == {status}
    assert set(measurement.records.received[answered].tolist()) == {received}
    assert answered.sum() <= len(server.requests) <= len(measurement.records)


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        pytest.param(lambda _: reply(status=500), Outcome.WRONG_STATUS, id="500"),
        pytest.param(always(b"SSH-2.0-OpenSSH\r\n\r\n"), Outcome.BAD_RESPONSE, id="no HTTP"),
        pytest.param(always(CHUNKED + b"zz\r\nhello\r\n"), Outcome.BAD_RESPONSE, id="bad chunk"),
        pytest.param(always(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), Outcome.BAD_RESPONSE, id="bad length"),
        pytest.param(always(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi and more"), Outcome.BAD_RESPONSE, id="too much"),
        pytest.param(always(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000), Outcome.BAD_RESPONSE, id="endless head"),
        pytest.param(always(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", closes=True), Outcome.RESET, id="cut short"),
        pytest.param(always(CHUNKED + b"5\r\nhel", closes=True), Outcome.RESET, id="chunk cut short"),
        pytest.param(lambda _: Reply(raw=(), resets=True), Outcome.RESET, id="reset"),
        pytest.param(lambda _: Reply(raw=(), closes=True), Outcome.RESET, id="hung up"),
    ],
)  # fmt: skip
def test_bad_answers(generator: Generator, script: Script, outcome: Outcome) -> None:
    measurement, _ = loaded(generator, script, one())
    assert set(outcomes(measurement)) == {outcome}
    assert outcomes(measurement)[outcome] > 2


def gzipped(_: Received) -> Reply:
    return reply(GZIPPED, headers="Content-Encoding: gzip\r\n")


def deflated(_: Received) -> Reply:
    return reply(zlib.compress(b"a needle in here"), headers="Content-Encoding: deflate\r\n")


@pytest.mark.parametrize(
    ("script", "expect", "outcome"),
    [
        (lambda _: reply(b"a needle"), Expectation(contains="needle"), Outcome.OK),
        (lambda _: reply(b"hay"), Expectation(contains="needle"), Outcome.WRONG_BODY),
        (gzipped, Expectation(contains="needle"), Outcome.OK),
        (gzipped, Expectation(contains="thimble"), Outcome.WRONG_BODY),
        (gzipped, Expectation(min_bytes=16), Outcome.OK),
        (gzipped, Expectation(min_bytes=17), Outcome.WRONG_BODY),
        (deflated, Expectation(contains="needle"), Outcome.OK),
        (always(CHUNKED + b"5\r\nanee\r\n\r\n5\r\ndle x\r\n0\r\n\r\n"), Expectation(contains="needle"), Outcome.BAD_RESPONSE),
        (always(CHUNKED + b"4\r\nanee\r\n5\r\ndle x\r\n0\r\n\r\n"), Expectation(contains="needle"), Outcome.OK),
        (lambda _: reply(b"12345"), Expectation(min_bytes=5), Outcome.OK),
        (lambda _: reply(b"1234"), Expectation(min_bytes=5), Outcome.WRONG_BODY),
        (lambda _: reply(status=404), Expectation(statuses=(404,)), Outcome.OK),
        (lambda _: reply(status=200), Expectation(statuses=(404,)), Outcome.WRONG_STATUS),
        (lambda _: reply(b"x", headers="Content-Encoding: gzip\r\n"), Expectation(contains="x"), Outcome.WRONG_BODY),
    ],
)  # fmt: skip
def test_checks_of_answers(
    generator: Generator, script: Script, expect: Expectation, outcome: Outcome
) -> None:
    measurement, _ = loaded(generator, script, one(expect=expect))
    assert set(outcomes(measurement)) == {outcome}


def test_head_has_no_body(generator: Generator) -> None:
    script = always(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    measurement, server = loaded(generator, script, one(method="HEAD"))
    assert set(outcomes(measurement)) == {Outcome.OK}
    assert not measurement.records.received.any()
    assert {request.method for request in server.requests} == {"HEAD"}
    assert server.connections <= 3


def test_the_request_on_the_wire(generator: Generator) -> None:
    workload = one(
        "/é/{1..9}?q={a|b}",
        method="post",
        body="n={1..9}&id={uuid}",
        headers=(("X-Kind", "{x|y}"), ("User-Agent", "me")),
    )
    _, server = loaded(generator, lambda _: reply(), workload)
    request = server.requests[0]
    assert request.method == "POST"
    assert request.path.startswith("/%C3%A9/")
    assert request.headers["user-agent"] == "me"
    assert request.headers["accept-encoding"] == "gzip"
    assert request.headers["host"] == server.target.url.removeprefix("http://")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert {r.headers["x-kind"] for r in server.requests} == {"x", "y"}
    assert {r.path[-1] for r in server.requests} == {"a", "b"}
    assert len({r.body for r in server.requests}) == len(server.requests)


def test_a_large_body_is_sent_whole(generator: Generator) -> None:
    workload = one(method="POST", body="x" * 3_000_000)
    measurement, server = loaded(generator, lambda _: reply(), workload)
    assert set(outcomes(measurement)) == {Outcome.OK}
    assert {len(request.body) for request in server.requests} == {3_000_000}


def test_each_user_keeps_its_cookies(generator: Generator) -> None:
    def script(received: Received) -> Reply:
        number = received.headers.get("cookie", f"user={received.connection}")
        return reply(headers=f"Set-Cookie: {number}; Path=/; HttpOnly\r\n")

    _, server = loaded(generator, script, one(), plan=ClosedLoop(users=3))
    with_cookie = [r for r in server.requests if "cookie" in r.headers]
    assert len(server.requests) - len(with_cookie) == 3
    assert all(r.headers["cookie"] == f"user={r.connection}" for r in with_cookie)
    assert len({r.headers["cookie"] for r in with_cookie}) == 3


def test_cookies_are_not_kept_when_not_wanted(generator: Generator) -> None:
    def script(_: Received) -> Reply:
        return reply(headers="Set-Cookie: a=b\r\n")

    _, server = loaded(generator, script, replace(one(), cookies=False))
    assert not any("cookie" in request.headers for request in server.requests)


def test_a_timeout_is_found_and_the_user_goes_on(generator: Generator) -> None:
    def script(received: Received) -> Reply:
        return replace(reply(), delay_s=30.0 if received.path == "/slow" else 0.0)

    workload = Workload(
        requests=(
            RequestTemplate(path="/slow", name="slow"),
            RequestTemplate(path="/fast", name="fast", weight=5.0),
        )
    )
    measurement, _ = loaded(
        generator, script, workload, window=Window(measure_s=1.5), timeout_s=0.2
    )
    records = measurement.records
    late = records.outcome == Outcome.TIMEOUT
    assert late.sum() >= 2
    assert set(records.route[late].tolist()) == {0}
    assert ((records.done - records.sent)[late] >= 0.2e9).all()
    assert (records.outcome == Outcome.OK).sum() > 5


def test_new_connections_are_one_for_each_request(generator: Generator) -> None:
    measurement, server = loaded(generator, lambda _: reply(), one(), keep_alive=False)
    assert set(outcomes(measurement)) == {Outcome.OK}
    assert len({request.connection for request in server.requests}) == len(server.requests)
    assert {request.headers["connection"] for request in server.requests} == {"close"}


def test_connections_are_kept_between_slices(generator: Generator) -> None:
    with ScriptedServer() as first, ScriptedServer() as second:
        for _ in range(3):
            for server in (first, second):
                generator.load(server.target, one(), TWO, Window(measure_s=0.05), seed=1)
        assert (first.connections, second.connections) == (2, 2)
        generator.load(first.target, one(), ClosedLoop(users=1), SHORT, seed=1)
        generator.load(first.target, one(), TWO, Window(measure_s=0.05), seed=1)
        assert first.connections == 3
        for server in (first, second):
            generator.forget(server.target)


def test_idle_connections_that_the_server_closed_are_opened_anew(generator: Generator) -> None:
    with ScriptedServer() as server:
        for _ in range(3):
            measurement = generator.load(server.target, one(), TWO, Window(measure_s=0.05), seed=1)
            assert set(outcomes(measurement)) == {Outcome.OK}
            server.hang_up()
        generator.forget(server.target)
    assert 4 <= server.connections <= 6


@pytest.mark.parametrize(("method", "outcome"), [("GET", Outcome.OK), ("POST", Outcome.RESET)])
def test_a_request_that_meets_a_closing_server(
    generator: Generator, method: str, outcome: Outcome
) -> None:
    """Each connection answers twice and is then closed under the third request."""
    seen: Counter[int] = Counter()

    def script(received: Received) -> Reply:
        seen[received.connection] += 1
        return Reply(raw=(), closes=True) if seen[received.connection] == 3 else reply()

    measurement, _ = loaded(generator, script, one(method=method))
    found = outcomes(measurement)
    assert found[Outcome.OK] > 5
    assert (found[Outcome.RESET] > 0) == (outcome is Outcome.RESET)
    assert any("sent again" in note for note in measurement.notes) == (outcome is Outcome.OK)


def test_a_refusing_server_is_not_hammered(generator: Generator) -> None:
    with ScriptedServer(always(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")) as server:  # fmt: skip
        generator.load(server.target, one(), TWO, Window(measure_s=0.05), seed=1)
        target = server.target
    with pytest.raises(LoadError) as refused:
        generator.load(target, one(), TWO, SHORT, seed=1)
    assert "Connection refused" in refused.value.what
    assert refused.value.way_out


def test_unfinished_requests_are_drained(generator: Generator) -> None:
    def script(_: Received) -> Reply:
        return replace(reply(), delay_s=0.4)

    with ScriptedServer(script) as server:
        for _ in range(2):
            measurement = generator.load(server.target, one(), TWO, Window(measure_s=0.3), seed=1)
            records = measurement.records
            assert records.outcome.tolist() == [Outcome.UNFINISHED] * 2
            assert records.done.tolist() == [-1, -1]
        assert server.connections == 2
        generator.forget(server.target)


def test_what_cannot_be_drained_is_closed(generator: Generator) -> None:
    def script(received: Received) -> Reply:
        return replace(reply(), delay_s=60.0 if received.connection <= 2 else 0.0)

    with ScriptedServer(script) as server:
        generator.load(server.target, one(), TWO, SHORT, seed=1)
        measurement = generator.load(server.target, one(), TWO, SHORT, seed=1)
        assert outcomes(measurement)[Outcome.OK] > 5
        assert server.connections == 4
        generator.forget(server.target)


def test_an_open_loop_waits_for_a_connection_and_says_so(generator: Generator) -> None:
    def script(_: Received) -> Reply:
        return replace(reply(), delay_s=0.05)

    plan = OpenLoop(rate_per_s=100.0, connections=2)
    measurement, server = loaded(generator, script, one(), plan=plan, window=Window(measure_s=1.0))
    assert len(measurement.records) == 100
    assert server.connections <= 3
    never_sent = measurement.records.sent < 0
    assert 40 < never_sent.sum() < 80
    assert (measurement.records.outcome[never_sent] == Outcome.UNFINISHED).all()
    summary = summarise(measurement)
    assert summary.latency.max_s > 0.3
    assert np.isclose(summary.mean_in_flight, 30, rtol=0.5)


def test_unix_sockets(generator: Generator, tmp_path: Path) -> None:
    with ScriptedServer(uds=str(tmp_path / "s")) as server:
        measurement = generator.load(server.target, one(), TWO, SHORT, seed=1)
        generator.forget(server.target)
    assert set(outcomes(measurement)) == {Outcome.OK}
    assert server.requests[0].headers["host"] == "localhost"


@pytest.fixture
def certificate() -> tuple[trustme.CA, ssl.SSLContext]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return authority, context


def test_tls(generator: Generator, certificate: tuple[trustme.CA, ssl.SSLContext]) -> None:
    with ScriptedServer(tls=certificate[1]) as server:
        measurement = generator.load(server.target, one(), TWO, SHORT, seed=1)
        again = generator.load(server.target, one(), TWO, SHORT, seed=1, keep_alive=False)
        with pytest.raises(LoadError) as refused:
            generator.load(replace(server.target, verify_tls=True), one(), TWO, SHORT, seed=1)
        generator.forget(server.target)
    assert outcomes(measurement)[Outcome.OK] > 5
    assert set(outcomes(measurement)) == set(outcomes(again)) == {Outcome.OK}
    assert "certificate" in refused.value.what


def test_a_server_that_ends_with_a_client_connected_ends_quietly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with ScriptedServer() as server:
        port = urlsplit(server.target.url).port
        client = socket.create_connection(("127.0.0.1", port))
        while not server.connections:
            time.sleep(0.01)
    client.close()
    assert caplog.text == ""
