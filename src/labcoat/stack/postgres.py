"""Postgres as a component."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import quote

import psycopg

from labcoat.errors import RenderError
from labcoat.host.base import Host, Process
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.study import App, ComponentSpec
from labcoat.model.variant import Level, Variant
from labcoat.stack.base import Edited, Rendered, UserFile, Wiring
from labcoat.stack.edit import postgres as language
from labcoat.stack.edit.lines import Setting, blanked
from labcoat.stack.edit.patch import Patch, apply, spelled
from labcoat.stack.given import Given

FILE = "postgresql.conf"
HBA = "pg_hba.conf"
IDENT = "pg_ident.conf"
USER = "labcoat"
DATABASE = "labcoat"
DEFAULT_PORT = 5432
CHECK_TIMEOUT_S = 20.0
LOCALES = ("lc_messages", "lc_monetary", "lc_numeric", "lc_time")
TRUST = "local all all trust\nhost all all 127.0.0.1/32 trust\n"

_COUNTERS = """
    select sum(numbackends)::float8 as backends, sum(xact_commit)::float8 as commits,
           sum(blks_hit)::float8 as blocks_hit, sum(blks_read)::float8 as blocks_read,
           sum(temp_files)::float8 as temp_files, sum(deadlocks)::float8 as deadlocks,
           sum(tup_inserted + tup_updated + tup_deleted)::float8 as rows_written{wal}
    from pg_stat_database
"""
_WAL_COUNTERS = (
    ",\n           (select wal_buffers_full from pg_stat_wal)::float8 as wal_buffers_full"
)
_WAL_SINCE = 140_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres:
    """Postgres: one cluster, cloned from a seeded template, in the sandbox.

    The user's postgresql.conf is used as it is; where it listens, where its files lie and
    where it logs are said on the command line, which wins over the file. Never root.
    Source: PostgreSQL's manual, "Server Configuration".
    """

    name: ClassVar[str] = "postgres"
    speaks: ClassVar[tuple[Speaks, ...]] = (Speaks.POSTGRES,)
    origin: UserFile
    given: Given = field(default_factory=Given, repr=False)

    @classmethod
    def adopt(cls, spec: ComponentSpec, app: App, *, behind: tuple[Endpoint, ...] = ()) -> Self:
        """Postgres with the user's postgresql.conf, or with none. Raises: RenderError."""
        del app, behind
        given = Given(file=UserFile.read(spec.file) if spec.file else None, options=spec.options)
        origin = given.file or UserFile(path=Path(FILE))
        if given.options:
            text = language.assign(origin.text, dict(given.options), path=origin.path)
            origin = UserFile(path=origin.path, text=text)
        component = cls(origin=origin, given=given)
        component._settings()
        return component

    def origin_endpoints(self) -> tuple[Endpoint, ...]:
        """TCP if the file says ``listen_addresses``, else the Unix socket."""
        port = self.origin_level("port") or str(DEFAULT_PORT)
        if not str(port).isdecimal() or not 0 < int(port) < 65536:
            raise RenderError(
                f"not a port: {port}", where=self.origin.path, way_out="write port = 5432"
            )
        if self.origin_level("listen_addresses"):
            return (Endpoint(speaks=Speaks.POSTGRES, port=int(port)),)
        folder = self.origin_level("unix_socket_directories") or "/tmp"  # noqa: S108 - Postgres' own
        first = str(folder).split(",")[0].strip()
        return (Endpoint(speaks=Speaks.POSTGRES, path=Path(first) / socket_name(int(port))),)

    def origin_upstream(self) -> Endpoint | None:
        """Nothing lies behind a database."""
        return None

    def origin_level(self, directive: str) -> Level | None:
        """The level as written."""
        return language.read(self.origin.text, directive, path=self.origin.path)

    def spare(self) -> tuple[Endpoint, ...]:
        """None."""
        return ()

    def render(self, variant: Variant, wiring: Wiring) -> Rendered:
        """The file, trust for the sandbox alone, and ``postgres -D``. Raises: RenderError."""
        path = self.origin.path
        levels = variant.levels(self.name)
        text = language.assign(self.origin.text, levels, path=path) if levels else self.origin.text
        settings = language.settings(text, path=path)
        changes = list(self._includes(settings))
        said = {setting.key: setting for setting in settings}
        moves = self._moves(said, wiring)
        notes = [
            f"{path}:{said[name].line}: {name} {said[name].value} -> {value}"
            if name in said
            else f"{path}: {name} = {value} (was unsaid)"
            for name, value in moves.items()
        ]
        argv = [*wiring.binary, "-D", str(data_directory(wiring))]
        argv += ["-c", f"config_file={wiring.directory / FILE}"]
        for name, value in moves.items():
            argv += ["-c", f"{name}={value}"]
        return Rendered(
            files={FILE: apply(text, (p for p, _ in changes)), HBA: TRUST, IDENT: ""},
            argv=tuple(argv),
            rewired=(*notes, *(note for _, note in changes)),
            unprivileged=True,
            stop_signal=signal.SIGINT,
        )

    def edited(self, variant: Variant) -> Edited:
        """postgresql.conf, or options; files that it includes stay as they are."""
        return self.given.edited(
            variant.levels(self.name),
            assign=language.assign,
            by_hand=lambda name, level: (
                f"postgres: the line {name} = {language.quoted(spelled(level))} in the"
                " postgresql.conf of your cluster"
            ),
        )

    def check(self, host: Host, rendered: Rendered, wiring: Wiring) -> None:
        """``postgres -C``, which reads the file and its values. Raises: RenderError."""
        completed = host.run(
            (*rendered.argv, "-C", "max_connections"),
            timeout_s=CHECK_TIMEOUT_S,
            cwd=wiring.directory,
            env=wiring.env,
            unprivileged=True,
        )
        if completed.status != 0:
            written, own = str(wiring.directory / FILE), str(self.origin.path)
            raise RenderError(
                "postgres refuses the file",
                where=own,
                log=tuple(line.replace(written, own) for line in completed.tail()),
                way_out="mend the setting named above, or leave the knob out",
            )

    def ready(self, host: Host, process: Process, wiring: Wiring) -> bool:
        """Whether a real connection gets a real answer."""
        del process
        return host.answers(wiring.listen) and answers(wiring.listen, "postgres")

    def counters(self, host: Host, process: Process, wiring: Wiring) -> Mapping[str, float]:
        """``pg_stat_database``, all databases: commits, blocks hit and read, temporary files.

        ``rows_written``: inserted, updated, deleted; they count on from the seed.
        ``wal_buffers_full`` (``pg_stat_wal``) is told since 14.
        """
        del host, process
        try:
            with psycopg.connect(dsn(wiring.listen), connect_timeout=2) as connection:
                has_wal = connection.info.server_version >= _WAL_SINCE
                wal = _WAL_COUNTERS if has_wal else ""
                cursor = connection.execute(_COUNTERS.replace("{wal}", wal))
                names = [column.name for column in cursor.description or ()]
                row = cursor.fetchone() or ()
        except psycopg.Error:
            return {}
        return {name: float(value or 0.0) for name, value in zip(names, row, strict=True)}

    def _settings(self) -> tuple[Setting, ...]:
        return language.settings(self.origin.text, path=self.origin.path)

    def _includes(self, settings: tuple[Setting, ...]) -> Iterator[tuple[Patch, str]]:
        """Included files are found from the user's folder, whatever folder the copy lies in."""
        for setting in settings:
            if setting.key not in language.INCLUDES:
                continue
            place = f"{self.origin.line(setting.line)}: {setting.key} {setting.value}"
            target = self.origin.path.parent / setting.value
            if target.exists():
                if not Path(setting.value).is_absolute():
                    new = language.quoted(str(target))
                    yield Patch(setting.start, setting.end, new), f"{place} -> {target}"
            elif setting.key != "include_if_exists":
                why = "no such file on this machine"
                yield blanked(setting, f"# {setting.key}: {why}"), f"{place} left out: {why}"

    def _moves(self, said: Mapping[str, Setting], wiring: Wiring) -> dict[str, str]:
        """Settings that the command line overrides."""
        listen = wiring.listen
        folder = listen.path.parent if listen.path is not None else wiring.directory
        port = listen.port if listen.path is None else int(listen.path.name.rpartition(".")[2])
        moves = {
            "data_directory": str(data_directory(wiring)),
            "hba_file": str(wiring.directory / HBA),
            "ident_file": str(wiring.directory / IDENT),
            "listen_addresses": listen.host if listen.path is None else "",
            "port": str(port),
            "unix_socket_directories": str(folder),
        }
        always_off = {"ssl": "off", "archive_mode": "off"}
        moves |= {name: value for name, value in always_off.items() if name in said}
        for name in ("external_pid_file", "log_directory"):
            if name in said:
                moves[name] = str(wiring.directory / name)
        if "logging_collector" in said:
            moves["log_directory"] = str(wiring.directory / "log")
        for name in ("unix_socket_group", "stats_temp_directory"):
            if name in said:
                moves[name] = "" if name == "unix_socket_group" else "pg_stat_tmp"
        if "syslog" in getattr(said.get("log_destination"), "value", ""):
            moves["log_destination"] = "stderr"
        moves |= {name: "C" for name in LOCALES if name in said and said[name].value != "C"}
        return moves


