"""Gunicorn as a component."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Self

from labcoat.errors import NotReady, RenderError
from labcoat.host.base import Host, Process
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.study import App, ComponentSpec
from labcoat.model.variant import Level, Variant
from labcoat.stack.base import Edited, FileEdit, Rendered, UserFile, Wiring
from labcoat.stack.blame import way_out_of
from labcoat.stack.edit import command
from labcoat.stack.edit import python as language
from labcoat.stack.edit.command import Command, Grammar
from labcoat.stack.edit.patch import Patch, apply, line_starts
from labcoat.stack.given import Given
from labcoat.stack.runtime import collector_lines
from labcoat.stack.servers import options as command_line

CHECK_TIMEOUT_S = 120.0
FILE = "gunicorn.conf.py"
REFUSED = {
    "reload": "it changes workers while they are measured",
    "daemon": "it leaves the sandbox",
}
# Settings that name a file or a folder, and what it is called in the sandbox.
PLACES = {
    "accesslog": "accesslog.log",
    "control_socket": "gunicorn.ctl",
    "errorlog": "errorlog.log",
    "pidfile": "gunicorn.pid",
    "tmp_upload_dir": "",
}
# Settings that reach outside of the sandbox, and their level inside.
OUTSIDE: dict[str, language.Literal] = {
    "certfile": None,
    "group": None,
    "keyfile": None,
    "statsd_host": None,
    "syslog": False,
    "user": None,
}

# What of a command line does not become a line of the file: said elsewhere, or for a look only.
ELSEWHERE = ("bind", "check_config", "config", "paste", "print_config")
ENVIRONMENT = "GUNICORN_CMD_ARGS"
GRAMMAR = Grammar(
    program="gunicorn",
    underscores=True,
    flags={
        **{
            f"--{name.replace('_', '-')}": (name, True)
            for name in (
                "capture_output", "casefold_http_method", "check_config", "daemon",
                "disable_redirect_access_to_syslog", "do_handshake_on_connect",
                "enable_backlog_metric", "enable_stdio_inheritance", "http2_cleartext",
                "initgroups", "permit_obsolete_folding", "permit_unconventional_http_method",
                "permit_unconventional_http_version", "print_config", "reload", "reuse_port",
                "spew", "strip_header_spaces", "suppress_ragged_eofs",
            )
        },
        "--preload": ("preload_app", True),
        "--no-sendfile": ("sendfile", False),
        "--log-syslog": ("syslog", True),
        "--proxy-protocol": ("proxy_protocol", True),
        "--no-control-socket": ("control_socket_disable", True),
        "-D": ("daemon", True),
        "-R": ("enable_stdio_inheritance", True),
    },
    names={
        "-b": "bind", "-c": "config", "-e": "raw_env", "-g": "group", "-k": "worker_class",
        "-m": "umask", "-n": "proc_name", "-p": "pidfile", "-t": "timeout", "-u": "user",
        "-w": "workers", "--access-logfile": "accesslog", "--access-logformat":
        "access_log_format", "--bind": "bind", "--config": "config", "--env": "raw_env",
        "--error-logfile": "errorlog", "--keep-alive": "keepalive", "--log-config": "logconfig",
        "--log-config-json": "logconfig_json", "--log-file": "errorlog", "--log-level": "loglevel",
        "--log-syslog-facility": "syslog_facility", "--log-syslog-prefix": "syslog_prefix",
        "--log-syslog-to": "syslog_addr", "--name": "proc_name", "--paste-global":
        "raw_paste_global_conf", "--paster": "paste", "--pid": "pidfile", "--proxy-allow-from":
        "proxy_allow_ips", "--reload-extra-file": "reload_extra_files", "--timeout": "timeout",
        "--user": "user", "--group": "group", "--umask": "umask", "--worker-class":
        "worker_class", "--workers": "workers",
    },
    lists=frozenset({"bind", "raw_env", "raw_paste_global_conf", "reload_extra_files"}),
)  # fmt: skip
"""Gunicorn's own table of options, where an option and its setting differ or take no value."""

