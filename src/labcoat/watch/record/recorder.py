"""The journal as the event loop sees it: batched, awaited, and honest when it is full.

What an action hangs on (INTENT, SENT) is committed at once and awaited; a failure is the
caller's, who then does not act. Everything else waits up to 200 ms for company. When
nothing can be written it is kept in memory, up to a cap, and written when that is
possible again; what did not fit is counted and told.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labcoat.errors import JournalError
from labcoat.watch.record.entry import Entry, Kind
from labcoat.watch.record.journal import Batch, Key, WatchJournal

BATCH_S = 0.2
RETRY_S = 1.0
REMEMBERED = 20_000  # entries kept in memory while the disk is full
RESERVE_BYTES = 256 << 10


@dataclass(slots=True)
class _Urgent:
    entries: tuple[Entry, ...]
    committed: asyncio.Future[None]


class Recorder:
    """Writes to one journal, from one event loop, through one thread."""

    def __init__(self, journal: WatchJournal, *, batch_s: float = BATCH_S) -> None:
        self.journal = journal
        self.trouble: JournalError | None = None
        self._batch_s = batch_s
        self._thread = ThreadPoolExecutor(1, "watch-journal")
        self._noted: deque[Entry] = deque()
        self._missing = 0
        self._urgent: list[_Urgent] = []
        self._standings: dict[Key, Mapping[str, Any] | None] = {}
        self._documents: dict[str, Callable[[], Any]] = {}
        self._wanted = asyncio.Event()
        self._hurry = asyncio.Event()
        self._closing = False
        self._reserve = _Reserve(journal.address.path)
        self._reserve.fill()
        self._task = asyncio.get_running_loop().create_task(self._write())

    @property
    def is_degraded(self) -> bool:
        """Whether the last commit failed: then no action may be begun."""
        return self.trouble is not None

    def note(self, *entries: Entry) -> None:
        """Have entries written soon; never fails, never waits."""
        self._noted.extend(entries)
        while len(self._noted) > REMEMBERED:
            self._noted.popleft()
            self._missing += 1
        self._wanted.set()

    def keep(self, standings: Mapping[Key, Mapping[str, Any] | None]) -> None:
        """Have standings written with the next batch; None removes."""
        self._standings.update(standings)
        self._wanted.set()

    def keep_document(self, name: str, document: Callable[[], Any]) -> None:
        """Have a document written with the next batch, as it is then."""
        self._documents[name] = document
        self._wanted.set()

    async def write(self, *entries: Entry) -> None:
        """Commit entries, and what was kept, now. Raises: JournalError; none is written then."""
        urgent = _Urgent(entries, asyncio.get_running_loop().create_future())
        self._urgent.append(urgent)
        self._wanted.set()
        self._hurry.set()
        await urgent.committed

    async def prune(self, before_s: float) -> int:
        """Forget entries that are older; how many went."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, self.journal.prune, before_s)
        except JournalError:
            return 0  # the next commit tells of the trouble

    async def watched(self) -> None:
        """Wait for ever; raises what the writing itself failed with, which is a defect."""
        await asyncio.shield(self._task)

    async def abandon(self) -> None:
        """Drop what is not committed, as a crash would; what is being committed is."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._thread.shutdown(wait=True)

    async def close(self) -> None:
        """Write what there is, once more, and end."""
        self._closing = True
        self._wanted.set()
        self._hurry.set()
        await self._task
        self._thread.shutdown()

    async def _write(self) -> None:
        while not self._closing:
            await self._wanted.wait()
            await self._await_company()
            self._wanted.clear()
            self._hurry.clear()
            await self._commit()
        await self._commit()

    async def _await_company(self) -> None:
        wait_s = RETRY_S if self.is_degraded else self._batch_s
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._hurry.wait()

    async def _commit(self) -> None:
        urgent, self._urgent = self._urgent, []
        noted, self._noted = self._noted, deque()
        standings, self._standings = self._standings, {}
        documents, self._documents = self._documents, {}
        entries = [*noted]
        for each in urgent:
            entries += each.entries
        if self.is_degraded and entries:
            entries.insert(0, self._resumption())
        drawn = {name: document() for name, document in documents.items()}
        batch = Batch(entries=tuple(entries), standings=standings, documents=drawn)
        try:
            if batch:
                await self._in_thread(batch)
        except JournalError as error:
            self._noted.extendleft(reversed(noted))
            self._standings = standings | self._standings
            self._documents = documents | self._documents
            await self._degrade(error)
            for each in urgent:
                if not each.committed.done():
                    each.committed.set_exception(error)
            return
        if batch and self.is_degraded:
            self.trouble, self._missing = None, 0
            self._reserve.fill()
        for each in urgent:
            if not each.committed.done():
                each.committed.set_result(None)

    async def _in_thread(self, batch: Batch) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self.journal.commit, batch)

    async def _degrade(self, error: JournalError) -> None:
        """Note the trouble; the first time also in the journal, in the room held in reserve."""
        is_first, self.trouble = self.trouble is None, error
        self._wanted.set()
        if is_first:
            self._reserve.free()
            last = Entry(kind=Kind.DEGRADED, at_s=time.time(), body={"what": error.what})
            with contextlib.suppress(JournalError):
                await self._in_thread(Batch(entries=(last,)))

    def _resumption(self) -> Entry:
        body = {"missing": self._missing}
        return Entry(kind=Kind.RESUMED, at_s=time.time(), body=body)


class _Reserve:
    """Room on the journal's disk, held so that its last words fit."""

    def __init__(self, journal: Path | None) -> None:
        self._file = None if journal is None else journal.with_suffix(".reserve")

    def fill(self) -> None:
        if self._file is not None and not self._file.exists():
            try:
                self._file.write_bytes(b"\xff" * RESERVE_BYTES)
            except OSError:
                self.free()

    def free(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.unlink(missing_ok=True)
