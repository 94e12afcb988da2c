"""Sandboxes over real processes and folders: what they leave behind is nothing."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from labcoat.errors import Died, HostError, NotReady
from labcoat.host.base import Launch, Process
from labcoat.host.leftovers import LOCK_TITLE, dead_sandboxes, end_leftovers, writes_below
from labcoat.host.local import LocalHost, unprivileged_ids
from labcoat.host.proc import all_pids, is_same, read_stat
from labcoat.host.sandbox import KEPT_LOGS, SOCKET_PATH_BYTES, Sandbox
from labcoat.model.stack import Speaks

PATIENCE_S = 30.0
SLEEPER = "import time; print('up', flush=True); time.sleep(1000)"


def until(claim: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def is_up(process: Process) -> bool:
    return "up" in process.tail()


def toy(sandbox: Sandbox, code: str = SLEEPER, name: str = "toy") -> Launch:
    folder = sandbox.directory(name)
    argv = (sys.executable, "-I", "-S", "-c", textwrap.dedent(code))
    return Launch(name=name, argv=argv, cwd=folder, log=folder / f"{name}.log")


@pytest.fixture
def host() -> LocalHost:
    return LocalHost()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "base"


def test_closing_leaves_no_process_and_no_file(host: LocalHost, base: Path) -> None:
    with Sandbox.open(host, base=base) as sandbox:
        process = sandbox.start(toy(sandbox), ready=is_up, timeout_s=PATIENCE_S)
        start = read_stat(process.pid).start_ticks
        sandbox.check()
        assert sorted(each.name for each in base.iterdir()) == [
            sandbox.id,
            f"{sandbox.id}.lock",
        ]
    assert not is_same(process.pid, start)
    assert list(base.iterdir()) == []
    sandbox.close()


def test_the_default_base_goes_too_when_it_is_empty(host: LocalHost, tmp_path: Path) -> None:
    before = os.environ.get("LABCOAT_SANDBOXES")
    os.environ["LABCOAT_SANDBOXES"] = str(tmp_path / "default")
    try:
        with Sandbox.open(host) as first, Sandbox.open(host) as second:
            assert first.root.parent == second.root.parent == tmp_path / "default"
            assert first.id != second.id
    finally:
        del os.environ["LABCOAT_SANDBOXES"]
        if before is not None:
            os.environ["LABCOAT_SANDBOXES"] = before
    assert not (tmp_path / "default").exists()


def test_a_component_that_exits_before_it_is_ready_is_not_ready(
    host: LocalHost, base: Path, tmp_path: Path
) -> None:
    code = "import sys; [print('line', n, flush=True) for n in range(30)]; sys.exit('cannot bind')"
    kept = tmp_path / "logs"
    with (
        pytest.raises(NotReady, match=r"toy exited with status 1 before it was ready") as caught,
        Sandbox.open(host, base=base, keep_logs_in=kept) as sandbox,
    ):
        sandbox.start(toy(sandbox, code), ready=is_up, timeout_s=PATIENCE_S)
    assert len(caught.value.log) == 20
    assert caught.value.log[-1] == "cannot bind"
    log = kept / sandbox.id / "toy-toy.log"
    assert caught.value.where == f"log: {log}"
    assert log.read_text().startswith("line 0\n")
    assert list(base.iterdir()) == []


def test_a_component_that_is_killed_before_it_is_ready_says_which_signal(
    host: LocalHost, base: Path
) -> None:
    with Sandbox.open(host, base=base) as sandbox:
        launch = toy(sandbox, "import os; os.kill(os.getpid(), 9)")
        with pytest.raises(NotReady, match=r"toy ended by signal 9 \(SIGKILL\) before"):
            sandbox.start(launch, ready=is_up, timeout_s=PATIENCE_S)


def test_a_component_that_never_answers_is_not_ready(host: LocalHost, base: Path) -> None:
    with Sandbox.open(host, base=base) as sandbox:
        with pytest.raises(NotReady, match=r"toy did not become ready within 0.3 s") as caught:
            sandbox.start(toy(sandbox), ready=lambda _: False, timeout_s=0.3)
        assert "ready_timeout_s" in str(caught.value.way_out)


def test_a_component_that_goes_later_has_died(host: LocalHost, base: Path) -> None:
    with Sandbox.open(host, base=base) as sandbox:
        process = sandbox.start(toy(sandbox), ready=is_up, timeout_s=PATIENCE_S)
        os.kill(process.pid, signal.SIGSEGV)
        until(lambda: process.status() is not None, "its end was not seen")
        with pytest.raises(Died, match=r"toy died: ended by signal 11 \(SIGSEGV\)") as caught:
            sandbox.check()
        assert caught.value.log == ("up",)
        sandbox.stop(process)
        sandbox.check()


def test_only_the_last_logs_are_kept(host: LocalHost, base: Path, tmp_path: Path) -> None:
    kept = tmp_path / "logs"
    ids = []
    for _ in range(KEPT_LOGS + 2):
        with Sandbox.open(host, base=base, keep_logs_in=kept) as sandbox:
            sandbox.write(sandbox.directory("nginx") / "error.log", "why")
            sandbox.failed = True
            ids.append(sandbox.id)
    assert sorted(each.name for each in kept.iterdir()) == sorted(ids[2:])
    with Sandbox.open(host, base=base, keep_logs_in=kept) as sandbox:
        sandbox.write(sandbox.directory("nginx") / "error.log", "all is well")
    assert not (kept / sandbox.id).exists()


def test_an_interrupt_in_the_middle_of_a_start_unwinds(host: LocalHost, base: Path) -> None:
    pids: list[int] = []

    def impatient(process: Process) -> bool:
        pids.append(process.pid)
        raise KeyboardInterrupt

    with (
        pytest.raises(KeyboardInterrupt),
        Sandbox.open(host, base=base) as sandbox,
    ):
        sandbox.start(toy(sandbox), ready=impatient, timeout_s=PATIENCE_S)
    assert not Path(f"/proc/{pids[0]}").exists()
    assert list(base.iterdir()) == []


def test_endpoints_are_short_distinct_and_free(host: LocalHost, base: Path) -> None:
    with Sandbox.open(host, base=base) as sandbox:
        sockets = [sandbox.endpoint(Speaks.HTTP, unix=True, name="app") for _ in range(3)]
        ports = [sandbox.endpoint(Speaks.HTTP, unix=False, name="app") for _ in range(50)]
        assert len({each.path for each in sockets}) == 3
        assert all(len(str(each.path)) < SOCKET_PATH_BYTES for each in sockets)
        assert len({each.port for each in ports}) == 50
        assert max(each.port for each in ports) < host.facts().port_range[0]
        assert not host.answers(ports[0])
        with socket.create_server((ports[0].host, ports[0].port)):
            assert host.answers(ports[0])
        with socket.socket(socket.AF_UNIX) as server:
            assert not host.answers(sockets[0])
            server.bind(str(sockets[0].path))
            server.listen()
            assert host.answers(sockets[0])


def test_a_socket_path_that_would_not_fit_is_refused(host: LocalHost, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 90)
    with (
        Sandbox.open(host, base=deep) as sandbox,
        pytest.raises(HostError, match="too long") as caught,
    ):
        sandbox.endpoint(Speaks.HTTP, unix=True, name="app")
    assert "LABCOAT_SANDBOXES" in str(caught.value.way_out)


def test_files_may_hold_secrets_so_only_their_owner_reads_them(host: LocalHost, base: Path) -> None:
    with Sandbox.open(host, base=base) as sandbox:
        path = sandbox.directory("x", unprivileged=True) / "secret"
        sandbox.write(path, "hush", unprivileged=True)
        status = path.stat()
        owner = unprivileged_ids() or (os.getuid(), os.getgid())
        assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o600, *owner)
        assert (path.parent.stat().st_uid, base.stat().st_mode & 0o077) == (owner[0], 0o011)


def test_a_full_disk_says_which_one_and_how_much_is_left(host: LocalHost, base: Path) -> None:
    with Sandbox.open(host, base=base) as sandbox:
        with pytest.raises(HostError, match="No space left on device") as caught:
            sandbox.write(Path("/dev/full"), "x")
        assert "MiB free" in str(caught.value.where)
        assert "LABCOAT_SANDBOXES or TMPDIR" in str(caught.value.way_out)
        # The keeper cannot record what it starts: then it does not start it.
        sandbox.lock.unlink()
        sandbox.lock.symlink_to("/dev/full")
        with pytest.raises(HostError, match="cannot start toy: No space left on device"):
            sandbox.start(toy(sandbox), ready=is_up, timeout_s=PATIENCE_S)


def test_a_base_that_cannot_be_written_is_a_host_error(host: LocalHost, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(HostError, match="cannot make a sandbox") as caught:
        Sandbox.open(host, base=file / "below")
    assert caught.value.way_out
    with pytest.raises(HostError, match="cannot make a sandbox"):
        Sandbox.open(host, base=Path("/proc/sandboxes"))


LABCOAT = """
    import os, sys, time
    sys.path[:0] = {path!r}
    from pathlib import Path
    from labcoat.host.base import Launch
    from labcoat.host.local import LocalHost
    from labcoat.host.sandbox import Sandbox
    sandbox = Sandbox.open(LocalHost(), base=Path({base!r}))
    folder = sandbox.directory("toy")
    (folder / "data").write_text("x" * 100000)
    launch = Launch(
        name="toy",
        argv=(sys.executable, "-I", "-S", "-c", {code!r}),
        cwd=folder,
        log=folder / "toy.log",
    )
    process = sandbox.start(launch, ready=lambda process: "up" in process.tail(), timeout_s=30.0)
    print(process.pid, process.keeper.pid, sandbox.guard.keeper.pid, flush=True)
    time.sleep(1000)
