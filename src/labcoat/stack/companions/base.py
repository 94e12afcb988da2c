"""The seam of companions: components that the app is told of by placeholders."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from labcoat.model.stack import Endpoint
from labcoat.stack.base import Component

_LONGEST_ANSWER = 1 << 20


@runtime_checkable
class Companion(Component, Protocol):
    """A component beside the app, started before it and never as root."""

    def placeholders(self, listen: Endpoint) -> Mapping[str, str]:
        """What ``{name.…}`` means in the app's environment when it listens there."""


def place(listen: Endpoint) -> dict[str, str]:
    """``host`` and ``port`` of an endpoint; of a Unix socket its path, and 0."""
    if listen.path is not None:
        return {"host": str(listen.path), "port": "0"}
    return {"host": listen.host, "port": str(listen.port)}


def exchange(listen: Endpoint, sent: bytes, *, end: bytes, timeout_s: float = 1.0) -> bytes:
    """What is answered to some bytes, until ``end`` is in it; what came so far without one."""
    family = socket.AF_INET if listen.path is None else socket.AF_UNIX
    received = b""
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as line:
        line.settimeout(timeout_s)
        line.connect((listen.host, listen.port) if listen.path is None else str(listen.path))
        line.sendall(sent)
        while end not in received and len(received) < _LONGEST_ANSWER:
            piece = line.recv(1 << 16)
            if not piece:
                break
            received += piece
    return received
