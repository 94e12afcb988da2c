"""The sandbox: a directory, its sockets and ports, and every process started in it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from labcoat.errors import Died, HostError, NotReady
from labcoat.host.base import Guard, Host, Launch, Process
from labcoat.host.clock import Clock, SystemClock
from labcoat.host.leftovers import LOCK_SUFFIX, LOCK_TITLE, end_leftovers
from labcoat.host.local import in_words, unprivileged_ids
from labcoat.host.refusal import refused, room_left
from labcoat.model.stack import Endpoint, Speaks

KEPT_LOGS = 10
SOCKET_PATH_BYTES = 100  # sun_path holds 108, and some servers add a suffix
_POLL_S = 0.01
_FULL_BYTES = 1 << 20
_REMOVALS = 100
_LEAST_PORT = 10_000


def default_base() -> Path:
    """Where sandboxes lie: $LABCOAT_SANDBOXES, else <tempdir>/labcoat-<uid>."""
    named = os.environ.get("LABCOAT_SANDBOXES")
    return Path(named) if named else Path(tempfile.gettempdir()) / f"labcoat-{os.getuid()}"


class Sandbox:
    """One directory and all that lives in it; a context manager that leaves nothing.

    Beside the directory lies ``<id>.lock``. Labcoat and each keeper hold it shared, and
    each component writes its pid and start time into it: so whoever finds the lock free
    knows that the sandbox is dead, and which processes to look for.
    """

    def __init__(
        self,
        host: Host,
        root: Path,
        lock: Path,
        held: int,
        guard: Guard,
        keep_logs_in: Path | None,
        base: Path | None,
        clock: Clock,
    ) -> None:
        self.host = host
        self.root = root
        self.id = root.name
        self.lock = lock
        self.held = held
        self.guard = guard
        self.keep_logs_in = keep_logs_in
        self.base = base  # to remove when it is empty; None when the user named it
        self.clock = clock
        self.processes: list[Process] = []
        self.logs: set[Path] = set()
        self.ephemeral = host.facts().port_range
        self.ports: set[int] = set()
        self.sockets = 0
        self.failed = False
        self.closed = False
        self.hidden: tuple[bytes, ...] = ()

    @classmethod
    def open(
        cls,
        host: Host,
        *,
        base: Path | None = None,
        keep_logs_in: Path | None = None,
        clock: Clock = SystemClock(),  # noqa: B008  it has no state
    ) -> Sandbox:
        """A fresh sandbox below ``base``; dead ones found there are ended and removed.

        ``keep_logs_in``: on failure the logs are kept there, in a folder named by the
        sandbox, the last ten of them. Raises: HostError.
        """
        ours = default_base() if base is None else None
        base = (base or default_base()).absolute()
        with contextlib.suppress(FileNotFoundError):
            end_leftovers(base)
        while True:
            root = base / secrets.token_hex(4)
            lock = base / f"{root.name}{LOCK_SUFFIX}"
            # The guard first: from here on a kill -9 leaves nothing.
            guard = host.guard(root, lock=lock, base=ours)
            try:
                held = _claim(base, root, lock)
            except OSError as error:
                guard.close()
                raise refused(error, "cannot make a sandbox", base) from error
            except BaseException:
                guard.close()
                raise
            if held is not None:
                return cls(host, root, lock, held, guard, keep_logs_in, ours, clock)
            guard.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception):
            self.failed = True
        self.close()

    def directory(self, name: str, *, unprivileged: bool = False) -> Path:
        """A folder of the sandbox, made if need be, owned by who will use it."""
        folder = self.root / name
        with self._writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755)
            self._give(folder, unprivileged=unprivileged)
        return folder

    def write(self, path: Path, text: str, *, unprivileged: bool = False) -> None:
        """Write a file of the sandbox, for its owner's eyes only: it may hold secrets."""
        with self._writing(path):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            self._give(path, unprivileged=unprivileged)

    def endpoint(self, speaks: Speaks, *, unix: bool, name: str) -> Endpoint:
        """Somewhere to listen: a socket path, or a loopback port that was free.

        No port is given twice by one sandbox. Ports lie below the ephemeral range where
        there is room, lest a connection of the load takes one before its server does.
        """
        if unix:
            self.sockets += 1
            folder = self.directory("s")
            path = folder / f"{name}-{self.sockets}"
            if len(os.fsencode(path)) >= SOCKET_PATH_BYTES:
                raise HostError(
                    f"the path of a Unix socket would be too long ({len(os.fsencode(path))} bytes)",
                    where=path,
                    way_out="point LABCOAT_SANDBOXES at a folder with a short path",
                )
            return Endpoint(speaks=speaks, path=path)
        while True:
            port = _free_port(self.ephemeral)
            if port not in self.ports:
                self.ports.add(port)
                return Endpoint(speaks=speaks, port=port)

    def start(
        self, launch: Launch, *, ready: Callable[[Process], bool], timeout_s: float
    ) -> Process:
        """Start a component and wait until it is ready.

        Raises: NotReady, with its last 20 log lines; HostError.
        """
        if self.closed:
            raise HostError("the sandbox is closed", where=self.root)
        process = self.host.spawn(replace(launch, lock=self.lock))
        self.processes.append(process)
        self.logs.add(launch.log)
        deadline = self.clock.now_s() + timeout_s
        while True:
            status = process.status()
            if status is not None:
                raise self._not_ready(process, f"{in_words(status)} before it was ready")
            if ready(process):
                return process
            if self.clock.now_s() >= deadline:
                raise self._not_ready(process, f"did not become ready within {timeout_s:g} s")
            self.clock.sleep(_POLL_S)

    def check(self) -> None:
        """Raises: Died, with the last 20 log lines, when a started process is gone."""
        for process in self.processes:
            status = process.status()
            if status is not None:
                self.failed = True
                raise Died(
                    f"{process.name} died: {in_words(status)}",
                    where=self.log_of(process),
                    way_out="its log says why",
                    log=process.tail(),
                )

    def stop(self, process: Process) -> None:
        """End one component and everything below it."""
        process.stop()
        if process in self.processes:
            self.processes.remove(process)

    def close(self) -> None:
        """Take everything down, front first, and remove the directory. Idempotent.

        Raises: HostError if something does not die or cannot be removed, after all else
        was taken down.
        """
        if self.closed:
            return
        problems: list[HostError] = []
        while self.processes:
            try:
                self.processes[-1].stop()
            except HostError as error:
                problems.append(error)
            self.processes.pop()
        for step in (self._keep_logs, self._remove):
            try:
                step()
            except OSError as error:
                what = "cannot take the sandbox down"
                problems.append(refused(error, what, self.root))
        os.close(self.held)
        self.closed = True
        self.guard.close()
        if problems:
            raise problems[0]

    def _remove(self) -> None:
        """Remove the directory, the lock, and a base that nobody else uses."""
        for _ in range(_REMOVALS):
            try:
                shutil.rmtree(self.root)
            except FileNotFoundError:
                break
            except OSError as error:
                if error.errno != errno.ENOTEMPTY:
                    raise
                self.clock.sleep(_POLL_S)  # someone who is ending has written once more
            else:
                break
        self.lock.unlink(missing_ok=True)
        if self.base is not None:
            with contextlib.suppress(OSError):
                self.base.rmdir()

    def _give(self, path: Path, *, unprivileged: bool) -> None:
        ids = unprivileged_ids() if unprivileged else None
        if ids is not None:
            os.chown(path, *ids)

    @contextlib.contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        """Turn what the system refuses into a HostError."""
        try:
            yield
        except OSError as error:
            raise refused(error, "cannot write", path) from error

    def _not_ready(self, process: Process, what: str) -> NotReady:
        self.failed = True
        way_out = "its log says why; a slow machine needs a longer [study] ready_timeout_s"
        with contextlib.suppress(OSError):
            if shutil.disk_usage(self.root).free < _FULL_BYTES:
                way_out = (
                    f"the disk is full ({room_left(self.root)}): free space there, or point "
                    "LABCOAT_SANDBOXES or TMPDIR at another disk"
                )
        return NotReady(
            f"{process.name} {what}",
            where=self.log_of(process),
            way_out=way_out,
            log=process.tail(),
        )

    def hide(self, texts: Iterable[str]) -> None:
        """Keep these texts out of every log that outlives the sandbox; the longest first."""
        self.hidden = tuple(text.encode() for text in texts)

    def log_of(self, process: Process) -> str:
        """Where the reader will find the log once the sandbox is gone."""
        if self.keep_logs_in is None:
            return f"log: {process.log}"
        return f"log: {self.keep_logs_in / self.id / self._kept_name(process.log)}"

    def _kept_name(self, log: Path) -> str:
        try:
            return "-".join(log.relative_to(self.root).parts)
        except ValueError:
            return log.name

    def _keep_logs(self) -> None:
        """After a failure, put every log where they are kept; prune the old ones."""
        if self.keep_logs_in is None or not self.failed:
            return
        folder = self.keep_logs_in / self.id
        folder.mkdir(parents=True, exist_ok=True)
        for log in sorted({*self.root.rglob("*.log"), *self.logs}):
            if log.is_file() and not log.is_symlink():
                self._keep_log(log, folder / self._kept_name(log))
        kept = [each for each in self.keep_logs_in.iterdir() if each.is_dir()]
        kept.sort(key=lambda each: each.stat().st_mtime_ns)
        for old in kept[:-KEPT_LOGS]:
            shutil.rmtree(old)

    def _keep_log(self, log: Path, kept: Path) -> None:
        """A copy, without what is hidden."""
        with log.open("rb") as source, kept.open("wb") as target:
            for line in source:
                for text in self.hidden:
                    line = line.replace(text, b"***")  # noqa: PLW2901 - one after the other
                target.write(line)


