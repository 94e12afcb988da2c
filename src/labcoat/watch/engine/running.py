"""The watch as a process: one per folder, ended by a signal, spoken to over a socket."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from labcoat.watch.engine.clock import SystemWatchClock
from labcoat.watch.engine.control import listening
from labcoat.watch.engine.engine import Engine, commands_of, opened
from labcoat.watch.engine.reaching import SystemReaches
from labcoat.watch.engine.settings import CONTROL, LOCK, Settings
from labcoat.watch.engine.shelf import Shelf
from labcoat.watch.record.lock import only_watch


def run_watch(settings: Settings, shelf: Shelf, *, say: Callable[[str], None]) -> None:
    """Watch until SIGTERM or SIGINT; SIGHUP reads the runbooks again.

    Raises: AlreadyWatching, JournalError, UsageError.
    """
    with only_watch(settings.folder / LOCK):
        asyncio.run(_watch(settings, shelf, say))


async def _watch(settings: Settings, shelf: Shelf, say: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    reaches = SystemReaches(settings.logins, settings.ssh, settings.port)
    async with opened(
        settings, clock=SystemWatchClock(), reaches=reaches, shelf=shelf, say=say
    ) as engine:
        loop.add_signal_handler(signal.SIGHUP, engine.reread.set)
        await engine.prepare()
        _tell(engine)
        async with listening(settings.folder / CONTROL, commands_of(engine).answer):
            await engine.work(stop)
        say("ending: what is being executed may finish")


def _tell(engine: Engine) -> None:
    targets, runbooks = len(engine.ledger.targets), len(engine.ledger.runbooks)
    engine.say(f"watching {targets} targets, {runbooks} runbooks on them; Ctrl-C ends it")
    bare = [t for t in engine.ledger.targets if not any(k[1] == t for k in engine.ledger.runbooks)]
    if bare:
        engine.say(f"no runbook yet for {len(bare)} of them, such as {bare[0]}")
