"""The socket over which other commands speak with the watch at work: one line, one answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from labcoat.errors import LabcoatError

TIMEOUT_S = 600.0
LINE_BYTES = 1 << 20

Answerer = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name for the socket that fits into 108 bytes, however deep its folder lies."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


@contextlib.asynccontextmanager
async def listening(path: Path, answer: Answerer) -> AsyncIterator[None]:
    """Answer requests while it lasts; only this user may ask."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError):
            try:
                reply = await answer(json.loads(await reader.readline()))
            except LabcoatError as error:
                told = {"what": error.what, "where": error.where, "way_out": error.way_out}
                reply = {"error": told}
            writer.write(json.dumps(reply, ensure_ascii=False).encode() + b"\n")
            await writer.drain()
        writer.close()

    path.unlink(missing_ok=True)  # noqa: ASYNC240 - a left-over; local and once
    with _short(path) as name:
        mask = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(serve, name, limit=LINE_BYTES)
        finally:
            os.umask(mask)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)  # noqa: ASYNC240 - as above


def ask(path: Path, request: Mapping[str, Any]) -> dict[str, Any] | None:
    """Ask the watch at work; None if there is none. Raises: LabcoatError that it answers."""
    try:
        with _short(path) as name, socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(TIMEOUT_S)
            sock.connect(name)
            sock.sendall(json.dumps(request).encode() + b"\n")
            line = sock.makefile("rb").readline()
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        return None
    except OSError as error:
        raise LabcoatError(
            f"the watch does not answer: {error.strerror or error}",
            where=path,
            way_out="look whether it is alive: labcoat watch status",
        ) from error
    if not line:
        raise LabcoatError("the watch ended before it answered", where=path)
    reply: dict[str, Any] = json.loads(line)
    if "error" in reply:
        raise LabcoatError(
            reply["error"]["what"],
            where=reply["error"]["where"],
            way_out=reply["error"]["way_out"],
        )
    return reply
