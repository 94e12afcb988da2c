"""Bodies of answers that need more than counting: framing by chunks, and checks."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import httptools

from labcoat.load import captures, heads
from labcoat.model.load import Outcome

if TYPE_CHECKING:
    from labcoat.load.binding import Route
    from labcoat.load.heads import Head

INSPECTED = 1 << 20
"""How much of a decoded body is searched, bytes."""

_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_ENCODINGS = frozenset({b"gzip", b"x-gzip", b"deflate"})


class BodyError(Exception):
    """The body's framing is broken."""


class Body:
    """One body while it arrives.

    ``received``: its bytes so far, chunk framing taken off. ``is_whole``: complete.
    Keeps what the route's checks need, at most ``INSPECTED`` bytes as received.
    """

    __slots__ = ("_decoder", "_head", "_keep", "_kept", "_raw_head", "is_whole", "received")

    def __init__(self, raw_head: bytes, head: Head, route: Route) -> None:
        self.received = 0
        self._head = head
        self._raw_head = raw_head
        self._keep = 0 if route.is_plain else max(INSPECTED, route.min_bytes)
        self._kept = bytearray()
        length = 0 if route.is_head else head.length
        self.is_whole = length == 0 or (route.is_head and length is None)
        self._decoder = None
        if head.is_chunked and not self.is_whole:
            self._decoder = httptools.HttpResponseParser(self)
            self._decoder.feed_data(raw_head)

    def feed(self, piece: bytes) -> None:
        """The next bytes of the connection. Raises: BodyError (chunks broken, or too much)."""
        if self._decoder is None:
            self.on_body(piece)
            length = self._head.length
            if self.is_whole or (length is not None and self.received > length):
                raise BodyError("bytes after the end of the answer")
            self.is_whole = length is not None and self.received == length
            return
        try:
            self._decoder.feed_data(piece)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise BodyError(str(error)) from error

    def on_body(self, piece: bytes) -> None:
        """Called by the parser with the content of chunks."""
        self.received += len(piece)
        if len(self._kept) < self._keep:
            self._kept += piece

    def on_message_begin(self) -> None:
        """Called by the parser; a second answer on one request is too much."""
        if self.is_whole:
            raise BodyError("bytes after the end of the answer")

    def on_message_complete(self) -> None:
        """Called by the parser after the last chunk."""
        self.is_whole = True

    def outcome(self, route: Route) -> Outcome:
        """What the route's checks say to the whole answer."""
        if self._head.status not in route.accepted:
            return Outcome.WRONG_STATUS
        if route.is_plain or route.is_head:
            return Outcome.OK
        wanted = max(INSPECTED, route.min_bytes)
        body = _decoded(bytes(self._kept), self._head.encoding, wanted)
        size = len(body) if self._head.encoding in _ENCODINGS else self.received
        if size < route.min_bytes:
            return Outcome.WRONG_BODY
        if route.contains is not None and route.contains not in body[:INSPECTED]:
            return Outcome.WRONG_BODY
        return Outcome.OK

    def capture(self, route: Route, values: dict[str, str]) -> bool:
        """Take what the route captures into a user's values; whether all of it was there."""

        def body() -> str:
            found = _decoded(bytes(self._kept), self._head.encoding, INSPECTED)
            return found.decode("utf-8", "replace")

        fields = heads.fields(self._raw_head)
        is_whole = True
        for wanted in route.captures:
            value = captures.find(wanted.source.value, wanted.expression, headers=fields, body=body)
            if value is None:
                is_whole = False
            else:
                values[wanted.name] = value
        return is_whole


def _decoded(body: bytes, encoding: bytes, limit: int) -> bytes:
    """The body without its content encoding, at most ``limit`` bytes; empty if it is broken."""
    if encoding not in _ENCODINGS:
        return body
    try:
        return zlib.decompressobj(_GZIP_OR_ZLIB).decompress(body, limit)
    except zlib.error:
        return b""
