"""The ways to all places, by credentials: local ones, and kept SSH connections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from labcoat.watch.reach.base import Reach
from labcoat.watch.reach.local import LocalReach
from labcoat.watch.reach.place import Place, SshSettings

if TYPE_CHECKING:
    from labcoat.watch.reach.connections import Connections

DEFAULT = "default"
ANYONE = Place(host="")


@dataclass(slots=True)
class SystemReaches:
    """Real ones. ``logins``: per name of credentials, a place without its host."""

    logins: Mapping[str, Place]
    settings: SshSettings
    port: int | None = None
    _local: LocalReach = field(default_factory=LocalReach)
    _remote: dict[Place, Reach] = field(default_factory=dict)
    _connections: Connections | None = None

    def to(self, address: str | None, credentials: str) -> Reach:
        """The way to an address. Raises: LookupError for credentials that nobody wrote, or
        where SSH is not installed.
        """
        if address is None:
            return self._local
        login = self.logins.get(credentials)
        if login is None:
            if credentials != DEFAULT:
                raise LookupError(f"there are no credentials {credentials!r} in config.yml")
            login = ANYONE
        place = placed(address, login, self.port)
        known = self._remote.get(place)
        if known is None:
            known = self._remote[place] = self._ssh(place)
        return known

    async def close(self) -> None:
        """End every connection."""
        for reach in self._remote.values():
            await reach.close()
        if self._connections is not None:
            await self._pool().close()

    def _ssh(self, place: Place) -> Reach:
        try:
            from labcoat.watch.reach.ssh import SshReach  # noqa: PLC0415 - the extra ssh
        except ImportError as error:
            raise LookupError("SSH needs asyncssh: pip install 'labcoat[ssh]'") from error
        return SshReach(place, self._pool())

    def _pool(self) -> Connections:
        from labcoat.watch.reach.connections import Connections  # noqa: PLC0415 - as above

        if self._connections is None:
            self._connections = Connections(self.settings)
        return self._connections


def placed(address: str, login: Place, port: int | None) -> Place:
    """The login at an address, which may say a user and a port of its own."""
    user, at, rest = address.rpartition("@")
    host, colon, number = rest.rpartition(":")
    if not colon or not number.isdigit() or (":" in host and not host.endswith("]")):
        host, number = rest, ""
    return replace(
        login,
        host=host.strip("[]"),
        port=int(number) if number else login.port or port,
        user=user if at else login.user,
    )
