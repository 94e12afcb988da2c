"""memcached as a component."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

from labcoat.errors import RenderError
from labcoat.host.base import Host, Process
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.study import App, ComponentSpec
from labcoat.model.variant import Level, Variant
from labcoat.stack.base import Edited, Rendered, UserFile, Wiring
from labcoat.stack.companions.base import exchange, place
from labcoat.stack.edit import memcached as language
from labcoat.stack.given import Given

DEFAULT_PORT = 11211
COUNTED = (
    "bytes", "cmd_get", "cmd_set", "curr_connections", "curr_items", "evictions", "get_hits",
    "get_misses", "total_connections",
)  # fmt: skip
SETTLED = frozenset(
    {"daemon", "listen", "logfile", "pidfile", "port", "udp-port", "unix-socket", "user"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memcached:
    """memcached: one process, empty at each boot.

    Its settings are a file of options, one on each line, and the study's options over it.
    Refuses: TLS, which its clients speak to the deployment only.
    Source: memcached's doc/memcached.1.
    """

    name: ClassVar[str] = "memcached"
    speaks: ClassVar[tuple[Speaks, ...]] = (Speaks.MEMCACHED,)
    given: Given = field(default_factory=Given)
    levels: tuple[tuple[str, Level], ...] = ()

    @classmethod
    def adopt(cls, spec: ComponentSpec, app: App, *, behind: tuple[Endpoint, ...] = ()) -> Self:
        """Memcached with the user's file, or with none. Raises: RenderError."""
        del app, behind
        file = UserFile.read(spec.file) if spec.file else None
        said = language.levels_in(file.text, path=file.path) if file is not None else {}
        said |= {language.long_name(name): level for name, level in spec.options}
        if said.get("enable-ssl"):
            raise RenderError(
                "memcached --enable-ssl is refused: there are no certificates in the sandbox",
                where=file.path if file is not None else "[stack] memcached",
                way_out="leave -Z and its ssl_ options out of the file that is measured",
            )
        return cls(given=Given(file=file, options=spec.options), levels=tuple(said.items()))

    def origin_endpoints(self) -> tuple[Endpoint, ...]:
        """The Unix socket if the options say one, else TCP. Raises: RenderError."""
        said = dict(self.levels)
        if said.get("unix-socket"):
            return (Endpoint(speaks=Speaks.MEMCACHED, path=Path(str(said["unix-socket"]))),)
        port = str(said.get("port", DEFAULT_PORT))
        if not port.isdecimal() or not 0 < int(port) < 65536:
            where = self.given.file.path if self.given.file is not None else "[stack] memcached"
            raise RenderError(f"not a port: {port}", where=where, way_out="write -p 11211")
        return (Endpoint(speaks=Speaks.MEMCACHED, port=int(port)),)

    def origin_upstream(self) -> Endpoint | None:
        """Nothing lies behind it."""
        return None

    def origin_level(self, directive: str) -> Level | None:
        """The option's level."""
        return dict(self.levels).get(language.long_name(directive))

    def spare(self) -> tuple[Endpoint, ...]:
        """None."""
        return ()

    def render(self, variant: Variant, wiring: Wiring) -> Rendered:
        """The command line; no files."""
        levels = {
            **dict(self.levels),
            **{
                language.long_name(name): level for name, level in variant.levels(self.name).items()
            },
        }
        listen = wiring.listen
        where = (
            [f"--unix-socket={listen.path}"]
            if listen.path is not None
            else [f"--listen={listen.host}", f"--port={listen.port}", "--udp-port=0"]
        )
        words = [
            word
            for name, level in levels.items()
            if name not in SETTLED and level is not False
            for word in _words(name, level)
        ]
        return Rendered(
            files={},
            argv=(*wiring.binary, *words, *where),
            rewired=self._rewired(listen),
            unprivileged=True,
        )

    def edited(self, variant: Variant) -> Edited:
        """The user's file, or options."""
        return self.given.edited(
            variant.levels(self.name),
            assign=language.assign,
            names=language.names,
            by_hand=lambda name, level: (
                f"memcached: --{language.long_name(name)}={level} where it is started"
            ),
        )

    def check(self, host: Host, rendered: Rendered, wiring: Wiring) -> None:
        """Nothing: memcached has no check of its options but to start with them."""

    def ready(self, host: Host, process: Process, wiring: Wiring) -> bool:
        """Whether it accepts connections."""
        del process
        return host.answers(wiring.listen)

    def counters(self, host: Host, process: Process, wiring: Wiring) -> Mapping[str, float]:
        """Of ``stats``: gets, hits and misses, sets, evictions, items and their bytes.

        None where its clients must log in.
        """
        del host, process
        answer = exchange(wiring.listen, b"stats\r\n", end=b"END\r\n").decode(errors="replace")
        words = (line.split() for line in answer.splitlines())
        said = {each[1]: each[2] for each in words if len(each) == 3 and each[0] == "STAT"}
        return {name: float(said[name]) for name in COUNTED if name in said}

    def placeholders(self, listen: Endpoint) -> Mapping[str, str]:
        """``{memcached.address}``: ``host:port``, or the path of the Unix socket."""
        address = listen.address if listen.path is None else str(listen.path)
        own = {"address": address, **place(listen)}
        return {f"{self.name}.{part}": value for part, value in own.items()}

    def _rewired(self, listen: Endpoint) -> tuple[str, ...]:
        file = self.given.file
        if file is None:
            return (f"memcached: listens at {listen.address}",)
        return tuple(
            f"{file.line(setting.line)}: {setting.key} {setting.value} -> "
            + (listen.address if setting.key in {"listen", "port", "unix-socket"} else "left out")
            for setting in language.settings(file.text, path=file.path)
            if setting.key in SETTLED
        )


def _words(name: str, level: Level) -> tuple[str, ...]:
    """An option of the command line; what has no long name keeps its letter."""
    if len(name) == 1:
        return (f"-{name}", str(level))
    return (f"--{name}",) if level is True else (f"--{name}={level}",)
