"""uWSGI as a component."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Iterator, Mapping
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
from labcoat.stack.edit.lines import Setting, appended
from labcoat.stack.edit.patch import Patch, apply, spelled
from labcoat.stack.given import Given

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
    "attach-daemon": "it starts programs that nobody measures",
}
DROPPED: Mapping[str, str] = {
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
LOGGERS = frozenset({"logger", "req-logger", "logger-req"})
STATS = frozenset({"stats", "stats-server"})
FOLDERS = frozenset({"chdir", "chdir2"})
HOMES = frozenset({"home", "virtualenv", "venv", "pyhome"})

# [name ]file:/path, or [name ]file:logfile=/path,maxsize=...
_RSYSLOG = re.compile(r"(?P<lead>(?:\S+ )?rsyslog:)(?P<address>[^,]*)(?P<rest>.*)")
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

    @classmethod
    def adopt(cls, spec: ComponentSpec, app: App, *, behind: tuple[Endpoint, ...] = ()) -> Self:
        """The user's ini file, or none. Raises: RenderError."""
        del behind
        if app.interface is not Interface.WSGI:
            raise RenderError(
                "uWSGI serves WSGI, not ASGI",
                where="[stack] uwsgi",
                way_out="name granian, uvicorn, or gunicorn with an ASGI worker instead",
            )
        if spec.file is not None and spec.file.suffix != ".ini":
            raise RenderError(
                "only ini files of uWSGI can be adopted",
                where=spec.file,
                way_out="write the same options into an .ini file with a [uwsgi] section",
            )
        options = {name.replace("_", "-"): level for name, level in spec.options}
        given = Given(
            file=None if spec.file is None else UserFile.read(spec.file),
            options=tuple(options.items()),
        )
        origin = given.file or UserFile(path=Path(FILE))
        text = language.assign(origin.text, options, path=origin.path) if options else origin.text
        component = cls(origin=replace(origin, text=text), given=given)
        component._refuse()
        return component

    def origin_endpoints(self) -> tuple[Endpoint, ...]:
        """What the sockets of the file say."""
        return tuple(
            endpoint
            for setting in self._settings()
            if setting.key in SOCKETS and (endpoint := _endpoint(setting)) is not None
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
        argv = (*wiring.binary, "--ini", str(wiring.directory / path.name))
        return Rendered(
            files={path.name: text}, argv=argv, rewired=rewired, stop_signal=signal.SIGINT
        )

    def edited(self, variant: Variant) -> Edited:
        """The ini file, or options."""
        return self.given.edited(
            variant.levels(self.name),
            assign=language.assign,
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
        doors = [s for s in settings if SOCKETS.get(s.key) is wiring.listen.speaks]
        for setting in settings:
            key, place = setting.key, self.origin.line(setting.line)
            new, why = self._change(setting, wiring)
            if key in SOCKETS and setting not in doors[:1]:
                why = "the sandbox needs one door"
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
        is_here = _exists(self._at_home(setting.value))
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
        if not any(SOCKETS.get(key) is wiring.listen.speaks for key in keys):
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

    def _at_home(self, value: str) -> str:
        """The value with the placeholders for the file's own place written out."""
        path = self.origin.path
        own = {"d": f"{path.parent}/", "p": str(path), "c": path.parent.name}
        own |= {letter.upper(): text for letter, text in own.items()}
        return re.sub(r"%(.)", lambda found: own.get(found[1], found[0]), value)


def _exists(value: str) -> bool:
    return "%" in value or "$(" in value or Path(value).is_dir()


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
    """(new value, why left out) of a logger line: files and UDP move, other targets go."""
    found = _LOG_FILE.fullmatch(setting.value)
    if found is not None:
        return f"{found['lead']}{wiring.directory / Path(found['path']).name}{found['rest']}", None
    sent = _RSYSLOG.fullmatch(setting.value)
    if sent is not None and wiring.syslog is not None:
        return f"{sent['lead']}{wiring.syslog}{sent['rest']}", None
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
