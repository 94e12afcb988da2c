"""The generator's process: it ends when its client does, and its end is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from labcoat.errors import LoadError, UsageError
from labcoat.load import Generator
from labcoat.load.messages import Progress
from labcoat.model.load import ClosedLoop, Target, Window
from labcoat.model.workload import RequestTemplate, Workload
from labcoat.testing.http import ScriptedServer

ONE = Workload(requests=(RequestTemplate(path="/", name="one"),))
SHORT = Window(measure_s=0.1)
LONG = Window(measure_s=60.0)
USERS = ClosedLoop(users=2)

PARENT = """
import sys
from labcoat.load import Generator
from labcoat.load.messages import Progress
from labcoat.model.load import ClosedLoop, Target, Window
from labcoat.model.workload import RequestTemplate, Workload

def tell(progress: Progress) -> None:
    print(generator.pid, flush=True)

generator = Generator(watch=tell)
generator.load(
    Target(url=sys.argv[1]),
    Workload(requests=(RequestTemplate(path="/", name="one"),)),
    ClosedLoop(users=2),
    Window(measure_s=60.0),
    seed=1,
)
"""


def is_alive(pid: int) -> bool:
    """Whether this process lives; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def is_gone_soon(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not is_alive(pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_the_worker_ends_with_its_parent_in_the_middle_of_a_slice(
    number: signal.Signals,
) -> None:
    with ScriptedServer() as server:
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, server.target.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        with parent:
            assert parent.stdout is not None
            worker = int(parent.stdout.readline())
            assert is_alive(worker)
            parent.send_signal(number)
            parent.wait(10)
            assert is_gone_soon(worker)


def test_the_terminals_interrupt_does_not_reach_the_worker() -> None:
    with ScriptedServer() as server, Generator() as generator:
        generator.load(server.target, ONE, USERS, SHORT, seed=1)
        assert generator.pid is not None
        assert os.getpgid(generator.pid) != os.getpgid(0)


def test_a_dead_worker_is_an_error_and_the_next_load_starts_another() -> None:
    def kill(progress: Progress) -> None:
        assert progress.elapsed_s > 0
        pid = generator.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    with ScriptedServer() as server, Generator(watch=kill) as generator:
        with pytest.raises(LoadError) as died:
            generator.load(server.target, ONE, USERS, LONG, seed=1)
        assert "died (exit status -9)" in died.value.what
        generator.watch = None
        assert len(generator.load(server.target, ONE, USERS, SHORT, seed=1).records) > 0


def test_an_interrupt_ends_the_slice_and_the_worker() -> None:
    pids: list[int | None] = []

    def interrupt(progress: Progress) -> None:
        assert progress.ended > 0
        pids.append(generator.pid)
        raise KeyboardInterrupt

    with ScriptedServer() as server, Generator(watch=interrupt) as generator:
        with pytest.raises(KeyboardInterrupt):
            generator.load(server.target, ONE, USERS, LONG, seed=1)
        assert pids[0] is not None
        assert is_gone_soon(pids[0])
        assert generator.pid is None


def test_a_client_in_a_thread_that_ended_keeps_its_worker() -> None:
    """PDEATHSIG would kill the worker here: it is bound to the thread that forked."""
    with ScriptedServer() as server, Generator() as generator:
        thread = threading.Thread(
            target=generator.load, args=(server.target, ONE, USERS, SHORT), kwargs={"seed": 1}
        )
        thread.start()
        thread.join()
        first = generator.pid
        generator.load(server.target, ONE, USERS, SHORT, seed=1)
        assert generator.pid == first


def test_mistakes_of_the_workload_come_back_as_what_they_are(tmp_path: Path) -> None:
    def with_path(path: str) -> Workload:
        request = RequestTemplate(path=path, name="one")
        return Workload(requests=(request,), base_dir=str(tmp_path))

    target = Target(url="http://127.0.0.1:9")
    with Generator() as generator:
        with pytest.raises(UsageError, match="no such placeholder"):
            generator.load(target, with_path("/{nonsense}"), USERS, SHORT, seed=1)
        with pytest.raises(LoadError, match="cannot be read"):
            generator.load(target, with_path("/{file:ids.txt}"), USERS, SHORT, seed=1)
        with pytest.raises(UsageError, match="not a URL"):
            generator.load(Target(url="ftp://x"), ONE, USERS, SHORT, seed=1)


def test_the_users_modules_do_not_shadow_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "uvloop.py").write_text("raise RuntimeError('the wrong uvloop')")
    monkeypatch.chdir(tmp_path)
    with ScriptedServer() as server, Generator() as generator:
        assert len(generator.load(server.target, ONE, USERS, SHORT, seed=1).records) > 0


def test_the_worker_keeps_to_its_cpus() -> None:
    cpu = min(os.sched_getaffinity(0))
    with ScriptedServer() as server, Generator(cpus=(cpu,)) as generator:
        measured = generator.load(server.target, ONE, USERS, SHORT, seed=1)
        assert generator.pid is not None
        assert os.sched_getaffinity(generator.pid) == {cpu}
        assert measured.use.cores == 1


def test_memory_does_not_grow_with_connections() -> None:
    """Thousands of connections that end leave nothing behind, the collector resting or not."""

    def resident_kb(pid: int) -> int:
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    with ScriptedServer() as server, Generator() as generator:
        sizes = []
        for _ in range(4):
            measured = generator.load(
                server.target, ONE, USERS, Window(measure_s=0.7), seed=1, keep_alive=False
            )
            assert measured.use.connects > 100
            assert generator.pid is not None
            sizes.append(resident_kb(generator.pid))
        assert sizes[-1] - sizes[1] < 8_000
