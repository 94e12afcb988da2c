"""The machine that labcoat itself runs on."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import IO

from labcoat.errors import Died, HostError
from labcoat.host.base import Completed, Launch
from labcoat.host.facts import read_facts
from labcoat.host.machine import read_host_counters
from labcoat.host.supervise import Keeper, Order, missing_program
from labcoat.host.tree import TreeReader
from labcoat.model.host import Facts, HostCounters, TreeCounters
from labcoat.model.stack import Endpoint

_TAIL_BYTES = 65536
_NO_PROGRAMS: Mapping[str, str] = MappingProxyType({})


class LocalProcess:
    """A component under its keeper."""

    def __init__(self, launch: Launch, keeper: Keeper) -> None:
        self.name = launch.name
        self.log = launch.log
        self.pid = keeper.root_pid
        self.keeper = keeper
        self.reader = TreeReader(keeper.pid)

    def status(self) -> int | None:
        """Exit status of the root once it has ended, else None; never waits."""
        return self.keeper.status()

    def counters(self) -> TreeCounters:
        """CPU and memory of the whole tree. Raises: Died if the root is gone."""
        status = self.status()
        if status is None:
            try:
                return self.reader.read()
            except OSError:
                status = self.status()
        raise Died(
            f"{self.name} died: {in_words(status)}",
            where=str(self.log),
            way_out="its log says why",
            log=self.tail(),
        )

    def stop(self, *, grace_s: float = 5.0) -> None:
        """TERM, deadline, KILL for the whole tree; returns when nothing is left."""
        self.keeper.stop(grace_s)

    def tail(self, lines: int = 20) -> tuple[str, ...]:
        """The last lines of the log."""
        return tail_of(self.log, lines)


class LocalHost:
    """The machine at hand, Linux. ``programs``: name -> "version (path)", for the facts."""

    def __init__(self, *, programs: Mapping[str, str] = _NO_PROGRAMS) -> None:
        self.programs = programs

    def facts(self) -> Facts:
        """What this machine is."""
        return read_facts(self.programs)

    def counters(self) -> HostCounters:
        """A reading of the machine's counters."""
        return read_host_counters()

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        unprivileged: bool = False,
    ) -> Completed:
        """Run a program to its end, and end whatever it leaves behind. No shell.

        ``env`` None is nothing but PATH. Raises: HostError (missing, timed out, refused).
        """
        env = {"PATH": os.environ.get("PATH", os.defpath)} if env is None else dict(env)
        launch = Launch(
            name=Path(argv[0]).name,
            argv=tuple(argv),
            env=env,
            cwd=Path.cwd() if cwd is None else cwd,
            log=Path(os.devnull),
            unprivileged=unprivileged,
        )
        order = replace(order_for(launch), log=None)
        deadline = time.monotonic() + timeout_s
        with (
            os.fdopen(os.memfd_create("stdout"), "w+b") as stdout,
            os.fdopen(os.memfd_create("stderr"), "w+b") as stderr,
            Keeper(order, stdout=stdout, stderr=stderr) as keeper,
        ):
            while keeper.ended is None and not keeper.lost and time.monotonic() < deadline:
                keeper.listen(deadline - time.monotonic())
            in_time = keeper.ended is not None or keeper.lost
            keeper.stop(grace_s=1.0)
            completed = Completed(
                argv=tuple(argv),
                status=keeper.status() or 0,
                stdout=_written(stdout),
                stderr=_written(stderr),
                cpu_s=keeper.cpu_s,
            )
        if not in_time:
            raise HostError(
                f"{order.name} did not finish within {timeout_s:g} s",
                where=" ".join(argv),
                way_out="see what it waits for; a busy machine needs a longer timeout",
                log=completed.tail(),
            )
        return completed

    def spawn(self, launch: Launch) -> LocalProcess:
        """Start a program under supervision. Raises: HostError."""
        return LocalProcess(launch, Keeper(order_for(launch)))

    def answers(self, endpoint: Endpoint) -> bool:
        """Whether something accepts connections there now; never waits."""
        family = socket.AF_INET if endpoint.path is None else socket.AF_UNIX
        address = (endpoint.host, endpoint.port) if endpoint.path is None else str(endpoint.path)
        with socket.socket(family) as dialled:
            dialled.settimeout(0.2)
            try:
                dialled.connect(address)
            except OSError:
                return False
        return True

    def guard(self, directory: Path, *, lock: Path, base: Path | None = None) -> LocalGuard:
        """See to it that the directory goes should labcoat be killed. Raises: HostError."""
        order = Order(
            name="guard",
            argv=(),
            env={},
            cwd="/",
            log=None,
            ids=None,
            cpus=None,
            stop_signal=signal.SIGTERM,
            lock=str(lock),
            directory=str(directory),
            base=None if base is None else str(base),
            parent=os.getpid(),
        )
        return LocalGuard(Keeper(order))


class LocalGuard:
    """The keeper that removes a sandbox when labcoat is killed."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper

    def close(self) -> None:
        """Stand down: labcoat has removed everything itself."""
        self.keeper.stop(grace_s=0.0)


def _written(file: IO[bytes]) -> str:
    """What a program wrote to a file of ours."""
    file.seek(0)
    return file.read().decode(errors="replace")


def order_for(launch: Launch) -> Order:
    """A keeper's order, the program found. Raises: HostError if it is missing."""
    path = launch.env.get("PATH", os.environ.get("PATH", os.defpath))
    named = launch.argv[0]
    program = named if "/" in named else shutil.which(named, path=path)
    if program is None:
        raise missing_program(named)
    return Order(
        name=launch.name.replace(" ", "-"),
        argv=(str((launch.cwd / program).absolute()), *launch.argv[1:]),
        env=dict(launch.env),
        cwd=str(launch.cwd.absolute()),
        log=str(launch.log.absolute()),
        ids=unprivileged_ids() if launch.unprivileged else None,
        cpus=launch.cpus,
        stop_signal=int(launch.stop_signal),
        lock=None if launch.lock is None else str(launch.lock),
        parent=os.getpid(),
    )


def unprivileged_user() -> str | None:
    """Whom unprivileged programs become: None when labcoat is not root.

    Postgres' own user where there is one, since its files may be for it alone.
    """
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise HostError(
        "there is no unprivileged user on this machine",
        where="/etc/passwd",
        way_out="add a user named nobody, or do not be root",
    )


def unprivileged_ids() -> tuple[int, int] | None:
    """Uid and gid of that user; None when labcoat is not root."""
    name = unprivileged_user()
    if name is None:
        return None
    entry = pwd.getpwnam(name)
    return entry.pw_uid, entry.pw_gid


def tail_of(log: Path, lines: int) -> tuple[str, ...]:
    """The last lines of a log; nothing when it cannot be read any more."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ()
    return tuple(deque(text.splitlines(), maxlen=lines))


def in_words(status: int | None) -> str:
    """An exit status as people say it."""
    if status is None:
        return "it cannot be read"
    if status >= 0:
        return f"exited with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = "unknown"
    return f"ended by signal {-status} ({name})"
