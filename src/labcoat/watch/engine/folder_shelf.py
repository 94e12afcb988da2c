"""The runbooks on disk: which target has which, in the last revision that could be read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labcoat.watch.engine.shelf import Rendered
from labcoat.watch.model.finding import Finding
from labcoat.watch.model.runbook import Runbook
from labcoat.watch.runbook.defaults import Defaults
from labcoat.watch.runbook.load import load
from labcoat.watch.runbook.mapping import Mapped, read_mapping
from labcoat.watch.runbook.source import Source, read_source

Stamp = tuple[tuple[str, int, int], ...]


@dataclass(slots=True)
class FolderShelf:
    """A folder of runbooks. A mapping that cannot be read leaves the last one in force."""

    root: Path
    defaults: Defaults
    _mapped: Mapped | None = None
    _stamp: Stamp = ()
    _sources: dict[str, Source] = field(default_factory=dict)

    def has_changed(self) -> bool:
        """Whether a file came, went, or was written since the last reading."""
        return self._stamp_now() != self._stamp

    def read(self) -> tuple[Finding, ...]:
        """Read everything anew; what is wrong with the mapping."""
        self._stamp = self._stamp_now()
        self._sources.clear()
        mapped = read_mapping(self.root)
        if self._mapped is None or not any(finding.is_error for finding in mapped.findings):
            self._mapped = mapped
        return tuple(mapped.findings)

    def rendered(self, target: str, facts: Mapping[str, Any]) -> Rendered:
        """The runbooks of a target with its facts."""
        assert self._mapped is not None
        runbooks: dict[str, Runbook | None] = {}
        findings: list[Finding] = []
        for assigned in self._mapped.for_target(target):
            loaded = load(
                self._source(assigned.path),
                facts,
                target=target,
                glob=assigned.glob,
                defaults=self.defaults,
            )
            findings += loaded.findings
            runbooks[assigned.path] = loaded.runbook
        return Rendered(runbooks=runbooks, findings=tuple(findings))

    def _source(self, path: str) -> Source:
        known = self._sources.get(path)
        if known is None:
            known = self._sources[path] = read_source(self.root, path)
        return known

    def _stamp_now(self) -> Stamp:
        return tuple(sorted(_stamps(self.root)))


def _stamps(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Every file below, with its size and when it was written."""
    for here, _, files in os.walk(folder):
        for name in files:
            path = os.path.join(here, name)  # noqa: PTH118 - each second, over every file
            try:
                seen = os.stat(path)  # noqa: PTH116 - as above
            except OSError:
                continue  # it went while we looked
            yield path, seen.st_mtime_ns, seen.st_size
