"""The keeper: a tiny parent that outlives labcoat by exactly one clean-up.

A program of its own (``python -I -S keeper.py``, standard library only, no import of
ours), one for each component. It is the subreaper of everything the component ever
starts, so that nothing escapes by ``setsid`` or by daemonising. It ends the whole tree
when labcoat asks, when the component's root ends, or when labcoat is gone by whatever
means, ``kill -9`` included: then the pid file descriptor of labcoat turns readable and
the socket on descriptor 0 reads end of file.

Speaks JSON lines on descriptor 0. Hears one order, then ``{"stop": grace_s}``. Says
``{"started": pid}`` or ``{"failed": errno, "where": path}``, then
``{"ended": status}`` (negative for a signal) when the root has ended, then
``{"gone": survivors, "cpu_s": CPU seconds of all of them}`` when nothing of the tree is left.

Orders: ``argv``, ``env``, ``cwd``, ``log`` (None: descriptors 1 and 2 are kept), ``ids``
(uid and gid to become, None: stay), ``cpus``, ``stop_signal``, ``lock``, ``name``,
``parent``. Without ``argv`` it is a guard: when labcoat is gone and nobody holds
``lock`` any more, it removes ``directory``, the lock and, once it is empty, ``base``;
a ``stop`` sends it away.

Its own signals are ignored: only labcoat's word or labcoat's end moves it.
"""

# ruff: noqa: PTH106, PTH108, PTH110, PTH123, PTH208  importing pathlib takes longer than the rest
from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import select
import signal
import sys
import time
from typing import Any, NoReturn

ORPHAN_GRACE_S = 3.0  # for a tree whose labcoat was killed
REST_GRACE_S = 1.0  # for what its root left behind
KILL_PATIENCE_S = 10.0  # a process in uninterruptible sleep may outlive KILL

DEAF_TO = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_SET_CHILD_SUBREAPER = 36
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def say(**words: object) -> None:
    """Tell labcoat; it may be gone, which the next look at the socket finds."""
    try:
        os.write(0, json.dumps(words).encode() + b"\n")
    except OSError:
        return


def hear_order() -> dict[str, Any] | None:
    """The first line; None when labcoat went before it gave one."""
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(0, 65536)
        if not part:
            return None
        line += part
    order: dict[str, Any] = json.loads(line)
    return order


def start_ticks(pid: int) -> int:
    """Start time in ticks since boot: with the pid it names one process for ever."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[19])


def children(pid: int) -> list[int]:
    """The children of every thread of a process; none when it is gone."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
    except FileNotFoundError:
        if os.path.exists(f"/proc/{pid}/task/{pid}/stat"):
            return children_by_scan(pid)  # a kernel without CONFIG_PROC_CHILDREN
    except ProcessLookupError:
        pass
    return found


def children_by_scan(pid: int) -> list[int]:
    """The same, by asking every process for its parent."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue
            if parent == pid:
                found.append(int(name))
    return found


def descendants(pid: int) -> list[int]:
    """Everything below a process, parents before their children."""
    found = dict.fromkeys(children(pid))
    level = list(found)
    while level:
        level = [child for each in level for child in children(each) if child not in found]
        found.update(dict.fromkeys(level))
    return list(found)


def send(number: int, pids: list[int]) -> None:
    """A signal to each of our descendants; those already gone are no matter."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except OSError:
            continue


def hold(lock: str) -> int:
    """A shared lock on the sandbox, kept until this process ends."""
    descriptor = os.open(lock, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def drop_root(uid: int, gid: int) -> None:
    """Become an ordinary user that can still read what root could read.

    Programs and projects often lie under a home of mode 0700; CAP_DAC_READ_SEARCH, kept
    as an ambient capability, lets them be read and executed, never written. Where it
    cannot be had, the drop happens all the same.
    """
    _libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([gid])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    bit = 1 << _CAP_DAC_READ_SEARCH
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    # Two words each of effective, permitted, inheritable.
    words = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
    if _libc.capset(header, words) != 0:
        nothing = (ctypes.c_uint32 * 6)(0, 0, 0, 0, 0, 0)
        _libc.capset(header, nothing)
        return
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_READ_SEARCH, 0, 0)


