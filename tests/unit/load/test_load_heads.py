"""Heads and cookies: what is read out of them."""

from __future__ import annotations

import pytest

from labcoat.load.cookies import take, with_cookies
from labcoat.load.heads import KNOWN_LIMIT, Head, HeadError, learn, parse_head


def head(lines: bytes) -> Head:
    return parse_head(lines.replace(b"|", b"\r\n") + b"\r\n\r\n")


@pytest.mark.parametrize(
    ("lines", "status", "length", "chunked", "closes", "simple"),
    [
        (b"HTTP/1.1 200 OK|Content-Length: 5", 200, 5, False, False, True),
        (b"HTTP/1.1 200 OK|content-length:5|connection: Keep-Alive", 200, 5, False, False, True),
        (b"HTTP/1.1 200 OK|Content-Length: 5|Connection: close", 200, 5, False, True, False),
        (b"HTTP/1.0 200 OK|Content-Length: 5", 200, 5, False, True, False),
        (b"HTTP/1.0 200 OK|Content-Length: 5|Connection: keep-alive", 200, 5, False, False, True),
        (b"HTTP/1.1 200 OK|Transfer-Encoding: chunked", 200, None, True, False, False),
        (b"HTTP/1.1 200 OK", 200, None, False, True, False),
        (b"HTTP/1.1 204 No Content", 204, 0, False, False, True),
        (b"HTTP/1.1 304 Not Modified|Content-Length: 7", 304, 0, False, False, True),
        (b"HTTP/1.1 100 Continue", 100, 0, False, False, False),
        (b"HTTP/1.1 200 OK|Content-Length: 5|Set-Cookie: a=b", 200, 5, False, False, False),
    ],
)
def test_framing(
    *, lines: bytes, status: int, length: int | None, chunked: bool, closes: bool, simple: bool
) -> None:
    found = head(lines)
    assert (found.status, found.length, found.is_chunked) == (status, length, chunked)
    assert (found.closes, found.is_simple) == (closes, simple)


def test_the_rest_of_a_head() -> None:
    found = head(b"HTTP/1.1 200 OK|Content-Encoding: GZIP|Set-Cookie: a=b|set-cookie: c=d; Path=/")
    assert found.encoding == b"gzip"
    assert found.cookies == (b"a=b", b"c=d; Path=/")


@pytest.mark.parametrize(
    "lines", [b"", b"hello", b"HTTP/1.1 xx", b"HTTP/1.1 200 OK|Content-Length: -1"]
)
def test_no_head(lines: bytes) -> None:
    with pytest.raises(HeadError):
        head(lines)


def test_heads_are_remembered_within_bounds() -> None:
    known: dict[bytes, Head] = {}
    for n in range(3 * KNOWN_LIMIT):
        raw = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % n
        assert learn(known, raw).length == n
        assert known[raw].length == n
        assert len(known) <= KNOWN_LIMIT
    learn(known, b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\n\r\n")
    assert not any(b"Cookie" in raw for raw in known)


@pytest.mark.parametrize(
    ("set_cookie", "expected"),
    [
        (b"a=1; Path=/; HttpOnly", {b"a": b"1", b"old": b"x"}),
        (b"old=2", {b"old": b"2"}),
        (b"a=b=c", {b"a": b"b=c", b"old": b"x"}),
        (b"old=; Max-Age=0", {}),
        (b"old=; max-age=-1", {}),
        (b"old=; Expires=Thu, 01 Jan 1970 00:00:00 GMT", {}),
        (b"old=2; Expires=Thu, 01 Jan 2099 00:00:00 GMT; Max-Age=100", {b"old": b"2"}),
        (b"old=2; Expires=soon", {b"old": b"2"}),
        (b"nonsense", {b"old": b"x"}),
        (b"=nonsense", {b"old": b"x"}),
    ],
)
def test_cookies(set_cookie: bytes, expected: dict[bytes, bytes]) -> None:
    jar = {b"old": b"x"}
    take(jar, set_cookie)
    assert jar == expected


def test_cookies_go_into_the_head() -> None:
    wire = b"POST / HTTP/1.1\r\nHost: a\r\n\r\nbody\r\n\r\n"
    assert with_cookies(wire, {b"a": b"1", b"b": b"2"}) == (
        b"POST / HTTP/1.1\r\nHost: a\r\nCookie: a=1; b=2\r\n\r\nbody\r\n\r\n"
    )