"""
DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    with open("daemon", "w") as file:
        file.write(str(os.getpid()))
    time.sleep(1000)
while not os.path.exists("daemon") or not open("daemon").read():
    time.sleep(0.01)
print("up", flush=True)
time.sleep(1000)
"""


def other_labcoat(base: Path) -> tuple[subprocess.Popen[str], list[int], int]:
    """A labcoat with a sandbox and a component that daemonises; its pids, the daemon's."""
    source = LABCOAT.format(path=sys.path, base=str(base), code=DAEMON)
    labcoat = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(source)], stdout=subprocess.PIPE, text=True
    )
    assert labcoat.stdout is not None
    pids = [int(word) for word in labcoat.stdout.readline().split()]
    (daemon,) = base.glob("*/toy/daemon")
    return labcoat, pids, int(daemon.read_text())


def is_living(pid: int) -> bool:
    try:
        return read_stat(pid).state != "Z"
    except OSError:
        return False


def test_kill_9_of_labcoat_leaves_no_process_and_no_file(base: Path) -> None:
    labcoat, pids, daemon = other_labcoat(base)
    with labcoat:
        labcoat.kill()
    until(lambda: not any(base.iterdir()), "kill -9 left files behind")
    until(lambda: not any(map(is_living, [*pids, daemon])), "kill -9 left processes behind")