def _insist_ours(base: Path) -> None:
    """Refuse a folder that another user made: he could swap what is written there.

    Raises: HostError.
    """
    owner = base.lstat().st_uid
    if owner not in (os.geteuid(), 0):
        raise HostError(
            f"the folder for sandboxes belongs to another user (uid {owner})",
            where=base,
            way_out="point LABCOAT_SANDBOXES at a folder of your own",
        )


def _free_port(ephemeral: tuple[int, int]) -> int:
    """A loopback port that nothing is bound to now."""
    while True:
        room = ephemeral[0] - _LEAST_PORT
        port = _LEAST_PORT + secrets.randbelow(room) if room > 1000 else 0
        with socket.socket() as asked:
            try:
                asked.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise refused(error, "cannot get a port", f"127.0.0.1:{port}") from error
                continue
            bound: int = asked.getsockname()[1]
            return bound


def _claim(base: Path, root: Path, lock: Path) -> int | None:
    """Make the lock, held shared, then the directory; the lock's descriptor.

    None when another labcoat took it away meanwhile: it found the lock free in the moment
    before we held it, or removed the base that was empty. Raises: OSError, HostError.
    """
    # Others may pass (a component may be another user), none may look around.
    base.mkdir(mode=0o711, parents=True, exist_ok=True)
    _insist_ours(base)
    try:
        held = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None
    fcntl.flock(held, fcntl.LOCK_SH)
    try:
        os.write(held, f"{LOCK_TITLE}\n".encode())
        if os.fstat(held).st_nlink:
            root.mkdir()
            root.chmod(0o711)
            return held
    except OSError:
        lock.unlink(missing_ok=True)
        os.close(held)
        raise
    os.close(held)
    return None
