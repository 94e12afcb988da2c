"""What stands between two components: endpoints and wiring."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Speaks(Enum):
    """The protocol that an endpoint serves."""

    HTTP = "http"
    HTTPS = "https"
    UWSGI = "uwsgi"
    POSTGRES = "postgres"
    REDIS = "redis"
    MEMCACHED = "memcached"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a component listens: a Unix socket (``path``) or a TCP port on loopback."""

    speaks: Speaks
    path: Path | None = None
    host: str = "127.0.0.1"
    port: int = 0

    def __post_init__(self) -> None:
        if (self.path is None) == (self.port == 0):
            raise ValueError("an endpoint is either a Unix socket or a TCP port")

    @property
    def address(self) -> str:
        """``unix:/path`` or ``host:port``."""
        return f"unix:{self.path}" if self.path is not None else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """A base URL for clients; meaningful for HTTP endpoints on TCP."""
        return f"{self.speaks.value}://{self.host}:{self.port}"
