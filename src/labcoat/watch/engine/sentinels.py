"""Hosts that always answer: if none of them does, the fault is probably ours."""

from __future__ import annotations

import asyncio
import contextlib

PORT = 22
TIMEOUT_S = 4.0


async def answer(hosts: tuple[str, ...]) -> bool:
    """Whether any of them takes a connection: ``host`` (port 22) or ``host:port``."""
    return any(await asyncio.gather(*(_dial(host) for host in hosts)))


async def _dial(host: str) -> bool:
    name, colon, port = host.rpartition(":")
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(TIMEOUT_S):
            _, writer = await asyncio.open_connection(
                name if colon else host, int(port) if colon else PORT
            )
            writer.close()
            return True
    return False
