from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labcoat.errors import LabcoatError, UsageError
from labcoat.testing.watch import FakePlace, FakeReach, FakeReaches, FakeSaid, FakeWatchClock
from labcoat.testing.watch_scene import QUICK, Scene, runbook, shell
from labcoat.watch.decide.standing import Standing
from labcoat.watch.engine.commands import Commands
from labcoat.watch.engine.control import ask, listening
from labcoat.watch.engine.discovery import Discovery, discover, hosts_of
from labcoat.watch.engine.executing import Executor
from labcoat.watch.engine.exporting import prometheus, status_document
from labcoat.watch.engine.meters import Meters
from labcoat.watch.engine.observing import observe
from labcoat.watch.engine.overview import Line, Overview
from labcoat.watch.engine.planner import Planner
from labcoat.watch.engine.reaching import placed
from labcoat.watch.engine.secrets import Secrets
from labcoat.watch.engine.targets import Target
from labcoat.watch.engine.vetting import SCRIPT, parsed
from labcoat.watch.heal.advice import advice_id
from labcoat.watch.heal.site import Site
from labcoat.watch.model.runbook import Check, Mode, Place, Plugin
from labcoat.watch.model.schedule import Cron
from labcoat.watch.model.status import Status
from labcoat.watch.reach import place as places
from labcoat.watch.reach.base import Fault, Order
from labcoat.watch.record.entry import Kind
from labcoat.watch.record.lock import AlreadyWatching, only_watch
from labcoat.watch.record.series import Label, Latest

WEB = Target(id="web1", address="web1")


def executor(place: FakePlace, **fields: Any) -> Executor:
    return Executor(FakeReaches({"web1": place, None: FakePlace()}), None, **fields)


# ── a round ──────────────────────────────────────────────────────────────────────────────


def test_once_a_target_is_gone_its_other_checks_do_not_ask_it_again() -> None:
    place = FakePlace(fault=Fault.UNREACHABLE)
    here = Check(name="here", body=shell("true", Place.REMOTE))
    book = runbook()
    book = replace(book, checks=(*book.checks, here, Check(name="more", body=shell("more"))))
    seen = asyncio.run(observe(executor(place), book, WEB, FakeWatchClock()))
    told = [(r.check, r.status, r.reason) for r in seen.round.results]
    assert told == [
        ("http", Status.UNKNOWN, "unreachable"),
        ("here", Status.OK, None),
        ("more", Status.UNKNOWN, "unreachable"),
    ]
    assert (seen.round.unreachable, seen.answers) == (True, False)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.HOSTKEY, "hostkey"),
        (Fault.LOGIN, "login"),
        (Fault.TIMEOUT, "timeout"),
        (Fault.SIGNAL, "signal"),
        (Fault.FLOOD, "flood"),
    ],
)
def test_a_fault_is_unknown_and_says_why(fault: Fault, reason: str) -> None:
    place = FakePlace(fault=fault)
    seen = asyncio.run(observe(executor(place), runbook(), WEB, FakeWatchClock()))
    assert [(r.status, r.reason) for r in seen.round.results] == [(Status.UNKNOWN, reason)]


def test_what_cannot_be_executed_says_so(tmp_path: Path) -> None:
    async def go() -> list[str]:
        some = executor(FakePlace(), secrets=Secrets(environment={}))
        bodies = [
            shell("curl ‹secret:pager›"),
            replace(shell("true"), credentials="missing"),
            replace(shell("true"), what=Plugin("../../etc/passwd")),
        ]
        answers = [await some.execute(body, WEB, folder="checks") for body in bodies]
        return [answer.detail or answer.stderr for answer in answers]

    assert asyncio.run(go()) == [
        "there is no secret pager: set LABCOAT_SECRET_PAGER, or LoadCredential=pager:FILE",
        "there are no credentials 'missing' in config.yml",
        "checks/../../etc/passwd: no such plugin",
    ]


