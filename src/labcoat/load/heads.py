"""Heads of answers: how the body is framed, and what becomes of the connection.

A server's heads repeat themselves byte for byte (the date changes once a second), so a
head that was seen before is not parsed again: one look-up replaces the parser on the
hot path, for any server and any spelling, and httptools stays the only parser.
"""

from __future__ import annotations

from dataclasses import dataclass

import httptools

END = b"\r\n\r\n"
LIMIT = 65_536
"""The longest head that is taken, bytes."""

KNOWN_LIMIT = 512
INFORMATIONAL = range(100, 200)
WITHOUT_BODY = frozenset({204, 304})


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the head of one answer says.

    ``length``: of the body in bytes, None when it is chunked or lasts until the
    connection closes. ``closes``: no further request may follow on the connection.
    ``cookies``: values of Set-Cookie. ``encoding``: Content-Encoding, lower case.
    ``is_simple``: nothing to do but to count ``length`` bytes.
    """

    status: int
    length: int | None
    is_chunked: bool
    closes: bool
    cookies: tuple[bytes, ...]
    encoding: bytes
    is_simple: bool


class HeadError(Exception):
    """What was received is no head of an HTTP/1 answer."""


class _Collector:
    """Headers as the parser meets them."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.strip()))

    def on_headers_complete(self) -> None:
        self.is_whole = True


def parse_head(raw: bytes) -> Head:
    """The head in ``raw``, which ends with an empty line. Raises: HeadError."""
    collector = _Collector()
    parser = httptools.HttpResponseParser(collector)
    try:
        parser.feed_data(raw)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
        raise HeadError(str(error)) from error
    if not collector.is_whole:
        raise HeadError("empty lines")
    status = parser.get_status_code()
    fields = dict(collector.headers)
    is_chunked = fields.get(b"transfer-encoding", b"").lower().endswith(b"chunked")
    length = None if is_chunked else _length(fields.get(b"content-length"))
    if status in WITHOUT_BODY or status in INFORMATIONAL:
        length, is_chunked = 0, False
    tokens = {token.strip() for token in fields.get(b"connection", b"").lower().split(b",")}
    lasts = b"close" not in tokens and (
        parser.get_http_version() != "1.0" or b"keep-alive" in tokens
    )
    closes = not lasts or (length is None and not is_chunked)
    cookies = tuple(value for name, value in collector.headers if name == b"set-cookie")
    return Head(
        status=status,
        length=length,
        is_chunked=is_chunked,
        closes=closes,
        cookies=cookies,
        encoding=fields.get(b"content-encoding", b"").lower(),
        is_simple=length is not None and not closes and not cookies and status not in INFORMATIONAL,
    )


def fields(raw: bytes) -> list[tuple[str, str]]:
    """The headers of a head that was parsed before, names and values as they were sent."""
    lines = raw.decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line)
    return [(name.strip(), value.strip()) for name, _, value in pairs]


def _length(value: bytes | None) -> int | None:
    if value is None:
        return None
    if not value.isdigit():
        raise HeadError(f"Content-Length: {value!r}")
    return int(value)


def learn(known: dict[bytes, Head], raw: bytes) -> Head:
    """Parse a head and remember it, unless it is one of a kind. Raises: HeadError.

    A head that sets a cookie will hardly come again. Forgetting all at the limit is
    cheaper than knowing which head is oldest.
    """
    head = parse_head(raw)
    if not head.cookies:
        if len(known) >= KNOWN_LIMIT:
            known.clear()
        known[raw] = head
    return head
