"""The scale rig: simulated targets in one process, a real watch in another, and what came of it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from labcoat.errors import JournalError
from labcoat.testing.watch_targets import CLIENT_KEY, KNOWN_HOSTS, address, lay_out
from labcoat.watch.record.entry import Kind
from labcoat.watch.record.journal import WatchJournal

CHECKS = 3
MODULE = "labcoat.testing.watch_targets"
RUNBOOK = """\
name: scale
schedule: {{second: "*/{period}"}}
checks:
{checks}
actions: {{}}
"""
CHECK = """\
  check{number}:
    execute_from: target
    type: cmd
    timeout: {timeout}
    cmd: "simulated 0 OK - number {number}|value{number}=0.{number}25;1;2;0;"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the journal says of some targets. ``gaps``: times between two rounds of a target
    that left out a slot. ``lateness_s``: ascending.
    """

    rounds: int
    targets: int
    skipped: int
    gaps: int
    unwell: int
    lateness_s: tuple[float, ...]

    def late_s(self, share: float) -> float:
        """A quantile of lateness."""
        return self.lateness_s[min(len(self.lateness_s) - 1, int(share * len(self.lateness_s)))]


@contextlib.contextmanager
def targets(folder: Path, count: int, *bad: str, core: int | None = None) -> Iterator[int]:
    """Simulated targets on a free port; the port. ``bad``: as ``watch_targets`` has it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    lay_out(folder, port)
    process = subprocess.Popen(
        [sys.executable, "-m", MODULE, str(folder), str(port), str(count), *bad],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # who floods is hung up on, and asyncio says so each time
    )
    try:
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError("the simulated targets do not start")
        yield port
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def lay_site(
    folder: Path, keys: Path, port: int, count: int, *, period_s: int, timeout_s: int
) -> None:
    """A site that checks every target thrice per period."""
    (folder / "runbooks").mkdir(parents=True)
    checks = "".join(CHECK.format(number=n, timeout=timeout_s) for n in range(CHECKS))
    (folder / "runbooks" / "scale.yml").write_text(RUNBOOK.format(period=period_s, checks=checks))
    (folder / "runbooks" / "init.yml").write_text("'*': [scale.yml]\n")
    hosts = "".join(f"        - {address(n)}\n" for n in range(count))
    (folder / "config.yml").write_text(
        f"credentials: {{default: {{user: sim, key_file: {keys / CLIENT_KEY}}}}}\n"
        f"watch: {{port: {port}, known_hosts: {keys / KNOWN_HOSTS}}}\n"
        f"discovery:\n  plugins:\n    roster:\n      hosts:\n{hosts}"
    )


@contextlib.contextmanager
def watch(folder: Path, *, core: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A watch at work on a site; ended by SIGTERM."""
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "labcoat", "watch", "run"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
    try:
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def judge(
    folder: Path, numbers: range, *, period_s: float, since_s: float, until_s: float
) -> Judged:
    """What became of these targets between two wall times."""
    wanted = {address(number) for number in numbers}
    times: dict[str, list[float]] = defaultdict(list)
    lateness: list[float] = []
    skipped = unwell = 0
    journal = WatchJournal.open(folder / ".labcoat" / "watch" / "journal.db", read_only=True)
    for written in journal.entries(kinds=[Kind.ROUND, Kind.SKIPPED], since_s=since_s):
        entry = written.entry
        if entry.target not in wanted or entry.at_s > until_s:
            continue
        if entry.kind is Kind.SKIPPED:
            skipped += 1
            continue
        times[entry.target].append(entry.at_s - entry.body["late_s"])
        lateness.append(entry.body["late_s"])
        unwell += any(row["status"] != "OK" for row in entry.body["results"].values())
    journal.close()
    gaps = sum(
        later - sooner > 1.5 * period_s for at in times.values() for sooner, later in pairwise(at)
    )
    return Judged(
        rounds=len(lateness),
        targets=len(times),
        skipped=skipped,
        gaps=gaps,
        unwell=unwell,
        lateness_s=tuple(sorted(lateness)),
    )


def resident_bytes(pid: int) -> int:
    """The most memory that a process ever had resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def first_round(folder: Path, patience_s: float = 60.0) -> None:
    """Wait until the watch has made a round. Raises: TimeoutError."""
    path = folder / ".labcoat" / "watch" / "journal.db"
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        with contextlib.suppress(JournalError):  # it is being made
            journal = WatchJournal.open(path, read_only=True)
            try:
                if any(journal.entries(kinds=[Kind.ROUND], newest=1)):
                    return
            finally:
                journal.close()
        time.sleep(0.1)
    raise TimeoutError((folder / "said").read_text())