BLOCKING = ("sync", "gthread", "gunicorn.workers.gthread.ThreadWorker")
"""Worker classes that serve one request per thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gunicorn:
    """Gunicorn: one master, its workers, one socket.

    Apply cost: RESTART for every knob; a HUP keeps the master, so it is no new instance.
    A knob absent from the variant keeps the user's own level, computed ones included.
    Refuses: ``reload`` (changes workers while measured) and ``daemon`` (leaves the sandbox).
    Source: docs.gunicorn.org, "Settings".
    """

    name: ClassVar[str] = "gunicorn"
    speaks: ClassVar[tuple[Speaks, ...]] = (Speaks.HTTP,)
    origin: UserFile
    given: Given = field(default_factory=Given, repr=False)
    settings: tuple[tuple[str, language.Literal], ...] = ()
    of_environment: frozenset[str] = frozenset()
    concurrency: str = ""
    told: tuple[str, ...] = ()

    @classmethod
    def adopt(cls, spec: ComponentSpec, app: App, *, behind: tuple[Endpoint, ...] = ()) -> Self:
        """Gunicorn with the user's command line and gunicorn.conf.py, or none of them.

        As Gunicorn has it: the command line wins over ``GUNICORN_CMD_ARGS``, that over the file.
        Raises: RenderError.
        """
        del behind
        line = command_line.command_of(spec, GRAMMAR)
        of_environment = _from_environment(app)
        said = dict(of_environment)
        told: tuple[str, ...] = ()
        if line is not None:
            said |= command_line.settings_of(line, app, (*PLACES, *OUTSIDE, *ELSEWHERE))
            told = command_line.left_out(line, app, ("paste",))
        named = _named_file(spec, line, app, said)
        options = tuple((name.replace("-", "_").lstrip("_"), level) for name, level in spec.options)
        component = cls(
            origin=named or UserFile(path=Path(FILE)),
            given=Given(file=named, options=options, command=line, env=app.env),
            settings=tuple(({**said, **dict(options)}).items()),
            of_environment=frozenset(
                name
                for name in of_environment
                if name not in dict(options) and not (line is not None and line.said(name))
            ),
            concurrency=dict(app.env).get("WEB_CONCURRENCY", ""),
            told=told,
        )
        component._refuse()
        return component

    def origin_endpoints(self) -> tuple[Endpoint, ...]:
        """What ``bind`` says, where it says it literally."""
        bind = self._literal("bind")
        binds = [bind] if isinstance(bind, str) else bind
        if not isinstance(binds, list | tuple):
            return ()
        return tuple(_endpoint(str(one), self.origin.path) for one in binds)

    def origin_upstream(self) -> Endpoint | None:
        """Unsaid."""
        return None

    def origin_level(self, directive: str) -> Level | None:
        """The level, where the file says it literally."""
        value = self._literal(directive)
        if directive == "workers" and self.concurrency.isdecimal():
            is_said = directive in language.bound(self.origin.text, path=self.origin.path)
            value = int(self.concurrency) if value is None and not is_said else value
        return value if isinstance(value, str | int | float | bool) else None

    def spare(self) -> tuple[Endpoint, ...]:
        """None."""
        return ()

    def render(self, variant: Variant, wiring: Wiring) -> Rendered:
        """The rewired gunicorn.conf.py and ``gunicorn -c``. Raises: RenderError."""
        path = self.origin.path
        text = self._at_home(self.origin.text)
        settings = {n: level for n, level in self.settings if n not in ELSEWHERE}
        text = language.assign(text, {**settings, **variant.levels(self.name)}, path=path)
        lines = language.bound(text, path=path)
        moves = self._moves(text, wiring)
        text = language.assign(text, moves, path=path)
        rewired = tuple(
            f"{path}: {name} = {value!r} (was unsaid)"
            if (place := self._said_at(name, lines)) is None
            else f"{place}: {name} -> {value!r}"
            for name, value in moves.items()
        )
        argv = (*wiring.binary, "-c", str(wiring.directory / FILE))
        if "wsgi_app" not in lines:
            argv = (*argv, wiring.app.target)
        return Rendered(
            files={FILE: text}, argv=argv, rewired=(*rewired, *self.told), unset=(ENVIRONMENT,)
        )

    def edited(self, variant: Variant) -> Edited:
        """gunicorn.conf.py, its command line, or options.

        The file holds the levels of the collector as well.
        """
        levels = variant.levels(self.name)
        outside = {n: level for n, level in levels.items() if n in self.of_environment}
        edited = self.given.edited(
            {name: level for name, level in levels.items() if name not in outside},
            assign=language.assign,
            by_hand=lambda name, level: (
                f"gunicorn: the line {name} = {level!r} in the gunicorn.conf.py that it reads"
            ),
        )
        for name, level in outside.items():
            words = " ".join(GRAMMAR.words(name, level))
            by_hand = f"gunicorn: {words} in {ENVIRONMENT} of its environment, and in [app] env"
            edited = replace(edited, by_hand=(*edited.by_hand, by_hand))
        if self.given.file is None:
            return edited
        file, *others = edited.files
        text, runtime = collector_lines(file.after, variant.levels("python"))
        return replace(
            edited,
            files=(FileEdit(path=file.path, before=file.before, after=text), *others),
            runtime=runtime,
        )

    def check(self, host: Host, rendered: Rendered, wiring: Wiring) -> None:
        """``gunicorn --check-config``, which imports the app too.

        Raises: RenderError (the file), NotReady (the app).
        """
        completed = host.run(
            (*rendered.argv, "--check-config"),
            timeout_s=CHECK_TIMEOUT_S,
            cwd=wiring.app.directory,
            env=wiring.env,
        )
        if completed.status == 0:
            return
        written, own = str(wiring.directory / FILE), str(self.origin.path)
        log = tuple(line.replace(written, own) for line in completed.tail())
        if any("load_wsgiapp" in line for line in log):  # Gunicorn's own, once it read the file
            raise NotReady(
                "gunicorn cannot import the app",
                where=f"[app] {wiring.app.target} in {wiring.app.directory}",
                log=log,
                way_out=way_out_of(log),
            )
        raise RenderError(
            "gunicorn refuses the file",
            where=own,
            log=log,
            way_out=way_out_of(log, "mend what the last line names, or leave the knob out"),
        )

    def ready(self, host: Host, process: Process, wiring: Wiring) -> bool:
        """Whether it accepts connections."""
        del process
        return host.answers(wiring.listen)

    def counters(self, host: Host, process: Process, wiring: Wiring) -> Mapping[str, float]:
        """``processes``: workers, all that the master keeps; ``slots``: requests at once.

        Read off the process tree and the file that it was started with: the rest Gunicorn tells
        over statsD only, which costs a packet per request. No ``slots`` where a worker serves
        any number at once.
        """
        del host
        workers = float(max(0, process.counters().processes - 1))
        booted = UserFile.read(wiring.directory / FILE)
        said = {one.name: one.value for one in language.assignments(booted.text, path=booted.path)}
        threads, kind = said.get("threads") or 1, said.get("worker_class") or "sync"
        if kind not in BLOCKING or not isinstance(threads, int):
            return {"processes": workers}
        return {"processes": workers, "slots": workers * threads}

    def _said_at(self, name: str, lines: Mapping[str, int]) -> str | None:
        """Where the level in force is said: in labcoat.toml, the command line, the file."""
        command = self.given.command
        if name in dict(self.given.options):
            return "[stack] gunicorn"
        if command is not None and command.said(name) is not None:
            return command.place
        if name in self.of_environment:
            return f"[app] env {ENVIRONMENT}"
        return self.origin.line(lines[name]) if name in lines else None

    def _literal(self, name: str) -> object:
        if name in dict(self.settings):
            return dict(self.settings)[name]
        found = language.assignments(self.origin.text, path=self.origin.path)
        return next((one.value for one in reversed(found) if one.name == name), None)

    def _refuse(self) -> None:
        for name, why in REFUSED.items():
            if self._literal(name) is True:
                found = language.assignments(self.origin.text, path=self.origin.path)
                line = next((a.line for a in reversed(found) if a.name == name), 0)
                said = self.given.command
                where = self.origin.line(line) if line else "[stack] gunicorn"
                raise RenderError(
                    f"gunicorn {name} = True is refused: {why}",
                    where=said.place if said is not None and said.said(name) else where,
                    way_out=f"leave {name} out of the file that is measured",
                )

    def _at_home(self, text: str) -> str:
        """The text with ``__file__`` meaning the user's own file, not the sandbox's copy."""
        if "__file__" not in text:
            return text
        offsets = line_starts(text)
        # Columns of ast count the bytes of the line.
        starts = [
            offsets[node.lineno - 1]
            + len(text[offsets[node.lineno - 1] :].encode()[: node.col_offset].decode())
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Name) and node.id == "__file__"
        ]
        literal = repr(str(self.origin.path))
        return apply(text, [Patch(at, at + len("__file__"), literal) for at in starts])

    def _moves(self, text: str, wiring: Wiring) -> dict[str, language.Literal]:
        """Settings of the rendered file that the sandbox decides."""
        path = self.origin.path
        bound = language.bound(text, path=path)
        said = {found.name: found.value for found in language.assignments(text, path=path)}
        moves: dict[str, language.Literal] = {"bind": wiring.listen.address}
        for name, file in PLACES.items():
            # What is computed could be anything; "-" is the terminal.
            if name in bound and said.get(name, "") not in (None, "-"):
                moves[name] = str(wiring.directory / file)
        moves |= {
            name: level
            for name, level in OUTSIDE.items()
            if name in bound and said.get(name, "") not in (None, False)
        }
        folder = said.get("chdir")
        if isinstance(folder, str) and not Path(folder).is_dir():
            moves["chdir"] = str(wiring.app.directory)
        return moves


def _from_environment(app: App) -> dict[str, Level | list[str]]:
    """What ``GUNICORN_CMD_ARGS`` of the app's environment says. Raises: RenderError."""
    env = dict(app.env)
    if ENVIRONMENT not in env:
        return {}
    where = f"[app] env {ENVIRONMENT}"
    line = command.parse(f"gunicorn {env[ENVIRONMENT]}", GRAMMAR, where=where)
    return command_line.settings_of(line, app, (*PLACES, *OUTSIDE, *ELSEWHERE))


