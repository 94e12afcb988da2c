"""The seam of this room: what every component of a stack must do."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol, Self

from labcoat.errors import RenderError
from labcoat.host.base import Host, Process
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.study import App, ComponentSpec
from labcoat.model.variant import Level, Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFile:
    """A file that the user wrote: where it lies, and its text. Empty for "no file"."""

    path: Path
    text: str = ""

    @classmethod
    def read(cls, path: Path) -> UserFile:
        """The file as it is now. Raises: RenderError."""
        try:
            return cls(path=path, text=path.read_bytes().decode())
        except (OSError, UnicodeDecodeError) as error:
            raise RenderError(
                f"cannot read a file of the stack: {error}",
                where=path,
                way_out="mend the path under [stack], or make the file readable UTF-8",
            ) from error

    def line(self, number: int) -> str:
        """``path:number``, as messages cite it."""
        return f"{self.path}:{number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEdit:
    """One of the user's files as it was read, and as it is with the levels in force.

    The same text twice where no level of it changes.
    """

    path: Path
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """The user's own files with a variant's levels in force, and nothing rewired.

    ``files``: every file of the user's that the component reads. ``options``: levels that
    belong under the component's ``options`` in labcoat.toml. ``command``: the component's
    ``command`` in labcoat.toml, None where it stays. ``runtime``: levels of ``python``
    that the files hold. ``by_hand``: what no file holds, in words that say where it goes.
    """

    files: tuple[FileEdit, ...] = ()
    options: Mapping[str, Level] = field(default_factory=dict)
    command: str | None = None
    runtime: tuple[str, ...] = ()
    by_hand: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What a component is given by the stack; everything in it lies in the sandbox.

    ``directory``: the component's own folder (files, logs, temporary files).
    ``listen``: where it must listen. ``upstream``: what lies behind it, or None.
    ``binary``: argv prefix that starts the program. ``env``: filled environment.
    ``user``: who the workers must be when labcoat is root, else None.
    ``spare``: further endpoints, one for each that ``Component.spare`` asked for.
    ``build``: what the program says of its own build (``nginx -V``), may be empty.
    ``argv``: what it was started with; empty until it was rendered.
    """

    directory: Path
    listen: Endpoint
    upstream: Endpoint | None
    binary: tuple[str, ...]
    app: App
    env: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    spare: tuple[Endpoint, ...] = ()
    build: str = ""
    argv: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """Files (relative to Wiring.directory -> content) and argv that start a component.

    ``rewired``: each place where the user's file was rewired, for the user to read.
    ``unprivileged``: it must not be root. ``stop_signal``: what asks it to end. ``unset``:
    variables of the environment that the files and the argv say in its place.
    """

    files: Mapping[str, str]
    argv: tuple[str, ...]
    rewired: tuple[str, ...] = ()
    unprivileged: bool = False
    unset: tuple[str, ...] = ()
    stop_signal: int = signal.SIGTERM


class Component(Protocol):
    """One program of the stack, as values: holds no process and no clock.

    ``render`` is pure: the same input gives the same bytes. A knob absent from the
    variant keeps the user's own level.
    """

    name: ClassVar[str]
    speaks: ClassVar[tuple[Speaks, ...]]

    @classmethod
    def adopt(cls, spec: ComponentSpec, app: App, *, behind: tuple[Endpoint, ...] = ()) -> Self:
        """The component with the user's files read; the only place that reads them.

        ``behind``: where the component behind it listens, as its own files say.
        Raises: RenderError with file and line.
        """

    def origin_endpoints(self) -> tuple[Endpoint, ...]:
        """Where the user's own files say that it listens, the main one first; may be empty."""

    def origin_upstream(self) -> Endpoint | None:
        """Where the user's own files say that the next component is; None is unsaid."""

    def origin_level(self, directive: str) -> Level | None:
        """The level that the user's own files give a directive; None is unsaid."""

    def spare(self) -> tuple[Endpoint, ...]:
        """Further endpoints that it wants (second port, counters), by kind."""

    def render(self, variant: Variant, wiring: Wiring) -> Rendered:
        """Files and argv for this variant. Raises: RenderError with file and line."""

    def edited(self, variant: Variant) -> Edited:
        """The user's own files with this variant's levels, to be handed over; pure.

        Adopted again, they render as the variant does now. Files in which no level changes
        keep their bytes. Raises: RenderError with file and line.
        """

    def check(self, host: Host, rendered: Rendered, wiring: Wiring) -> None:
        """The component's own opinion of its files, once written.

        Raises: RenderError with its last 20 lines; HostError after a deadline.
        """

    def ready(self, host: Host, process: Process, wiring: Wiring) -> bool:
        """Whether it serves now; never waits."""

    def counters(self, host: Host, process: Process, wiring: Wiring) -> Mapping[str, float]:
        """Its own counters that explain (busy workers, accepts, buffers hit); may be empty."""
