"""The tables of the watch's journal."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, MetaData, Table, Text

METADATA = MetaData()
VERSION = 1

# SQLite numbers a row by itself only under an INTEGER key; ours count by themselves.
ENTRIES = Table(
    "watch_entries",
    METADATA,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at_s", Double, nullable=False),
    Column("kind", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("runbook", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("digest", Text, nullable=False),
)
Index("watch_entries_subject", ENTRIES.c.subject, ENTRIES.c.seq)
Index("watch_entries_kind", ENTRIES.c.kind, ENTRIES.c.seq)

STANDINGS = Table(
    "watch_standings",
    METADATA,
    Column("runbook", Text, primary_key=True),
    Column("target", Text, primary_key=True),
    Column("body", Text, nullable=False),
)
DOCUMENTS = Table(
    "watch_documents",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("body", Text, nullable=False),
)
