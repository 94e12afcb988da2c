"""A standing as a JSON document, and back; and on another clock."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from labcoat.watch.decide.standing import Memory, Standing
from labcoat.watch.model import document


def to_document(standing: Standing) -> Any:
    return document.to_document(standing)


def from_document(told: Any) -> Standing:
    """Raises: JournalError."""
    return document.from_document(Standing, told)


def shifted(standing: Standing, by_s: float) -> Standing:
    """The standing on a clock that reads ``by_s`` more (see ``heal.stored.shifted``)."""
    since_s = standing.incident_s
    return replace(
        standing,
        memories={name: memory_shifted(each, by_s) for name, each in standing.memories.items()},
        incident_s=None if since_s is None else since_s + by_s,
    )


def memory_shifted(memory: Memory, by_s: float) -> Memory:
    start_s, success_s = memory.last_start_s, memory.last_success_s
    return replace(
        memory,
        last_start_s=None if start_s is None else start_s + by_s,
        last_success_s=None if success_s is None else success_s + by_s,
    )
