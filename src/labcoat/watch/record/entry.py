"""One entry of the watch's journal, and the digest that chains it to the one before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

GENESIS = "0" * 64


class Kind(StrEnum):
    """What an entry tells of."""

    STARTED = "started"
    STOPPED = "stopped"
    ROUND = "round"
    SKIPPED = "skipped"  # a slot whose round did not take place, and why
    DECISION = "decision"  # an action that was called for, with its conditions
    HELD = "held"  # an action that must wait, and for which guard
    ADVICE = "advice"
    ATTEMPT = "attempt"  # an attempt reached a phase
    VERDICT = "verdict"
    VERIFYING = "verifying"  # a verify round
    ESCALATION = "escalation"
    ALERT = "alert"
    FINDING = "finding"
    RUNBOOK = "runbook"  # a runbook's revision came into use
    TARGET = "target"  # a target came, went, or was vetted
    COMMAND = "command"  # what a person asked for
    CLOCK_JUMP = "clock-jump"
    DEGRADED = "degraded"  # the journal could not be written
    RESUMED = "resumed"  # and could again; how many entries are missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something that happened. ``at_s``: wall seconds. ``subject``: an attempt's or an
    advice's id. Texts that do not apply are empty.
    """

    kind: Kind
    at_s: float
    target: str = ""
    runbook: str = ""
    subject: str = ""
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An entry as it stands in the journal."""

    seq: int
    entry: Entry
    digest: str


def body_text(body: Any) -> str:
    """The body as one line of JSON; the same value gives the same text.

    In ASCII: what a target says may hold halves of letters, which no database takes.
    """
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


def chained(previous: str, seq: int, entry: Entry, body: str) -> str:
    """SHA-256 over the previous digest and everything in this entry."""
    told = json.dumps(
        [previous, seq, entry.at_s, entry.kind, entry.target, entry.runbook, entry.subject, body],
        ensure_ascii=False,
    )
    return hashlib.sha256(told.encode(errors="surrogatepass")).hexdigest()
