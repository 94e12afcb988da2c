"""A source rendered for one target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from labcoat.watch.model.finding import Finding
from labcoat.watch.model.runbook import Runbook, Semantics
from labcoat.watch.runbook import plugins, tree
from labcoat.watch.runbook.building import Origin, build
from labcoat.watch.runbook.defaults import Defaults
from labcoat.watch.runbook.report import Position, Report, ordered
from labcoat.watch.runbook.source import Source
from labcoat.watch.runbook.template import UnknownFact, render

Facts = Mapping[str, Any]
COMPAT = Defaults()


@dataclass(frozen=True, slots=True)
class Loaded:
    """A runbook for a target, or None; and everything that there is to tell.

    An error that stands only in a branch which this target does not render refuses the
    runbook for those that do, not for this one.
    """

    runbook: Runbook | None
    findings: tuple[Finding, ...]


def load(
    source: Source,
    facts: Facts,
    *,
    target: str | None = None,
    glob: str = "*",
    defaults: Defaults = COMPAT,
) -> Loaded:
    """The runbook as a target's facts make it."""
    if source.template is None:
        return Loaded(None, source.findings)
    report = Report(source.file, target if source.template.uses_facts else None)
    runbook = rendered(source, facts, glob, defaults, report)
    return Loaded(runbook, ordered((*source.findings, *report.findings)))


def load_without_facts(source: Source, *, glob: str = "*", defaults: Defaults) -> Loaded:
    """The runbook where no facts are at hand: both sides of each simple condition are read.

    A template that cannot do without real facts is not held against the runbook.
    """
    if source.template is None or not source.template.uses_facts:
        return load(source, {}, glob=glob, defaults=defaults)
    runbook = None
    findings = [*source.findings]
    for truth in (True, False):
        report = Report(source.file)
        made = rendered(source, UnknownFact(truth=truth), glob, defaults, report)
        runbook = runbook or made
        findings += [finding for finding in report.findings if finding.code != "E104"]
    return Loaded(runbook, ordered(findings))


def rendered(
    source: Source, facts: Facts | UnknownFact, glob: str, defaults: Defaults, report: Report
) -> Runbook | None:
    """Render, read, build; None where any of them fails, which is then reported."""
    assert source.template is not None
    if source.template.uses_facts:
        runbook = built(source, facts, glob, defaults.semantics, report)
    else:
        runbook, findings = built_for_all(source, glob, defaults.semantics)
        report.findings += findings
    if runbook is not None and defaults.plugin_path is not None:
        plugins.tell(runbook, defaults.plugin_path, report)
    return None if report.has_errors else runbook


def built(
    source: Source,
    facts: Facts | UnknownFact,
    glob: str,
    semantics: Semantics,
    report: Report,
) -> Runbook | None:
    """Everything that needs no look at plugin files."""
    assert source.template is not None
    text = render(source.template, facts, report)
    if text is None:
        return None
    parsed = tree.parse(text.text)
    tree.told(parsed, report, text.source_line)
    if any(flaw.code.startswith("E") for flaw in parsed.flaws):
        return None
    root = None if parsed.root is None else tree.relocated(parsed.root, text.source_line)
    origin = Origin(path=source.path, file=source.file, sha256=source.sha256, glob=glob)
    return build(root, origin, semantics, report)


@lru_cache(maxsize=1024)
def built_for_all(
    source: Source, glob: str, semantics: Semantics
) -> tuple[Runbook | None, tuple[Finding, ...]]:
    """A runbook without facts is the same for every target: built once for a thousand."""
    report = Report(source.file)
    runbook = built(source, {}, glob, semantics, report)
    return runbook, tuple(report.findings)


def same_names(loaded: list[tuple[str, Runbook]]) -> list[Finding]:
    """W206 for runbooks of one target that people cannot tell apart. Pairs: target, runbook."""
    seen: dict[tuple[str, str], str] = {}
    found: list[Finding] = []
    for target, runbook in loaded:
        first = seen.setdefault((target, runbook.name), runbook.file)
        if first != runbook.file:
            report = Report(runbook.file)
            report.add("W206", Position(1, 1), f"{first} is named {runbook.name!r} too")
            found += report.findings
    return list(ordered(found))
