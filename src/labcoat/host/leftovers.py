"""What dead labcoats left behind: found by their free lock, ended, removed.

Only a process that is provably of the dead sandbox is ended: the recorded root (pid and
start time), a member of its session, or one whose standard output or error is a log in
the sandbox's directory. Never someone else's process that was given the same number.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from labcoat.host.proc import Stat, all_pids, is_same, read_stat

LOCK_SUFFIX = ".lock"
LOCK_TITLE = "labcoat sandbox"  # first line: no other program's lock file is ever touched
_NAME = re.compile(r"[0-9a-f]{8}\.lock")
_GRACE_S = 2.0
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Recorded:
    """A component's root as its keeper recorded it."""

    pid: int
    start_ticks: int


@dataclass(frozen=True, slots=True)
class Ended:
    """What was left: sandboxes removed, processes ended."""

    sandboxes: int
    processes: int


def dead_sandboxes(base: Path) -> tuple[Path, ...]:
    """The directories below ``base`` whose lock nobody holds; only looks."""
    found: list[Path] = []
    for lock in _locks(base):
        descriptor = _seize(lock)
        if descriptor is not None:
            found.append(lock.with_suffix(""))
            os.close(descriptor)
    return tuple(found)


def end_leftovers(base: Path) -> Ended:
    """End and remove every dead sandbox below ``base``.

    What cannot be removed (another user's files) is left for who can.
    """
    sandboxes = processes = 0
    for lock in _locks(base):
        descriptor = _seize(lock)
        if descriptor is None:
            continue
        try:
            directory = lock.with_suffix("")
            processes += end_processes(directory, read_records(lock.read_text()))
            shutil.rmtree(directory, ignore_errors=True)
            if not directory.exists():
                lock.unlink(missing_ok=True)
                sandboxes += 1
        except FileNotFoundError:
            continue  # its guard was quicker
        finally:
            os.close(descriptor)
    return Ended(sandboxes, processes)


def _locks(base: Path) -> list[Path]:
    """The locks of sandboxes; files that only look alike are none."""
    return sorted(each for each in base.glob(f"*{LOCK_SUFFIX}") if _NAME.fullmatch(each.name))


def _seize(lock: Path) -> int | None:
    """Hold a dead sandbox alone; None when it lives, is another user's, or just went."""
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    title = os.pread(descriptor, len(LOCK_TITLE), 0)
    if title not in (b"", LOCK_TITLE.encode()):
        os.close(descriptor)
        return None
    return descriptor


def read_records(text: str) -> tuple[Recorded, ...]:
    """The recorded roots; the title and a line cut short by a kill are left out."""
    found: list[Recorded] = []
    for line in text.splitlines(keepends=True):
        match line.split():
            case [pid, start, _] if line.endswith("\n") and pid.isdigit() and start.isdigit():
                found.append(Recorded(int(pid), int(start)))
    return tuple(found)


def end_processes(directory: Path, records: tuple[Recorded, ...]) -> int:
    """TERM, deadline, KILL for everything of a dead sandbox; how many there were."""
    seen: set[tuple[int, int]] = set()
    started = time.monotonic()
    while time.monotonic() < started + _PATIENCE_S:
        living = belonging(directory, records)
        if not living:
            break
        late = time.monotonic() > started + _GRACE_S
        for pid, start in living:
            if late or (pid, start) not in seen:
                _end(pid, start, signal.SIGKILL if late else signal.SIGTERM)
            seen.add((pid, start))
        time.sleep(0.02)
    return len(seen)


def _end(pid: int, start_ticks: int, number: signal.Signals) -> None:
    """Signal this very process: looked at through a descriptor that cannot be reused."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if is_same(pid, start_ticks):
            signal.pidfd_send_signal(descriptor, number)
    except OSError:
        return
    finally:
        os.close(descriptor)


def belonging(directory: Path, records: tuple[Recorded, ...]) -> tuple[tuple[int, int], ...]:
    """Living processes of a dead sandbox, as (pid, start time)."""
    found: list[tuple[int, int]] = []
    oldest = min((record.start_ticks for record in records), default=None)
    if oldest is None:
        return ()
    for pid in all_pids():
        if pid == os.getpid():
            continue
        try:
            stat = read_stat(pid)
        except OSError:
            continue
        if stat.state == "Z" or stat.start_ticks < oldest:
            continue
        if of_records(pid, stat, records) or writes_below(pid, directory):
            found.append((pid, stat.start_ticks))
    return tuple(found)


def of_records(pid: int, stat: Stat, records: tuple[Recorded, ...]) -> bool:
    """Whether it is a recorded root, or of the session that one of them leads.

    A session's number is not given to a new process while the session has members; if
    the number now leads a session with another start time, the old session is over.
    """
    for record in records:
        if record.pid == pid:
            return record.start_ticks == stat.start_ticks
        if record.pid == stat.session and stat.start_ticks >= record.start_ticks:
            try:
                return read_stat(record.pid).start_ticks == record.start_ticks
            except OSError:
                return True
    return False


def writes_below(pid: int, directory: Path) -> bool:
    """Whether its standard output or error is a file of the sandbox, removed or not."""
    for descriptor in (1, 2):
        try:
            target = str(Path(f"/proc/{pid}/fd/{descriptor}").readlink())
        except OSError:
            continue
        if target.startswith(f"{directory}/"):
            return True
    return False
