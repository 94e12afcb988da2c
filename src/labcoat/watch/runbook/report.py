"""Findings as they are collected while one file is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Protocol

from labcoat.watch.model.finding import Finding
from labcoat.watch.runbook.codes import BY_NAME


class Place(Protocol):
    """Anything with a place in the source."""

    @property
    def line(self) -> int: ...

    @property
    def column(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Position:
    """A line and a column of the source, both from 1; 0 is the whole file."""

    line: int = 0
    column: int = 0


WHOLE_FILE = Position()


@dataclass(slots=True)
class Report:
    """The findings about one file (for one target); grows while the file is read."""

    file: str
    target: str | None = None
    findings: list[Finding] = field(default_factory=list)

    def add(self, code: str, place: Place, message: str, fix: str | None = None) -> None:
        """One more finding; the same code at the same place is told once."""
        way_out = BY_NAME[code].fix if fix is None else fix
        finding = Finding(code, self.file, place.line, place.column, message, way_out, self.target)
        if finding not in self.findings:
            self.findings.append(finding)

    @property
    def has_errors(self) -> bool:
        return any(finding.is_error for finding in self.findings)


def guess(name: str, known: Iterable[str]) -> str | None:
    """The known name that is close, if one is."""
    close = get_close_matches(name.lower(), list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By place; what two ways of looking found at one line is told once, in the first words."""
    told: dict[tuple[str, str, int, str | None], Finding] = {}
    for finding in findings:
        told.setdefault((finding.file, finding.code, finding.line, finding.target), finding)
    return tuple(sorted(told.values(), key=lambda f: (f.file, f.line, f.column, f.code)))
