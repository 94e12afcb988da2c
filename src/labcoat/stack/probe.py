"""One HTTP request over TCP, TLS or a Unix socket: whether a stack serves, and counters.

Not a load generator: nothing here is measured.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from dataclasses import dataclass

from labcoat.model.stack import Endpoint, Speaks

LONGEST_BODY = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: status and the start of the body."""

    status: int
    body: str


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
    connection = _Connection(endpoint, timeout_s=timeout_s)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        body = response.read(LONGEST_BODY).decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return Answer(status=response.status, body=body)
