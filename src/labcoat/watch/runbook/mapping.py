"""init.yml: which runbooks a target gets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from labcoat.watch.model.finding import Finding
from labcoat.watch.runbook import tree
from labcoat.watch.runbook.report import WHOLE_FILE, Position, Report, ordered
from labcoat.watch.runbook.source import read_text
from labcoat.watch.runbook.template import Refused, prepare, render

FILE = "init.yml"


@dataclass(frozen=True, slots=True)
class Assigned:
    """A runbook that a target gets, and the glob that said so first: its group."""

    path: str
    glob: str


@dataclass(frozen=True, slots=True)
class Mapped:
    """init.yml, read: globs with their paths, in the order of the file."""

    entries: tuple[tuple[str, tuple[str, ...]], ...]
    findings: tuple[Finding, ...] = ()

    def for_target(self, target: str) -> tuple[Assigned, ...]:
        """The union of all globs that match, case-sensitively; each path once."""
        found: dict[str, Assigned] = {}
        for glob, paths in self.entries:
            if fnmatchcase(target, glob):
                for path in paths:
                    found.setdefault(path, Assigned(path, glob))
        return tuple(found.values())

    def paths(self) -> tuple[str, ...]:
        """Every path, once."""
        return tuple(dict.fromkeys(path for _, paths in self.entries for path in paths))

    def group_sizes(self, targets: Iterable[str]) -> dict[str, int]:
        """How many targets each glob matches."""
        known = tuple(targets)
        return {
            glob: sum(fnmatchcase(target, glob) for target in known) for glob, _ in self.entries
        }


def read_mapping(root: Path) -> Mapped:
    """``<runbook_path>/init.yml``. What cannot be read has no entries, and a finding."""
    report = Report(FILE)
    try:
        text = read_text(root / FILE)
    except (OSError, ValueError) as error:
        said = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        report.add(
            "E107",
            WHOLE_FILE,
            f"{root / FILE} cannot be read: {said}",
            "labcoat watch init writes one",
        )
        return Mapped((), tuple(report.findings))
    return mapping_of(text)


def mapping_of(text: str) -> Mapped:
    """A text of globs, rendered without facts."""
    report = Report(FILE)
    try:
        rendered = render(prepare(text), {}, report)
    except Refused as refused:
        report.add(refused.code, Position(refused.line, 1), refused.message)
        rendered = None
    if rendered is None:
        return Mapped((), ordered(report.findings))
    parsed = tree.parse(rendered.text)
    tree.told(parsed, report, rendered.source_line)
    root = None if parsed.root is None else tree.relocated(parsed.root, rendered.source_line)
    entries: list[tuple[str, tuple[str, ...]]] = []
    if isinstance(root, tree.Table):
        entries = [(entry.key, paths_of(entry, report)) for entry in root.entries]
    elif root is not None:
        report.add("E113", root, "init.yml is no mapping", "write '*': [load, disk.yml]")
    return Mapped(tuple(entries), ordered(report.findings))


def paths_of(entry: tree.Entry, report: Report) -> tuple[str, ...]:
    """The paths of a glob: a list; one alone will do."""
    node = entry.value
    if isinstance(node, tree.Leaf) and node.value is None:
        report.add("W204", entry, f"no runbooks for {entry.key!r}")
        return ()
    if isinstance(node, tree.Leaf):
        report.add(
            "W205", entry, f"one runbook for {entry.key!r}, not in a list", f"write [{node.text}]"
        )
    nodes = node.items if isinstance(node, tree.Items) else (node,)
    return tuple(path for each in nodes if (path := path_of(each, report)) is not None)


def path_of(node: tree.Node, report: Report) -> str | None:
    """One path, which stays below runbook_path."""
    if not isinstance(node, tree.Leaf) or node.value is None:
        report.add("E113", node, "a runbook's path is a text", "write nginx, or disk.yml")
        return None
    pure = PurePosixPath(node.text)
    if pure.is_absolute() or ".." in pure.parts:
        report.add("E108", node, f"{node.text} leaves runbook_path")
        return None
    return node.text