def _named_file(
    spec: ComponentSpec, line: Command | None, app: App, said: Mapping[str, object]
) -> UserFile | None:
    """The gunicorn.conf.py in force: the study's, the command line's, or the one that lies there.

    Raises: RenderError.
    """
    if line is None:
        return UserFile.read(spec.file) if spec.file else None
    folders = [app.directory, *([line.path.parent] if line.path is not None else [])]
    if isinstance(said.get("chdir"), str):
        folders.append(app.directory / str(said["chdir"]))
    if "config" not in said:  # Gunicorn reads it unasked
        return next((UserFile.read(f / FILE) for f in folders if (f / FILE).is_file()), None)
    named = str(said["config"])
    if named.startswith("python:"):
        named = f"{named.removeprefix('python:').replace('.', '/')}.py"
    named = named.removeprefix("file:")
    places = [folder / named for folder in folders]
    if Path(named).is_absolute():  # as deployed; here it may lie beside the file that names it
        places += [folder / Path(named).name for folder in folders]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise RenderError(
            f"there is no file {named}",
            where=line.place,
            way_out=f"looked from {' and '.join(map(str, dict.fromkeys(folders)))}; mend the path",
        )
    return UserFile.read(found)


def _endpoint(bind: str, path: Path) -> Endpoint:
    if bind.startswith("unix:"):
        return Endpoint(speaks=Speaks.HTTP, path=Path(bind.removeprefix("unix:")))
    found = re.fullmatch(r"(?:tcp://)?(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>\d+))?", bind)
    if found is None:
        raise RenderError(
            f"not an address: bind = {bind!r}",
            where=path,
            way_out="write 'host:port' or 'unix:/path'",
        )
    port = int(found["port"] or 8000)
    return Endpoint(speaks=Speaks.HTTP, host=found["host"] or "127.0.0.1", port=port)
