"""The seam of this room: what any host can do for the rooms above."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from labcoat.model.host import Facts, HostCounters, TreeCounters
from labcoat.model.stack import Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A program that ran to its end. ``status`` is negative for a signal.

    ``cpu_s``: CPU seconds of it and of all that it started, to 10 ms.
    """

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str
    cpu_s: float = 0.0

    def tail(self, lines: int = 20) -> tuple[str, ...]:
        """The last lines of stdout and stderr together."""
        return tuple((self.stdout + self.stderr).splitlines()[-lines:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A long-lived program to start.

    ``name``: the component, for messages and the log's name. ``env``: the whole
    environment (nothing is inherited). ``log``: file that gets stdout and stderr.
    ``unprivileged``: drop root first (Postgres refuses to run as root); no effect
    when not root. ``cpus``: CPUs it may run on, None is all. ``stop_signal``: what asks
    its root to end (uWSGI and Postgres want SIGINT). ``lock``: the sandbox's lock, held
    while anything of it lives; the sandbox fills it in.
    """

    name: str
    argv: tuple[str, ...]
    cwd: Path
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    unprivileged: bool = False
    cpus: tuple[int, ...] | None = None
    stop_signal: int = signal.SIGTERM
    lock: Path | None = None


class Process(Protocol):
    """A living (or ended) component: the root of one process tree."""

    name: str
    pid: int
    log: Path

    def status(self) -> int | None:
        """Exit status of the root once it has ended, else None; never waits."""

    def counters(self) -> TreeCounters:
        """CPU and memory of the whole tree. Raises: Died if the root is gone."""

    def stop(self, *, grace_s: float = 5.0) -> None:
        """TERM, deadline, KILL for the whole tree; returns when nothing is left."""

    def tail(self, lines: int = 20) -> tuple[str, ...]:
        """The last lines of the log."""


class Guard(Protocol):
    """What removes a sandbox's directory and lock when labcoat is killed."""

    def close(self) -> None:
        """Stand down: labcoat has removed them itself."""


class Host(Protocol):
    """A machine on which a stack can run."""

    def facts(self) -> Facts:
        """What this machine is."""

    def counters(self) -> HostCounters:
        """A reading of the machine's counters."""

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        unprivileged: bool = False,
    ) -> Completed:
        """Run a program to its end; argv, no shell. Raises: HostError (missing, timed out)."""

    def spawn(self, launch: Launch) -> Process:
        """Start a program under supervision. Raises: HostError."""

    def answers(self, endpoint: Endpoint) -> bool:
        """Whether something accepts connections there now; never waits."""

    def guard(self, directory: Path, *, lock: Path, base: Path | None = None) -> Guard:
        """See to it that a sandbox goes should labcoat be killed.

        That is its directory, its lock and, when it is empty then, ``base``.
        Raises: HostError.
        """
