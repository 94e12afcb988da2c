"""What is wrong with a runbook, at which line, and the way out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to tell about a file of the watch.

    ``code``: E… refuses the runbook, W… warns; rows in ``runbook/codes.py``. ``line`` and
    ``column`` count from 1 in the source as written, before Jinja; 0 is the whole file.
    ``target``: the only target concerned, None for all.
    """

    code: str
    file: str
    line: int
    column: int
    message: str
    fix: str
    target: str | None = None

    @property
    def is_error(self) -> bool:
        return self.code.startswith("E")

    def __str__(self) -> str:
        """``file:line:col CODE message; fix: …``"""
        whose = "" if self.target is None else f" (target {self.target})"
        place = f"{self.file}:{self.line}:{self.column}"
        return f"{place} {self.code} {self.message}{whose}; fix: {self.fix}"
