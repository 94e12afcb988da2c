"""The seam of this room: what every component of a stack must do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from labcoat.host.base import Host, Process
from labcoat.model.stack import Endpoint
from labcoat.model.study import App
from labcoat.model.variant import Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What a component is given by the stack; everything in it lies in the sandbox.

    ``directory``: the component's own folder (files, logs, temporary files).
    ``listen``: where it must listen. ``upstream``: what lies behind it, or None.
    ``binary``: argv prefix that starts the program. ``env``: filled environment.
    ``user``: who the workers must be when labcoat is root, else None.
    """

    directory: Path
    listen: Endpoint
    upstream: Endpoint | None
    binary: tuple[str, ...]
    app: App
    env: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """Files (relative to Wiring.directory -> content) and argv that start a component.

    ``rewired``: each place where the user's file was rewired, for the user to read.
    ``unprivileged``: it must not be root.
    """

    files: Mapping[str, str]
    argv: tuple[str, ...]
    rewired: tuple[str, ...] = ()
    unprivileged: bool = False


class Component(Protocol):
    """One program of the stack, as values: holds no process and no clock.

    ``render`` is pure: the same input gives the same bytes. A knob absent from the
    variant keeps the user's own level.
    """

    name: ClassVar[str]

    def origin_endpoint(self) -> Endpoint:
        """Where the user's own files say that it listens."""

    def render(self, variant: Variant, wiring: Wiring) -> Rendered:
        """Files and argv for this variant. Raises: RenderError with file and line."""

    def check(self, host: Host, rendered: Rendered, wiring: Wiring) -> None:
        """The component's own opinion of its files, once written.

        Raises: RenderError with its last 20 lines; HostError after a deadline.
        """

    def ready(self, host: Host, process: Process, wiring: Wiring) -> bool:
        """Whether it serves now; never waits."""

    def counters(self, host: Host, process: Process, wiring: Wiring) -> Mapping[str, float]:
        """Its own counters that explain (busy workers, accepts, buffers hit); may be empty."""