def become(order: dict[str, Any], report: int, ready: int) -> NoReturn:
    """In the child: turn into the component, or write errno and path to ``report``."""
    where = order["cwd"]
    try:
        os.setsid()
        os.umask(0o022)
        for number in (*DEAF_TO, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        if order["log"] is not None:
            where = order["log"]
            log = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            if order["ids"] is not None:
                os.fchown(log, *order["ids"])
            os.dup2(log, 1)
            os.dup2(log, 2)
        if order["cpus"] is not None:
            where = f"CPUs {order['cpus']}"
            os.sched_setaffinity(0, order["cpus"])
        if order["ids"] is not None:
            where = f"uid {order['ids'][0]}"
            drop_root(*order["ids"])
        where = order["cwd"]
        os.chdir(where)
        # Should the keeper itself be killed, the root is at least asked to stop.
        _libc.prctl(_PR_SET_PDEATHSIG, order["stop_signal"], 0, 0, 0)
        where = order["argv"][0]
        os.read(ready, 1)
        os.execve(where, order["argv"], order["env"])  # noqa: S606  an argv, never a shell
    except OSError as error:
        os.write(report, json.dumps([error.errno, where]).encode())
    finally:
        os._exit(127)


def start(order: dict[str, Any], lock: int | None) -> int | None:
    """Fork and exec the component, recorded before its first instruction; its pid."""
    report_read, report_write = os.pipe2(os.O_CLOEXEC)
    ready_read, ready_write = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        os.close(ready_write)
        become(order, report_write, ready_read)
    os.close(report_write)
    os.close(ready_read)
    if lock is not None:
        record = f"{pid} {start_ticks(pid)} {order['name']}\n"
        try:
            os.write(lock, record.encode())
        except OSError as error:
            say(failed=error.errno, where=order["lock"])
            os.kill(pid, signal.SIGKILL)
            return None
    os.close(ready_write)
    failure = os.read(report_read, 4096)
    os.close(report_read)
    if failure:
        number, where = json.loads(failure)
        say(failed=number, where=where)
        return None
    say(started=pid)
    return pid


class Keeper:
    """Watches labcoat and one tree, and decides in one loop what to do next."""

    def __init__(self, root: int, order: dict[str, Any], parent: int | None) -> None:
        self.root = root
        self.order = order
        self.parent = parent
        self.status: int | None = None
        self.deadline: float | None = None
        self.empty = False
        self.told = b""
        self.wake, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)

    def reap(self) -> None:
        """Collect everyone who ended; their CPU seconds become ours to tell."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self.empty = True
                return
            if pid == 0:
                return
            if pid == self.root:
                self.status = os.waitstatus_to_exitcode(status)
                say(ended=self.status)

    def ask(self, grace_s: float) -> None:
        """Begin to end the tree: the root first, since masters know their workers."""
        deadline = time.monotonic() + grace_s
        if self.deadline is None and self.status is None:
            send(self.order["stop_signal"], [self.root])
        self.deadline = deadline if self.deadline is None else min(self.deadline, deadline)

    def listen(self, poll: select.poll, timeout_s: float | None) -> None:
        """Wait for a child, a word or the end of labcoat."""
        for descriptor, _ in poll.poll(None if timeout_s is None else timeout_s * 1000):
            if descriptor == self.wake:
                os.read(self.wake, 4096)
                continue
            words = b"" if descriptor == self.parent else hear()
            if not words:
                poll.unregister(descriptor)
                self.ask(ORPHAN_GRACE_S)
            *lines, self.told = (self.told + words).split(b"\n")
            for line in lines:
                self.ask(float(json.loads(line)["stop"]))

    def keep(self) -> int:
        """Stay until nothing of the tree is left; the status to exit with."""
        poll = select.poll()
        for descriptor in (0, self.wake, self.parent):
            if descriptor is not None:
                poll.register(descriptor, select.POLLIN)
        resting = False
        self.reap()
        while not self.empty:
            now = time.monotonic()
            if self.status is not None and not resting:
                resting = True
                send(signal.SIGTERM, descendants(os.getpid()))
                end = now + REST_GRACE_S
                self.deadline = end if self.deadline is None else min(self.deadline, end)
            if self.deadline is not None and now >= self.deadline:
                break
            if self.deadline is not None:
                self.listen(poll, self.deadline - now)
            else:  # asleep until something happens: a keeper must not disturb what is measured
                self.listen(poll, None if self.parent is not None else 1.0)
            if self.parent is None and os.getppid() != self.order["parent"]:
                self.ask(ORPHAN_GRACE_S)
            self.reap()
        survivors = self.kill()
        times = os.times()
        say(gone=survivors, cpu_s=times.children_user + times.children_system)
        return self.status or 0

    def kill(self) -> int:
        """KILL until nobody is left; how many would not die.

        Stopped first, so that none can fork between being listed and being killed.
        """
        patience = time.monotonic() + KILL_PATIENCE_S
        while not self.empty and time.monotonic() < patience:
            known: list[int] = []
            while (found := descendants(os.getpid())) != known and time.monotonic() < patience:
                send(signal.SIGSTOP, found)
                known = found
            send(signal.SIGKILL, found)
            self.reap()
            if not self.empty:
                time.sleep(0.001)
                self.reap()
        return 0 if self.empty else len(descendants(os.getpid()))


def hear() -> bytes:
    """What labcoat says; empty when it is gone."""
    try:
        return os.read(0, 65536)
    except ConnectionResetError:
        return b""


def watch_parent(parent: int) -> int | None:
    """A descriptor that turns readable when labcoat ends; None on old kernels.

    The socket alone is not enough: a forked child of labcoat may hold its other end.
    """
    try:
        descriptor = os.pidfd_open(parent)
    except OSError:
        return None
    if os.getppid() != parent:  # labcoat went first, and this is another process
        os.close(descriptor)
        return None
    return descriptor


def guard(order: dict[str, Any], parent: int | None) -> int:
    """Wait for labcoat to end; then remove the sandbox when its keepers are done."""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    if parent is not None:
        poll.register(parent, select.POLLIN)
    say(started=os.getpid())
    while True:
        moved = {descriptor for descriptor, _ in poll.poll(None if parent is not None else 1000)}
        if 0 in moved and hear():
            return 0
        if moved or os.getppid() != order["parent"]:
            break
    patience = time.monotonic() + ORPHAN_GRACE_S + REST_GRACE_S + KILL_PATIENCE_S
    try:
        lock = os.open(order["lock"], os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0  # labcoat was killed before it made anything, or after it removed all
    while time.monotonic() < patience:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
            continue
        return remove(order, patience)
    return 1  # someone would not die: the next labcoat finds and ends it


def remove(order: dict[str, Any], patience: float) -> int:
    """Remove a dead sandbox: its directory, then its lock, then the base if that is ours.

    Again and again: a program that labcoat waited for may be ending only now.
    """
    import shutil  # noqa: PLC0415  costs more than all the rest, and is needed once

    directory = order["directory"]
    while os.path.lexists(directory) and time.monotonic() < patience:
        shutil.rmtree(directory, ignore_errors=True)
        if os.path.lexists(directory):
            time.sleep(0.05)
    if os.path.lexists(directory):
        return 1
    os.unlink(order["lock"])
    if order["base"] is not None:
        try:
            os.rmdir(order["base"])
        except OSError:
            return 0  # others are at work there
    return 0


def main() -> int:
    """Take the order, keep the tree."""
    for number in DEAF_TO:
        signal.signal(number, signal.SIG_IGN)
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    order = hear_order()
    if order is None:
        return 0
    parent = watch_parent(order["parent"])
    if not order["argv"]:
        return guard(order, parent)
    try:
        lock = None if order["lock"] is None else hold(order["lock"])
    except OSError as error:
        say(failed=error.errno, where=order["lock"])
        return 1
    root = start(order, lock)
    if root is None:
        return 1
    return abs(Keeper(root, order, parent).keep()) & 0xFF


if __name__ == "__main__":
    if sys.platform != "linux":
        say(failed=errno.ENOSYS, where=sys.platform)
        sys.exit(1)
    sys.exit(main())
