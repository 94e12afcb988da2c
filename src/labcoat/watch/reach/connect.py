"""Making one SSH connection: dialled, host key verified, logged in, or a fault that says why."""

from __future__ import annotations

import asyncio
import random
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

from labcoat.watch.reach.base import Fault
from labcoat.watch.reach.place import Place, SshSettings

TRIES = 4
KEEPALIVE_S = 15


class Unreached(Exception):
    """No connection; ``fault`` and the message say why. Stays inside the room."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault
        self.detail = detail


class _Client(asyncssh.SSHClient):
    """Remembers the key of a host that is not trusted, to show it."""

    def __init__(self) -> None:
        self.refused: str | None = None

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        del host, addr, port
        self.refused = key.get_fingerprint()
        return False


@dataclass(slots=True)
class Dialler:
    """Makes connections by one set of settings; key files are read once."""

    settings: SshSettings
    _keys: dict[Path, list[Any]] = field(default_factory=dict)
    _known: tuple[tuple[float, ...], Any] | None = None

    async def connect(
        self, place: Place, tunnel: asyncssh.SSHClientConnection | None
    ) -> asyncssh.SSHClientConnection:
        """A connection to the place, through the tunnel if there is one. Raises: Unreached.

        A host that is too busy to begin (MaxStartups) closes at once: it is tried again
        within the time for one login.
        """
        try:
            async with asyncio.timeout(self.settings.login_timeout_s):
                for pause_s in (0.2, 0.6, 1.8, None):
                    try:
                        return await self._once(place, tunnel)
                    except asyncssh.ConnectionLost as error:
                        if pause_s is None:
                            raise Unreached(
                                Fault.UNREACHABLE, f"it closes the connection: {error.reason}"
                            ) from error
                        await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))
                raise AssertionError("the last try returns or raises")
        except TimeoutError as error:
            raise Unreached(
                Fault.UNREACHABLE, f"no login within {self.settings.login_timeout_s:g} s"
            ) from error

    async def _once(
        self, place: Place, tunnel: asyncssh.SSHClientConnection | None
    ) -> asyncssh.SSHClientConnection:
        client = _Client()
        try:
            options = await asyncssh.SSHClientConnectionOptions.construct(
                None, **self._options(place, tunnel, client)
            )
            sock = None if tunnel else await self._dial(options.host, options.port)
            try:
                return await asyncssh.connect(
                    options.host, options.port, sock=sock, config=None, options=options
                )
            except BaseException:
                if sock is not None:
                    sock.close()
                raise
        except asyncssh.ConnectionLost:
            raise
        except asyncssh.HostKeyNotVerifiable as error:
            raise Unreached(Fault.HOSTKEY, self._untrusted(place, client, error)) from error
        except asyncssh.PermissionDenied as error:
            raise Unreached(
                Fault.LOGIN, f"the host refuses the login of {place}: {error.reason}"
            ) from error
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
            raise Unreached(
                Fault.LOGIN, f"a key cannot be used: {error}; load it into ssh-agent"
            ) from error
        except asyncssh.Error as error:
            raise Unreached(Fault.UNREACHABLE, error.reason) from error
        except OSError as error:
            raise Unreached(Fault.UNREACHABLE, error.strerror or str(error)) from error
        except ValueError as error:
            raise Unreached(Fault.UNREACHABLE, str(error)) from error

    def _options(
        self, place: Place, tunnel: asyncssh.SSHClientConnection | None, client: _Client
    ) -> dict[str, Any]:
        """What asyncssh is told; whatever is left out comes from the SSH config."""
        known = tuple(str(file) for file in self.settings.known_hosts if file.exists())
        options: dict[str, Any] = {
            "host": place.host,
            "config": [str(file) for file in self.settings.config if file.exists()] or None,
            # An empty list would mean "trust anyone"; empty bytes trust nobody.
            "known_hosts": self._known_hosts(known) if known else b"",
            "client_factory": lambda: client,
            "password_auth": False,
            "kbdint_auth": False,
            "gss_auth": False,
            "agent_forwarding": False,
            "keepalive_interval": KEEPALIVE_S,
            "keepalive_count_max": 2,
            "connect_timeout": None,
            "login_timeout": self.settings.login_timeout_s,
        }
        if place.port is not None:
            options["port"] = place.port
        if place.user is not None:
            options["username"] = place.user
        if tunnel is not None:
            options["tunnel"] = tunnel
        keys = self._client_keys(place)
        if keys:
            options["client_keys"] = keys
        return options

    def _known_hosts(self, files: tuple[str, ...]) -> Any:
        """The files, parsed; again when one of them changed."""
        stamp = tuple(Path(file).stat().st_mtime for file in files)
        if self._known is None or self._known[0] != stamp:
            self._known = (stamp, asyncssh.read_known_hosts(list(files)))
        return self._known[1]

    def _client_keys(self, place: Place) -> list[Any]:
        keys: list[Any] = []
        if place.key_text is not None:
            keys.append(asyncssh.import_private_key(place.key_text))
        for file in place.keys:
            if file not in self._keys:
                self._keys[file] = list(asyncssh.load_keypairs([str(file.expanduser())]))
            keys += self._keys[file]
        return keys

    async def _dial(self, host: str, port: int) -> socket.socket:
        """A connected socket. Raises: OSError, the last of all addresses'."""
        loop = asyncio.get_running_loop()
        failure: OSError = OSError(f"the name {host} has no address")
        try:
            async with asyncio.timeout(self.settings.dial_timeout_s):
                for family, kind, protocol, _, address in await loop.getaddrinfo(
                    host, port, type=socket.SOCK_STREAM
                ):
                    sock = socket.socket(family, kind, protocol)
                    sock.setblocking(False)
                    try:
                        await loop.sock_connect(sock, address)
                    except OSError as error:
                        sock.close()
                        failure = error
                    except BaseException:
                        sock.close()
                        raise
                    else:
                        return sock
        except TimeoutError as error:
            raise OSError(
                f"no connection to {host}:{port} within {self.settings.dial_timeout_s:g} s"
            ) from error
        raise failure

    def _untrusted(self, place: Place, client: _Client, error: asyncssh.Error) -> str:
        """Whether the host's key is new or another one, and the way out."""
        known = tuple(str(file) for file in self.settings.known_hosts if file.exists())
        is_known = False
        if known:
            found = self._known_hosts(known).match(place.host, "", place.port)
            is_known = any(found[:3])
        shown = f" ({client.refused})" if client.refused else ""
        if is_known:
            return f"the host key of {place.host} has changed{shown}: find out why before anything"
        if client.refused is None:
            return error.reason
        return (
            f"the host key of {place.host} is unknown{shown}: compare it, then"
            f" labcoat watch trust {place.host}"
        )
