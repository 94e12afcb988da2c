from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from labcoat.testing.watch import FakePlace, FakeSaid
from labcoat.testing.watch_scene import QUICK, Scene, runbook, shell
from labcoat.watch.engine.recovery import recover
from labcoat.watch.heal.site import Site
from labcoat.watch.model.guards import Breaker
from labcoat.watch.model.runbook import Mode, Place, Semantics
from labcoat.watch.reach.base import Fault, Order
from labcoat.watch.record.entry import Entry, Kind


def phases(scene: Scene, attempt: str) -> list[str]:
    return [
        w.entry.body["phase"] for w in scene.journal.entries(kinds=[Kind.ATTEMPT], subject=attempt)
    ]


def outcome(scene: Scene, attempt: str) -> str | None:
    told = [w.entry.body for w in scene.journal.entries(kinds=[Kind.VERDICT], subject=attempt)]
    return told[-1]["outcome"] if told else None


class Sick:
    """A service that a restart heals, or not."""

    def __init__(self, *, heals: bool = True, restart: int = 0) -> None:
        self.well = False
        self.heals = heals
        self.restart = restart

    def __call__(self, order: Order) -> FakeSaid:
        if order.command == "restart":
            self.well = self.heals
            return FakeSaid(status=self.restart)
        if order.command == "undo":
            return FakeSaid()
        return FakeSaid(status=0 if self.well else 2)


def commands(place: FakePlace) -> list[str]:
    return [order.command for order in place.executed]


def test_a_cure_is_recorded_before_it_is_tried_and_verified_after(tmp_path: Path) -> None:
    async def play() -> None:
        place = FakePlace(behaves=Sick())
        scene = Scene(tmp_path / "j.db", {"web1": place})
        attempt = scene.fire(runbook(guards=QUICK))
        await scene.play()
        await scene.close()
        scene = Scene(tmp_path / "j.db", {"web1": place})
        assert phases(scene, attempt)[:4] == ["intent", "sent", "done", "verifying"]
        assert outcome(scene, attempt) == "cured"
        assert commands(place) == ["restart", "check-http", "check-http"]
        assert place.marks == {attempt: 0}
        assert scene.journal.verify().broken_at is None
        await scene.close()

    asyncio.run(play())


def test_what_does_not_cure_is_rolled_back_once(tmp_path: Path) -> None:
    async def play() -> None:
        place = FakePlace(behaves=Sick(heals=False))
        scene = Scene(tmp_path / "j.db", {"web1": place})
        attempt = scene.fire(runbook(guards=QUICK, rollback=shell("undo")))
        await scene.play()
        assert commands(place).count("restart") == 1
        assert commands(place).count("undo") == 1
        await scene.close()
        scene = Scene(tmp_path / "j.db", {"web1": place})
        assert outcome(scene, attempt) == "not-cured"
        assert "rollback-sent" in phases(scene, attempt)
        await scene.close()

    asyncio.run(play())


def test_a_cure_that_never_works_opens_the_breaker_and_escalates(tmp_path: Path) -> None:
    async def play() -> None:
        place, here = FakePlace(behaves=Sick(heals=False)), FakePlace()
        scene = Scene(tmp_path / "j.db", {"web1": place, None: here})
        guards = replace(QUICK, breaker=Breaker(failures=3), escalate=("page",), cooldown_s=0.0)
        book = runbook(guards=guards)
        page = replace(book.actions[0], name="page", body=shell("page", Place.REMOTE))
        book = replace(
            book,
            actions=(*book.actions, replace(page, guards=replace(QUICK, verify=None, manual=True))),
        )
        for _ in range(5):
            scene.fire(book)
            await scene.play()
        assert commands(place).count("restart") == 3
        assert commands(here) == ["page"]
        told = here.executed[0]
        assert told.environment["LABCOAT_TARGET"] == "web1"
        assert '"reason": "the breaker is open"' in told.stdin
        await scene.close()
        scene = Scene(tmp_path / "j.db", {"web1": place})
        assert [w.entry.body["reason"] for w in scene.journal.entries(kinds=[Kind.ESCALATION])] == [
            "the breaker is open"
        ]
        await scene.close()

    asyncio.run(play())


def test_nothing_is_done_unasked(tmp_path: Path) -> None:
    async def play() -> None:
        place = FakePlace(behaves=Sick())
        scene = Scene(tmp_path / "j.db", {"web1": place}, site=Site(mode=Mode.ADVISE))
        for _ in range(3):
            scene.fire(runbook())
            await scene.play()
        assert commands(place) == []
        assert len(scene.healer.advised) == 1
        await scene.close()
        scene = Scene(tmp_path / "j.db", {"web1": place})
        assert len(list(scene.journal.entries(kinds=[Kind.ADVICE]))) == 1
        await scene.close()

    asyncio.run(play())


def test_without_a_journal_there_is_no_action(tmp_path: Path) -> None:
    async def play() -> None:
        place = FakePlace(behaves=Sick())
        scene = Scene(tmp_path / "j.db", {"web1": place})
        await scene.recorder.write()
        with scene.journal._engines.reading.connect() as connection:
            connection.exec_driver_sql("PRAGMA query_only=1")
        scene.fire(runbook(guards=QUICK))
        await scene.play()
        assert commands(place) == []
        assert scene.recorder.trouble is not None
        with scene.journal._engines.reading.connect() as connection:
            connection.exec_driver_sql("PRAGMA query_only=0")
        scene.fire(runbook(guards=QUICK))
        await scene.play()
        assert "restart" in commands(place)
        degraded = scene.recorder.is_degraded
        assert not degraded
        await scene.close()

    asyncio.run(play())


