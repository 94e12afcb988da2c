"""The watch's journal: entries in a hash chain, with the present state beside them.

A batch is committed whole or not at all: entries, standings and documents together, so
that after ``kill -9`` the state is the one that the last entry tells of. SQLite in WAL
mode, synchronous=FULL, mode 0600; or Postgres by URL.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, delete, func, insert, inspect, select
from sqlalchemy.dialects import postgresql, sqlite

from labcoat.errors import JournalError
from labcoat.journal.address import Address
from labcoat.journal.database import Engines, engines
from labcoat.journal.trouble import translated
from labcoat.watch.record.entry import GENESIS, Entry, Kind, Written, body_text, chained
from labcoat.watch.record.schema import DOCUMENTS, ENTRIES, METADATA, STANDINGS, VERSION

PATIENCE_S = 5.0
PAGE = 5000
ANCHOR = "anchor"  # the last entry that was pruned
SCHEMA = "schema"
Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What is committed together. ``standings``: by (runbook, target); None removes.
    ``documents``: anything that is JSON.
    """

    entries: tuple[Entry, ...] = ()
    standings: Mapping[Key, Mapping[str, Any] | None] = field(default_factory=dict)
    documents: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether there is anything in it."""
        return bool(self.entries or self.standings or self.documents)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The chain, looked at from end to end. ``broken_at``: the first entry that is not
    what was written, None if all are. ``head``: the last digest, to be compared with one
    that was noted elsewhere.
    """

    entries: int
    head: str
    broken_at: int | None = None


