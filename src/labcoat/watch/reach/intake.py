"""Where the events of a process that was started somewhere come together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from labcoat.watch.reach.base import Answer, Fault, Mark
from labcoat.watch.reach.capture import Capture, Framed

LAST_WORDS_S = 0.5


@dataclass(slots=True)
class Intake:
    """What has come of one order so far.

    ``over`` is set when there is nothing to wait for: all output and the exit, or a
    flood, or the loss of the channel. ``exited`` is set at the exit alone: a daemon that
    the command left behind may hold its output open for ever.
    """

    framed: Framed
    err: Capture = field(default_factory=Capture)
    exit_status: int | None = None
    signal: str | None = None
    trouble: str = ""
    exited: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def output(self, piece: bytes, *, is_error: bool) -> None:
        """A piece of one of the two streams."""
        if is_error:
            self.err.feed(piece)
        else:
            self.framed.feed(piece)
        if self.is_flood:
            self.exited.set()
            self.over.set()

    def exit(self, status: int | None, signal: str | None) -> None:
        """The process has ended."""
        self.exit_status, self.signal = status, signal
        self.exited.set()

    def end(self, trouble: str = "") -> None:
        """Nothing more will come."""
        self.trouble = trouble
        self.exited.set()
        self.over.set()

    @property
    def is_flood(self) -> bool:
        """Whether more came than is drained."""
        return self.err.is_flood or self.framed.capture.is_flood

    async def wait(self, timeout_s: float) -> bool:
        """Wait for the end, at most so long; whether it came in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.exited.wait()
        except TimeoutError:
            return False
        try:
            async with asyncio.timeout(LAST_WORDS_S):
                await self.over.wait()
        except TimeoutError:
            pass
        return True

    def answer(self, *, in_time: bool, timeout_s: float, elapsed_s: float) -> Answer:
        """The answer as of now."""
        status: int | None = None
        fault: Fault | None = None
        detail = ""
        if not in_time:
            fault, detail = Fault.TIMEOUT, f"no end within {timeout_s:g} s"
        elif self.is_flood:
            fault, detail = Fault.FLOOD, "more than 16 MiB of output"
        elif self.signal is not None:
            fault, detail = Fault.SIGNAL, f"ended by {self.signal}"
        elif self.exit_status is None:
            fault, detail = Fault.LOST, self.trouble or "the channel closed without an exit status"
        elif self.framed.pid is None:
            fault = Fault.NOISE
            detail = f"the login shell ended with {self.exit_status} before the command"
        else:
            status = self.exit_status
        return Answer(
            exit_status=status,
            fault=fault,
            detail=detail,
            stdout=self.framed.capture.text() if self.framed.pid is not None else "",
            stderr=self.err.text(),
            mark=self.framed.mark if self.framed.pid is not None else Mark.UNKNOWN,
            elapsed_s=elapsed_s,
        )
