"""Runbooks looked through: all of a site, or some files, for whatever targets are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labcoat.watch.model.finding import Finding
from labcoat.watch.model.runbook import Runbook
from labcoat.watch.runbook.defaults import Defaults
from labcoat.watch.runbook.load import load, load_without_facts, same_names
from labcoat.watch.runbook.mapping import read_mapping
from labcoat.watch.runbook.report import ordered
from labcoat.watch.runbook.source import Source, read_source

Facts = Mapping[str, Mapping[str, Any]]  # by target


@dataclass(frozen=True, slots=True)
class Checked:
    """What was looked through: the sources with text, and everything that is odd."""

    sources: tuple[Source, ...]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> int:
        return sum(finding.is_error for finding in self.findings)

    @property
    def warnings(self) -> int:
        return len(self.findings) - self.errors


def check_file(file: Path, facts: Facts, defaults: Defaults) -> Checked:
    """One runbook, for every target whose facts are known; without any, for none in particular."""
    source = read_source(file.parent if file.parent != Path() else Path.cwd(), file.name)
    findings = [*source.findings]
    for target, known in facts.items():
        findings += load(source, known, target=target, defaults=defaults).findings
    if not facts:
        findings += load_without_facts(source, defaults=defaults).findings
    named = str(file.parent)
    shown = [relocated(finding, named) for finding in findings]
    return Checked((source,), ordered(shown))


def relocated(finding: Finding, folder: str) -> Finding:
    """The finding with its file as it was named on the command line."""
    file = finding.file if folder == "." else f"{folder}/{finding.file}"
    return Finding(
        finding.code,
        file,
        finding.line,
        finding.column,
        finding.message,
        finding.fix,
        finding.target,
    )


def check_site(root: Path, facts: Facts, defaults: Defaults) -> Checked:
    """init.yml and all its runbooks, for each target that they are meant for."""
    mapped = read_mapping(root)
    sources = {path: read_source(root, path) for path in mapped.paths()}
    findings = [*mapped.findings]
    seen: list[tuple[str, Runbook]] = []
    for source in sources.values():
        findings += source.findings
        if not facts:
            loaded = load_without_facts(source, defaults=defaults)
            findings += loaded.findings
            seen += [("", loaded.runbook)] if loaded.runbook is not None else []
    for target, known in facts.items():
        for assigned in mapped.for_target(target):
            loaded = load(
                sources[assigned.path], known, target=target, glob=assigned.glob, defaults=defaults
            )
            findings += loaded.findings
            seen += [(target, loaded.runbook)] if loaded.runbook is not None else []
    return Checked(tuple(sources.values()), ordered((*findings, *same_names(seen))))