def test_kill_9_at_drawn_moments_leaves_no_process_and_no_file(base: Path) -> None:
    seed = random.randrange(10**6)
    draw = random.Random(seed)
    source = LABCOAT.format(path=sys.path, base=str(base), code=DAEMON)
    for _ in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(source)], stdout=subprocess.DEVNULL
        ) as labcoat:
            time.sleep(draw.uniform(0.05, 0.6))
            labcoat.kill()
    until(lambda: not base.exists() or not any(base.iterdir()), f"files are left (seed {seed})")
    left = [pid for pid in all_pids() if writes_below(pid, base)]
    assert left == [], f"processes are left (seed {seed})"


def test_when_the_keepers_are_killed_too_the_next_labcoat_cleans_up(
    host: LocalHost, base: Path
) -> None:
    labcoat, (root, keeper, guard), daemon = other_labcoat(base)
    with labcoat:
        for pid in (keeper, guard, labcoat.pid):  # the keeper first: it is quick
            os.kill(pid, signal.SIGKILL)
    until(lambda: not is_living(keeper), "the keeper would not die")
    assert is_living(daemon)
    (dead,) = dead_sandboxes(base)
    with Sandbox.open(host, base=base) as sandbox:
        assert not any(map(is_living, [root, daemon]))
        assert not dead.exists()
        assert {each.name for each in base.iterdir()} == {sandbox.id, f"{sandbox.id}.lock"}


def test_a_living_sandbox_is_left_alone(host: LocalHost, base: Path) -> None:
    with Sandbox.open(host, base=base) as first:
        process = first.start(toy(first), ready=is_up, timeout_s=PATIENCE_S)
        assert dead_sandboxes(base) == ()
        assert end_leftovers(base).sandboxes == 0
        with Sandbox.open(host, base=base):
            assert process.status() is None


