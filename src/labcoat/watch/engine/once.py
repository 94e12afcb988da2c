"""One round of everything, judged, with nothing written anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from labcoat.errors import UsageError
from labcoat.watch.decide.deciding import decide
from labcoat.watch.decide.standing import FRESH
from labcoat.watch.engine.clock import SystemWatchClock
from labcoat.watch.engine.discovery import discover, none_found
from labcoat.watch.engine.executing import Executor
from labcoat.watch.engine.keeping import Kept, restored
from labcoat.watch.engine.observing import observe
from labcoat.watch.engine.reaching import DEFAULT, SystemReaches
from labcoat.watch.engine.settings import Settings
from labcoat.watch.engine.shelf import Shelf
from labcoat.watch.engine.targets import Target
from labcoat.watch.engine.vetting import vet
from labcoat.watch.model.runbook import Runbook
from labcoat.watch.model.status import Status, worst
from labcoat.watch.record.journal import WatchJournal

AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One runbook on one target. ``fired``: the actions that would be done or advised."""

    target: str
    runbook: str
    name: str
    checks: tuple[tuple[str, Status, str], ...]
    fired: tuple[str, ...]

    @property
    def status(self) -> Status:
        """The gravest of its checks."""
        return worst(status for _, status, _ in self.checks)

    def document(self) -> dict[str, Any]:
        """As ``--json`` has it."""
        return {
            "target": self.target,
            "runbook": self.runbook,
            "name": self.name,
            "status": self.status.name,
            "checks": {
                check: {"status": status.name, "text": text} for check, status, text in self.checks
            },
            "would_do": list(self.fired),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """All lines, and the gravest status."""

    lines: tuple[Line, ...]

    @property
    def status(self) -> Status:
        """The gravest of all."""
        return worst(line.status for line in self.lines)


def one_round(settings: Settings, shelf: Shelf, glob: str) -> Made:
    """Make it. Raises: UsageError if no target matches."""
    return asyncio.run(_one_round(settings, shelf, glob))


async def _one_round(settings: Settings, shelf: Shelf, glob: str) -> Made:
    clock = SystemWatchClock()
    reaches = SystemReaches(settings.logins, settings.ssh, settings.port)
    executor = Executor(reaches, settings.plugin_path)
    kept = _kept(settings, clock)
    slots = asyncio.Semaphore(AT_ONCE)
    shelf.read()
    try:
        found = await discover(settings.discovery, reaches.to(None, DEFAULT))
        if not found.addresses:
            raise none_found(found.troubles)
        wanted = [
            Target(id=name, address=address)
            for name, address in found.addresses.items()
            if fnmatchcase(name, glob)
        ]
        if not wanted:
            raise UsageError(
                f"no target matches {glob!r}",
                where="GLOB",
                way_out=f"there are {', '.join(list(found.addresses)[:10])}",
            )

        async def of(target: Target) -> list[Line]:
            async with slots:
                return await _lines(target, executor, settings, shelf, kept, clock)

        lines = await asyncio.gather(*(of(target) for target in wanted))
    finally:
        await reaches.close()
    return Made(lines=tuple(line for some in lines for line in some))


def _kept(settings: Settings, clock: SystemWatchClock) -> Kept:
    """What is known of old, if anything is."""
    if isinstance(settings.journal, Path) and not settings.journal.exists():
        return Kept()
    journal = WatchJournal.open(settings.journal, read_only=True)
    try:
        return restored(journal, clock.now())
    finally:
        journal.close()


async def _lines(
    target: Target,
    executor: Executor,
    settings: Settings,
    shelf: Shelf,
    kept: Kept,
    clock: SystemWatchClock,
) -> list[Line]:
    facts = await _facts(target, executor, settings, kept)
    return [
        await _line(runbook, target, executor, kept, clock)
        for runbook in shelf.rendered(target.id, facts).runbooks.values()
        if runbook is not None
    ]


async def _facts(
    target: Target, executor: Executor, settings: Settings, kept: Kept
) -> Mapping[str, Any]:
    if target.id in kept.facts:
        facts: Mapping[str, Any] = kept.facts[target.id]["facts"]
        return facts
    try:
        reach = executor.reaches.to(target.address, DEFAULT)
    except LookupError:
        return {}  # its checks say why
    local = executor.reaches.to(None, DEFAULT)
    return await vet(target, reach, local, settings.plugin_path) or {}


async def _line(
    runbook: Runbook, target: Target, executor: Executor, kept: Kept, clock: SystemWatchClock
) -> Line:
    observation = await observe(executor, runbook, target, clock)
    standing = kept.standings.get((runbook.path, target.id), FRESH)
    deliberation = decide(runbook, standing, observation.round)
    texts = {said.check: said.text for said in observation.said}
    return Line(
        target=target.id,
        runbook=runbook.path,
        name=runbook.name,
        checks=tuple((r.check, r.status, texts[r.check]) for r in observation.round.results),
        fired=deliberation.fired,
    )
