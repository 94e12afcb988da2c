"""The way to another machine: OpenSSH's protocol by asyncssh, without a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import asyncssh

from labcoat.watch.reach.base import Answer, Fault, Order
from labcoat.watch.reach.capture import Framed
from labcoat.watch.reach.connect import Unreached
from labcoat.watch.reach.connections import Connections, Kept
from labcoat.watch.reach.intake import Intake
from labcoat.watch.reach.laying import with_plugin
from labcoat.watch.reach.place import Place
from labcoat.watch.reach.script import LAUNCH, framed, kills, spelled_out

WINDOW_BYTES = 128 << 10
UNPACED_BYTES = 512 << 10
PACE_BYTES_PER_S = 1 << 20  # beyond: one flooding place must not keep the loop from the others
KILL_TIMEOUT_S = 5.0
BUSY_PATIENCE_S = 5.0


class _Session(asyncssh.SSHClientSession[bytes]):
    """Passes on what asyncssh tells of the channel."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._channel: Any = None
        self._total = 0

    def connection_made(self, chan: Any) -> None:
        self._channel = chan

    def data_received(self, piece: bytes, datatype: int | None) -> None:
        self._intake.output(piece, is_error=datatype == asyncssh.EXTENDED_DATA_STDERR)
        self._total += len(piece)
        if self._total > UNPACED_BYTES and not self._intake.over.is_set():
            self._channel.pause_reading()
            asyncio.get_running_loop().call_later(
                len(piece) / PACE_BYTES_PER_S, self._channel.resume_reading
            )

    def exit_status_received(self, status: int) -> None:
        self._intake.exit(status, None)

    def exit_signal_received(
        self,
        signal: str,
        core_dumped: bool,  # noqa: FBT001 - asyncssh's signature
        msg: str,
        lang: str,
    ) -> None:
        del core_dumped, msg, lang
        self._intake.exit(None, f"SIG{signal}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._intake.end(str(exc) if exc else "")


@dataclass(slots=True)
class SshReach:
    """One place over SSH, by a connection that is kept between orders."""

    place: Place
    connections: Connections
    _killing: set[asyncio.Task[None]] = field(default_factory=set)

    async def execute(self, order: Order, *, on_start: Callable[[], None] | None = None) -> Answer:
        """Carry out the order there."""

        async def once(order: Order) -> Answer:
            try:
                for _ in range(2):
                    answer = await self._execute(order, on_start)
                    if answer is not None:
                        return answer
                return Answer(fault=Fault.LOST, detail="the connection broke twice")
            except Unreached as unreached:
                return Answer(fault=unreached.fault, detail=unreached.detail)

        return await with_plugin(order, once)

    async def close(self) -> None:
        """Let what is being killed be killed; the connections belong to their pool."""
        if self._killing:
            await asyncio.wait(self._killing, timeout=KILL_TIMEOUT_S)

    async def _execute(self, order: Order, on_start: Callable[[], None] | None) -> Answer | None:
        """One try; None if the connection broke before the order was handed over."""
        async with self.connections.lease(self.place) as kept:
            if on_start is not None:
                on_start()
            began = time.monotonic()
            nonce = secrets.token_hex(8)
            intake = Intake(Framed(nonce))
            try:
                async with asyncio.timeout(order.timeout_s):
                    channel = await self._open(kept, intake, order, nonce)
            except TimeoutError:
                await self.connections.drop(kept)
                return intake.answer(
                    in_time=False, timeout_s=order.timeout_s, elapsed_s=time.monotonic() - began
                )
            except (asyncssh.Error, OSError) as error:
                await self.connections.drop(kept)
                broke = Answer(fault=Fault.LOST, detail=f"the connection broke: {error}")
                # One that was kept may have died long ago. A check is asked again; an
                # action is not: its place is asked what became of it.
                return None if order.attempt is None else broke
            try:
                left_s = max(0.0, order.timeout_s - (time.monotonic() - began))
                in_time = await intake.wait(left_s)
                elapsed_s = time.monotonic() - began
                if not in_time or intake.is_flood:
                    self._kill_later(intake.framed.pid, as_root=order.as_root)
                return intake.answer(
                    in_time=in_time, timeout_s=order.timeout_s, elapsed_s=elapsed_s
                )
            except asyncio.CancelledError:
                self._kill_later(intake.framed.pid, as_root=order.as_root)
                raise
            finally:
                channel.abort()

    async def _open(self, kept: Kept, intake: Intake, order: Order, nonce: str) -> Any:
        """A channel on which the order's script was handed over."""
        script = framed(order, nonce)
        line = spelled_out(script) if order.pty else LAUNCH
        assert kept.connection is not None
        deadline = time.monotonic() + BUSY_PATIENCE_S
        while True:
            try:
                channel, _ = await kept.connection.create_session(
                    lambda: _Session(intake),
                    line,
                    encoding=None,
                    window=WINDOW_BYTES,
                    request_pty="force" if order.pty else False,
                    term_type="dumb" if order.pty else None,
                )
            except asyncssh.ChannelOpenError as error:
                if kept.connection.is_closed():
                    raise ConnectionResetError(error.reason) from error
                # MaxSessions: another session must end first.
                if time.monotonic() > deadline:
                    raise Unreached(
                        Fault.BUSY, f"the host opens no session: {error.reason}"
                    ) from error
                await asyncio.sleep(0.1)
            else:
                with contextlib.suppress(OSError):
                    if not order.pty:
                        channel.write(script.encode())
                        channel.write_eof()
                return channel

    def _kill_later(self, pid: int | None, *, as_root: bool) -> None:
        """End the process group by an order of its own; nobody waits for it."""
        task = asyncio.get_running_loop().create_task(self._kill(pid, as_root=as_root))
        self._killing.add(task)
        task.add_done_callback(self._killing.discard)

    async def _kill(self, pid: int | None, *, as_root: bool) -> None:
        if pid is not None:
            order = Order(command=kills(pid, as_root=as_root), timeout_s=KILL_TIMEOUT_S)
            try:
                answer = await self._execute_quietly(order)
            except Unreached:
                return
            if answer.exit_status == 0:
                return
        kept = self.connections.kept(self.place)
        if kept is not None:
            await self.connections.drop(kept)  # sshd ends what hangs on a lost connection

    async def _execute_quietly(self, order: Order) -> Answer:
        """As ``_execute``, but a failure kills nothing further."""
        async with self.connections.lease(self.place) as kept:
            nonce = secrets.token_hex(8)
            intake = Intake(Framed(nonce))
            try:
                async with asyncio.timeout(order.timeout_s):
                    channel = await self._open(kept, intake, order, nonce)
                    await intake.exited.wait()
            except (TimeoutError, asyncssh.Error, OSError):
                return Answer(fault=Fault.LOST, detail="not killed")
            channel.abort()
            return intake.answer(in_time=True, timeout_s=order.timeout_s, elapsed_s=0.0)