def test_a_place_that_cannot_be_prepared_gets_no_action(tmp_path: Path) -> None:
    async def play() -> None:
        place = FakePlace(behaves=Sick(), has_token=False)
        scene = Scene(tmp_path / "j.db", {"web1": place})
        attempt = scene.fire(runbook(guards=QUICK))
        await scene.play()
        assert commands(place) == []
        await scene.close()
        scene = Scene(tmp_path / "j.db", {"web1": place})
        assert phases(scene, attempt) == ["ended"]
        held = [w.entry.body["guard"] for w in scene.journal.entries(kinds=[Kind.HELD])]
        assert held == ["unprepared"]
        await scene.close()

    asyncio.run(play())


def test_a_connection_that_breaks_is_asked_about_and_nothing_sent_again(tmp_path: Path) -> None:
    async def play() -> None:
        place = FakePlace(behaves=Sick())
        scene = Scene(tmp_path / "j.db", {"web1": place})
        book = runbook(guards=QUICK)
        place.cut = True
        attempt = scene.fire(book)
        await scene.play()
        assert commands(place).count("restart") == 1
        await scene.close()
        scene = Scene(tmp_path / "j.db", {"web1": place})
        assert outcome(scene, attempt) == "cured"
        await scene.close()

    asyncio.run(play())


def test_secrets_reach_the_place_and_nothing_else(tmp_path: Path) -> None:
    async def play() -> None:
        place = FakePlace(behaves=lambda order: FakeSaid(stdout=order.command.encode()))
        scene = Scene(
            tmp_path / "j.db", {"web1": place}, environment={"LABCOAT_SECRET_TOKEN": "hunter two"}
        )
        book = runbook(action=shell("curl -H ‹secret:token›"), semantics=Semantics.COMPAT)
        scene.fire(
            replace(book, actions=(replace(book.actions[0], guards=replace(QUICK, verify=None)),))
        )
        await scene.play()
        await scene.close()
        assert place.executed[0].command == "curl -H 'hunter two'"
        files = b"".join(file.read_bytes() for file in tmp_path.iterdir())  # noqa: ASYNC240
        assert b"hunter" not in files
        assert not any("hunter" in line for line in scene.said)

    asyncio.run(play())


@pytest.mark.parametrize(
    ("left", "change", "ended", "restarts"),
    [
        ("intent", {}, "never-started", 0),
        ("sent", {"marks": "never"}, "never-started", 0),
        ("sent", {"marks": "barred"}, "never-started", 0),
        ("sent", {"marks": 0}, "cured", 0),
        ("sent", {"marks": 7}, "cured", 0),
        ("sent", {"marks": None}, "cured", 0),
        ("sent", {"marks": None, "boot_id": "boot-2"}, "cured", 0),
        ("sent", {"marks": "never", "has_token": False}, "indoubt", 0),
        ("sent", {"fault": Fault.UNREACHABLE}, "indoubt", 0),
    ],
)
def test_the_recovery_table(
    tmp_path: Path, left: str, change: dict[str, object], ended: str, restarts: int
) -> None:
    """Rows of the table: what is on the target, and what becomes of the attempt."""

    async def play() -> None:
        place = FakePlace(behaves=lambda order: FakeSaid(lasts_s=None))
        scene = Scene(tmp_path / "j.db", {"web1": place})
        if left == "intent":
            plain, written = scene.recorder.write, 0

            async def first_only(*entries: Entry) -> None:
                nonlocal written
                written += 1
                await (plain(*entries) if written == 1 else asyncio.Event().wait())

            scene.recorder.write = first_only  # type: ignore[method-assign]
        attempt = scene.fire(runbook(guards=QUICK))
        while (  # noqa: ASYNC110 - what is awaited happens in the journal
            phases(scene, attempt)[-1:] != [left] or (left == "sent" and not place.executed)
        ):
            await asyncio.sleep(0.005)
        await scene.die()

        place.executed.clear()
        place.behaves = lambda order: FakeSaid()
        match change.get("marks", "as is"):
            case "never":
                place.marks.clear()
            case "barred":  # by a watch that was killed before it could write that down
                place.marks[attempt] = None
                place.barred.add(attempt)
            case "as is":
                pass
            case status:
                place.marks = {attempt: status}  # type: ignore[dict-item]
        place.boot_id = str(change.get("boot_id", place.boot_id))
        place.has_token = bool(change.get("has_token", True))
        place.fault = change.get("fault")  # type: ignore[assignment]
        scene = Scene(tmp_path / "j.db", {"web1": place})
        scene.ledger.runbooks["web", "web1"] = runbook(guards=QUICK)
        assert recover(scene.healer, scene.journal) == 1
        await scene.play()
        assert commands(place).count("restart") == restarts
        await scene.close()
        scene = Scene(tmp_path / "j.db", {"web1": place})
        assert outcome(scene, attempt) == ended
        assert scene.healer.state.attempts == {}
        assert scene.journal.verify().broken_at is None
        notes = [w.entry.body.get("note") for w in scene.journal.entries(subject=attempt)]
        if change == {"marks": None}:
            assert "interrupted" in notes
        if "boot_id" in change:
            assert "rebooted" in notes
        await scene.close()

    asyncio.run(play())
