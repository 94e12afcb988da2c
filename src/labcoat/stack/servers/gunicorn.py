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
from labcoat.stack.edit import python as language
from labcoat.stack.edit.patch import Patch, apply, line_starts
from labcoat.stack.given import Given
from labcoat.stack.runtime import collector_lines

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
    "group": None,
    "statsd_host": None,
    "syslog": False,
    "user": None,
}

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
    options: tuple[tuple[str, Level], ...] = ()
    has_file: bool = field(default=False, repr=False)

    @classmethod
    def adopt(cls, spec: ComponentSpec, app: App, *, behind: tuple[Endpoint, ...] = ()) -> Self:
        """Gunicorn with the user's gunicorn.conf.py, or with none. Raises: RenderError."""
        del app, behind
        origin = UserFile.read(spec.file) if spec.file else UserFile(path=Path(FILE))
        options = tuple((name.replace("-", "_").lstrip("_"), level) for name, level in spec.options)
        component = cls(origin=origin, options=options, has_file=spec.file is not None)
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
        return value if isinstance(value, str | int | float | bool) else None

    def spare(self) -> tuple[Endpoint, ...]:
        """None."""
        return ()

    def render(self, variant: Variant, wiring: Wiring) -> Rendered:
        """The rewired gunicorn.conf.py and ``gunicorn -c``. Raises: RenderError."""
        path = self.origin.path
        text = self._at_home(self.origin.text)
        levels = {**dict(self.options), **variant.levels(self.name)}
        text = language.assign(text, levels, path=path)
        lines = language.bound(text, path=path)
        moves = self._moves(text, wiring)
        text = language.assign(text, moves, path=path)
        rewired = tuple(
            f"{self.origin.line(lines[name])}: {name} -> {value!r}"
            if name in lines
            else f"{path}: {name} = {value!r} (was unsaid)"
            for name, value in moves.items()
        )
        argv = (*wiring.binary, "-c", str(wiring.directory / FILE))
        if "wsgi_app" not in lines:
            argv = (*argv, wiring.app.target)
        return Rendered(files={FILE: text}, argv=argv, rewired=rewired)

    def edited(self, variant: Variant) -> Edited:
        """gunicorn.conf.py, or options; the file holds the levels of the collector as well."""
        given = Given(file=self.origin if self.has_file else None, options=self.options)
        edited = given.edited(
            variant.levels(self.name),
            assign=language.assign,
            by_hand=lambda name, level: (
                f"gunicorn: the line {name} = {level!r} in the gunicorn.conf.py that it reads"
            ),
        )
        if not edited.files:
            return edited
        (file,) = edited.files
        text, runtime = collector_lines(file.after, variant.levels("python"))
        return replace(
            edited,
            files=(FileEdit(path=file.path, before=file.before, after=text),),
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
            way_out="mend what the last line names, or leave the knob out",
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

    def _literal(self, name: str) -> object:
        if name in dict(self.options):
            return dict(self.options)[name]
        found = language.assignments(self.origin.text, path=self.origin.path)
        return next((one.value for one in reversed(found) if one.name == name), None)

    def _refuse(self) -> None:
        for name, why in REFUSED.items():
            if self._literal(name) is True:
                found = language.assignments(self.origin.text, path=self.origin.path)
                line = next((a.line for a in reversed(found) if a.name == name), 0)
                raise RenderError(
                    f"gunicorn {name} = True is refused: {why}",
                    where=self.origin.line(line) if line else "[stack] gunicorn",
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
