"""Places without machines, a clock that is moved by hand, and the contract of reaches."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Protocol

import pytest

from labcoat.watch.engine.shelf import Rendered
from labcoat.watch.model.finding import Finding
from labcoat.watch.model.moment import Moment
from labcoat.watch.model.runbook import Runbook
from labcoat.watch.reach.base import Answer, Fault, Mark, Order, PluginFile, Reach
from labcoat.watch.reach.capture import DRAIN_BYTES, HEAD_BYTES, TAIL_BYTES, Capture
from labcoat.watch.reach.script import PREPARE, framed, inquires

_MARK = re.compile(r'm="\$d/run/([0-9a-z.-]+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeSaid:
    """How a command behaves on a FakePlace. ``lasts_s`` None: until it is killed."""

    stdout: bytes = b""
    stderr: bytes = b""
    status: int = 0
    signal: str | None = None
    lasts_s: float | None = 0.0


Behaviour = Callable[[Order], FakeSaid]


def _does_nothing(order: Order) -> FakeSaid:
    del order
    return FakeSaid()


@dataclass(slots=True)
class FakePlace:
    """A machine in name only: what it says, its marks, and whether it is there.

    ``behaves``: what any order does that was not taught. ``marks``: attempt ids, with the
    status once one ended; ``barred``: those that a question made. ``executed``: every order
    that was started. ``cut``: the connection breaks after the start of the next order.
    """

    behaves: Behaviour = _does_nothing
    boot_id: str = "boot-1"
    fault: Fault | None = None
    has_token: bool = True
    cut: bool = False
    taught: dict[str, FakeSaid] = field(default_factory=dict)
    marks: dict[str, int | None] = field(default_factory=dict)
    barred: set[str] = field(default_factory=set)
    executed: list[Order] = field(default_factory=list)


@dataclass(slots=True)
class FakeReach:
    """The way to a FakePlace."""

    place: FakePlace

    async def execute(self, order: Order, *, on_start: Callable[[], None] | None = None) -> Answer:
        """Carry out the order in name."""
        place = self.place
        await asyncio.sleep(0)
        if place.fault is not None:
            return Answer(fault=place.fault, detail=f"fake: {place.fault.value}")
        if on_start is not None:
            on_start()
        if order.command == PREPARE:
            return self._prepared()
        asked = _MARK.search(order.command)
        if asked is not None and order.command == inquires(asked[1]):
            return Answer(exit_status=0, stdout=f"{self._inquired(asked[1])}\n{place.boot_id}\n")
        if order.attempt is not None:
            framed(order, "0")  # refuses what the real script refuses
            if order.attempt in place.marks:
                return Answer(exit_status=250, mark=Mark.EXISTS)
            if not place.has_token:
                return Answer(exit_status=251, mark=Mark.FAILED)
            place.marks[order.attempt] = None
        return await self._carry_out(order)

    async def close(self) -> None:
        """Nothing is held."""

    async def _carry_out(self, order: Order) -> Answer:
        place = self.place
        place.executed.append(order)
        said = place.taught.get(order.command) or place.behaves(order)
        mark = Mark.FREE if order.attempt is None else Mark.TAKEN
        if place.cut:
            place.cut = False
            if order.attempt is not None:
                place.marks[order.attempt] = said.status
            return Answer(fault=Fault.LOST, detail="fake: cut", mark=Mark.UNKNOWN)
        out, err = Capture(), Capture()
        out.feed(said.stdout)
        err.feed(said.stderr)
        texts = (out.text(), err.text())
        lasts_s = order.timeout_s + 1 if said.lasts_s is None else said.lasts_s
        await asyncio.sleep(min(lasts_s, order.timeout_s))
        if lasts_s > order.timeout_s:
            return _faulty(Fault.TIMEOUT, f"no end within {order.timeout_s:g} s", texts, mark)
        if max(out.total, err.total) > DRAIN_BYTES:
            return _faulty(Fault.FLOOD, "more than 16 MiB of output", texts, mark)
        if said.signal is not None:
            return _faulty(Fault.SIGNAL, f"ended by {said.signal}", texts, mark)
        if order.attempt is not None:
            place.marks[order.attempt] = said.status
        return Answer(exit_status=said.status, stdout=texts[0], stderr=texts[1], mark=mark)

    def _prepared(self) -> Answer:
        if not self.place.has_token:
            return Answer(exit_status=1, stderr="fake: read-only")
        return Answer(exit_status=0, stdout=f"{self.place.boot_id}\n")

    def _inquired(self, attempt: str) -> str:
        place = self.place
        if attempt in place.barred:
            return "barred"
        if attempt in place.marks:
            status = place.marks[attempt]
            return "alone" if status is None else f"rc {status}"
        if not place.has_token:
            return "gone"
        place.marks[attempt] = None
        place.barred.add(attempt)
        return "barred"


def _faulty(fault: Fault, detail: str, texts: tuple[str, str], mark: Mark) -> Answer:
    return Answer(fault=fault, detail=detail, stdout=texts[0], stderr=texts[1], mark=mark)


@dataclass(slots=True)
class FakeReaches:
    """The ways to FakePlaces, by address; None is the watching machine."""

    places: Mapping[str | None, FakePlace]

    def to(self, address: str | None, credentials: str) -> Reach:
        """The way to an address. Raises: LookupError for one that nobody made."""
        if credentials == "missing":
            raise LookupError("there are no credentials 'missing' in config.yml")
        return FakeReach(self.places[address])

    async def close(self) -> None:
        """Nothing is held."""


@dataclass(slots=True)
class FakeWatchClock:
    """Both clocks, moved only by ``sleep``; waits of many tasks pass together.

    Each sleeper is woken when the time of the earliest is reached, in order.
    """

    elapsed_s: float = 1000.0
    wall_s: float = 1_700_000_000.0
    boot_id: str = "watch-boot"

    def now(self) -> Moment:
        """Now, on both."""
        return Moment(elapsed_s=self.elapsed_s, wall_s=self.wall_s, boot_id=self.boot_id)

    async def sleep(self, duration_s: float) -> None:
        """Move both clocks on, at once."""
        self.advance(duration_s)
        await asyncio.sleep(0)

    def advance(self, duration_s: float) -> None:
        """Let time pass."""
        self.elapsed_s += duration_s
        self.wall_s += duration_s


class Taught(Protocol):
    """A reach under contract, and how to tell a fake what a command does."""

    reach: Reach

    def teach(self, command: str, said: FakeSaid) -> None:
        """A real place needs no teaching."""


class ReachContract:
    """What every way to a place keeps. Give it a fixture ``taught``."""

    @staticmethod
    def _go(taught: Taught, order: Order) -> Answer:
        return asyncio.run(_once(taught, order))

    @pytest.mark.parametrize("status", [0, 1, 2, 3, 100, 255])
    def test_an_exit_status_comes_back(self, taught: Taught, status: int) -> None:
        """Whatever it is, as it was."""
        taught.teach(f"exit {status}", FakeSaid(status=status))
        assert self._go(taught, Order(command=f"exit {status}")).exit_status == status

    def test_the_streams_come_back_apart(self, taught: Taught) -> None:
        """Undecodable bytes are shown, not dropped."""
        command = r"printf 'one\n\377'; printf two >&2"
        taught.teach(command, FakeSaid(stdout=b"one\n\xff", stderr=b"two"))
        answer = self._go(taught, Order(command=command))
        assert (answer.stdout, answer.stderr) == ("one\n\\xff", "two")

    def test_a_missing_program_is_127(self, taught: Taught) -> None:
        """As the shell says."""
        taught.teach("/no/such/program", FakeSaid(status=127))
        assert self._go(taught, Order(command="/no/such/program")).exit_status == 127

    def test_a_signal_is_no_exit_status(self, taught: Taught) -> None:
        """A check that was killed has not said anything."""
        taught.teach("kill -9 $$", FakeSaid(signal="SIGKILL"))
        answer = self._go(taught, Order(command="kill -9 $$"))
        assert (answer.exit_status, answer.fault) == (None, Fault.SIGNAL)

    def test_what_takes_too_long_is_ended(self, taught: Taught) -> None:
        """And said to have been."""
        taught.teach("sleep 61", FakeSaid(lasts_s=None))
        answer = self._go(taught, Order(command="sleep 61", timeout_s=0.3))
        assert answer.fault is Fault.TIMEOUT

    def test_long_output_keeps_its_head_its_tail_and_its_status(self, taught: Taught) -> None:
        """Drained, so that the exit status counts."""
        command = "head -c 300000 /dev/zero | tr '\\0' a; printf end; exit 1"
        taught.teach(command, FakeSaid(stdout=b"a" * 300_000 + b"end", status=1))
        answer = self._go(taught, Order(command=command))
        assert answer.exit_status == 1
        assert answer.stdout.startswith("a" * HEAD_BYTES + "\n[")
        assert answer.stdout.endswith("a" * (TAIL_BYTES - 3) + "end")

    def test_an_attempt_is_executed_once(self, taught: Taught) -> None:
        """The second time its command is not started."""
        taught.teach("echo once", FakeSaid(stdout=b"once\n"))
        order = Order(command="echo once", attempt="abc123")
        assert self._go(taught, Order(command=PREPARE)).exit_status == 0
        first, second = self._go(taught, order), self._go(taught, order)
        assert (first.stdout, first.mark, first.exit_status) == ("once\n", Mark.TAKEN, 0)
        assert (second.stdout, second.mark) == ("", Mark.EXISTS)

    def test_an_attempt_that_never_began_is_barred_by_asking(self, taught: Taught) -> None:
        """A late exec finds the mark."""
        taught.teach("echo late", FakeSaid(stdout=b"late\n"))
        assert self._go(taught, Order(command=PREPARE)).exit_status == 0
        asked = self._go(taught, Order(command=inquires("late1")))
        again = self._go(taught, Order(command=inquires("late1")))
        late = self._go(taught, Order(command="echo late", attempt="late1"))
        assert asked.stdout.split()[0] == again.stdout.split()[0] == "barred"
        assert (late.stdout, late.mark) == ("", Mark.EXISTS)

    def test_the_end_of_an_attempt_can_be_asked_for(self, taught: Taught) -> None:
        """With its status."""
        taught.teach("exit 7", FakeSaid(status=7))
        assert self._go(taught, Order(command=PREPARE)).exit_status == 0
        self._go(taught, Order(command="exit 7", attempt="asked.rollback"))
        asked = self._go(taught, Order(command=inquires("asked.rollback")))
        boot_id = self._go(taught, Order(command=PREPARE)).stdout.split()[-1]
        assert asked.stdout.split() == ["rc", "7", boot_id]

    def test_input_and_environment_arrive_as_they_are(self, taught: Taught) -> None:
        """Quotes, dollars and backslashes included."""
        odd = 'a\'b "$HOME" `id` \\n ü'
        command = 'cat; printf %s "$LABCOAT_X"'
        taught.teach(command, FakeSaid(stdout=f"{odd}{odd}".encode()))
        answer = self._go(taught, Order(command=command, stdin=odd, environment={"LABCOAT_X": odd}))
        assert answer.stdout == odd + odd

    def test_a_plugin_is_laid_down_and_executed(self, taught: Taught) -> None:
        """By its digest, with its arguments as the shell reads them."""
        content = b'#!/bin/sh\necho "$0" | sed "s/.*\\///"; echo "$2"; exit 2\n'
        digest = hashlib.sha256(content).hexdigest()
        plugin = PluginFile(name="check_it", content=content, sha256=digest)
        taught.teach("-w 'a b'", FakeSaid(stdout=b"check_it\na b\n", status=2))
        order = Order(command="-w 'a b'", plugin=plugin)
        for _ in range(2):
            answer = self._go(taught, order)
            assert (answer.exit_status, answer.stdout) == (2, "check_it\na b\n")


async def _once(taught: Taught, order: Order) -> Answer:
    try:
        return await taught.reach.execute(order)
    finally:
        await taught.reach.close()


@dataclass(slots=True)
class FakeShelf:
    """Runbooks by target glob; ``put`` changes them as an editor would."""

    books: dict[str, tuple[Runbook, ...]] = field(default_factory=dict)
    changed: bool = False

    def put(self, glob: str, *runbooks: Runbook) -> None:
        """Map runbooks to targets, from the next reading on."""
        self.books[glob] = runbooks
        self.changed = True

    def has_changed(self) -> bool:
        """Whether something was put since the last reading."""
        return self.changed

    def read(self) -> tuple[Finding, ...]:
        """There is nothing wrong with them."""
        self.changed = False
        return ()

    def rendered(self, target: str, facts: Mapping[str, Any]) -> Rendered:
        """The runbooks of a target; facts change nothing."""
        del facts
        found: dict[str, Runbook | None] = {}
        for glob, books in self.books.items():
            if fnmatchcase(target, glob):
                found |= {book.path: book for book in books}
        return Rendered(runbooks=found)
