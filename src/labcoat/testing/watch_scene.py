"""An engine's healing without machines: fakes, a hand-moved clock, a real journal."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from labcoat.testing.watch import FakePlace, FakeReaches, FakeWatchClock
from labcoat.watch.engine.executing import Executor
from labcoat.watch.engine.healing import Healer
from labcoat.watch.engine.keeping import restored
from labcoat.watch.engine.ledger import Ledger
from labcoat.watch.engine.secrets import Secrets
from labcoat.watch.engine.targets import Target
from labcoat.watch.heal.site import Site
from labcoat.watch.model.guards import LABCOAT_GUARDS, Guards, Verify
from labcoat.watch.model.runbook import (
    Action,
    Body,
    Check,
    Mode,
    Place,
    Runbook,
    Semantics,
    Shell,
)
from labcoat.watch.model.status import Status
from labcoat.watch.record.journal import WatchJournal
from labcoat.watch.record.recorder import Recorder

ACT = Site(mode=Mode.ACT)


def shell(cmd: str, place: Place = Place.TARGET, timeout_s: float = 30.0) -> Body:
    return Body(place=place, what=Shell(cmd), timeout_s=timeout_s)


def runbook(
    *,
    action: Body | None = None,
    rollback: Body | None = None,
    guards: Guards = LABCOAT_GUARDS,
    semantics: Semantics = Semantics.LABCOAT,
) -> Runbook:
    return Runbook(
        path="web",
        file="web.yml",
        name="web answers",
        sha256="0" * 64,
        checks=(Check(name="http", body=shell("check-http")),),
        actions=(
            Action(
                name="restart",
                body=action or shell("restart"),
                trigger=1,
                frequency_s=0.0,
                call_on=frozenset({Status.CRITICAL}),
                guards=guards,
                rollback=rollback,
            ),
        ),
        semantics=semantics,
    )


QUICK = Guards(verify=Verify(delay_s=1, every_s=1, ok=2, window_s=5), cooldown_s=10)


@dataclass
class Scene:
    """One life of a watch over a journal and places that outlive it."""

    path: Path
    places: dict[str | None, FakePlace]
    clock: FakeWatchClock = field(default_factory=FakeWatchClock)
    site: Site = ACT
    environment: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.journal = WatchJournal.open(self.path)
        self.recorder = Recorder(self.journal, batch_s=0.005)
        kept = restored(self.journal, self.clock.now())
        self.ledger = Ledger(
            self.recorder,
            targets={name: Target(id=name, address=name) for name in self.places if name},
            standings=dict(kept.standings),
        )
        executor = Executor(FakeReaches(self.places), None, Secrets(environment=self.environment))
        self.healer = Healer(
            clock=self.clock,
            recorder=self.recorder,
            executor=executor,
            ledger=self.ledger,
            site=lambda: self.site,
            say=self.said.append,
            state=kept.state,
        )

    def fire(self, book: Runbook, target: str = "web1") -> str:
        self.ledger.runbooks[book.path, target] = book
        return self.healer.fire(book, target, book.actions[0].name)

    async def play(self, most_s: float = 4000.0) -> None:
        """Let time pass until every attempt has ended."""
        end_s = self.clock.elapsed_s + most_s
        while self.healer.state.attempts and self.clock.elapsed_s < end_s:
            await self.healer.rest()
            if not self.healer.state.attempts:
                break
            wait_s = self.healer.wake_in_s()
            assert wait_s is not None, self.said
            self.clock.advance(wait_s)
            self.healer.tick()
        await self.healer.rest()

    async def close(self) -> None:
        await self.healer.finish(0.0)
        await self.recorder.close()
        self.journal.close()

    async def die(self) -> None:
        """As kill -9: what is not committed is lost."""
        await asyncio.gather(*self.healer.abandon(), return_exceptions=True)
        await self.recorder.abandon()
        self.journal.close()
