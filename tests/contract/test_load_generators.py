"""The contract of load generators, over our own and over the simulated one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from labcoat.load import Generator
from labcoat.load.base import LoadGenerator
from labcoat.model.load import Target
from labcoat.testing.http import ScriptedServer
from labcoat.testing.load import LoadGeneratorContract, ServiceModel, SimulatedLoad


@dataclass
class RealBench:
    generator: LoadGenerator
    servers: dict[Target, ScriptedServer]
    dead: Target
    targets: tuple[Target, Target] = field(init=False)

    def __post_init__(self) -> None:
        first, second = self.servers
        self.targets = (first, second)

    def served(self, target: Target) -> int:
        return len(self.servers[target].requests)

    def stall_next(self, *, at_s: float, for_s: float) -> None:
        for server in self.servers.values():
            server.stall(for_s, after_s=at_s)


@dataclass
class SimulatedBench:
    generator: SimulatedLoad
    targets: tuple[Target, Target] = field(
        default_factory=lambda: (Target(url="http://a:80"), Target(url="http://b:80"))
    )
    dead: Target = field(default_factory=lambda: Target(url="http://dead:80"))

    def served(self, target: Target) -> int:
        return self.generator.served.get(target.url, 0)

    def stall_next(self, *, at_s: float, for_s: float) -> None:
        self.generator.model = replace(self.generator.model, stall_at_s=at_s, stall_s=for_s)


@pytest.fixture(scope="module")
def worker() -> Iterator[Generator]:
    with Generator() as generator:
        yield generator


class TestGenerator(LoadGeneratorContract):
    @pytest.fixture
    def bench(self, worker: Generator) -> Iterator[RealBench]:
        with (
            ScriptedServer() as first,
            ScriptedServer() as second,
            socket.create_server(("127.0.0.1", 0)) as taken,
        ):
            port = taken.getsockname()[1]
            taken.close()
            yield RealBench(
                generator=worker,
                servers={first.target: first, second.target: second},
                dead=Target(url=f"http://127.0.0.1:{port}"),
            )


class TestSimulatedLoad(LoadGeneratorContract):
    @pytest.fixture
    def bench(self) -> SimulatedBench:
        model = ServiceModel(service_s=0.002, workers=4)
        return SimulatedBench(SimulatedLoad(model=model, dead=frozenset({"http://dead:80"})))
