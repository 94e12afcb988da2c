"""Debian's monitoring-plugins, unmodified, over a real sshd, uploaded, and here; perfdata parsed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from labcoat.testing.watch_sshd import Sshd, sshd
from labcoat.watch.engine.executing import Executor
from labcoat.watch.engine.observing import judged
from labcoat.watch.engine.reaching import SystemReaches
from labcoat.watch.engine.targets import Target
from labcoat.watch.engine.vetting import vet
from labcoat.watch.model.runbook import Body, Check, Place, Plugin, Shell
from labcoat.watch.model.status import Status
from labcoat.watch.perfdata.output import parse
from labcoat.watch.reach import place
from labcoat.watch.reach.base import Answer

P = Path("/usr/lib/nagios/plugins")
K, W, C, U = Status.OK, Status.WARNING, Status.CRITICAL, Status.UNKNOWN

# command, the statuses that it may have on a healthy machine, labels that its perfdata has
COMMANDS: list[tuple[str, set[Status], set[str]]] = [
    ("check_dummy 0", {K}, set()),
    ("check_dummy 1 warned", {W}, set()),
    ("check_dummy 2", {C}, set()),
    ("check_dummy 3", {U}, set()),
    (f"negate {P}/check_dummy 2", {K}, set()),
    ("check_load -w 1000,1000,1000 -c 2000,2000,2000", {K}, {"load1", "load5", "load15"}),
    ("check_load -r -w 0,0,0 -c 2000,2000,2000", {K, W}, {"load1", "load5", "load15"}),
    ("check_disk -w 1% -c 0% -p / -p /dev", {K, W, C}, {"/", "/dev"}),
    ("check_procs -w 1:100000 -c 1:200000", {K}, {"procs"}),
    ("check_procs -m RSS -c 999999999 -C sshd", {K}, {"procs", "procs_crit"}),
    ("check_users -w 1000 -c 2000", {K, U}, set()),
    ("check_swap -w 2% -c 1%", {K, C}, {"swap"}),
    ("check_tcp -H 127.0.0.1 -p {port}", {K}, {"time"}),
    ("check_ssh -H 127.0.0.1 -p {port}", {K}, {"time"}),
    ("check_tcp -H 127.0.0.1 -p 1", {C}, set()),
    ("check_file_age -f /etc/passwd -w 999999999 -c 999999999", {K}, {"age", "size"}),
    ("check_load --help", {U}, set()),
    ("check_load -V", {U}, set()),
    ("check_load --nonsense", {U}, set()),
    ("check_no_such", {U}, set()),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    assert (P / "check_load").exists(), "apt-get install monitoring-plugins-basic"
    with sshd(tmp_path_factory.mktemp("plugins") / "s") as running:
        yield running


def execute(server: Sshd, bodies: list[Body]) -> list[Answer]:
    async def all_of_them() -> list[Answer]:
        login = place.Place(host="", user=server.user, keys=(server.key,))
        reaches = SystemReaches(
            {"default": login},
            place.SshSettings(known_hosts=(server.known_hosts,)),
            server.port,
        )
        executor = Executor(reaches, server.home.parent / "plugins")
        target = Target(id="loop", address="127.0.0.1")
        try:
            return [await executor.execute(body, target, folder="checks") for body in bodies]
        finally:
            await reaches.close()

    return asyncio.run(all_of_them())


def test_plugins_say_over_ssh_what_they_say(server: Sshd) -> None:
    bodies = [
        Body(
            place=Place.TARGET,
            what=Shell(f"PATH={P}:$PATH; {command.format(port=server.port)}"),
            timeout_s=30.0,
        )
        for command, _, _ in COMMANDS
    ]
    for (command, statuses, labels), body, answer in zip(
        COMMANDS, bodies, execute(server, bodies), strict=True
    ):
        status = judged(Check(name="c", body=body), answer).status
        output = parse(answer.stdout)
        assert status in statuses, (command, answer)
        assert {sample.label for sample in output.samples} >= labels, (command, answer.stdout)
        assert output.skipped == 0, (command, answer.stdout)


@pytest.mark.parametrize("where", [Place.TARGET, Place.REMOTE])
def test_a_plugin_is_uploaded_whole_or_used_in_place(server: Sshd, where: Place) -> None:
    folder = server.home.parent / "plugins" / "checks" / "nagios"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "check_load").write_bytes((P / "check_load").read_bytes())
    (folder / "check_load").chmod(0o755)
    what = Plugin("nagios/check_load", "-r -w 1000,1000,1000 -c 2000,2000,2000")
    body = Body(place=where, what=what, timeout_s=30.0)
    missing = Body(place=where, what=Plugin("nagios/check_nothing"), timeout_s=30.0)
    first, second, gone = execute(server, [body, body, missing])
    assert (first.exit_status, second.exit_status, gone.exit_status) == (0, 0, 127)
    assert {s.label for s in parse(second.stdout).samples} >= {"load1", "load5", "load15"}
    laid = list((server.home / ".labcoat-watch" / "plugins").glob("*/check_load"))
    assert where is Place.REMOTE or [file.stat().st_mode & 0o777 for file in laid] == [0o700]


def test_facts_are_collected_with_what_every_system_has(server: Sshd) -> None:
    async def collected() -> dict[str, object] | None:
        login = place.Place(host="", user=server.user, keys=(server.key,))
        settings = place.SshSettings(known_hosts=(server.known_hosts,))
        reaches = SystemReaches({"default": login}, settings, server.port)
        target = Target(id="loop", address="127.0.0.1")
        try:
            there, here = reaches.to("127.0.0.1", "default"), reaches.to(None, "default")
            return await vet(target, there, here, None)
        finally:
            await reaches.close()

    facts = asyncio.run(collected())
    assert facts is not None
    assert facts["os"] == "Linux"
    assert facts["hostname"]
    assert set(facts) == {"hostname", "os", "kernel", "network", "services", "ping"}
