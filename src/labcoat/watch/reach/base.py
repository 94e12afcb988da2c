"""Orders and answers: what is executed at a place, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

CHECK_TIMEOUT_S = 30.0
ACTION_TIMEOUT_S = 300.0
LOGIN_TIMEOUT_S = 15.0
DIAL_TIMEOUT_S = 8.0


class Fault(StrEnum):
    """Why an order has no exit status."""

    TIMEOUT = "timeout"  # it took longer than the order allows; its process group was killed
    SIGNAL = "signal"  # a signal ended it
    LOST = "lost"  # the channel closed without an exit status
    FLOOD = "flood"  # it printed more than is drained
    NOISE = "noise"  # the login shell never came to the order
    HOSTKEY = "hostkey"  # the host's key is unknown, or has changed
    LOGIN = "login"  # the host refuses this user
    UNREACHABLE = "unreachable"  # no connection
    BUSY = "busy"  # the host opens no more sessions
    REFUSED = "refused"  # the watch itself would not: a secret or a place is missing

    @property
    def is_unreachable(self) -> bool:
        """Whether the place could not be reached, or not be prepared."""
        return self in UNREACHED

    @property
    def never_began(self) -> bool:
        """Whether the order certainly never began."""
        return self in UNREACHED or self is Fault.REFUSED


UNREACHED = (Fault.HOSTKEY, Fault.LOGIN, Fault.UNREACHABLE, Fault.BUSY)


class Mark(StrEnum):
    """What became of the token of an order that may be executed at most once."""

    FREE = "free"  # the order carried no attempt id
    TAKEN = "taken"  # marked now: the command was started
    EXISTS = "exists"  # marked before: not started again
    FAILED = "failed"  # the token is gone, or the directory cannot be written: not started
    UNKNOWN = "unknown"  # nothing came back that tells


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginFile:
    """A file that must be at the place before the command; ``sha256`` names it there."""

    name: str
    content: bytes
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One command for ``/bin/sh -c``.

    ``plugin``: laid down first; ``command`` then holds its arguments alone. ``stdin``:
    what the command reads. ``attempt``: the id under which it may be executed once, ever.
    ``as_root``: through ``sudo -n``, which never asks for a password. ``pty``: with a
    terminal, over SSH; standard error then comes with standard output.
    """

    command: str
    timeout_s: float = CHECK_TIMEOUT_S
    stdin: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    plugin: PluginFile | None = None
    attempt: str | None = None
    as_root: bool = False
    pty: bool = False

    def __post_init__(self) -> None:
        if not self.timeout_s > 0:
            raise ValueError("an order needs a timeout above 0 s")
        if "\0" in self.command + self.stdin:
            raise ValueError("a command and its input have no NUL bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of an order: an exit status, or a fault and its detail.

    ``stdout``, ``stderr``: at most 64 KiB of head and 4 KiB of tail, undecodable bytes
    spelled in hexadecimal. ``elapsed_s``: from the order's start to its end, as seen from here.
    """

    exit_status: int | None = None
    fault: Fault | None = None
    detail: str = ""
    stdout: str = ""
    stderr: str = ""
    mark: Mark = Mark.FREE
    elapsed_s: float = 0.0

    def __post_init__(self) -> None:
        if (self.exit_status is None) == (self.fault is None):
            raise ValueError("an answer has an exit status or a fault")


class Reach(Protocol):
    """The way to one place. Never raises for what happens there: that is the answer."""

    async def execute(self, order: Order, *, on_start: Callable[[], None] | None = None) -> Answer:
        """Carry out the order; ``on_start`` is called when it is handed over."""

    async def close(self) -> None:
        """End what is held for this place."""
