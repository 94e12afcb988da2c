"""Diallers: how a target is reached, settled once so that no slice pays for it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from labcoat.errors import LoadError, UsageError

if TYPE_CHECKING:
    from labcoat.model.load import Target

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialler:
    """A target's address, looked up, and its TLS context.

    ``addresses``: numeric, in the resolver's order; the first that answers is used.
    """

    addresses: tuple[str, ...]
    port: int
    uds: str | None
    server_name: str | None
    context: ssl.SSLContext | None

    @classmethod
    def of(cls, target: Target) -> Dialler:
        """How to reach this target. Raises: UsageError (no such URL), LoadError (no such host)."""
        scheme, host, port = split(target.url)
        context = None
        if scheme == "https":
            context = ssl.create_default_context()
            if not target.verify_tls:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
        addresses: tuple[str, ...] = ()
        if target.uds is None:
            try:
                found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            except OSError as error:
                raise LoadError(
                    f"the host {host} is not known: {error}",
                    where=target.url,
                    way_out="mend the URL's host",
                ) from error
            addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
        return cls(
            addresses=addresses,
            port=port,
            uds=target.uds,
            server_name=host if context else None,
            context=context,
        )

    async def connect(self, protocol: asyncio.BaseProtocol) -> None:
        """Open one connection for this protocol. Raises: OSError."""
        loop = asyncio.get_running_loop()
        if self.uds is not None:
            await loop.create_unix_connection(
                lambda: protocol, self.uds, ssl=self.context, server_hostname=self.server_name
            )
            return
        for address in self.addresses:
            try:
                await loop.create_connection(
                    lambda: protocol,
                    address,
                    self.port,
                    ssl=self.context,
                    server_hostname=self.server_name,
                )
            except OSError:
                if address == self.addresses[-1]:
                    raise
            else:
                return


def split(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a base URL. Raises: UsageError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _bad_url(url, str(error)) from error
    if parts.scheme not in DEFAULT_PORTS:
        raise _bad_url(url, f"the scheme is {parts.scheme or 'missing'}")
    if not parts.hostname:
        raise _bad_url(url, "the host is missing")
    if "@" in parts.netloc:
        raise UsageError(
            "a user name or password in a URL is not sent",
            where=f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}",
            way_out="give the header: Authorization: Basic ...",
        )
    return parts.scheme, parts.hostname, port or DEFAULT_PORTS[parts.scheme]


def _bad_url(url: str, why: str) -> UsageError:
    return UsageError(
        f"not a URL to put load on: {why}", where=url, way_out="write http://host:port/path"
    )
