"""The watch as its journal shows it: for ``status`` and ``export``, also while it is at rest."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from labcoat.watch.decide.standing import Standing
from labcoat.watch.decide.stored import from_document
from labcoat.watch.engine.board import BOARD
from labcoat.watch.engine.keeping import FACTS
from labcoat.watch.model.status import Status, worst
from labcoat.watch.record.journal import WatchJournal

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One runbook on one target."""

    target: str
    runbook: str
    name: str
    standing: Standing

    @property
    def status(self) -> Status:
        """The gravest of its checks."""
        return worst(self.standing.last.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Every line, and the board of the watch that was, or is, at work."""

    lines: tuple[Line, ...]
    board: dict[str, Any]

    @property
    def status(self) -> Status:
        """The gravest of all."""
        return worst(line.status for line in self.lines)

    def document(self, pid: int | None) -> dict[str, Any]:
        """As ``status --json`` has it. ``pid``: of the watch at work."""
        counts = Counter(line.status.name for line in self.lines)
        board = {name: value for name, value in self.board.items() if name not in ("names", "pid")}
        return {
            "schema": SCHEMA,
            "watching": pid,
            "status": self.status.name,
            "counts": {status.name: counts.get(status.name, 0) for status in Status},
            "runbooks": [
                {
                    "target": line.target,
                    "runbook": line.runbook,
                    "name": line.name,
                    "status": line.status.name,
                    "checks": {c: s.name for c, s in line.standing.last.items()},
                    "flapping": list(line.standing.flapping),
                }
                for line in self.lines
            ],
            "board": board,
        }


def overview(journal: WatchJournal) -> Overview:
    """Read it. Raises: JournalError."""
    board = journal.document(BOARD) or {}
    names = board.get("names", {})
    lines = [
        Line(
            target=target,
            runbook=path,
            name=names.get(path, path),
            standing=from_document(body),
        )
        for (path, target), body in sorted(journal.standings().items())
        if path != FACTS
    ]
    return Overview(lines=tuple(lines), board=board)