def test_systemds_credentials_are_secrets_too(tmp_path: Path) -> None:
    (tmp_path / "pager").write_text("value\n")
    secrets = Secrets(environment={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert secrets.of("x ‹secret:pager›") == {"pager": "value"}


# ── plans ────────────────────────────────────────────────────────────────────────────────


def test_a_clock_that_is_set_makes_one_round_and_no_wait() -> None:
    clock = FakeWatchClock(wall_s=1_700_000_000.0)
    planner = Planner(spread_s=0.0)
    book = replace(runbook(), schedule=Cron(), spread_s=0.0)
    planner.put(("web", "web1"), book, clock.now())
    planner.look(clock.now())
    clock.advance(60)
    due, jump = planner.look(clock.now())
    assert ([d.key for d in due], jump) == ([("web", "web1")], None)
    clock.wall_s += 3600  # set forward
    clock.advance(1)
    due, jump = planner.look(clock.now())
    assert (len(due), round(jump or 0)) == (1, 3600)
    assert due[0].skipped >= 58
    clock.wall_s -= 7200  # set back
    clock.advance(1)
    due, jump = planner.look(clock.now())
    assert (due, round(jump or 0)) == ([], -7200)
    wait_s = planner.wait_s(clock.now())
    assert wait_s is not None
    assert wait_s <= 60


def test_a_new_schedule_is_planned_anew_and_a_new_text_is_not() -> None:
    clock = FakeWatchClock()
    planner = Planner(spread_s=0.0)
    key = ("web", "web1")
    planner.put(key, runbook(), clock.now())
    first = planner.next_of(key)
    planner.put(key, replace(runbook(), sha256="1" * 64), clock.now())
    assert planner.next_of(key) is first
    planner.put(key, replace(runbook(), schedule=Cron(seconds=(17,))), clock.now())
    assert planner.next_of(key) != first
    planner.drop(key)
    assert (planner.next_of(key), planner.wait_s(clock.now())) == (None, None)


def test_lateness_is_counted_in_buckets() -> None:
    meters = Meters()
    for lateness_s in (0.01, 0.2, 9.0):
        meters.late(lateness_s)
    told = meters.document()
    assert told["buckets"] == [1, 0, 1, 0, 0, 0, 0, 1]
    assert (told["rounds"], told["late_most_s"], meters.quantile_s(0.5)) == (3, 9.0, 0.2)


# ── targets ──────────────────────────────────────────────────────────────────────────────


def test_targets_come_from_everywhere_and_odd_names_are_told(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text('Host one two\n  User me\nHost *.example "three" !bad\nHOST=four\n')
    place = FakePlace(behaves=lambda order: FakeSaid(stdout=b"five\nsix;rm\n"))
    discovery = Discovery(
        hosts=("one", "localhost"),
        ssh_config=config,
        dns=("localhost",),
        command="list",
        local=("me",),
    )
    found = asyncio.run(discover(discovery, FakeReach(place)))
    assert {"one", "two", "three", "four", "five", "127.0.0.1"} <= set(found.addresses)
    assert (found.addresses["localhost"], found.addresses["me"]) == (None, None)
    assert found.troubles == ("no target: 'six;rm'",)


def test_a_source_that_fails_is_told_and_the_others_hold(tmp_path: Path) -> None:
    place = FakePlace(behaves=lambda order: FakeSaid(status=3, stderr=b"no such"))
    discovery = Discovery(hosts=("one",), ssh_config=tmp_path / "none", command="list")
    found = asyncio.run(discover(discovery, FakeReach(place)))
    assert set(found.addresses) == {"one"}
    assert len(found.troubles) == 2
    assert "it exits with 3; no such" in found.troubles[1]


def test_concrete_hosts_of_an_ssh_config() -> None:
    assert hosts_of("Host a b?\n#Host c\n\n host  d \nHostName e\n") == ["a", "d"]


def test_facts_are_what_the_script_prints_and_nothing_else() -> None:
    said = subprocess.run(["sh", "-c", SCRIPT], text=True, capture_output=True, check=True)
    facts = parsed(said.stdout + "evil $(reboot)\nhostname two words\nservice ssh running\n")
    assert facts["hostname"] == os.uname().nodename
    assert facts["os"] == "Linux"
    assert facts["services"]["ssh"] == "running"
    assert set(facts) == {"hostname", "os", "kernel", "network", "services"}


@pytest.mark.parametrize(
    ("address", "host", "port", "user"),
    [
        ("web1", "web1", None, "watch"),
        ("web1:2222", "web1", 2222, "watch"),
        ("root@web1", "web1", None, "root"),
        ("root@[::1]:22", "::1", 22, "root"),
        ("fe80::1", "fe80::1", None, "watch"),
    ],
)
def test_an_address_may_say_user_and_port(
    address: str, host: str, port: int | None, user: str
) -> None:
    found = placed(address, places.Place(host="", user="watch"), None)
    assert (found.host, found.port, found.user) == (host, port, user)


# ── one watch, and those who speak with it ───────────────────────────────────────────────


def test_a_second_watch_is_refused_with_the_firsts_pid(tmp_path: Path) -> None:
    with only_watch(tmp_path / "watch" / "lock"):
        with (
            pytest.raises(AlreadyWatching, match=f"process {os.getpid()}") as caught,
            only_watch(tmp_path / "watch" / "lock"),
        ):
            pass
        assert caught.value.exit_code == 3
    with only_watch(tmp_path / "watch" / "lock"):
        pass


def test_the_socket_is_this_users_alone_however_deep_it_lies(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 30)
    folder.mkdir()
    path = folder / "control"

    async def answer(request: Mapping[str, Any]) -> Mapping[str, Any]:
        if request["do"] == "fail":
            raise UsageError("no", where="here", way_out="there")
        return {"echo": request["do"]}

    async def go() -> tuple[Any, int]:
        async with listening(path, answer):
            mode = stat.S_IMODE(path.stat().st_mode)
            echoed = await asyncio.to_thread(ask, path, {"do": "it"})
            with pytest.raises(LabcoatError, match="no"):
                await asyncio.to_thread(ask, path, {"do": "fail"})
            return echoed, mode

    assert asyncio.run(go()) == ({"echo": "it"}, 0o600)
    assert ask(path, {"do": "it"}) is None


def test_people_apply_pause_and_reset_and_it_is_journaled_with_their_name(tmp_path: Path) -> None:
    async def go() -> None:
        sick = {"well": False}

        def behaves(order: Order) -> FakeSaid:
            if order.command == "restart":
                sick["well"] = True
            return FakeSaid(status=0 if sick["well"] else 2)

        place = FakePlace(behaves=behaves)
        scene = Scene(tmp_path / "j.db", {"web1": place}, site=Site(mode=Mode.ADVISE))
        commands = Commands(
            clock=scene.clock, recorder=scene.recorder, ledger=scene.ledger, healer=scene.healer
        )
        book = runbook(guards=QUICK)
        scene.fire(book)
        (advice,) = scene.healer.advised
        assert advice == advice_id("web", "restart", "web1", book.actions[0].body)
        with pytest.raises(UsageError, match="nothing here has the id"):
            await commands.answer({"do": "apply", "by": "ada", "id": "adv-0"})
        paused = {"do": "pause", "by": "ada", "glob": "web*", "for_s": 60, "reason": "deploy"}
        await commands.answer(paused)
        held = await commands.answer({"do": "apply", "by": "ada", "id": advice})
        assert (held["started"], "restart" in [o.command for o in place.executed]) == (None, False)
        assert await commands.answer({"do": "resume", "by": "ada"}) == {"pauses": 0}
        done = await commands.answer({"do": "apply", "by": "ada", "id": advice})
        await scene.play()
        again = await commands.answer({"do": "apply", "by": "ada", "id": advice})
        assert (again["started"], again["why"]) == (None, "every check is OK by now")
        await commands.answer({"do": "ack", "by": "ada", "id": advice})
        await commands.answer({"do": "reset", "by": "ada", "id": advice})
        told = [
            (w.entry.body["do"], w.entry.body["by"])
            for w in scene.journal.entries(kinds=[Kind.COMMAND])
        ]
        assert told == [(do, "ada") for do in ("pause", "apply", "resume", "apply", "ack", "reset")]
        verdicts = {w.entry.subject for w in scene.journal.entries(kinds=[Kind.VERDICT])}
        assert verdicts == {done["started"]}
        await scene.close()

    asyncio.run(go())


# ── for others ───────────────────────────────────────────────────────────────────────────

SEEN = Overview(
    lines=(
        Line(
            target='we"b1',
            runbook="nginx",
            name="nginx answers",
            standing=Standing(
                last={"a": Status.OK, "b": Status.CRITICAL},
                counts={Status.OK: 7, Status.CRITICAL: 2},
            ),
        ),
    ),
    board={
        "targets": 3,
        "lateness": Meters().document(),
        "outcomes": {"cured": 2},
        "breakers": [{"target": "t", "runbook": "r", "action": "a"}],
        "degraded": None,
    },
)


def test_prometheus_text() -> None:
    latest = Latest(of=Label("t", "r", "load", "load1"), uom="s", at_s=1.0, value=0.25)
    lines = prometheus(SEEN, [latest]).splitlines()
    assert 'labcoat_watch_status{target="we\\"b1",runbook="nginx",check="b"} 2' in lines
    assert 'labcoat_watch_attempts_total{outcome="cured"} 2' in lines
    assert 'labcoat_watch_breaker_open{target="t",runbook="r",action="a"} 1' in lines
    assert 'labcoat_watch_lateness_seconds_bucket{le="+Inf"} 0' in lines
    assert (
        'labcoat_watch_perfdata{target="t",runbook="r",check="load",label="load1",uom="s"} 0.25'
        in lines
    )
    named = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    used = {line.split("{")[0].split(" ")[0] for line in lines if not line.startswith("#")}
    bases = {u.removesuffix(s) for u in used for s in ("_bucket", "_sum", "_count")} | used
    assert named <= bases


def test_automatrons_status() -> None:
    assert status_document(SEEN) == {
        "targets": 3,
        "runbooks": {"OK": 1, "WARNING": 0, "CRITICAL": 1, "UNKNOWN": 0},
        "events": [
            {"status": "OK", "target": 'we"b1', "runbook": "nginx answers", "count": 7},
            {"status": "CRITICAL", "target": 'we"b1', "runbook": "nginx answers", "count": 2},
        ],
    }
    assert json.loads(json.dumps(SEEN.document(None)))["status"] == "CRITICAL"
