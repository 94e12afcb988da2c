"""CPU seconds are conserved while processes fork, end and are reaped."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from labcoat.host.census import Census, Entry, spent, take_census

pytestmark = pytest.mark.slow

# Burns CPU for as long as each line says, answers with its CPU seconds, ends at the last line.
BURNER = """
import sys, time, subprocess
for line in sys.stdin:
    word, _, amount = line.strip().partition(" ")
    if word == "child":
        code = f"import time\\nwhile time.process_time() < {amount}: pass\\nprint(time.process_time())"
        print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip(), flush=True)
    else:
        end = time.process_time() + float(amount)
        while time.process_time() < end: pass
        print(time.process_time(), flush=True)
"""
TICKS_S = 0.05  # reaped time is counted in ticks of 10 ms, user and system apart
BURN_S = 0.3


class Burner:
    """A child that spends CPU when told to."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", BURNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.ask("burn", 0.0)

    @property
    def pid(self) -> int:
        return self.process.pid

    def ask(self, word: str, amount_s: float) -> float:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{word} {amount_s}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def end(self, *, reap: bool = True) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        while psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.005)
        if reap:
            self.process.wait()


@contextmanager
def burners(n: int) -> Iterator[list[Burner]]:
    born = [Burner() for _ in range(n)]
    try:
        yield born
    finally:
        for each in born:
            if each.process.poll() is None:
                each.process.kill()
            each.process.wait()
            for pipe in (each.process.stdin, each.process.stdout):
                if pipe is not None and not pipe.closed:
                    pipe.close()


def own_census() -> Census:
    """The part of a census that is ours: the machine is full of others."""
    ours = {os.getpid()} | {each.pid for each in psutil.Process().children(recursive=True)}
    whole = take_census()
    return Census(
        at_ns=whole.at_ns,
        entries={key: entry for key, entry in whole.entries.items() if key[0] in ours},
    )


def own_s() -> float:
    """What this process itself has spent, children left out."""
    return time.process_time()


def test_time_is_found_wherever_it_went() -> None:
    with burners(3) as (stays, ends, lies):
        before, was_s = own_census(), own_s()
        expected_s = 0.0
        for burner in (stays, ends, lies):
            begun_s = burner.ask("burn", 0.0)
            expected_s += burner.ask("burn", BURN_S) - begun_s
        expected_s += stays.ask("child", BURN_S)  # born, ended and reaped in between
        ends.end()  # its time is now ours, as its reaper
        lies.end(reap=False)  # a zombie still holds its own
        found = spent(before, own_census())
        own = own_s() - was_s
        assert found.programs_s == pytest.approx(expected_s + own, abs=0.25 * expected_s)
        assert found.programs_s >= expected_s - TICKS_S
        assert found.kernel_s == 0.0


def test_reaping_moves_time_and_makes_none() -> None:
    with burners(1) as (ends,):
        ends.ask("burn", BURN_S)
        before, was_s = own_census(), own_s()
        ends.end()
        found = spent(before, own_census())
        # Only its farewell and our own waiting, not the third of a second from before.
        assert found.programs_s < BURN_S / 2 + own_s() - was_s


def test_a_reused_id_is_another_process() -> None:
    old, new = (
        Entry(cpu_s=5.0, reaped_s=0.0, is_kernel=False),
        Entry(cpu_s=0.5, reaped_s=0.0, is_kernel=False),
    )
    parent = Entry(cpu_s=1.0, reaped_s=0.0, is_kernel=False)
    reaper = Entry(cpu_s=1.0, reaped_s=5.0, is_kernel=False)
    before = Census(at_ns=0, entries={(1, 1): parent, (7, 100): old})
    after = Census(at_ns=1, entries={(1, 1): reaper, (7, 200): new})
    assert spent(before, after).programs_s == pytest.approx(0.5)


def test_kernel_threads_are_told_apart() -> None:
    thread = Entry(cpu_s=1.0, reaped_s=0.0, is_kernel=True)
    later = Entry(cpu_s=3.0, reaped_s=0.0, is_kernel=True)
    found = spent(
        Census(at_ns=0, entries={(2, 1): thread}), Census(at_ns=1, entries={(2, 1): later})
    )
    assert (found.kernel_s, found.programs_s) == (2.0, 0.0)
