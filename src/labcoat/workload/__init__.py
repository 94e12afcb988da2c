"""Drafts of workloads: what access logs, API descriptions and recordings say is asked.

Each source is one file with one function that yields a Draft; ``SOURCES`` lists them.
Refuses: to keep a secret (it is dropped, and told by name and count), to invent a body that
no source holds, to guess what a line means that does not parse. May import model, errors.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One kind of source: the command that reads it, and a one-line summary."""

    command: str
    summary: str


SOURCES: tuple[SourceRow, ...] = (
    SourceRow("from-access-log", "Draft the mix that an access log holds."),
    SourceRow("from-openapi", "Draft one request for each operation of an API."),
    SourceRow("from-har", "Draft what a browser recorded."),
)