def test_a_process_that_was_given_a_recorded_number_is_not_ours(
    host: LocalHost, base: Path, tmp_path: Path
) -> None:
    """The lock names living processes with other start times, and this very one."""
    with subprocess.Popen([sys.executable, "-c", SLEEPER], start_new_session=True) as other:
        start = read_stat(other.pid).start_ticks
        root = base / "0badcafe"
        root.mkdir(parents=True)
        base.joinpath("0badcafe.lock").write_text(
            f"{LOCK_TITLE}\n{other.pid} {start - 1} toy\n{os.getpid()} 1 toy\n1 1 toy\n{other.pid} {start}"
        )
        ended = end_leftovers(base)
        assert (ended.sandboxes, ended.processes) == (1, 0)
        assert not root.exists()
        assert other.poll() is None
        other.kill()


def test_locks_of_other_programs_are_never_touched(base: Path) -> None:
    (base / "0badcafe").mkdir(parents=True)
    (base / "0badcafe.lock").write_text("someone else's lock")
    (base / "poetry").mkdir()
    (base / "poetry.lock").write_text(f"{LOCK_TITLE}\n")
    with (base / "0badbabe.lock").open("w") as held:
        held.write(f"{LOCK_TITLE}\n")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_SH)
        end_leftovers(base)
    assert sorted(each.name for each in base.iterdir()) == [
        "0badbabe.lock",
        "0badcafe",
        "0badcafe.lock",
        "poetry",
        "poetry.lock",
    ]


def test_unprivileged_components_are_not_root_and_can_read_what_root_can(
    host: LocalHost, base: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "app.py").write_text("import os; print(os.geteuid(), os.getgroups()); print('up')")
    home.chmod(0o700)
    with Sandbox.open(host, base=base) as sandbox:
        folder = sandbox.directory("db", unprivileged=True)
        launch = Launch(
            name="db",
            argv=(
                sys.executable,
                "-c",
                f"exec(open({str(home / 'app.py')!r}).read()); open('made', 'w')",
            ),
            cwd=folder,
            log=folder / "db.log",
            unprivileged=True,
        )
        completed = host.run(launch.argv, timeout_s=PATIENCE_S, cwd=folder, unprivileged=True)
        assert completed.stderr == ""
        uid, _ = unprivileged_ids() or (os.geteuid(), os.getegid())
        assert uid != 0
        assert completed.stdout.split()[0] == str(uid)
        assert (folder / "made").stat().st_uid == uid
        process = sandbox.start(
            replace(launch, argv=(*launch.argv[:2], SLEEPER)), ready=is_up, timeout_s=PATIENCE_S
        )
        assert Path(f"/proc/{process.pid}").stat().st_uid == uid
        assert process.counters().pss_bytes > 0


def test_all_of_it_works_for_an_ordinary_user(host: LocalHost, tmp_path: Path) -> None:
    """This suite as root proves the ordinary user too: by becoming one."""
    script = """
        import os, sys
        sys.path[:0] = {path!r}
        from pathlib import Path
        from labcoat.host.base import Launch
        from labcoat.host.local import LocalHost
        from labcoat.host.sandbox import Sandbox
        assert os.geteuid() != 0
        host = LocalHost()
        assert not host.facts().is_root
        with Sandbox.open(host, base=Path("mine")) as sandbox:
            folder = sandbox.directory("toy", unprivileged=True)
            process = sandbox.start(
                Launch(
                    name="toy",
                    argv=(sys.executable, "-I", "-S", "-c", {code!r}),
                    cwd=folder,
                    log=folder / "toy.log",
                    unprivileged=True,
                ),
                ready=lambda process: "up" in process.tail(),
                timeout_s=30.0,
            )
            print(process.counters().processes, host.counters().cores > 0)
        print(os.listdir("mine"))
    """
    folder = tmp_path / "ordinary"
    folder.mkdir()
    os.chown(folder, *(unprivileged_ids() or (-1, -1)))
    source = textwrap.dedent(script).format(path=sys.path, code=SLEEPER)
    argv = (sys.executable, "-c", source)
    completed = host.run(argv, timeout_s=PATIENCE_S, cwd=folder, unprivileged=True)
    assert (completed.stdout, completed.stderr) == ("1 True\n[]\n", "")
