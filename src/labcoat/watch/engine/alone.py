"""A request answered without a watch at work: the same engine, for as long as it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from labcoat.watch.engine.clock import SystemWatchClock
from labcoat.watch.engine.engine import commands_of, opened
from labcoat.watch.engine.reaching import SystemReaches
from labcoat.watch.engine.settings import LOCK, Settings
from labcoat.watch.engine.shelf import Shelf
from labcoat.watch.record.lock import only_watch


def answered_alone(
    settings: Settings,
    shelf: Shelf,
    request: Mapping[str, Any],
    *,
    say: Callable[[str], None],
) -> Mapping[str, Any]:
    """The answer, once every attempt that it began has ended. Raises: LabcoatError."""
    with only_watch(settings.folder / LOCK):
        return asyncio.run(_answered(settings, shelf, request, say))


async def _answered(
    settings: Settings, shelf: Shelf, request: Mapping[str, Any], say: Callable[[str], None]
) -> Mapping[str, Any]:
    reaches = SystemReaches(settings.logins, settings.ssh, settings.port)
    async with opened(
        settings, clock=SystemWatchClock(), reaches=reaches, shelf=shelf, say=say
    ) as engine:
        await engine.prepare()
        await engine.roll.vet_now()
        reply = await commands_of(engine).answer(request)
        await engine.settle()
        return reply