def data_directory(wiring: Wiring) -> Path:
    """Where the cluster lies."""
    return wiring.directory / "data"


def socket_name(port: int) -> str:
    """What Postgres calls its Unix socket."""
    return f".s.PGSQL.{port}"


def dsn(listen: Endpoint, database: str = DATABASE) -> str:
    """A ``postgresql://`` URL that libpq, psycopg, asyncpg and SQLAlchemy understand."""
    return f"postgresql://{location(listen, database)}"


def location(listen: Endpoint, database: str = DATABASE) -> str:
    """The URL after its scheme, so that a driver can be named before it."""
    if listen.path is None:
        return f"{USER}@{listen.host}:{listen.port}/{database}"
    folder = quote(str(listen.path.parent), safe="/")
    return f"{USER}@/{database}?host={folder}&port={listen.path.name.rpartition('.')[2]}"


def answers(listen: Endpoint, database: str) -> bool:
    """Whether a query is answered."""
    try:
        with psycopg.connect(dsn(listen, database), connect_timeout=2) as connection:
            return connection.execute("select 1").fetchone() == (1,)
    except psycopg.Error:
        return False


def placeholders(listen: Endpoint) -> dict[str, str]:
    """What ``{database.…}`` means in the app's environment."""
    port = listen.port if listen.path is None else int(listen.path.name.rpartition(".")[2])
    return {
        "database.url": dsn(listen),
        "database.location": location(listen),
        "database.host": listen.host if listen.path is None else str(listen.path.parent),
        "database.port": str(port),
        "database.name": DATABASE,
        "database.user": USER,
    }
