"""Real processes, really killed: whatever happens to labcoat, nothing stays behind."""

from __future__ import annotations

import ast
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from labcoat.errors import Died, HostError
from labcoat.host.base import Launch
from labcoat.host.local import LocalHost, LocalProcess
from labcoat.host.proc import all_pids, read_stat

PATIENCE_S = 30.0

SLEEPER = "import time; print('up', flush=True); time.sleep(1000)"
STUBBORN = """
    import signal, time
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    print('up', flush=True)
    time.sleep(1000)
"""
DAEMONS = """
    import os, signal, time
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(1000)
            os._exit(0)
    for _ in range(3):
        os.wait()
    print('up', flush=True)
    time.sleep(1000)
"""
CHAIN = """
    import os, signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
        while True:  # a process that is always another one
            if os.fork():
                os._exit(0)
    print('up', flush=True)
    time.sleep(1000)
"""


def launch(folder: Path, code: str, mark: str = "", **more: Any) -> Launch:
    argv = (sys.executable, "-I", "-S", "-c", textwrap.dedent(code), mark)
    return Launch(name="toy", argv=argv, cwd=folder, log=folder / "toy.log", **more)


def until(claim: Callable[[], object], what: str) -> None:
    """Wait for a claim to come true; a generous limit, so that a busy machine passes."""
    deadline = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def marked(mark: str) -> list[int]:
    """Living processes that carry a mark in their arguments."""
    found = []
    for pid in all_pids():
        try:
            cmdline = Path(f"/proc/{pid}/cmdline").read_bytes()
            alive = read_stat(pid).state != "Z"
        except OSError:
            continue
        if alive and mark.encode() in cmdline.split(b"\0"):
            found.append(pid)
    return found


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[str]:
    """An argument that only this test's processes have; none may be left."""
    text = f"mark-{tmp_path.name}-{os.getpid()}-{random.randrange(10**9)}"
    yield text
    until(lambda: not marked(text), "processes were left behind")


@pytest.fixture
def host() -> LocalHost:
    return LocalHost()


def up(process: LocalProcess) -> LocalProcess:
    until(lambda: "up" in process.tail(), "the toy did not come up")
    return process


@pytest.mark.parametrize(
    ("code", "at_least"), [(SLEEPER, 1), (STUBBORN, 1), (DAEMONS, 4), (CHAIN, 1)]
)
def test_stop_ends_the_whole_tree_however_it_hides(
    host: LocalHost, tmp_path: Path, mark: str, code: str, at_least: int
) -> None:
    process = up(host.spawn(launch(tmp_path, code, mark)))
    assert len(marked(mark)) >= at_least
    process.stop(grace_s=0.2)
    assert marked(mark) == []
    assert process.status() is not None


def test_a_tree_that_forks_when_it_is_asked_to_stop_is_ended_too(
    host: LocalHost, tmp_path: Path, mark: str
) -> None:
    code = """
        import os, signal, time
        def multiply(number, frame):
            for _ in range(10):
                if os.fork() == 0:
                    os.setsid()
                    if os.fork() == 0:
                        signal.signal(signal.SIGTERM, signal.SIG_IGN)
                        time.sleep(1000)
                    os._exit(0)
        signal.signal(signal.SIGTERM, multiply)
        print('up', flush=True)
        while True:
            time.sleep(1)
    """
    process = up(host.spawn(launch(tmp_path, code, mark)))
    process.stop(grace_s=0.5)
    assert marked(mark) == []


def test_a_well_behaved_tree_is_not_made_to_wait_for_the_deadline(
    host: LocalHost, tmp_path: Path, mark: str
) -> None:
    process = up(host.spawn(launch(tmp_path, SLEEPER, mark)))
    began = time.monotonic()
    process.stop(grace_s=PATIENCE_S)
    assert time.monotonic() - began < PATIENCE_S / 2
    assert process.status() == -signal.SIGTERM


def test_the_stop_signal_is_the_one_that_the_component_wants(
    host: LocalHost, tmp_path: Path, mark: str
) -> None:
    process = up(host.spawn(launch(tmp_path, SLEEPER, mark, stop_signal=signal.SIGQUIT)))
    process.stop()
    assert process.status() == -signal.SIGQUIT


def test_what_a_crashed_root_leaves_is_ended_without_being_asked(
    host: LocalHost, tmp_path: Path, mark: str
) -> None:
    process = up(host.spawn(launch(tmp_path, DAEMONS, mark)))
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: process.status() is not None, "the end of the root was not told")
    assert process.status() == -signal.SIGKILL
    until(lambda: not marked(mark), "daemons were left behind")
    with pytest.raises(Died, match=r"SIGKILL") as caught:
        process.counters()
    assert "up" in caught.value.log
    process.stop()


def test_signals_of_the_terminal_do_not_move_a_keeper(
    host: LocalHost, tmp_path: Path, mark: str
) -> None:
    process = up(host.spawn(launch(tmp_path, SLEEPER, mark)))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        os.kill(process.keeper.pid, number)
    assert os.getsid(process.keeper.pid) != os.getsid(0)
    assert process.counters().processes == 1
    process.stop()


def test_a_killed_keeper_takes_the_root_along(host: LocalHost, tmp_path: Path, mark: str) -> None:
    process = up(host.spawn(launch(tmp_path, SLEEPER, mark)))
    os.kill(process.keeper.pid, signal.SIGKILL)
    until(lambda: process.status() is not None, "the loss of the keeper was not seen")
    until(lambda: not marked(mark), "the root outlived its keeper")
    with pytest.raises(Died):
        process.counters()
    process.stop()


