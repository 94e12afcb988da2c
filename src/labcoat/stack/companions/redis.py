"""Redis as a component."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import quote

from labcoat.errors import RenderError
from labcoat.host.base import Host, Process
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.study import App, ComponentSpec
from labcoat.model.variant import Level, Variant
from labcoat.stack.base import Edited, Rendered, UserFile, Wiring
from labcoat.stack.companions.base import exchange, place
from labcoat.stack.edit import redis as language
from labcoat.stack.edit.lines import appended
from labcoat.stack.edit.patch import apply
from labcoat.stack.given import Given

FILE = "redis.conf"
DEFAULT_PORT = 6379
EMPTY = '""'
COUNTED = (
    "connected_clients", "evicted_keys", "expired_keys", "keyspace_hits", "keyspace_misses",
    "total_commands_processed", "total_connections_received", "used_memory",
)  # fmt: skip
# Said again only where the file says something else: each has the same meaning when unsaid.
_OFF: Mapping[str, str] = {
    "cluster-enabled": "no",
    "daemonize": "no",
    "replicaof": "no one",
    "slaveof": "no one",
    "supervised": "no",
    "syslog-enabled": "no",
    "tls-port": "0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Redis:
    """Redis: one process, empty at each boot.

    The user's redis.conf is used as it is, ``save`` and ``appendonly`` too; where it listens and
    where its files lie stands behind it, and the last line wins. A password stays, and
    ``{redis.url}`` tells it to the app. No replica: it would speak to a master outside.
    Source: redis.io, "Redis configuration"; Redis' src/config.c.
    """

    name: ClassVar[str] = "redis"
    speaks: ClassVar[tuple[Speaks, ...]] = (Speaks.REDIS,)
    origin: UserFile
    given: Given = field(default_factory=Given, repr=False)

    @classmethod
    def adopt(cls, spec: ComponentSpec, app: App, *, behind: tuple[Endpoint, ...] = ()) -> Self:
        """Redis with the user's redis.conf, or with none. Raises: RenderError."""
        del app, behind
        given = Given(file=UserFile.read(spec.file) if spec.file else None, options=spec.options)
        origin = given.file or UserFile(path=Path(FILE))
        if given.options:
            text = language.assign(origin.text, dict(given.options), path=origin.path)
            origin = UserFile(path=origin.path, text=text)
        language.settings(origin.text, path=origin.path)
        return cls(origin=origin, given=given)

    def origin_endpoints(self) -> tuple[Endpoint, ...]:
        """TCP, or the Unix socket where the file says ``port 0``. Raises: RenderError."""
        port = str(self.origin_level("port") or DEFAULT_PORT)
        if not port.isdecimal() or int(port) > 65535:
            raise RenderError(
                f"not a port: {port}", where=self.origin.path, way_out="write port 6379"
            )
        if int(port):
            return (Endpoint(speaks=Speaks.REDIS, port=int(port)),)
        path = self.origin_level("unixsocket")
        if not path:
            raise RenderError(
                "redis listens nowhere: port 0, and no unixsocket",
                where=self.origin.path,
                way_out="write port 6379, or unixsocket /run/redis/redis.sock",
            )
        return (Endpoint(speaks=Speaks.REDIS, path=Path(str(path))),)

    def origin_upstream(self) -> Endpoint | None:
        """Nothing lies behind it."""
        return None

    def origin_level(self, directive: str) -> Level | None:
        """The value as written."""
        return language.read(self.origin.text, directive, path=self.origin.path)

    def spare(self) -> tuple[Endpoint, ...]:
        """None."""
        return ()

    def render(self, variant: Variant, wiring: Wiring) -> Rendered:
        """The file with the sandbox's lines behind it, and ``redis-server`` with it."""
        path = self.origin.path
        levels = variant.levels(self.name)
        text = language.assign(self.origin.text, levels, path=path) if levels else self.origin.text
        said = {setting.key: setting for setting in language.settings(text, path=path)}
        moves = self._moves(said.keys(), wiring)
        notes = tuple(
            f"{self.origin.line(said[name].line)}: {name} {said[name].value} -> {value or 'none'}"
            for name, value in moves.items()
            if name in said and said[name].value != value
        )
        lines = [f"{name} {value or EMPTY}" for name, value in moves.items()]
        return Rendered(
            files={FILE: apply(text, (appended(text, lines),))},
            argv=(*wiring.binary, str(wiring.directory / FILE)),
            rewired=notes or (f"{path}: listens at {wiring.listen.address}",),
            unprivileged=True,
        )

    def edited(self, variant: Variant) -> Edited:
        """redis.conf, or options."""
        return self.given.edited(
            variant.levels(self.name),
            assign=language.assign,
            by_hand=lambda name, level: f"redis: the line {name} {level} in your redis.conf",
        )

    def check(self, host: Host, rendered: Rendered, wiring: Wiring) -> None:
        """Nothing: Redis has no check of its file but to start with it."""

    def ready(self, host: Host, process: Process, wiring: Wiring) -> bool:
        """Whether it answers a PING, be it that it wants a password first."""
        del host, process
        answer = exchange(wiring.listen, b"PING\r\n", end=b"\r\n")
        return answer.startswith((b"+PONG", b"-NOAUTH", b"-NOPERM"))

    def counters(self, host: Host, process: Process, wiring: Wiring) -> Mapping[str, float]:
        """Of ``INFO``: commands, connections, hits and misses of keys, evictions, memory (bytes).

        None where only a user of an ACL may ask.
        """
        del host, process
        password = self._password()
        opening = f"AUTH {_quoted(password)}\r\n" if password else ""
        # What QUIT is answered comes last.
        sent = f"{opening}INFO\r\nQUIT\r\n".encode()
        answer = exchange(wiring.listen, sent, end=b"\r\n\r\n+OK\r\n").decode(errors="replace")
        pairs = (line.partition(":") for line in answer.splitlines())
        return {name: float(value) for name, _, value in pairs if name in COUNTED}

    def placeholders(self, listen: Endpoint) -> Mapping[str, str]:
        """``{redis.url}`` without the number of a database, which may follow: ``{redis.url}/1``."""
        password = self._password()
        login = f":{quote(password, safe='')}@" if password else ""
        scheme = "redis" if listen.path is None else "unix"
        where = f"{listen.host}:{listen.port}" if listen.path is None else str(listen.path)
        own = {"url": f"{scheme}://{login}{where}", **place(listen)}
        return {f"{self.name}.{part}": value for part, value in own.items()}

    def _password(self) -> str:
        return str(self.origin_level("requirepass") or "")

    def _moves(self, said: Collection[str], wiring: Wiring) -> dict[str, str]:
        """Directives that the sandbox settles."""
        listen = wiring.listen
        moves = {
            "bind": listen.host,
            "port": str(listen.port),
            "dir": str(wiring.directory),
            "logfile": "",
        }
        if listen.path is not None:
            moves["unixsocket"] = str(listen.path)
        elif "unixsocket" in said:
            moves["unixsocket"] = ""
        if "pidfile" in said:
            moves["pidfile"] = str(wiring.directory / "redis.pid")
        return {**moves, **{name: value for name, value in _OFF.items() if name in said}}


def _quoted(text: str) -> str:
    """An argument of an inline command."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
