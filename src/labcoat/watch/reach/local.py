"""The way to this machine itself: a process group of its own for each order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from labcoat.watch.reach.base import Answer, Fault, Order
from labcoat.watch.reach.capture import Framed
from labcoat.watch.reach.intake import Intake
from labcoat.watch.reach.laying import with_plugin
from labcoat.watch.reach.script import framed

AT_ONCE = 64
SECRETS = "LABCOAT_SECRET_"
CREDENTIALS = "CREDENTIALS_DIRECTORY"  # systemd's LoadCredential
LAUNCH = ("/bin/sh", "-c", 'eval "$(cat)"')
GRACE_S = 1.0


class _Protocol(asyncio.SubprocessProtocol):
    """Passes on what asyncio tells of the process."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._open = {1, 2}
        self._transport: asyncio.SubprocessTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, piece: bytes) -> None:
        self._intake.output(piece, is_error=fd == 2)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        del exc
        self._open.discard(fd)
        self._settle()

    def process_exited(self) -> None:
        assert self._transport is not None
        status = self._transport.get_returncode()
        assert status is not None
        if status < 0:
            self._intake.exit(None, signal.Signals(-status).name)
        else:
            self._intake.exit(status, None)
        self._settle()

    def _settle(self) -> None:
        if not self._open and self._intake.exited.is_set():
            self._intake.over.set()


@dataclass(slots=True)
class LocalReach:
    """The watching machine, as the user whose watch it is. At most 64 orders at once."""

    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def execute(self, order: Order, *, on_start: Callable[[], None] | None = None) -> Answer:
        """Carry out the order here."""
        async with self._slots:
            if on_start is not None:
                on_start()
            return await with_plugin(order, self._execute)

    async def close(self) -> None:
        """Nothing is held."""

    async def _execute(self, order: Order) -> Answer:
        nonce = secrets.token_hex(8)
        intake = Intake(Framed(nonce))
        began = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.subprocess_exec(
                lambda: _Protocol(intake),
                *LAUNCH,
                start_new_session=True,
                env=_environment(),
                cwd="/",
            )
        except OSError as error:
            return Answer(fault=Fault.UNREACHABLE, detail=f"no process: {error.strerror}")
        try:
            _give(transport, framed(order, nonce))
            in_time = await intake.wait(order.timeout_s)
            elapsed_s = time.monotonic() - began
            if not in_time or intake.is_flood:
                await _end(transport.get_pid(), intake)
            return intake.answer(in_time=in_time, timeout_s=order.timeout_s, elapsed_s=elapsed_s)
        finally:
            if not intake.exited.is_set():
                _signal(transport.get_pid(), signal.SIGKILL)
            transport.close()


def _environment() -> dict[str, str]:
    """Ours without the values of secrets: a command gets those that it names."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(SECRETS) and name != CREDENTIALS
    }
    return kept | {"PWD": "/"}


def _give(transport: asyncio.SubprocessTransport, script: str) -> None:
    pipe = cast("asyncio.WriteTransport", transport.get_pipe_transport(0))
    pipe.write(script.encode())
    pipe.write_eof()


async def _end(group: int, intake: Intake) -> None:
    """End a process group: asked first, made to a second later."""
    _signal(group, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GRACE_S):
            await intake.over.wait()
    _signal(group, signal.SIGKILL)


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