def labcoat_that_starts(folder: Path, code: str, mark: str) -> subprocess.Popen[str]:
    """Another labcoat, that starts the toy, says so, and waits to be killed.

    It has a forked child of its own, which keeps its descriptors open for a while.
    """
    source = f"""
        import os, sys, time
        sys.path[:0] = {sys.path!r}
        from pathlib import Path
        from labcoat.host.base import Launch
        from labcoat.host.local import LocalHost
        folder = Path({str(folder)!r})
        argv = (sys.executable, "-I", "-S", "-c", {textwrap.dedent(code)!r}, {mark!r})
        process = LocalHost().spawn(
            Launch(name="toy", argv=argv, cwd=folder, log=folder / "toy.log")
        )
        while "up" not in process.tail():
            time.sleep(0.01)
        if os.fork() == 0:
            os.closerange(0, 3)
            time.sleep(20)
            os._exit(0)
        print("started", flush=True)
        time.sleep(1000)
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(source)], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("code", [SLEEPER, STUBBORN, DAEMONS])
def test_kill_9_of_labcoat_leaves_no_process(tmp_path: Path, mark: str, code: str) -> None:
    with labcoat_that_starts(tmp_path, code, mark) as labcoat:
        assert labcoat.stdout is not None
        assert labcoat.stdout.readline() == "started\n"
        assert marked(mark)
        labcoat.kill()
    until(lambda: not marked(mark), "kill -9 left processes behind")


def test_kill_9_at_a_drawn_moment_of_the_start_leaves_no_process(tmp_path: Path, mark: str) -> None:
    seed = random.randrange(10**6)
    draw = random.Random(seed)
    for _ in range(8):
        with labcoat_that_starts(tmp_path, DAEMONS, mark) as labcoat:
            time.sleep(draw.uniform(0.0, 0.5))
            labcoat.kill()
        until(lambda: not marked(mark), f"kill -9 left processes behind (seed {seed})")


def test_a_program_is_waited_for_and_what_it_leaves_is_ended(
    host: LocalHost, tmp_path: Path, mark: str
) -> None:
    code = """
        import os, sys, time
        print("out", flush=True)
        print("err", file=sys.stderr, flush=True)
        if os.fork() == 0:
            os.setsid()
            time.sleep(1000)
        sys.exit(3)
    """
    argv = (sys.executable, "-I", "-S", "-c", textwrap.dedent(code), mark)
    completed = host.run(argv, timeout_s=PATIENCE_S, cwd=tmp_path)
    assert (completed.status, completed.stdout, completed.stderr) == (3, "out\n", "err\n")
    assert marked(mark) == []


def test_a_program_that_takes_too_long_is_ended_and_its_last_words_told(
    host: LocalHost, tmp_path: Path, mark: str
) -> None:
    argv = (sys.executable, "-I", "-S", "-c", textwrap.dedent(STUBBORN), mark)
    with pytest.raises(HostError, match=r"did not finish within 1 s") as caught:
        host.run(argv, timeout_s=1.0, cwd=tmp_path)
    assert caught.value.log == ("up",)
    assert marked(mark) == []


def test_the_environment_is_explicit_and_never_in_an_argument(
    host: LocalHost, tmp_path: Path, mark: str
) -> None:
    os.environ["LABCOAT_TEST_INHERITED"] = "yes"
    try:
        code = "import os; print(sorted(os.environ)); " + SLEEPER
        process = up(host.spawn(launch(tmp_path, code, mark, env={"TOKEN": "a-secret"})))
        assert set(ast.literal_eval(process.tail()[0])) - {"LC_CTYPE"} == {"TOKEN"}
        for pid in (process.pid, process.keeper.pid):
            assert b"a-secret" not in Path(f"/proc/{pid}/cmdline").read_bytes()
        assert b"a-secret" not in Path(f"/proc/{process.keeper.pid}/environ").read_bytes()
    finally:
        del os.environ["LABCOAT_TEST_INHERITED"]
    process.stop()


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("no-such-program-anywhere", "no such program: no-such-program-anywhere"),
        ("./absent", "No such file or directory"),
        ("./text", "Permission denied"),
        ("./garbage", "Exec format error"),
    ],
)
def test_a_program_that_cannot_start_is_a_host_error_with_a_way_out(
    host: LocalHost, tmp_path: Path, program: str, message: str
) -> None:
    (tmp_path / "text").write_text("no program")
    (tmp_path / "garbage").write_text("no program")
    (tmp_path / "garbage").chmod(0o755)
    with pytest.raises(HostError, match=message) as caught:
        host.spawn(Launch(name="toy", argv=(program,), cwd=tmp_path, log=tmp_path / "toy.log"))
    assert caught.value.where
    assert caught.value.way_out


def test_a_missing_folder_is_named(host: LocalHost, tmp_path: Path) -> None:
    with pytest.raises(HostError) as caught:
        host.spawn(launch(tmp_path / "nowhere", SLEEPER))
    assert "nowhere" in str(caught.value.where)


def test_a_component_starts_with_no_signal_ignored_or_blocked(host: LocalHost) -> None:
    shown = host.run(("/bin/sh", "-c", "cat /proc/self/status"), timeout_s=PATIENCE_S).stdout
    fields = dict(line.split(":\t", 1) for line in shown.splitlines() if ":\t" in line)
    # 32 and 33 are the C library's own; its posix_spawn (in make, say) leaves them ignored.
    ours = ~(0b11 << 31)
    assert int(fields["SigIgn"], 16) & ours == 0
    assert int(fields["SigBlk"], 16) & ours == 0
