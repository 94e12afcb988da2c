"""Labcoat's end of a keeper: give the order, ask for the end, hear how it went."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from labcoat.errors import HostError
from labcoat.host.refusal import refused

KEEPER = Path(__file__).with_name("keeper.py")
START_PATIENCE_S = 60.0
STOP_PATIENCE_S = 30.0  # beyond the grace: the keeper's own patience is 10 s


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a keeper is told; see keeper.py. An empty ``argv`` makes it a guard."""

    name: str
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    log: str | None
    ids: tuple[int, int] | None
    cpus: tuple[int, ...] | None
    stop_signal: int
    lock: str | None
    directory: str | None = None
    base: str | None = None
    parent: int


class Keeper:
    """A living keeper, seen from labcoat. Closing it, or losing it, ends its tree.

    ``pid`` is the keeper's, ``root_pid`` the component's. ``cpu_s``: what the tree has
    used, known once it is gone.
    """

    def __init__(
        self,
        order: Order,
        *,
        stdout: IO[Any] | int = subprocess.DEVNULL,
        stderr: IO[Any] | int = subprocess.DEVNULL,
    ) -> None:
        ours, theirs = socket.socketpair()
        self.order = order
        self.link = ours
        self.heard = b""
        self.root_pid = 0
        self.ended: int | None = None
        self.survivors = 0
        self.cpu_s = 0.0
        self.lost = False
        self.failure: HostError | None = None
        try:
            self.child: subprocess.Popen[bytes] = subprocess.Popen(
                [sys.executable, "-I", "-S", str(KEEPER)],
                stdin=theirs.fileno(),
                stdout=stdout,
                stderr=stderr,
                env={k: v for k, v in os.environ.items() if k == "LD_LIBRARY_PATH"},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise refused(error, f"cannot supervise {order.name}", sys.executable) from error
        finally:
            theirs.close()
        self.pid = self.child.pid
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self) -> None:
        """Send the order, wait for the exec. Raises: HostError."""
        try:
            self.link.sendall(json.dumps(asdict(self.order)).encode() + b"\n")
        except OSError as error:
            raise refused(error, f"cannot start {self.order.name}", sys.executable) from error
        deadline = time.monotonic() + START_PATIENCE_S
        while not self.root_pid and not self.lost and time.monotonic() < deadline:
            self.listen(deadline - time.monotonic())
        if self.failure is not None:
            raise self.failure
        if not self.root_pid:
            raise HostError(
                f"{self.order.name} could not be started: its keeper gave no answer",
                where=KEEPER,
                way_out="look for a full process table or memory limit: ulimit -u, free -m",
            )

    def listen(self, timeout_s: float = 0.0) -> None:
        """Take in what the keeper has said, waiting at most so long for a word."""
        if self.lost:
            return
        poll = select.poll()
        poll.register(self.link, select.POLLIN)
        if not poll.poll(max(0.0, timeout_s) * 1000):
            return
        try:
            words = self.link.recv(65536)
        except ConnectionResetError:
            words = b""
        if not words:
            self.lost = True
        *lines, self.heard = (self.heard + words).split(b"\n")
        for line in lines:
            self._take(json.loads(line))

    def _take(self, said: dict[str, float | str]) -> None:
        match said:
            case {"started": int(pid)}:
                self.root_pid = pid
            case {"ended": int(status)}:
                self.ended = status
            case {"gone": int(survivors), "cpu_s": float(cpu_s)}:
                self.survivors, self.cpu_s = survivors, cpu_s
                self.lost = True
            case {"failed": int(number), "where": str(where)}:
                error = OSError(number, os.strerror(number), where)
                self.failure = refused(error, f"cannot start {self.order.name}", where)
                self.failure.__cause__ = error
                self.lost = True

    def status(self) -> int | None:
        """Exit status of the root once it has ended; -9 when the keeper was killed."""
        self.listen()
        if self.ended is None and self.lost:
            return -9
        return self.ended

    def stop(self, grace_s: float) -> None:
        """End the whole tree: asked, then killed. Returns when nothing is left.

        Raises: HostError if something would not die (uninterruptible sleep).
        """
        deadline = time.monotonic() + grace_s + STOP_PATIENCE_S
        try:
            if not self.lost:
                self.link.sendall(json.dumps({"stop": grace_s}).encode() + b"\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # it is leaving by itself; what it said last is still to be heard
        while not self.lost and time.monotonic() < deadline:
            self.listen(deadline - time.monotonic())
        self.close()
        if self.survivors:
            raise HostError(
                f"{self.survivors} processes of {self.order.name} do not die",
                where=f"pid {self.root_pid} and its children",
                way_out="they sleep in the kernel (a dead disk or network mount?): dmesg",
            )

    def close(self) -> None:
        """Let the keeper go, which ends what is left of its tree, and wait for it."""
        self.link.close()
        self.lost = True
        try:
            self.child.wait(STOP_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def missing_program(name: str) -> HostError:
    """The error for a program that is not there."""
    return HostError(
        f"no such program: {name}",
        where="PATH",
        way_out="install it, or name its full path in the study",
    )
