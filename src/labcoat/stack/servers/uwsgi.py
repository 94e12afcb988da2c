"""uWSGI as a component."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from labcoat.errors import RenderError
from labcoat.host.base import Host, Process
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.study import App, ComponentSpec, Interface
from labcoat.model.variant import Level, Variant
from labcoat.stack.base import Edited, Rendered, UserFile, Wiring
from labcoat.stack.edit import ini as language
from labcoat.stack.edit import uwsgi as formats
from labcoat.stack.edit.command import Command, Grammar
from labcoat.stack.edit.lines import Setting, appended
from labcoat.stack.edit.patch import Patch, apply, spelled
from labcoat.stack.given import Given
from labcoat.stack.servers import options as command_line

FILE = "uwsgi.ini"
SOCKETS: Mapping[str, Speaks] = {
    "socket": Speaks.UWSGI,
    "uwsgi-socket": Speaks.UWSGI,
    "http-socket": Speaks.HTTP,
    "http11-socket": Speaks.HTTP,
    "http": Speaks.HTTP,
}
APPS = frozenset({"module", "wsgi", "wsgi-file", "file", "mount", "paste", "ini-paste", "pecan"})
REFUSED: Mapping[str, str] = {
    "emperor": "an emperor starts stacks of its own",
    "py-autoreload": "it changes workers while they are measured",
    "ini": "settings of a second file cannot be rewired",
    "include": "settings of a second file cannot be rewired",
    "inherit": "settings of a second file cannot be rewired",
    "json": "settings of a second file cannot be rewired",
    "xml": "settings of a second file cannot be rewired",
    "yaml": "settings of a second file cannot be rewired",
    "attach-daemon": "it starts programs that nobody measures",
}
DOOR = "the sandbox needs one door"
DROPPED: Mapping[str, str] = {
    "https": DOOR,
    "https-socket": DOOR,
    "http-to": DOOR,
    "http-to-https": DOOR,
    "fastcgi-socket": DOOR,
    "scgi-socket": DOOR,
    "raw-socket": DOOR,
    "shared-socket": DOOR,
    "suwsgi-socket": DOOR,
    "udp": DOOR,
    "zerg-server": DOOR,
    "zmq": DOOR,
    "touch-reload": "it changes workers while they are measured",
    "touch-chain-reload": "it changes workers while they are measured",
    "touch-workers-reload": "it changes workers while they are measured",
    "daemonize": "the sandbox holds the process",
    "daemonize2": "the sandbox holds the process",
    "uid": "the sandbox belongs to whoever starts it",
    "gid": "the sandbox belongs to whoever starts it",
    "chown-socket": "the sandbox belongs to whoever starts it",
    "log-syslog": "logs stay in the sandbox",
    "rsyslog": "logs stay in the sandbox",
    "subscribe-to": "nothing outside the sandbox is told",
    "carbon": "nothing outside the sandbox is told",
}
FILES = frozenset(
    {"pidfile", "pidfile2", "safe-pidfile", "safe-pidfile2", "logto", "logto2", "master-fifo"}
)
CONFIGS = ("ini", "json", "js", "xml", "xmlconfig", "yaml", "yml")
GRAMMAR = Grammar(
    program="uwsgi",
    flags={
        **{
            f"--{name}": (name, True)
            for name in (
                "abstract-socket", "add-header-empty", "auto-procname", "catch-exceptions",
                "cheap", "close-on-exec", "die-on-term", "disable-logging",
                "disable-write-exception",
                "enable-threads", "exit-on-reload", "http-auto-chunked", "http-auto-gzip",
                "http-keepalive", "ignore-sigpipe", "ignore-write-errors", "lazy", "lazy-apps",
                "log-4xx", "log-5xx", "log-master", "log-micros", "log-x-forwarded-for",
                "log-zero", "manage-script-name", "master", "memory-report", "need-app",
                "no-default-app", "no-orphans", "offload", "post-buffering-auto",
                "py-call-osafterfork", "reuse-port", "single-interpreter", "so-keepalive",
                "stats-http", "strict", "tcp-nodelay", "threaded-logger", "thunder-lock", "vacuum",
                "wsgi-env-behaviour-auto",
            )
        },
        "-M": ("master", True), "-T": ("enable-threads", True),
        "-i": ("single-interpreter", True), "-L": ("disable-logging", True),
        "-m": ("memory-report", True), "-a": ("abstract-socket", True),
    },
    names={
        "-C": "chmod-socket", "-H": "home", "-R": "max-requests", "-S": "set",
        "-b": "buffer-size", "-d": "daemonize", "-j": "json", "-l": "listen", "-p": "processes",
        "-s": "socket", "-t": "harakiri", "-w": "module", "-x": "xml", "-y": "yaml",
        "-z": "socket-timeout",
    },
    lists=frozenset(
        {
            "attach-daemon", "cron", "env", "http", "http-socket", "logger", "mime-file", "mount",
            "mule", "plugin", "plugins", "pythonpath", "req-logger", "route", "set",
            "set-placeholder", "socket", "static-map",
        }
    ),
)  # fmt: skip
"""Options of uWSGI that take no value, and its letters; of 940, those of real command lines."""

LOGGERS = frozenset({"logger", "req-logger", "logger-req"})
STATS = frozenset({"stats", "stats-server"})
FOLDERS = frozenset({"chdir", "chdir2"})
HOMES = frozenset({"home", "virtualenv", "venv", "pyhome"})

# Placeholders in placeholders, at most.
_DEPTH = 3
# [name ]file:/path, or [name ]file:logfile=/path,maxsize=...
_LOG_FILE = re.compile(r"(?P<lead>(?:\S+ )?file:(?:.*?logfile=)?)(?P<path>[^,]+)(?P<rest>.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Uwsgi:
    """uWSGI: a master, its workers, and a socket in the uwsgi or the HTTP protocol.

    Placeholders of the user's keep their meaning: those that name the file's own folder
    are written out, since the file that uWSGI reads lies in the sandbox.
    ``need-app`` is added: without it a stack without an app looks ready. It is ended by INT,
    since TERM may mean reload.
    Refuses: what starts other stacks, reads other files, or changes workers while measured.
    Source: uWSGI 2.0 core/uwsgi.c and docs, "Options".
    """

    name: ClassVar[str] = "uwsgi"
    speaks: ClassVar[tuple[Speaks, ...]] = (Speaks.UWSGI, Speaks.HTTP)
    origin: UserFile
    given: Given = field(default_factory=Given, repr=False)
    app: App | None = field(default=None, repr=False)
    told: tuple[str, ...] = ()

    @classmethod
    def adopt(cls, spec: ComponentSpec, app: App, *, behind: tuple[Endpoint, ...] = ()) -> Self:
        """The user's file in any of uWSGI's languages, or command line. Raises: RenderError."""
        del behind
        if app.interface is not Interface.WSGI:
            raise RenderError(
                "uWSGI serves WSGI, not ASGI",
                where="[stack] uwsgi",
                way_out="name granian, uvicorn, or gunicorn with an ASGI worker instead",
            )
        options = {name.replace("_", "-"): level for name, level in spec.options}
        line = command_line.command_of(spec, GRAMMAR)
        said: dict[str, Level | list[str]] = {}
        told: tuple[str, ...] = ()
        if line is not None:
            said = command_line.settings_of(line, app, (*SOCKETS, *FILES, *STATS, *CONFIGS))
        file = _file_of(spec, line, app, said)
        if line is not None:
            told = tuple(
                f"{line.place}: {name} comes from [app]" for name in sorted(APPS & {*said})
            )
        given = Given(file=file, options=tuple(options.items()), command=line, env=app.env)
        origin = file or UserFile(path=Path(FILE))
        text = formats.as_ini(origin.text, path=origin.path)
        over = [
            (name, value)
            for name, level in said.items()
            if name not in {*CONFIGS, *APPS, "callable"}
            for value in (level if isinstance(level, list) else [level])
        ]
        text = _said_over(text, over, origin.path)
        text = language.assign(text, options, path=origin.path) if options else text
        component = cls(origin=replace(origin, text=text), given=given, app=app, told=told)
        component._refuse()
        return component

    def origin_endpoints(self) -> tuple[Endpoint, ...]:
        """What the sockets of the file say."""
        return tuple(
            endpoint
            for setting in self._settings()
            if setting.key in SOCKETS
            and setting not in language.in_blocks(self._settings())
            and (endpoint := _endpoint(setting)) is not None
        )

    def origin_upstream(self) -> Endpoint | None:
        """Unsaid."""
        return None

    def origin_level(self, directive: str) -> Level | None:
        """The level as written."""
        return language.read(self.origin.text, directive, path=self.origin.path)

    def spare(self) -> tuple[Endpoint, ...]:
        """A Unix socket for the stats server."""
        return (Endpoint(speaks=Speaks.HTTP, path=Path("stats")),)

    def render(self, variant: Variant, wiring: Wiring) -> Rendered:
        """The rewired ini file and ``uwsgi --ini``. Raises: RenderError."""
        path = self.origin.path
        levels = variant.levels(self.name)
        text = language.assign(self.origin.text, levels, path=path) if levels else self.origin.text
        settings = language.settings(text, path=path)
        changes = list(self._changes(settings, wiring))
        lines = self._lines(settings, wiring)
        patches = [patch for patch, _ in changes]
        added = [f"{key} = {value}" for key, value in lines]
        if text.strip():
            at = settings[-1].line_start if settings else None
            patches.append(appended(text, added, at=at))
            text = apply(text, patches)
        else:
            text = "\n".join(("[uwsgi]", *added, ""))
        rewired = (
            *(note for _, note in changes),
            *(f"{path}: {key} = {value} (was unsaid)" for key, value in lines),
        )
        name = path.name if path.suffix == ".ini" else FILE
        argv = (*wiring.binary, "--ini", str(wiring.directory / name))
        rewired = (*rewired, *self.told)
        return Rendered(files={name: text}, argv=argv, rewired=rewired, stop_signal=signal.SIGINT)

    def edited(self, variant: Variant) -> Edited:
        """The user's file in its own language, the command line, or options."""
        return self.given.edited(
            variant.levels(self.name),
            assign=formats.assign,
            names=language.names,
            by_hand=lambda name, level: (
                f"uwsgi: the line {name} = {spelled(level, true='true', false='false')} below"
                " [uwsgi] in its ini file"
            ),
        )

    def check(self, host: Host, rendered: Rendered, wiring: Wiring) -> None:
        """Nothing: uWSGI cannot check a file without starting."""

    def ready(self, host: Host, process: Process, wiring: Wiring) -> bool:
        """Whether it accepts connections."""
        del process
        return host.answers(wiring.listen)

    def counters(self, host: Host, process: Process, wiring: Wiring) -> Mapping[str, float]:
        """The stats server: listen queue (of TCP), busy workers, requests, exceptions, respawns.

        ``processes``, ``processes_served``: workers, and those that have answered;
        ``slots``: requests that they can serve at once (workers x threads).

        Empty without a master, which is who serves them.
        """
        del host, process
        stats = _stats(wiring.spare[0]) if wiring.spare else None
        if stats is None:
            return {}
        workers = stats.get("workers", [])
        # Of a Unix socket it says 0, whatever waits: the kernel does not tell it.
        queues = () if wiring.listen.path is not None else ("listen_queue", "listen_queue_errors")
        return {
            **{name: float(stats.get(name, 0)) for name in queues},
            "processes": float(len(workers)),
            "processes_served": float(sum(worker["requests"] > 0 for worker in workers)),
            "slots": float(sum(len(worker.get("cores", "1")) for worker in workers)),
            "busy": float(sum(worker["status"].startswith("busy") for worker in workers)),
            "requests": float(sum(worker["requests"] for worker in workers)),
            "exceptions": float(sum(worker["exceptions"] for worker in workers)),
            "harakiri": float(sum(worker["harakiri_count"] for worker in workers)),
            "respawns": float(sum(max(0, worker["respawn_count"] - 1) for worker in workers)),
        }

    def _settings(self) -> tuple[Setting, ...]:
        return language.settings(self.origin.text, path=self.origin.path)

    def _refuse(self) -> None:
        for setting in self._settings():
            if setting.key in REFUSED:
                raise RenderError(
                    f"uwsgi {setting.key} is refused: {REFUSED[setting.key]}",
                    where=self.origin.line(setting.line),
                    way_out=f"leave {setting.key} out of the file that is measured",
                )

    def _changes(
        self, settings: tuple[Setting, ...], wiring: Wiring
    ) -> Iterator[tuple[Patch, str]]:
        """Patches for lines of the user's, each with its words."""
        doors = _doors(settings, wiring)
        for setting in settings:
            key, place = setting.key, self.origin.line(setting.line)
            new, why = self._change(setting, wiring)
            if key in SOCKETS and setting not in doors[:1]:
                why = DOOR
            home = self._at_home(setting.value)
            if why is not None:
                yield language.removed(setting, why), f"{place}: {key} left out: {why}"
            elif new is not None and new != setting.value:
                patch = Patch(setting.start, setting.end, new)
                yield patch, f"{place}: {key} {setting.value} -> {new}"
            elif home != setting.value:
                patch = Patch(setting.start, setting.end, home)
                yield patch, f"{place}: {key}: the file's own folder written out"

    def _change(self, setting: Setting, wiring: Wiring) -> tuple[str | None, str | None]:
        """(new value, why left out) of one line; both None if it stays."""
        key, folder = setting.key, wiring.directory
        new, why = None, DROPPED.get(key)
        is_here = self._exists(setting.value)
        if key in SOCKETS:
            new = _bare(wiring.listen)
        elif key in FILES:
            new = str(folder / f"{key}.{'pid' if 'pid' in key else 'log'}")
        elif key in STATS and wiring.spare:
            new = _bare(wiring.spare[0])
        elif key in LOGGERS:
            new, why = _logger(setting, wiring)
        elif key in FOLDERS and not is_here:
            new = str(wiring.app.directory)
        elif key in HOMES and not is_here:
            why = "no such folder here; the app's own interpreter is used"
        elif key == "env":
            name = setting.value.partition("=")[0].strip()
            why = f"{name} comes from labcoat.toml" if name in dict(wiring.app.env) else None
        return new, why

    def _lines(self, settings: tuple[Setting, ...], wiring: Wiring) -> tuple[tuple[str, str], ...]:
        """Options that the file does not say and the sandbox needs."""
        keys = {setting.key for setting in settings}
        lines: list[tuple[str, str]] = []
        if not _doors(settings, wiring):
            name = "socket" if wiring.listen.speaks is Speaks.UWSGI else "http-socket"
            lines.append((name, _bare(wiring.listen)))
        if not keys & APPS:
            lines.append(("module", wiring.app.target))
        if "need-app" not in keys:
            lines.append(("need-app", "true"))
        has_master = language.is_on(
            next((s.value for s in reversed(settings) if s.key == "master"), None)
        )
        if has_master and wiring.spare and not keys & STATS:
            lines.append(("stats", _bare(wiring.spare[0])))
        return tuple(lines)

    def _exists(self, value: str) -> bool:
        """Whether a folder is there, placeholders filled; True where one cannot be."""
        said = {setting.key: setting.value for setting in self._settings()}
        env = dict(self.app.env) if self.app is not None else {}
        for setting in self._settings():
            if setting.key in {"set", "set-ph", "set-placeholder"}:
                name, _, value_said = setting.value.partition("=")
                said[name] = value_said
        filled = self._at_home(value)
        for _ in range(_DEPTH):
            filled = re.sub(r"%\(([^()]*)\)", lambda m: said.get(m[1], m[0]), filled)
            filled = re.sub(r"\$\((\w+)\)", lambda m: env.get(m[1], m[0]), filled)
        return "%" in filled or "$(" in filled or Path(filled).is_dir()

    def _at_home(self, value: str) -> str:
        """The value with the placeholders for the file's own place written out."""
        path = self.origin.path
        own = {"d": f"{path.parent}/", "p": str(path), "c": path.parent.name}
        own |= {letter.upper(): text for letter, text in own.items()}
        return re.sub(r"%(.)", lambda found: own.get(found[1], found[0]), value)


