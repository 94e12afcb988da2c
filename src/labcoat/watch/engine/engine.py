"""The watch, from its start to its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from labcoat import __version__
from labcoat.watch.engine.board import BOARD, board
from labcoat.watch.engine.clock import WatchClock
from labcoat.watch.engine.commands import Commands
from labcoat.watch.engine.discovery import none_found
from labcoat.watch.engine.executing import Executor, Reaches
from labcoat.watch.engine.healing import Healer
from labcoat.watch.engine.keeping import CLOCK, Kept, clock_document, restored
from labcoat.watch.engine.ledger import Ledger
from labcoat.watch.engine.meters import Meters
from labcoat.watch.engine.planner import Planner
from labcoat.watch.engine.recovery import recover
from labcoat.watch.engine.roll import Roll
from labcoat.watch.engine.rounds import Rounds
from labcoat.watch.engine.sampling import Sampler
from labcoat.watch.engine.sentinels import answer as sentinels_answer
from labcoat.watch.engine.settings import RETENTION_S, SAMPLES, Settings
from labcoat.watch.engine.shelf import Shelf
from labcoat.watch.heal.events import Sentinels
from labcoat.watch.heal.site import Site
from labcoat.watch.record.entry import Entry, Kind
from labcoat.watch.record.journal import WatchJournal
from labcoat.watch.record.recorder import Recorder

LONGEST_SLEEP_S = 1.0  # a clock that was set is noticed within it
LOOK_EVERY_S = 1.0
HEARTBEAT_S = 5.0
SENTINELS_EVERY_S = 15.0
PRUNE_EVERY_S = 86400.0


@dataclass(slots=True, kw_only=True)
class Engine:
    """Everything that works together while the watch is at work; made by ``opened``."""

    settings: Settings
    clock: WatchClock
    recorder: Recorder
    ledger: Ledger
    healer: Healer
    roll: Roll
    rounds: Rounds
    planner: Planner
    meters: Meters
    kept: Kept
    say: Callable[[str], None]
    reread: asyncio.Event = field(default_factory=asyncio.Event)

    async def prepare(self) -> None:
        """Find targets, read runbooks, take up what a killed watch left.

        Raises: UsageError if there is nothing to watch.
        """
        found = await self.roll.discover(self.kept.facts)
        if not self.ledger.targets:
            raise none_found(found.troubles)
        await self.roll.read_runbooks()
        flying = recover(self.healer, self.recorder.journal)
        body = {
            "version": __version__,
            "pid": os.getpid(),
            "targets": len(self.ledger.targets),
            "runbooks": len(self.ledger.runbooks),
            "attempts": flying,
        }
        await self.recorder.write(self._entry(Kind.STARTED, body))

    async def work(self, stop: asyncio.Event) -> None:
        """Watch until it is to stop. Raises what a part of it raised."""
        parts = (
            self._make_rounds(),
            self._heal(),
            self._look_at_files(),
            self._discover_again(),
            self._beat(),
            self._ask_sentinels(),
            self._prune(),
            self.recorder.watched(),
        )
        for target in list(self.ledger.targets.values()):
            self.roll.vet_later(target)
        tasks = [asyncio.create_task(part) for part in parts]
        stopping = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (*tasks, stopping):
                task.cancel()
            await asyncio.gather(*tasks, stopping, return_exceptions=True)

    async def settle(self) -> None:
        """Go on until no attempt is in flight."""
        healing = asyncio.create_task(self._heal())
        try:
            while not self.healer.is_idle:
                await self.clock.sleep(0.05)
        finally:
            healing.cancel()
            await asyncio.gather(healing, return_exceptions=True)

    async def end(self) -> None:
        """Finish or record what is under way."""
        await self.rounds.finish()
        await self.roll.finish()
        await self.healer.finish(self.settings.patience_s)
        self._keep_time()
        self.recorder.note(self._entry(Kind.STOPPED, {"pid": os.getpid()}))

    async def _make_rounds(self) -> None:
        while True:
            now = self.clock.now()
            due, jump_s = self.planner.look(now)
            if jump_s is not None:
                self.recorder.note(self._entry(Kind.CLOCK_JUMP, {"by_s": round(jump_s, 3)}))
                self.say(f"the wall clock was set by {jump_s:+.0f} s")
            for each in due:
                self.rounds.begin(each)
            wait_s = self.planner.wait_s(self.clock.now())
            await self.clock.sleep(
                LONGEST_SLEEP_S if wait_s is None else min(LONGEST_SLEEP_S, wait_s + 0.001)
            )

    async def _heal(self) -> None:
        while True:
            wait_s = self.healer.wake_in_s()
            if wait_s is not None and wait_s <= 0:
                self.healer.tick()
                await asyncio.sleep(0.01)  # a verify round that is due is begun once
                continue
            self.healer.woken.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self.healer.woken.wait()

    async def _look_at_files(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self.reread.wait()
            asked = self.reread.is_set()
            self.reread.clear()
            if asked or await asyncio.to_thread(self.roll.shelf.has_changed):
                await self.roll.read_runbooks()
                self.say(f"runbooks read: {len(self.ledger.runbooks)} on their targets")

    async def _discover_again(self) -> None:
        while True:
            await self.clock.sleep(self.settings.discovery.every_s)
            before = set(self.ledger.targets)
            await self.roll.discover({})
            if set(self.ledger.targets) != before:
                await self.roll.read_runbooks()
            for target in list(self.ledger.targets.values()):
                self.roll.vet_later(target)

    async def _beat(self) -> None:
        while True:
            self._keep_time()
            await asyncio.sleep(HEARTBEAT_S)

    async def _ask_sentinels(self) -> None:
        if not self.settings.sentinels:
            await asyncio.Event().wait()
        before = True
        while True:
            now = await sentinels_answer(self.settings.sentinels)
            if now is not before:
                self.healer.feed(Sentinels(now))
            before = now
            await self.clock.sleep(SENTINELS_EVERY_S)

    async def _prune(self) -> None:
        while True:
            await self.clock.sleep(PRUNE_EVERY_S)
            await self.recorder.prune(self.clock.now().wall_s - RETENTION_S)

    def _keep_time(self) -> None:
        now = self.clock.now()
        self.recorder.keep_document(CLOCK, lambda: clock_document(now))
        self.recorder.keep_document(BOARD, self._board)

    def _board(self) -> dict[str, object]:
        return board(
            self.ledger,
            self.healer,
            self.meters,
            lost=self.rounds.lost,
            findings=self.roll.findings,
            pid=os.getpid(),
        )

    def _entry(self, kind: Kind, body: dict[str, object]) -> Entry:
        return Entry(kind=kind, at_s=self.clock.now().wall_s, body=body)


@contextlib.asynccontextmanager
async def opened(
    settings: Settings,
    *,
    clock: WatchClock,
    reaches: Reaches,
    shelf: Shelf,
    say: Callable[[str], None],
) -> AsyncIterator[Engine]:
    """An engine with its journal and samples open; closed, and everything written, at the end.

    The caller holds the folder's lock. Raises: JournalError.
    """
    journal = WatchJournal.open(settings.journal)
    try:
        recorder = Recorder(journal)
        sampler = Sampler(settings.folder / SAMPLES)
        engine = _built(settings, clock, reaches, shelf, say, recorder, sampler)
        try:
            yield engine
        finally:
            await engine.end()
            await reaches.close()
            await sampler.close()
            await recorder.close()
    finally:
        journal.close()


def _built(
    settings: Settings,
    clock: WatchClock,
    reaches: Reaches,
    shelf: Shelf,
    say: Callable[[str], None],
    recorder: Recorder,
    sampler: Sampler,
) -> Engine:
    kept = restored(recorder.journal, clock.now())
    ledger = Ledger(recorder, standings=dict(kept.standings))
    executor = Executor(reaches, settings.plugin_path, address_of=_dialled(ledger))
    meters = Meters()
    planner = Planner(settings.spread_s)
    roll = Roll(
        settings=settings,
        clock=clock,
        recorder=recorder,
        executor=executor,
        ledger=ledger,
        shelf=shelf,
        planner=planner,
        say=say,
    )

    def site() -> Site:
        return settings.site(len(ledger.targets), roll.group_sizes)

    healer = Healer(
        clock=clock,
        recorder=recorder,
        executor=executor,
        ledger=ledger,
        site=site,
        say=say,
        state=kept.state,
    )
    rounds = Rounds(
        clock=clock,
        recorder=recorder,
        executor=executor,
        ledger=ledger,
        healer=healer,
        sampler=sampler,
        meters=meters,
        on_contact=roll.vet_later,
    )
    return Engine(
        settings=settings,
        clock=clock,
        recorder=recorder,
        ledger=ledger,
        healer=healer,
        roll=roll,
        rounds=rounds,
        planner=planner,
        meters=meters,
        kept=kept,
        say=say,
    )


def _dialled(ledger: Ledger) -> Callable[[str], str | None]:
    """What is dialled for a host that an action names: a target's address, else the name."""

    def address(name: str) -> str | None:
        target = ledger.targets.get(name)
        return name if target is None else target.address

    return address


def commands_of(engine: Engine) -> Commands:
    """What people may ask of an engine."""
    return Commands(
        clock=engine.clock,
        recorder=engine.recorder,
        ledger=engine.ledger,
        healer=engine.healer,
    )
