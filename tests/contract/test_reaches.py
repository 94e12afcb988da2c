from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from labcoat.testing.watch import FakePlace, FakeReach, FakeSaid, ReachContract
from labcoat.testing.watch_sshd import Sshd, sshd
from labcoat.watch.reach.base import Answer, Order, Reach
from labcoat.watch.reach.connections import Connections
from labcoat.watch.reach.local import LocalReach
from labcoat.watch.reach.place import Place, SshSettings
from labcoat.watch.reach.ssh import SshReach


@dataclass
class TaughtFake:
    reach: FakeReach

    def teach(self, command: str, said: FakeSaid) -> None:
        self.reach.place.taught[command] = said


@dataclass
class Real:
    reach: Reach

    def teach(self, command: str, said: FakeSaid) -> None:
        pass


class FreshLocal:
    """Made anew in the loop of each order, as the contract has one loop per order."""

    async def execute(self, order: Order, *, on_start: Callable[[], None] | None = None) -> Answer:
        return await LocalReach().execute(order, on_start=on_start)

    async def close(self) -> None:
        pass


@dataclass
class FreshSsh:
    server: Sshd

    async def execute(self, order: Order, *, on_start: Callable[[], None] | None = None) -> Answer:
        server = self.server
        connections = Connections(SshSettings(known_hosts=(server.known_hosts,)))
        place = Place(host="127.0.0.1", port=server.port, user=server.user, keys=(server.key,))
        reach = SshReach(place, connections)
        try:
            return await reach.execute(order, on_start=on_start)
        finally:
            await reach.close()
            await connections.close()
            await asyncio.sleep(0)

    async def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd(tmp_path_factory.mktemp("sshd") / "s") as running:
        yield running


class TestFakeReach(ReachContract):
    @pytest.fixture
    def taught(self) -> TaughtFake:
        return TaughtFake(FakeReach(FakePlace()))


class TestLocalReach(ReachContract):
    @pytest.fixture
    def taught(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Real:
        monkeypatch.setenv("HOME", str(tmp_path))
        return Real(FreshLocal())


class TestSshReach(ReachContract):
    @pytest.fixture
    def taught(self, server: Sshd) -> Iterator[Real]:
        yield Real(FreshSsh(server))
        run = server.home / ".labcoat-watch" / "run"
        for mark in run.glob("*"):
            mark.unlink()
