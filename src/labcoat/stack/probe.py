"""One HTTP request over TCP, TLS or a Unix socket: whether a stack serves, and what it says.

Not a load generator: nothing here is measured.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass

from labcoat.model.stack import Endpoint, Speaks

LONGEST_BODY = 64 << 20
_OWN_HEADERS = frozenset({"connection", "content-length"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back. ``headers``: as sent, in order. ``content``: at most 64 MiB of the body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    content: bytes

    @property
    def body(self) -> str:
        """The content as text."""
        return self.content.decode(errors="replace")


class _Connection(http.client.HTTPConnection):
    """An HTTP connection to an endpoint, whichever kind it is."""

    def __init__(self, endpoint: Endpoint, *, timeout_s: float) -> None:
        super().__init__(endpoint.host, endpoint.port or 80, timeout=timeout_s)
        self._endpoint = endpoint

    def connect(self) -> None:
        """Open the socket of the endpoint's kind."""
        if self._endpoint.path is not None:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(str(self._endpoint.path))
        else:
            super().connect()
        if self._endpoint.speaks is Speaks.HTTPS:
            context = ssl.create_default_context()
            # A loopback stack signs its own certificate.
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")


def get(endpoint: Endpoint, path: str, *, timeout_s: float) -> Answer | None:
    """The answer to one GET, or None if there was none in time."""
    return ask(endpoint, "GET", path, timeout_s=timeout_s)


def ask(
    endpoint: Endpoint,
    method: str,
    path: str,
    *,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    timeout_s: float,
) -> Answer | None:
    """The answer to one request on a connection of its own, or None if there was none in time.

    ``headers`` are sent as they are; without a ``Host`` among them the endpoint's is sent.
    """
    connection = _Connection(endpoint, timeout_s=timeout_s)
    sent = [(name, value) for name, value in headers if name.lower() not in _OWN_HEADERS]
    try:
        connection.putrequest(
            method,
            path,
            skip_host=any(name.lower() == "host" for name, _ in sent),
            skip_accept_encoding=True,
        )
        for name, value in (*sent, ("Connection", "close")):
            connection.putheader(name, value)
        if body:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        response = connection.getresponse()
        return Answer(
            status=response.status,
            headers=tuple(response.getheaders()),
            content=response.read(LONGEST_BODY),
        )
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
