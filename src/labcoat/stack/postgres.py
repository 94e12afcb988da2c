"""Postgres as a component."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import quote

import psycopg

from labcoat.errors import RenderError
from labcoat.host.base import Host, Process
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.study import App, ComponentSpec
from labcoat.model.variant import Level, Variant
from labcoat.stack.base import Edited, FileEdit, Rendered, UserFile, Wiring
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
    said: tuple[tuple[UserFile, Setting], ...] = field(default=(), repr=False)
    included: tuple[UserFile, ...] = ()

    @classmethod
    def adopt(cls, spec: ComponentSpec, app: App, *, behind: tuple[Endpoint, ...] = ()) -> Self:
        """Postgres with the user's postgresql.conf, or with none. Raises: RenderError."""
        del app, behind
        given = Given(file=UserFile.read(spec.file) if spec.file else None, options=spec.options)
        origin = given.file or UserFile(path=Path(FILE))
        if given.options:
            text = language.assign(origin.text, dict(given.options), path=origin.path)
            origin = UserFile(path=origin.path, text=text)
        said = tuple(_everything(origin))
        read = dict.fromkeys(file for file, _ in said if file != origin)
        return cls(origin=origin, given=given, said=said, included=tuple(read))

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
        """The level as written, in the file in which the one in force stands."""
        found = self._said().get(directive.lower())
        return None if found is None else found[1].value

    def spare(self) -> tuple[Endpoint, ...]:
        """None."""
        return ()

    def render(self, variant: Variant, wiring: Wiring) -> Rendered:
        """The file, trust for the sandbox alone, and ``postgres -D``. Raises: RenderError."""
        path = self.origin.path
        levels = variant.levels(self.name)
        # What a later file says would win over this one, but not over the command line.
        later = {name: level for name, level in levels.items() if self._place(name) is not None}
        own = {name: level for name, level in levels.items() if name not in later}
        text = language.assign(self.origin.text, own, path=path) if own else self.origin.text
        changes = list(self._includes(language.settings(text, path=path)))
        places = self._said()
        said = {name: setting for name, (_, setting) in places.items()}
        moves = self._moves(said, wiring)
        notes = [
            f"{places[name][0].line(said[name].line)}: {name} {said[name].value} -> {value}"
            if name in said
            else f"{path}: {name} = {value} (was unsaid)"
            for name, value in moves.items()
        ]
        moves |= {name: spelled(level) for name, level in later.items()}
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
        """postgresql.conf, or what it includes, where the level in force stands; or options."""
        levels = variant.levels(self.name)
        elsewhere: dict[UserFile, dict[str, Level]] = {file: {} for file in self.included}
        for name in [name for name in levels if name not in dict(self.given.options)]:
            place = self._place(name)
            if place is not None:
                elsewhere[place][name] = levels[name]
        moved = {name for of_file in elsewhere.values() for name in of_file}
        edited = self.given.edited(
            {name: level for name, level in levels.items() if name not in moved},
            assign=language.assign,
            by_hand=lambda name, level: (
                f"postgres: the line {name} = {language.quoted(spelled(level))} in the"
                " postgresql.conf of your cluster"
            ),
        )
        others = (
            FileEdit(
                path=file.path,
                before=file.text,
                after=language.assign(file.text, of_file, path=file.path),
            )
            for file, of_file in elsewhere.items()
        )
        return replace(edited, files=(*edited.files, *others))

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

    def _said(self) -> dict[str, tuple[UserFile, Setting]]:
        """Each setting in force, with the file that says it: the last one in reading order."""
        return {setting.key: (file, setting) for file, setting in self.said}

    def _place(self, name: str) -> UserFile | None:
        """The included file in which the level in force stands; None for the user's own."""
        found = self._said().get(name.lower())
        return found[0] if found is not None and found[0] != self.origin else None

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


def _everything(file: UserFile, chain: tuple[Path, ...] = ()) -> Iterator[tuple[UserFile, Setting]]:
    """Every setting of a file and of what it includes, as Postgres reads them.

    Raises: RenderError with file and line, also for a file that includes itself.
    """
    for setting in language.settings(file.text, path=file.path):
        if setting.key not in language.INCLUDES:
            yield file, setting
            continue
        target = file.path.parent / setting.value
        is_folder = setting.key == "include_dir"
        for path in sorted(target.glob("[!.]*.conf")) if is_folder else [target]:
            if path in (*chain, file.path):
                raise RenderError(
                    f"{path} includes itself",
                    where=file.line(setting.line),
                    way_out="take one of the includes out",
                )
            if path.is_file():
                yield from _everything(UserFile.read(path), (*chain, file.path))


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


def placeholders(listen: Endpoint, database: str = DATABASE) -> dict[str, str]:
    """What ``{database.…}`` means in the app's environment."""
    port = listen.port if listen.path is None else int(listen.path.name.rpartition(".")[2])
    return {
        "database.url": dsn(listen, database),
        "database.location": location(listen, database),
        "database.host": listen.host if listen.path is None else str(listen.path.parent),
        "database.port": str(port),
        "database.name": database,
        "database.user": USER,
    }
