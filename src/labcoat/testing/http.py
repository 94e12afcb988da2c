"""A real HTTP server on loopback that answers as a script says, well or badly."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from labcoat.model.load import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request as the server saw it; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the server does: waits, sends ``raw`` piece by piece, perhaps hangs up."""

    raw: tuple[bytes, ...]
    delay_s: float = 0.0
    closes: bool = False
    resets: bool = False


def reply(body: bytes = b"hello", *, status: int = 200, headers: str = "") -> Reply:
    """A plain answer in one piece; ``headers``: further lines, each with its CRLF."""
    head = f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return Reply(raw=(head.encode() + body,))


Script = Callable[[Received], Reply]


def say_hello(received: Received) -> Reply:
    """The script of a server that does nothing but answer."""
    del received
    return reply()


@dataclass(slots=True)
class ScriptedServer:
    """Serves on a thread of its own from ``with`` to its end.

    ``requests``: everything received, in order. ``connections``: how many were accepted.
    ``uds``: listen on this Unix socket instead of a TCP port.
    """

    script: Script = say_hello
    uds: str | None = None
    tls: ssl.SSLContext | None = None
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    _port: int = 0
    _thread: threading.Thread | None = None
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def __enter__(self) -> Self:
        listening = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(listening,), daemon=True)
        self._thread.start()
        listening.wait()
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        if self._thread is not None:
            self._thread.join()

    @property
    def target(self) -> Target:
        """Where it listens."""
        scheme = "http" if self.tls is None else "https"
        host = "localhost" if self.uds else f"127.0.0.1:{self._port}"
        return Target(url=f"{scheme}://{host}", uds=self.uds)

    def stall(self, for_s: float, *, after_s: float) -> None:
        """Answer nobody for so long, once, some time from now."""
        self._loop.call_soon_threadsafe(self._loop.call_later, after_s, time.sleep, for_s)

    def hang_up(self) -> None:
        """Close every open connection, as a server does with idle ones."""
        self._loop.call_soon_threadsafe(self._close_all)

    def _close_all(self) -> None:
        for writer in self._writers:
            writer.close()

    def _serve(self, listening: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(self._listen())
        listening.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(self._farewell())
        self._loop.close()

    async def _farewell(self) -> None:
        for writer in tuple(self._writers):
            writer.transport.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)

    async def _listen(self) -> asyncio.Server:
        if self.uds is not None:
            return await asyncio.start_unix_server(self._talk, self.uds, ssl=self.tls)
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0, ssl=self.tls, backlog=1024)
        self._port = server.sockets[0].getsockname()[1]
        return server

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        self._writers.add(writer)
        try:
            while await self._exchange(reader, writer, number):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client left, or the server ends: asyncio would log the cancelled task
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> bool:
        """One request and its reply; whether another may follow."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        received = Received(method=method, path=path, headers=headers, body=body, connection=number)
        self.requests.append(received)
        said = self.script(received)
        if said.delay_s:
            await asyncio.sleep(said.delay_s)
        if said.resets:
            writer.transport.abort()
            return False
        for piece in said.raw:
            writer.write(piece)
            await writer.drain()
            if len(said.raw) > 1:
                await asyncio.sleep(0.001)  # so that pieces arrive as pieces
        return not said.closes