class WatchJournal:
    """The journal, open. Use from one thread at a time. Raises: JournalError everywhere."""

    def __init__(self, address: Address, both: Engines, *, read_only: bool) -> None:
        self.address = address
        self._engines = both
        self._read_only = read_only
        self._seq = 0
        self._head = GENESIS
        with translated(address):
            if read_only and not inspect(both.reading).has_table(DOCUMENTS.name):
                raise nothing_yet(address)
            if not read_only:
                with both.writing.begin() as connection:
                    METADATA.create_all(connection)
            self._settle()

    @classmethod
    def open(cls, where: Path | str, *, read_only: bool = False) -> WatchJournal:
        """The journal at a path or a URL; made if it is not there. Raises: JournalError."""
        address = Address.of(where)
        if address.path is not None and read_only and not address.path.exists():
            raise nothing_yet(address)
        if address.path is not None and not read_only:
            make_private(address.path)
        both = engines(address, read_only=read_only, patience_s=PATIENCE_S)
        try:
            return cls(address, both, read_only=read_only)
        except BaseException:
            both.reading.dispose()
            raise

    def close(self) -> None:
        """Let go of the database."""
        self._engines.reading.dispose()

    def commit(self, batch: Batch) -> None:
        """Write a batch, durably. Raises: JournalError; then nothing of it was written."""
        seq, head, rows = self._seq, self._head, []
        for entry in batch.entries:
            seq += 1
            body = body_text(entry.body)
            head = chained(head, seq, entry, body)
            rows.append(
                {
                    "seq": seq,
                    "at_s": entry.at_s,
                    "kind": entry.kind.value,
                    "target": entry.target,
                    "runbook": entry.runbook,
                    "subject": entry.subject,
                    "body": body,
                    "digest": head,
                }
            )
        with translated(self.address), self._engines.writing.begin() as connection:
            if rows:
                connection.execute(insert(ENTRIES), rows)
            for (runbook, target), standing in batch.standings.items():
                if standing is None:
                    connection.execute(
                        delete(STANDINGS).where(
                            STANDINGS.c.runbook == runbook, STANDINGS.c.target == target
                        )
                    )
            kept = [
                {"runbook": runbook, "target": target, "body": body_text(standing)}
                for (runbook, target), standing in batch.standings.items()
                if standing is not None
            ]
            _put(connection, STANDINGS, kept)
            documents = [
                {"name": name, "body": body_text(body)} for name, body in batch.documents.items()
            ]
            _put(connection, DOCUMENTS, documents)
        self._seq, self._head = seq, head

    def standings(self) -> dict[Key, dict[str, Any]]:
        """Every standing, by (runbook, target)."""
        with translated(self.address), self._engines.reading.begin() as connection:
            rows = connection.execute(select(STANDINGS))
            return {(row.runbook, row.target): json.loads(row.body) for row in rows}

    def document(self, name: str) -> Any:
        """The document of a name, None if there is none."""
        with translated(self.address), self._engines.reading.begin() as connection:
            return _document(connection, name)

    def entries(
        self,
        *,
        kinds: Sequence[Kind] = (),
        target: str | None = None,
        subject: str | None = None,
        since_s: float | None = None,
        newest: int | None = None,
    ) -> Iterator[Written]:
        """The entries that fit, oldest first; of those, only the ``newest`` so many."""
        query = select(ENTRIES)
        if kinds:
            query = query.where(ENTRIES.c.kind.in_([kind.value for kind in kinds]))
        if target is not None:
            query = query.where(ENTRIES.c.target == target)
        if subject is not None:
            query = query.where(ENTRIES.c.subject == subject)
        if since_s is not None:
            query = query.where(ENTRIES.c.at_s >= since_s)
        with translated(self.address), self._engines.reading.begin() as connection:
            if newest is not None:
                rows = connection.execute(query.order_by(ENTRIES.c.seq.desc()).limit(newest))
                yield from reversed([_written(row) for row in rows])
                return
            after = 0
            while True:
                page = connection.execute(
                    query.where(ENTRIES.c.seq > after).order_by(ENTRIES.c.seq).limit(PAGE)
                ).all()
                yield from (_written(row) for row in page)
                if len(page) < PAGE:
                    return
                after = page[-1].seq

    def verify(self) -> Verified:
        """Whether every entry is still what was written, and none is missing in between."""
        seq, head = self._anchor()
        counted = 0
        for written in self.entries():
            expected = chained(head, seq + 1, written.entry, body_text(written.entry.body))
            if written.seq != seq + 1 or written.digest != expected:
                return Verified(entries=counted, head=head, broken_at=written.seq)
            seq, head = written.seq, written.digest
            counted += 1
        return Verified(entries=counted, head=head)

    def prune(self, before_s: float) -> int:
        """Forget the oldest entries; the chain then begins at an anchor. How many went."""
        with translated(self.address), self._engines.writing.begin() as connection:
            last = connection.execute(
                select(ENTRIES.c.seq, ENTRIES.c.digest)
                .where(
                    ENTRIES.c.seq
                    < select(func.coalesce(func.min(ENTRIES.c.seq), self._seq))
                    .where(ENTRIES.c.at_s >= before_s)
                    .scalar_subquery()
                )
                .order_by(ENTRIES.c.seq.desc())
                .limit(1)
            ).first()
            if last is None:
                return 0
            gone = connection.execute(delete(ENTRIES).where(ENTRIES.c.seq <= last.seq)).rowcount
            anchor = {"seq": last.seq, "digest": last.digest}
            _put(connection, DOCUMENTS, [{"name": ANCHOR, "body": body_text(anchor)}])
        return int(gone)

    def _settle(self) -> None:
        """Find the end of the chain, and check the version. Raises: JournalError."""
        with self._engines.reading.begin() as connection:
            version = (_document(connection, SCHEMA) or {}).get("version", VERSION)
            newest = connection.execute(
                select(ENTRIES.c.seq, ENTRIES.c.digest).order_by(ENTRIES.c.seq.desc()).limit(1)
            ).first()
        if version != VERSION:
            raise JournalError(
                f"the watch's journal has schema {version}, this labcoat knows {VERSION}",
                where=str(self.address),
                way_out="use the labcoat that wrote it, or name another journal",
            )
        self._seq, self._head = self._anchor() if newest is None else (newest.seq, newest.digest)
        if newest is None and not self._read_only:
            self.commit(Batch(documents={SCHEMA: {"version": VERSION}}))

    def _anchor(self) -> tuple[int, str]:
        anchor = self.document(ANCHOR)
        return (0, GENESIS) if anchor is None else (int(anchor["seq"]), str(anchor["digest"]))


def nothing_yet(address: Address) -> JournalError:
    """There is nothing to read."""
    return JournalError(
        "nothing was watched here yet",
        where=str(address),
        way_out="start the watch: labcoat watch run",
    )


def _written(row: Any) -> Written:
    entry = Entry(
        kind=Kind(row.kind),
        at_s=row.at_s,
        target=row.target,
        runbook=row.runbook,
        subject=row.subject,
        body=json.loads(row.body),
    )
    return Written(seq=row.seq, entry=entry, digest=row.digest)


def _document(connection: Connection, name: str) -> Any:
    row = connection.execute(select(DOCUMENTS.c.body).where(DOCUMENTS.c.name == name)).first()
    return None if row is None else json.loads(row.body)


def _put(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows, or replace what stands under their keys."""
    if not rows:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    keys = [column.name for column in table.primary_key]
    statement = dialect.insert(table)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=keys, set_={"body": statement.excluded.body}
        ),
        rows,
    )


def make_private(path: Path) -> None:
    """The file, for its owner alone; SQLite gives its companions the same mode."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with contextlib.suppress(PermissionError):
            path.chmod(0o600)
    except OSError as error:
        raise JournalError(
            f"the watch's journal cannot be made: {error.strerror}",
            where=path,
            way_out="name a journal in a folder where you may write",
        ) from error
