"""What a sandbox does and in which order, over a host without processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from labcoat.errors import Died, HostError, NotReady
from labcoat.host.base import Launch
from labcoat.host.sandbox import Sandbox
from labcoat.testing.clock import FakeClock
from labcoat.testing.host import FakeHost, FakeProcess, FakeProgram


def launch(sandbox: Sandbox, name: str) -> Launch:
    folder = sandbox.directory(name)
    return Launch(name=name, argv=(name,), cwd=folder, log=folder / f"{name}.log")


def host_of(**programs: FakeProgram) -> FakeHost:
    return FakeHost(programs)


def test_it_waits_until_ready_and_no_longer(tmp_path: Path) -> None:
    host = host_of(slow=FakeProgram())
    with Sandbox.open(host, base=tmp_path, clock=host.clock) as sandbox:
        sandbox.start(launch(sandbox, "slow"), ready=lambda _: host.clock.now_s() > 3, timeout_s=10)
        assert 3 < host.clock.now_s() < 3.1


def test_it_gives_up_at_the_timeout(tmp_path: Path) -> None:
    host = host_of(mute=FakeProgram(says=("starting",)))
    with Sandbox.open(host, base=tmp_path, clock=host.clock) as sandbox:
        with pytest.raises(NotReady, match="mute did not become ready within 10 s") as caught:
            sandbox.start(launch(sandbox, "mute"), ready=lambda _: False, timeout_s=10)
        assert caught.value.log == ("starting",)
        assert 10 <= host.clock.now_s() < 10.1


def test_it_does_not_wait_for_what_has_ended(tmp_path: Path) -> None:
    host = host_of(fails=FakeProgram(status=1, lasts_s=2.0))
    with Sandbox.open(host, base=tmp_path, clock=host.clock) as sandbox:
        with pytest.raises(NotReady, match="fails exited with status 1 before it was ready"):
            sandbox.start(launch(sandbox, "fails"), ready=lambda _: False, timeout_s=100)
        assert host.clock.now_s() < 2.1


def test_the_front_goes_first_and_what_was_stopped_is_not_asked_again(tmp_path: Path) -> None:
    ended: list[str] = []

    class Recording(FakeHost):
        def spawn(self, launch: Launch) -> FakeProcess:
            process = super().spawn(launch)
            stop = process.stop

            def recorded(*, grace_s: float = 5.0) -> None:
                ended.append(process.name)
                stop(grace_s=grace_s)

            process.stop = recorded  # type: ignore[method-assign]
            return process

    host = Recording({name: FakeProgram() for name in ("postgres", "uwsgi", "nginx")})
    with Sandbox.open(host, base=tmp_path) as sandbox:
        processes = [
            sandbox.start(launch(sandbox, name), ready=lambda _: True, timeout_s=1)
            for name in ("postgres", "uwsgi", "nginx")
        ]
        sandbox.stop(processes[1])
        assert ended == ["uwsgi"]
    assert ended == ["uwsgi", "nginx", "postgres"]
    assert [guard.closed for guard in host.guards] == [True]


def test_one_that_does_not_die_is_told_after_all_else_is_down(tmp_path: Path) -> None:
    class Immortal(FakeHost):
        def spawn(self, launch: Launch) -> FakeProcess:
            process = super().spawn(launch)
            if launch.name == "stuck":

                def refuse(*, grace_s: float = 5.0) -> None:
                    raise HostError(f"1 processes of stuck do not die after {grace_s:g} s")

                process.stop = refuse  # type: ignore[method-assign]
            return process

    host = Immortal({"postgres": FakeProgram(), "stuck": FakeProgram()})
    sandbox = Sandbox.open(host, base=tmp_path)
    for name in ("postgres", "stuck"):
        sandbox.start(launch(sandbox, name), ready=lambda _: True, timeout_s=1)
    with pytest.raises(HostError, match="do not die"):
        sandbox.close()
    assert host.spawned[0].status() is not None
    assert list(tmp_path.iterdir()) == []
    sandbox.close()


def test_an_interrupted_close_can_be_taken_up_again(tmp_path: Path) -> None:
    class Impatient(FakeHost):
        interrupts = 1

        def spawn(self, launch: Launch) -> FakeProcess:
            process = super().spawn(launch)
            stop = process.stop

            def interrupted(*, grace_s: float = 5.0) -> None:
                if self.interrupts:
                    self.interrupts -= 1
                    raise KeyboardInterrupt
                stop(grace_s=grace_s)

            process.stop = interrupted  # type: ignore[method-assign]
            return process

    host = Impatient({"nginx": FakeProgram()})
    sandbox = Sandbox.open(host, base=tmp_path)
    sandbox.start(launch(sandbox, "nginx"), ready=lambda _: True, timeout_s=1)
    with pytest.raises(KeyboardInterrupt):
        sandbox.close()
    sandbox.close()
    assert host.spawned[0].status() is not None
    assert list(tmp_path.iterdir()) == []


def test_a_closed_sandbox_starts_nothing(tmp_path: Path) -> None:
    host = host_of(nginx=FakeProgram())
    sandbox = Sandbox.open(host, base=tmp_path / "base")
    toy = launch(sandbox, "nginx")
    sandbox.close()
    with pytest.raises(HostError, match="closed"):
        sandbox.start(toy, ready=lambda _: True, timeout_s=1)
    assert host.spawned == []


def test_a_crash_is_found_by_the_next_check(tmp_path: Path) -> None:
    host = host_of(nginx=FakeProgram(says=("worker exited on signal 11",)))
    with Sandbox.open(host, base=tmp_path) as sandbox:
        sandbox.start(launch(sandbox, "nginx"), ready=lambda _: True, timeout_s=1)
        sandbox.check()
        host.spawned[0].crash()
        with pytest.raises(Died, match="SIGSEGV") as caught:
            sandbox.check()
    assert caught.value.log == ("worker exited on signal 11",)


def test_the_fake_clock_moves_only_forward() -> None:
    clock = FakeClock(now_s=5.0)
    clock.sleep(2.0)
    clock.advance(1.0)
    assert (clock.now_s(), clock.slept) == (8.0, [2.0])
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1.0)
