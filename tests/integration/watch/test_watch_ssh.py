"""What a real sshd does to its visitors, and what they make of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from labcoat.testing.watch_sshd import Sshd, make_key, sshd
from labcoat.watch.reach.base import Answer, Fault, Mark, Order, Reach
from labcoat.watch.reach.connections import Connections
from labcoat.watch.reach.place import Place, SshSettings
from labcoat.watch.reach.script import PREPARE
from labcoat.watch.reach.ssh import SshReach

Result = TypeVar("Result")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    with sshd(tmp_path / "s") as running:
        yield running


def place_of(server: Sshd, **fields: object) -> Place:
    plain = Place(host="127.0.0.1", port=server.port, user=server.user, keys=(server.key,))
    return replace(plain, **fields)  # type: ignore[arg-type]


def with_reach(
    place: Place, settings: SshSettings, work: Callable[[Reach, Connections], Awaitable[Result]]
) -> Result:
    async def scene() -> Result:
        connections = Connections(settings)
        reach = SshReach(place, connections)
        try:
            return await work(reach, connections)
        finally:
            await reach.close()
            await connections.close()

    return asyncio.run(scene())


def answer_of(place: Place, settings: SshSettings, order: Order) -> Answer:
    async def work(reach: Reach, _: Connections) -> Answer:
        return await reach.execute(order)

    return with_reach(place, settings, work)


def test_a_host_whose_key_is_unknown_or_has_changed_executes_nothing(
    server: Sshd, tmp_path: Path
) -> None:
    order = Order(command=f"touch {server.home}/executed")
    unknown = answer_of(place_of(server), SshSettings(), order)
    assert (unknown.fault, "is unknown (SHA256:" in unknown.detail) == (Fault.HOSTKEY, True)
    other = make_key(tmp_path / "other").with_suffix(".pub").read_text()
    file = tmp_path / "changed"
    file.write_text(f"[127.0.0.1]:{server.port} {other}")
    changed = answer_of(place_of(server), SshSettings(known_hosts=(file,)), order)
    assert (changed.fault, "has changed" in changed.detail) == (Fault.HOSTKEY, True)
    assert not (server.home / "executed").exists()
    known = answer_of(place_of(server), SshSettings(known_hosts=(server.known_hosts,)), order)
    assert known.exit_status == 0
    assert (server.home / "executed").exists()


def test_who_may_not_log_in_is_told_so(server: Sshd, tmp_path: Path) -> None:
    stranger = place_of(server, keys=(make_key(tmp_path / "stranger"),))
    settings = SshSettings(known_hosts=(server.known_hosts,))
    refused = answer_of(stranger, settings, Order(command="true"))
    assert (refused.fault, refused.mark) == (Fault.LOGIN, Mark.FREE)


def test_keys_come_from_an_agent(server: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    said = subprocess.run(["ssh-agent", "-s"], text=True, capture_output=True, check=True).stdout
    variables = dict(re.findall(r"(SSH_\w+)=([^;]+);", said))
    try:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        subprocess.run(["ssh-add", "-q", str(server.key)], check=True)
        settings = SshSettings(known_hosts=(server.known_hosts,))
        assert (
            answer_of(place_of(server, keys=()), settings, Order(command="true")).exit_status == 0
        )
    finally:
        os.kill(int(variables["SSH_AGENT_PID"]), signal.SIGTERM)


def test_through_a_gateway_and_past_noisy_rc_files(server: Sshd) -> None:
    (server.home / ".bashrc").write_text("echo noise; echo more noise >&2\n")
    settings = SshSettings(known_hosts=(server.known_hosts,))
    place = place_of(server, gateway=place_of(server))
    answer = answer_of(place, settings, Order(command='echo "$SSH_CONNECTION"'))
    assert answer.exit_status == 0
    assert len(answer.stdout.split()) == 4


def test_more_orders_than_sessions_wait_for_their_turn(tmp_path: Path) -> None:
    with sshd(tmp_path / "few", {"MaxSessions": "2"}) as server:
        settings = SshSettings(known_hosts=(server.known_hosts,))

        async def many(reach: Reach, connections: Connections) -> list[Answer]:
            order = Order(command="sleep 0.2; echo done")
            answers = await asyncio.gather(*(reach.execute(order) for _ in range(6)))
            assert connections.made == 1
            return answers

        answers = with_reach(place_of(server), settings, many)
        assert [answer.stdout for answer in answers] == ["done\n"] * 6


def test_few_descriptors_are_shared_by_the_least_recently_used(tmp_path: Path) -> None:
    with (
        sshd(tmp_path / "a") as one,
        sshd(tmp_path / "b") as two,
        sshd(tmp_path / "c") as three,
    ):
        known = tuple(server.known_hosts for server in (one, two, three))

        async def scene() -> tuple[set[str], int, int]:
            connections = Connections(SshSettings(known_hosts=known, connections=2))
            reaches = [SshReach(place_of(s), connections) for s in (one, two, three)]
            try:
                said = {
                    (await reach.execute(Order(command="echo ok"))).stdout
                    for _ in range(2)
                    for reach in reaches
                }
                return said, connections.open_count, connections.made
            finally:
                await connections.close()

        assert asyncio.run(scene()) == ({"ok\n"}, 2, 6)


def test_what_hangs_is_ended_with_all_it_started(server: Sshd) -> None:
    settings = SshSettings(known_hosts=(server.known_hosts,))
    pids = server.home / "pids"
    command = f"sleep 300 & echo $! $$ > {pids}; trap '' TERM; wait; sleep 300"

    async def hang(reach: Reach, connections: Connections) -> Answer:
        answer = await reach.execute(Order(command=command, timeout_s=1.0))
        await reach.close()
        assert connections.made == 1  # and the connection lives on
        assert (await reach.execute(Order(command="true"))).exit_status == 0
        return answer

    assert with_reach(place_of(server), settings, hang).fault is Fault.TIMEOUT
    for word in pids.read_text().split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(word), 0)
            pytest.fail(f"process {word} is left")


def test_a_connection_that_died_is_made_anew_for_a_check(server: Sshd) -> None:
    settings = SshSettings(known_hosts=(server.known_hosts,))

    async def twice(reach: Reach, connections: Connections) -> tuple[int | None, int]:
        await reach.execute(Order(command="true"))
        for pid in server.sessions():
            os.kill(pid, signal.SIGKILL)
        again = await reach.execute(Order(command="true"))
        return again.exit_status, connections.made

    assert with_reach(place_of(server), settings, twice) == (0, 2)


def test_a_cut_during_an_attempt_is_not_an_exit_status(server: Sshd) -> None:
    settings = SshSettings(known_hosts=(server.known_hosts,))

    async def cut(reach: Reach, _: Connections) -> Answer:
        assert (await reach.execute(Order(command=PREPARE))).exit_status == 0
        order = Order(command=f"touch {server.home}/began; sleep 5", attempt="cut1", timeout_s=20)
        task = asyncio.create_task(reach.execute(order))
        while not (server.home / "began").exists():  # noqa: ASYNC110 - another's doing
            await asyncio.sleep(0.02)
        for pid in server.sessions():
            os.kill(pid, signal.SIGKILL)
        return await task

    answer = with_reach(place_of(server), settings, cut)
    assert (answer.fault, answer.mark) == (Fault.LOST, Mark.TAKEN)


def test_a_server_that_never_says_a_word_costs_one_login(tmp_path: Path) -> None:
    async def scene() -> tuple[list[Fault | None], float, float]:
        async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        listening = await asyncio.start_server(mute, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        connections = Connections(SshSettings(login_timeout_s=1.0))
        reach = SshReach(Place(host="127.0.0.1", port=port, user="x"), connections)
        began = time.monotonic()
        answers = [await reach.execute(Order(command="true"))]
        one_s = time.monotonic() - began
        answers += await asyncio.gather(*(reach.execute(Order(command="true")) for _ in range(4)))
        four_s = time.monotonic() - began - one_s
        await connections.close()
        listening.close()
        return [answer.fault for answer in answers], one_s, four_s

    faults, one_s, four_s = asyncio.run(scene())
    assert set(faults) == {Fault.UNREACHABLE}
    assert four_s < 2 * one_s
