"""Where runbooks come from, as the engine sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from labcoat.watch.model.finding import Finding
from labcoat.watch.model.runbook import Runbook


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """The runbooks of one target: by path, None where the present text is refused."""

    runbooks: Mapping[str, Runbook | None]
    findings: tuple[Finding, ...] = ()


class Shelf(Protocol):
    """Runbooks that may change at any moment."""

    def has_changed(self) -> bool:
        """Whether there is something to read anew."""

    def read(self) -> tuple[Finding, ...]:
        """Read everything anew; what is wrong with the mapping."""

    def rendered(self, target: str, facts: Mapping[str, Any]) -> Rendered:
        """The runbooks of a target with its facts."""