def _doors(settings: Sequence[Setting], wiring: Wiring) -> list[Setting]:
    """Sockets that speak what is wanted; those of a loop would be one door several times."""
    blocks = language.in_blocks(settings)
    return [
        setting
        for setting in settings
        if SOCKETS.get(setting.key) is wiring.listen.speaks and setting not in blocks
    ]


def _said_over(text: str, options: Sequence[tuple[str, Level | str]], path: Path) -> str:
    """An ini text with options of a command line behind it, where they win as they do there."""
    if not options:
        return text
    lines = [f"{name} = {spelled(value, true='true', false='false')}" for name, value in options]
    present = language.settings(text, path=path)
    return apply(text, [language.added(text, lines, present)])


def _file_of(
    spec: ComponentSpec, line: Command | None, app: App, said: Mapping[str, object]
) -> UserFile | None:
    """The file of settings: the study's, or the one that the command line names.

    Raises: RenderError.
    """
    if line is None:
        return UserFile.read(spec.file) if spec.file is not None else None
    named = [str(said[name]) for name in CONFIGS if name in said]
    named += [
        w.text for w in line.rest if Path(w.text.partition(":")[0]).suffix in formats.LANGUAGES
    ]
    if not named:
        return None
    name, colon, section = named[0].partition(":")
    if len(named) > 1 or (colon and section != formats.ROOT):
        raise RenderError(
            "the command names several files, or a section of one",
            where=line.place,
            log=named,
            way_out="put the options that are measured below [uwsgi] of one file",
        )
    folders = [app.directory, *([line.path.parent] if line.path is not None else [])]
    places = [folder / name for folder in folders]
    if Path(name).is_absolute():  # as deployed; here it may lie beside the file that names it
        places += [folder / Path(name).name for folder in folders]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise RenderError(
            f"there is no file {name}",
            where=line.place,
            way_out=f"looked from {' and '.join(map(str, folders))}; mend the path",
        )
    return UserFile.read(found)


