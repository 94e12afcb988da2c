"""Where an order goes over SSH, and as whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A host and a login. ``port`` and ``user`` of None are what the SSH config says.

    ``keys``: private key files; none means the agent's keys and the usual files.
    ``key_text``: a private key from a configuration file; stays in memory, never shown.
    ``gateway``: the place to jump through.
    """

    host: str
    port: int | None = None
    user: str | None = None
    keys: tuple[Path, ...] = ()
    key_text: str | None = field(default=None, repr=False)
    gateway: Place | None = None

    def __str__(self) -> str:
        """As people write it: ``user@host:port``."""
        user = f"{self.user}@" if self.user else ""
        return f"{user}{self.host}{f':{self.port}' if self.port else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SshSettings:
    """How connections are made and kept.

    ``known_hosts``: files in OpenSSH's format; a host that none of them names is refused.
    ``connections``: how many are kept; None is what the limit of open files allows.
    """

    known_hosts: tuple[Path, ...] = ()
    config: tuple[Path, ...] = ()
    connections: int | None = None
    dial_timeout_s: float = 8.0
    login_timeout_s: float = 15.0
