"""Which route of the study's workload a request of a log is of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from labcoat.watch.production.traffic import STRANGE

MOST_KNOWN = 100_000
_PIECE = re.compile(r"\{\{|\}\}|\{[^{}]*\}")


class Matcher:
    """Routes by method, path and the names of parameters; remembers what it was asked.

    ``requests``: of the workload, as the journal has them (``method``, ``path``). A placeholder
    stands for a part of the path; a parameter that the route does not have makes no other
    route, as trackers add some. Routes without placeholders win, then those with more names.
    """

    def __init__(self, requests: Sequence[Mapping[str, Any]]) -> None:
        self._known: dict[tuple[bytes, bytes], int] = {}
        rows = []
        for index, request in enumerate(requests):
            path, _, query = str(request["path"]).partition("?")
            pattern, gaps = _pattern(path)
            names = frozenset(_names(query))
            rows.append((gaps, -len(names), index, str(request["method"]), pattern, names))
        rows.sort(key=lambda row: row[:3])
        self._rows = [row[2:] for row in rows]

    def of(self, method: bytes, target: bytes) -> int:
        """The index of the route, or STRANGE."""
        known = self._known.get((method, target))
        if known is None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            known = self._known[method, target] = self._find(
                method.decode("ascii", "replace"), target.decode("utf-8", "replace")
            )
        return known

    def _find(self, method: str, target: str) -> int:
        path, _, query = target.partition("?")
        names = set(_names(query))
        for index, wanted, pattern, needed in self._rows:
            if wanted == method and needed <= names and pattern.fullmatch(path):
                return index
        return STRANGE


def _names(query: str) -> list[str]:
    return [name for name, _ in parse_qsl(query, keep_blank_values=True)]


def _pattern(path: str) -> tuple[re.Pattern[str], int]:
    """A pattern of a template's path, and how many placeholders it has."""
    parts: list[str] = []
    at = gaps = 0
    for piece in _PIECE.finditer(path):
        parts.append(re.escape(path[at : piece.start()]))
        at = piece.end()
        if piece[0] in ("{{", "}}"):
            parts.append(re.escape(piece[0][0]))
        else:
            gaps += 1
            parts.append("[^?]+" if piece[0].startswith("{file:") else "[^/?]+")
    parts.append(re.escape(path[at:]))
    return re.compile("".join(parts)), gaps
