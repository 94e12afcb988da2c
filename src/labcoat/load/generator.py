"""Our own generator, seen from the lab: a synchronous client of a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import IO, TYPE_CHECKING, ClassVar, Self

from labcoat.errors import LoadError, UsageError
from labcoat.load.messages import Failure, Forget, Order, Progress
from labcoat.load.sessions import ATTEMPTS, LONGEST_S
from labcoat.model.load import Measurement

if TYPE_CHECKING:
    from labcoat.model.load import Plan, Target, Window
    from labcoat.model.workload import Workload

LAST_LINES = 20
PATIENCE_S = 30.0
"""How much longer than asked a slice may take before the worker is taken for dead."""


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    line: Connection
    words: IO[bytes]

    @classmethod
    def start(cls, cpus: tuple[int, ...] | None) -> _Worker:
        """Start the process; its death or ours is an end of file at the other side.

        A process group of its own keeps the terminal's Ctrl-C away from it; ``-P``
        keeps the user's own modules in the working directory from shadowing ours.
        """
        ours, theirs = socket.socketpair()
        words = tempfile.TemporaryFile()  # noqa: SIM115 lives as long as the worker
        argv = [sys.executable, "-P", "-m", "labcoat.load.worker", str(theirs.fileno())]
        if cpus is not None:
            argv.append(",".join(map(str, cpus)))
        with theirs:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                pass_fds=(theirs.fileno(),),
                process_group=0,
            )
        return cls(process, Connection(ours.detach()), words)

    def end(self) -> tuple[str, ...]:
        """End it at once (it holds nothing that is worth a farewell); its last lines."""
        self.line.close()
        self.process.kill()
        self.process.wait()
        with self.words:
            self.words.seek(0)
            return tuple(self.words.read().decode(errors="replace").splitlines()[-LAST_LINES:])


@dataclass(slots=True, kw_only=True)
class Generator:
    """labcoat's own load generator.

    Closed and open loop over HTTP/1.1 on TCP, TLS or Unix sockets. The worker process
    starts with the first load and ends with ``close``; it dies with this process,
    however that ends. ``watch`` is told of progress ten times a second. ``cpus``: what
    the worker may run on, None is all.

    An exception in the middle of a load (Ctrl-C) ends the worker; the next load starts
    another.
    """

    name: ClassVar[str] = "labcoat"
    watch: Callable[[Progress], None] | None = None
    cpus: tuple[int, ...] | None = None
    _worker: _Worker | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The worker's process id, None before the first load."""
        return None if self._worker is None else self._worker.process.pid

    def load(
        self,
        target: Target,
        workload: Workload,
        plan: Plan,
        window: Window,
        *,
        seed: int,
        keep_alive: bool = True,
        timeout_s: float = 30.0,
    ) -> Measurement:
        """One slice. Raises: LoadError, UsageError (a placeholder or the URL is wrong)."""
        order = Order(
            target=target,
            workload=workload,
            plan=plan,
            window=window,
            seed=seed,
            keep_alive=keep_alive,
            timeout_s=timeout_s,
            tells_progress=self.watch is not None,
        )
        set_up_s = LONGEST_S + ATTEMPTS * timeout_s if workload.setup else 0.0
        lasts_s = set_up_s + window.warmup_s + window.measure_s + timeout_s
        answer = self._ask(order, lasts_s + PATIENCE_S)
        if not isinstance(answer, Measurement):
            raise LoadError(f"the generator answered {answer!r}", where=target.url)
        return answer

    def forget(self, target: Target) -> None:
        """Close the connections to a target that is about to go away."""
        if self._worker is not None:
            self._ask(Forget(target=target), PATIENCE_S)

    def another(self) -> Generator | None:
        """A second one, with a worker of its own on the same CPUs; nobody watches it."""
        return Generator(cpus=self.cpus)

    def close(self) -> None:
        """End the worker; a later load starts another."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.end()

    def _ask(self, question: Order | Forget, patience_s: float) -> object:
        worker = self._worker
        if worker is None:
            worker = self._worker = _Worker.start(self.cpus)
        try:
            worker.line.send(question)
            answer = self._answer(worker, patience_s)
        except (EOFError, OSError) as error:
            self._worker = None
            with suppress(subprocess.TimeoutExpired):
                worker.process.wait(1.0)  # it may still be writing its last words
            last_lines = worker.end()
            raise LoadError(
                f"the load generator died (exit status {worker.process.returncode})",
                where=f"{sys.executable} -m labcoat.load.worker",
                way_out="load again: that starts another; report its last words if they recur",
                log=last_lines,
            ) from error
        except BaseException:
            self.close()
            raise
        if isinstance(answer, Failure):
            error_class = UsageError if answer.is_usage else LoadError
            raise error_class(answer.what, where=answer.where, way_out=answer.way_out)
        return answer

    def _answer(self, worker: _Worker, patience_s: float) -> object:
        while True:
            if not worker.line.poll(patience_s):
                raise TimeoutError("no answer")
            answer = worker.line.recv()
            if not isinstance(answer, Progress):
                return answer
            if self.watch is not None:
                self.watch(answer)
