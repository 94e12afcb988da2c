"""The local host and the fake one keep the same contract."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from labcoat.host.local import LocalHost
from labcoat.host.sandbox import Sandbox
from labcoat.model.stack import Endpoint, Speaks
from labcoat.testing.host import FakeHost, FakeProgram, HostContract, Toys


class TestLocalHost(HostContract):
    @pytest.fixture
    def host(self) -> LocalHost:
        return LocalHost()

    @pytest.fixture
    def base(self, tmp_path: Path) -> Path:
        return tmp_path / "base"

    @pytest.fixture
    def toys(self) -> Toys:
        with socket.socket() as asked:
            asked.bind(("127.0.0.1", 0))
            port = asked.getsockname()[1]
        python = (sys.executable, "-I", "-S", "-c")
        serve = f"import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(1000)"
        return Toys(
            stays=(*python, "import time; print('up', flush=True); time.sleep(1000)"),
            fails=(*python, "print('no'); raise SystemExit(3)"),
            listens=(*python, serve),
            endpoint=Endpoint(speaks=Speaks.HTTP, port=port),
        )


class TestFakeHost(HostContract):
    ENDPOINT = Endpoint(speaks=Speaks.HTTP, port=8080)

    @pytest.fixture
    def host(self) -> FakeHost:
        return FakeHost(
            {
                "stays": FakeProgram(says=("up",), cores=0.5),
                "fails": FakeProgram(says=("no",), status=3, lasts_s=0.0),
                "listens": FakeProgram(listens=(self.ENDPOINT,), boot_s=2.0),
            }
        )

    @pytest.fixture
    def base(self, tmp_path: Path) -> Path:
        return tmp_path / "base"

    @pytest.fixture
    def toys(self) -> Toys:
        return Toys(
            stays=("stays",), fails=("fails",), listens=("listens",), endpoint=self.ENDPOINT
        )

    @pytest.fixture
    def sandbox(self, host: FakeHost, base: Path) -> Sandbox:
        return Sandbox.open(host, base=base, clock=host.clock)
