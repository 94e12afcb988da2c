"""PgBouncer as a component: the pooler between the app and Postgres."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

import psycopg

from labcoat.errors import RenderError
from labcoat.host.base import Host, Process
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.study import App, ComponentSpec
from labcoat.model.variant import Level, Variant
from labcoat.stack import postgres
from labcoat.stack.base import Edited, Rendered, UserFile, Wiring
from labcoat.stack.edit import ini
from labcoat.stack.edit.lines import Setting
from labcoat.stack.edit.patch import Patch, apply
from labcoat.stack.given import Given

FILE = "pgbouncer.ini"
SECTION = "pgbouncer"
DATABASES = "databases"
CONSOLE = "pgbouncer"
DEFAULT_PORT = 6432
NO_FILE = f"[{DATABASES}]\n[{SECTION}]\n"

_ANY = "*"
_PAIR = re.compile(r"(\w+)\s*=\s*('(?:[^']|'')*'|\S+)")
_MOVED = frozenset({"auth_dbname", "auth_query", "auth_user", "dbname", "host", "password",
                    "port", "user"})  # fmt: skip
# Who may log in is settled by auth_type, where it logs by standing in the foreground.
_LEFT_OUT = frozenset(
    {
        "auth_dbname", "auth_file", "auth_hba_file", "auth_ident_file", "auth_query", "auth_user",
        "logfile", "pidfile", "syslog", "syslog_facility", "syslog_ident", "unix_socket_group",
        "user",
    }
)  # fmt: skip
_TLS = ("client_tls_sslmode", "server_tls_sslmode")
_SUMMED: Mapping[str, tuple[str, ...]] = {
    "SHOW POOLS": ("cl_active", "cl_waiting", "sv_active", "sv_idle"),
    "SHOW STATS": ("total_query_count", "total_wait_time", "total_xact_count"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PgBouncer:
    """PgBouncer: one process in front of the arm's Postgres; ``{database.url}`` leads through it.

    The user's pgbouncer.ini with its pools, sizes and limits. Every entry of ``[databases]``
    leads to the sandbox's database, whoever logs in: passwords and TLS are the deployment's.
    Refuses: ``%include``. Never root.
    Source: pgbouncer.org, "Configuration".
    """

    name: ClassVar[str] = "pgbouncer"
    speaks: ClassVar[tuple[Speaks, ...]] = (Speaks.POSTGRES,)
    origin: UserFile
    given: Given = field(default_factory=Given, repr=False)

    @classmethod
    def adopt(cls, spec: ComponentSpec, app: App, *, behind: tuple[Endpoint, ...] = ()) -> Self:
        """PgBouncer with the user's pgbouncer.ini, or with none. Raises: RenderError."""
        del app, behind
        given = Given(file=UserFile.read(spec.file) if spec.file else None, options=spec.options)
        origin = given.file or UserFile(path=Path(FILE), text=NO_FILE)
        for number, line in enumerate(origin.text.splitlines(), start=1):
            if line.lstrip().startswith("%include"):
                raise RenderError(
                    "pgbouncer.ini includes another file, which labcoat does not follow",
                    where=origin.line(number),
                    way_out="name a file under [stack] pgbouncer that holds all of its lines",
                )
        if given.options:
            text = assign(origin.text, dict(given.options), path=origin.path)
            origin = UserFile(path=origin.path, text=text)
        settings(origin.text, path=origin.path)
        return cls(origin=origin, given=given)

    def origin_endpoints(self) -> tuple[Endpoint, ...]:
        """TCP if the file says ``listen_addr``, else the Unix socket. Raises: RenderError."""
        port = str(self.origin_level("listen_port") or DEFAULT_PORT)
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise RenderError(
                f"not a port: {port}", where=self.origin.path, way_out="write listen_port = 6432"
            )
        if self.origin_level("listen_addr"):
            return (Endpoint(speaks=Speaks.POSTGRES, port=int(port)),)
        folder = self.origin_level("unix_socket_dir") or "/tmp"  # noqa: S108 - PgBouncer's own
        path = Path(str(folder)) / postgres.socket_name(int(port))
        return (Endpoint(speaks=Speaks.POSTGRES, path=path),)

    def origin_upstream(self) -> Endpoint | None:
        """Unsaid: every entry of ``[databases]`` leads to the sandbox's database."""
        return None

    def origin_level(self, directive: str) -> Level | None:
        """The value as written."""
        said = settings(self.origin.text, path=self.origin.path)
        return {setting.key: setting.value for setting in said}.get(directive)

    def spare(self) -> tuple[Endpoint, ...]:
        """None."""
        return ()

    def render(self, variant: Variant, wiring: Wiring) -> Rendered:
        """The rewired file, and ``pgbouncer`` with it. Raises: RenderError."""
        path = self.origin.path
        levels = variant.levels(self.name)
        text = assign(self.origin.text, levels, path=path) if levels else self.origin.text
        changes = [
            *self._entries(text, wiring),
            *self._left_out(text),
            *self._settled(text, wiring),
        ]
        return Rendered(
            files={FILE: apply(text, (patch for patch, _ in changes))},
            argv=(*wiring.binary, str(wiring.directory / FILE)),
            rewired=tuple(note for _, note in changes),
            unprivileged=True,
        )

    def edited(self, variant: Variant) -> Edited:
        """pgbouncer.ini, or options."""
        return self.given.edited(
            variant.levels(self.name),
            assign=assign,
            by_hand=lambda name, level: (
                f"pgbouncer: the line {name} = {level} in the [{SECTION}] of your pgbouncer.ini"
            ),
        )

    def check(self, host: Host, rendered: Rendered, wiring: Wiring) -> None:
        """Nothing: PgBouncer has no check of its file but to start with it."""

    def ready(self, host: Host, process: Process, wiring: Wiring) -> bool:
        """Whether a query is answered through it."""
        del process
        return host.answers(wiring.listen) and postgres.answers(wiring.listen, self._database())

    def counters(self, host: Host, process: Process, wiring: Wiring) -> Mapping[str, float]:
        """Of ``SHOW POOLS``: clients and servers, active and waiting now; of ``SHOW STATS``:
        transactions and queries since boot, and how long clients waited (microseconds).
        """
        del host, process
        counts: dict[str, float] = {}
        try:
            dsn = postgres.dsn(wiring.listen, CONSOLE)
            with psycopg.connect(dsn, connect_timeout=2, autocommit=True) as console:
                for command, wanted in _SUMMED.items():
                    cursor = psycopg.ClientCursor(console).execute(command.encode())
                    names = [column.name for column in cursor.description or ()]
                    for row in cursor.fetchall():
                        said = dict(zip(names, row, strict=True))
                        if said.get("database") != CONSOLE:
                            for name in wanted:
                                counts[name] = counts.get(name, 0.0) + float(said.get(name, 0))
        except psycopg.Error:
            return {}
        return counts

    def placeholders(self, listen: Endpoint) -> Mapping[str, str]:
        """``{database.…}``, which leads through it."""
        return postgres.placeholders(listen, self._database())

    def _database(self) -> str:
        """The name by which the app asks for its database: that of the first entry."""
        entries = entries_of(self.origin.text, path=self.origin.path)
        named = (entry.key.strip('"') for entry in entries if entry.key != _ANY)
        return next(named, postgres.DATABASE)

    def _entries(self, text: str, wiring: Wiring) -> Iterator[tuple[Patch, str]]:
        """Each entry of ``[databases]`` with the sandbox's address; its pool stays."""
        if wiring.upstream is None:
            raise RenderError(
                "pgbouncer needs a database behind it",
                where="[stack] pgbouncer",
                way_out="add postgres = true, or your postgresql.conf, under [stack]",
            )
        at = postgres.placeholders(wiring.upstream)
        to = " ".join(
            f"{key}={at[f'database.{part}']}"
            for key, part in (("host", "host"), ("port", "port"), ("dbname", "name"),
                              ("user", "user"))
        )  # fmt: skip
        entries = entries_of(text, path=self.origin.path)
        for entry in entries:
            kept = [f"{k}={v}" for k, v in _PAIR.findall(entry.value) if k not in _MOVED]
            note = f"{self.origin.line(entry.line)}: {entry.key} -> {wiring.upstream.address}"
            yield ini.valued(text, entry, " ".join((to, *kept))), note
        if not entries:
            note = f"{self.origin.path}: {_ANY} -> {wiring.upstream.address} (was unsaid)"
            yield ini.added(text, [f"{_ANY} = {to}"], (), DATABASES), note

    def _left_out(self, text: str) -> Iterator[tuple[Patch, str]]:
        for setting in settings(text, path=self.origin.path):
            if setting.key in _LEFT_OUT:
                why = "is the sandbox's"
                yield (
                    ini.removed(setting, why),
                    f"{self.origin.line(setting.line)}: {setting.key} {why}",
                )

    def _settled(self, text: str, wiring: Wiring) -> Iterator[tuple[Patch, str]]:
        """Settings that the sandbox changes where they are, or adds to the section."""
        present = settings(text, path=self.origin.path)
        said = {setting.key: setting for setting in present}
        listen = wiring.listen
        at = postgres.placeholders(listen)
        moves = {
            "listen_addr": listen.host if listen.path is None else "",
            "listen_port": at["database.port"],
            "unix_socket_dir": "" if listen.path is None else at["database.host"],
            # Every entry names its user, so any client may come; the console too.
            "auth_type": "any",
            **{name: "disable" for name in _TLS if name in said},
        }
        for name, value in moves.items():
            if name in said:
                place = self.origin.line(said[name].line)
                note = f"{place}: {name} {said[name].value} -> {value or 'none'}"
                yield ini.valued(text, said[name], value), note
        missing = [f"{name} = {value}" for name, value in moves.items() if name not in said]
        if missing:
            note = f"{self.origin.path}: listens at {listen.address}"
            yield ini.added(text, missing, present, SECTION), note


def settings(text: str, *, path: Path) -> tuple[Setting, ...]:
    """Every setting of ``[pgbouncer]``. Raises: RenderError with file and line."""
    return ini.settings(text, path=path, section=SECTION)


def entries_of(text: str, *, path: Path) -> tuple[Setting, ...]:
    """Every entry of ``[databases]``; none where there is no such section."""
    if f"[{DATABASES}]" not in text:
        return ()
    return ini.settings(text, path=path, section=DATABASES)


def assign(text: str, levels: Mapping[str, Level], /, *, path: Path) -> str:
    """The text with these settings in force in ``[pgbouncer]``."""
    return ini.assign(text, levels, path=path, section=SECTION)
