"""A host without processes, and the contract that every host keeps."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from labcoat.errors import Died, HostError, NotReady
from labcoat.host.base import Completed, Host, Launch, Process
from labcoat.host.sandbox import Sandbox
from labcoat.model.host import Facts, HostCounters, TreeCounters
from labcoat.model.stack import Endpoint, Speaks
from labcoat.testing.clock import FakeClock

FACTS = Facts(
    hostname="fake",
    kernel="6.1.0",
    machine="x86_64",
    cpu_model="Fake CPU",
    cpus=4,
    cpus_online=4,
    cpu_quota=None,
    ram_bytes=8 << 30,
    virtualised=None,
    governor="performance",
    cgroup=2,
    somaxconn=4096,
    nofile=65536,
    port_range=(32768, 60999),
    python="3.11.0",
    is_root=False,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeProgram:
    """How a program behaves on a FakeHost.

    ``says``: its log, or its standard output. ``status``: what it exits with after
    ``lasts_s``; a ``lasts_s`` of None is until it is stopped. ``listens``: what answers
    while it lives, from ``boot_s`` on. ``cores``: CPU seconds that it spends per second.
    """

    says: tuple[str, ...] = ()
    status: int = 0
    lasts_s: float | None = None
    boot_s: float = 0.0
    listens: tuple[Endpoint, ...] = ()
    cores: float = 0.0
    processes: int = 1
    pss_bytes: int = 10 << 20


class FakeProcess:
    """A component that exists in name only; ``crash`` ends it as a defect would."""

    def __init__(self, launch: Launch, program: FakeProgram, pid: int, clock: FakeClock) -> None:
        self.name = launch.name
        self.log = launch.log
        self.pid = pid
        self.launch = launch
        self.program = program
        self.clock = clock
        self.started_s = clock.now_s()
        self.ended: int | None = None

    @property
    def age_s(self) -> float:
        """How long ago it was started."""
        return self.clock.now_s() - self.started_s

    def status(self) -> int | None:
        """Exit status once it has ended, else None."""
        lasts_s = self.program.lasts_s
        if self.ended is None and lasts_s is not None and self.age_s >= lasts_s:
            self.ended = self.program.status
        return self.ended

    def answers(self, endpoint: Endpoint) -> bool:
        """Whether it is up and listens there."""
        is_up = self.status() is None and self.age_s >= self.program.boot_s
        return is_up and endpoint in self.program.listens

    def counters(self) -> TreeCounters:
        """What its program says that it spends. Raises: Died if it is gone."""
        status = self.status()
        if status is not None:
            raise Died(f"{self.name} died: status {status}", where=self.log, log=self.tail())
        return TreeCounters(
            at_ns=round(self.clock.now_s() * 1e9),
            cpu_s=self.program.cores * self.age_s,
            system_s=self.program.cores * self.age_s / 4,
            rss_bytes=self.program.pss_bytes,
            pss_bytes=self.program.pss_bytes,
            processes=self.program.processes,
            threads=self.program.processes,
            switches_voluntary=0,
            switches_involuntary=0,
        )

    def crash(self, number: int = signal.SIGSEGV) -> None:
        """End by a signal, unasked."""
        self.ended = -number

    def stop(self, *, grace_s: float = 5.0) -> None:
        """End as a well-behaved program does."""
        del grace_s
        if self.status() is None:
            self.ended = -self.launch.stop_signal

    def tail(self, lines: int = 20) -> tuple[str, ...]:
        """The last of what it said."""
        return self.program.says[-lines:]


class FakeGuard:
    """A guard over nothing."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        """Stand down."""
        self.closed = True


class FakeHost:
    """A host without processes.

    ``programs``: name (of the file, without its folder) -> how it behaves; all others are
    missing. ``spawned`` and ``completed`` record what was asked of it, in order.
    """

    def __init__(
        self,
        programs: Mapping[str, FakeProgram] | None = None,
        *,
        clock: FakeClock | None = None,
        facts: Facts = FACTS,
    ) -> None:
        self.programs = dict(programs or {})
        self.clock = clock or FakeClock()
        self.known = facts
        self.spawned: list[FakeProcess] = []
        self.completed: list[Completed] = []
        self.guards: list[FakeGuard] = []

    def facts(self) -> Facts:
        """The facts it was given."""
        return self.known

    def counters(self) -> HostCounters:
        """A machine that is busy with its own fake programs only."""
        now_s = self.clock.now_s()
        alive = [process for process in self.spawned if process.status() is None]
        busy_s = sum(process.counters().cpu_s for process in alive)
        return HostCounters(
            at_ns=round(now_s * 1e9),
            cores=self.known.cpus,
            busy_s=busy_s,
            system_s=busy_s / 4,
            irq_s=0.0,
            idle_s=max(0.0, self.known.cpus * now_s - busy_s),
            iowait_s=0.0,
            steal_s=0.0,
            listen_overflows=0,
            listen_drops=0,
            syn_retransmits=0,
            time_wait=0,
            throttled_s=0.0,
            throttled_n=0,
        )

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        unprivileged: bool = False,
    ) -> Completed:
        """Complete at once, as the program says. Raises: HostError (missing, too slow)."""
        del cwd, env, unprivileged
        program = self._program(argv[0])
        lasts_s = program.lasts_s
        if lasts_s is None or lasts_s > timeout_s:
            self.clock.sleep(timeout_s)
            raise HostError(f"{argv[0]} did not finish within {timeout_s:g} s", log=program.says)
        self.clock.sleep(lasts_s)
        said = "".join(f"{line}\n" for line in program.says)
        completed = Completed(argv=tuple(argv), status=program.status, stdout=said, stderr="")
        self.completed.append(completed)
        return completed

    def spawn(self, launch: Launch) -> FakeProcess:
        """A process in name only. Raises: HostError if the program is missing."""
        program = self._program(launch.argv[0])
        process = FakeProcess(launch, program, 1000 + len(self.spawned), self.clock)
        self.spawned.append(process)
        return process

    def answers(self, endpoint: Endpoint) -> bool:
        """Whether a living fake program listens there."""
        return any(process.answers(endpoint) for process in self.spawned)

    def guard(self, directory: Path, *, lock: Path, base: Path | None = None) -> FakeGuard:
        """A guard over nothing."""
        del directory, lock, base
        self.guards.append(FakeGuard())
        return self.guards[-1]

    def _program(self, path: str) -> FakeProgram:
        name = Path(path).name
        if name not in self.programs:
            raise HostError(f"no such program: {name}", where="FakeHost", way_out="give it one")
        return self.programs[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Toys:
    """Programs of a host under contract, as argv.

    ``stays``: says "up", then lives until it is stopped. ``fails``: says "no" and exits
    with 3. ``listens``: serves ``endpoint`` until it is stopped.
    """

    stays: tuple[str, ...]
    fails: tuple[str, ...]
    listens: tuple[str, ...]
    endpoint: Endpoint


class HostContract:
    """What every Host keeps. Subclass it with fixtures ``host``, ``toys`` and ``base``.

    ``base`` is a folder for sandboxes that does not exist yet. On a host whose clock is
    not the system's, give a ``sandbox`` fixture too.
    """

    PATIENCE_S = 30.0

    @pytest.fixture
    def sandbox(self, host: Host, base: Path) -> Sandbox:
        """An open sandbox; the claims close it."""
        return Sandbox.open(host, base=base)

    def launch(self, sandbox: Sandbox, argv: tuple[str, ...]) -> Launch:
        """A toy in the sandbox."""
        folder = sandbox.directory("toy")
        return Launch(name="toy", argv=argv, cwd=folder, log=folder / "toy.log")

    def start(self, sandbox: Sandbox, argv: tuple[str, ...]) -> Process:
        """The toy, once it has said "up"."""
        return sandbox.start(
            self.launch(sandbox, argv),
            ready=lambda process: "up" in process.tail(),
            timeout_s=self.PATIENCE_S,
        )

    def test_facts_are_possible(self, host: Host) -> None:
        facts = host.facts()
        assert 1 <= facts.cpus <= facts.cpus_online
        assert facts.cpu_quota is None or facts.cpu_quota > 0
        assert facts.ram_bytes > 1 << 20
        assert facts.port_range[0] < facts.port_range[1]
        assert facts.somaxconn > 0
        assert facts.nofile > 0
        assert facts.cgroup in {0, 1, 2}

    def test_counters_do_not_go_backwards(self, host: Host) -> None:
        one, two = host.counters(), host.counters()
        assert one.cores == two.cores >= 1
        for name in ("at_ns", "busy_s", "idle_s", "steal_s", "listen_overflows", "throttled_s"):
            assert getattr(one, name) <= getattr(two, name)

    def test_a_completed_program_tells_its_status_and_words(self, host: Host, toys: Toys) -> None:
        completed = host.run(toys.fails, timeout_s=self.PATIENCE_S)
        assert (completed.status, completed.stdout, completed.stderr) == (3, "no\n", "")
        assert completed.argv == toys.fails
        assert completed.tail() == ("no",)

    def test_a_program_that_does_not_end_is_a_host_error(self, host: Host, toys: Toys) -> None:
        with pytest.raises(HostError, match=r"did not finish within 0\.2 s"):
            host.run(toys.stays, timeout_s=0.2)

    def test_a_missing_program_is_a_host_error(self, host: Host, sandbox: Sandbox) -> None:
        with sandbox:
            with pytest.raises(HostError, match="no such program: absent-program"):
                host.run(("absent-program",), timeout_s=self.PATIENCE_S)
            with pytest.raises(HostError, match="no such program: absent-program"):
                self.start(sandbox, ("absent-program",))

    def test_a_process_lives_is_counted_and_stops(self, sandbox: Sandbox, toys: Toys) -> None:
        with sandbox:
            process = self.start(sandbox, toys.stays)
            assert process.name == "toy"
            assert process.pid > 1
            assert process.status() is None
            one, two = process.counters(), process.counters()
            assert one.processes >= 1
            assert one.pss_bytes > 0
            assert one.system_s >= 0
            assert one.cpu_s <= two.cpu_s
            assert one.at_ns <= two.at_ns
            sandbox.check()
            process.stop()
            assert process.status() == -signal.SIGTERM
            process.stop()
            with pytest.raises(Died, match="toy died") as caught:
                process.counters()
            assert caught.value.log[-1:] == ("up",)

    def test_the_stop_signal_is_the_one_asked_for(
        self, host: Host, sandbox: Sandbox, toys: Toys
    ) -> None:
        with sandbox:
            launch = replace(self.launch(sandbox, toys.stays), stop_signal=signal.SIGQUIT)
            process = host.spawn(launch)
            process.stop()
            assert process.status() == -signal.SIGQUIT

    def test_never_booted_differs_from_died(self, sandbox: Sandbox, toys: Toys) -> None:
        with sandbox:
            with pytest.raises(NotReady) as caught:
                self.start(sandbox, toys.fails)
            assert caught.value.log == ("no",)
            with pytest.raises(Died, match="toy died"):
                sandbox.check()

    def test_an_endpoint_answers_while_its_process_lives(
        self, host: Host, sandbox: Sandbox, toys: Toys
    ) -> None:
        nowhere = sandbox.endpoint(Speaks.HTTP, unix=True, name="nowhere")
        with sandbox:
            assert not host.answers(nowhere)
            assert not host.answers(toys.endpoint)
            process = sandbox.start(
                self.launch(sandbox, toys.listens),
                ready=lambda _: host.answers(toys.endpoint),
                timeout_s=self.PATIENCE_S,
            )
            process.stop()
            assert not host.answers(toys.endpoint)

    def test_a_closed_sandbox_leaves_nothing(
        self, sandbox: Sandbox, base: Path, toys: Toys
    ) -> None:
        with sandbox:
            process = self.start(sandbox, toys.stays)
        assert process.status() is not None
        assert list(base.iterdir()) == []
        sandbox.close()
