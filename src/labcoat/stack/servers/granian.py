"""Granian as a component."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

from labcoat.host.base import Host, Process
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.study import App, ComponentSpec
from labcoat.model.variant import Level, Variant
from labcoat.stack.base import Edited, Rendered, Wiring
from labcoat.stack.edit.command import Grammar
from labcoat.stack.servers import options as command_line

REFUSED = {
    "reload": "it changes workers while they are measured",
    "ssl-certificate": "TLS belongs to nginx in this sandbox",
}
SETTLED = ("interface", "working-dir")
FLAGS = (
    "--factory",
    "--log",
    "--access-log",
    "--metrics",
    "--reload",
    "--ws",
    "--http1-keep-alive",
    "--http1-pipeline-flush",
    "--http2-adaptive-window",
    "--respawn-failed-workers",
    "--ssl-client-verify",
    "--reload-ignore-worker-failure",
)
GRAMMAR = Grammar(program="granian", flags={flag: (flag[2:], True) for flag in FLAGS}, toggles=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Granian:
    """Granian: a master, its workers, each an event loop in Rust around the app.

    Its settings are the user's command line, and the study's options over it. Has no counters
    of its own that cost nothing (the metrics exporter is another port and another thread).
    Source: Granian's README and ``granian --help``.
    """

    name: ClassVar[str] = "granian"
    speaks: ClassVar[tuple[Speaks, ...]] = (Speaks.HTTP,)
    adopted: command_line.Adopted = field(default_factory=command_line.Adopted)

    @classmethod
    def adopt(cls, spec: ComponentSpec, app: App, *, behind: tuple[Endpoint, ...] = ()) -> Self:
        """Granian with the user's command line. Raises: RenderError."""
        del behind
        return cls(
            adopted=command_line.adopted(spec, app, GRAMMAR, refused=REFUSED, settled=SETTLED)
        )

    def origin_endpoints(self) -> tuple[Endpoint, ...]:
        """Where the options say."""
        return command_line.endpoints(dict(self.adopted.options))

    def origin_upstream(self) -> Endpoint | None:
        """Unsaid."""
        return None

    def origin_level(self, directive: str) -> Level | None:
        """The option's level."""
        return dict(self.adopted.options).get(command_line.spelled(directive))

    def spare(self) -> tuple[Endpoint, ...]:
        """None."""
        return ()

    def render(self, variant: Variant, wiring: Wiring) -> Rendered:
        """The command line; no files."""
        levels = {
            command_line.spelled(name): level for name, level in variant.levels(self.name).items()
        }
        merged = {
            **{
                name: level
                for name, level in self.adopted.options
                if name not in command_line.MOVED
            },
            **levels,
            "interface": wiring.app.interface.value,
            "working-dir": str(wiring.app.directory),
            **command_line.listening(wiring.listen),
        }
        argv = (*wiring.binary, *command_line.as_argv(merged), wiring.app.target)
        given = self.adopted.given
        rewired = command_line.moved(self.name, given, self.origin_endpoints(), wiring.listen)
        return Rendered(files={}, argv=argv, rewired=(*rewired, *self.adopted.told))

    def edited(self, variant: Variant) -> Edited:
        """The user's command line, or options."""
        return command_line.edited(self.name, self.adopted.given, variant.levels(self.name))

    def check(self, host: Host, rendered: Rendered, wiring: Wiring) -> None:
        """Whether Granian knows the options. Raises: RenderError."""
        command_line.asked(host, rendered, wiring, name=self.name)

    def ready(self, host: Host, process: Process, wiring: Wiring) -> bool:
        """Whether it accepts connections."""
        del process
        return host.answers(wiring.listen)

    def counters(self, host: Host, process: Process, wiring: Wiring) -> Mapping[str, float]:
        """``processes``: its workers, as its argv says; a worker serves any number at once."""
        del host, process
        return {"processes": command_line.workers_of(wiring.argv)}