def _bare(endpoint: Endpoint) -> str:
    """An address as uWSGI writes it: a path without ``unix:``."""
    return str(endpoint.path) if endpoint.path is not None else endpoint.address


def _endpoint(setting: Setting) -> Endpoint | None:
    value = setting.value.split(",")[0]
    speaks = SOCKETS[setting.key]
    host, colon, port = value.rpartition(":")
    if colon and port.isdecimal() and 0 < int(port) < 65536:
        return Endpoint(speaks=speaks, host=host or "127.0.0.1", port=int(port))
    return Endpoint(speaks=speaks, path=Path(value)) if "/" in value or "." in value else None


def _logger(setting: Setting, wiring: Wiring) -> tuple[str | None, str | None]:
    """(new value, why left out) of a logger line: files move, other targets go."""
    found = _LOG_FILE.fullmatch(setting.value)
    if found is not None:
        return f"{found['lead']}{wiring.directory / Path(found['path']).name}{found['rest']}", None
    if setting.value in {"stdio", "null"} or setting.value.endswith((" stdio", " null")):
        return None, None
    return None, "logs stay in the sandbox"


def _stats(endpoint: Endpoint) -> dict[str, Any] | None:
    """What the stats server says: one JSON document per connection, then it closes."""
    family = socket.AF_INET if endpoint.path is None else socket.AF_UNIX
    address = (endpoint.host, endpoint.port) if endpoint.path is None else str(endpoint.path)
    chunks: list[bytes] = []
    try:
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(1.0)
            connection.connect(address)
            while chunk := connection.recv(65536):
                chunks.append(chunk)
        body = b"".join(chunks)
        stats: dict[str, Any] = json.loads(body[body.index(b"{") :])
    except (OSError, ValueError):
        return None
    return stats
