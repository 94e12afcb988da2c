"""A runbook's text as it lies on disk, and what can be said of it before any target."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from labcoat.watch.model.finding import Finding
from labcoat.watch.runbook import raw
from labcoat.watch.runbook.report import WHOLE_FILE, Position, Report
from labcoat.watch.runbook.template import Prepared, Refused, prepare

LARGEST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A runbook before it is rendered.

    ``path``: as init.yml has it. ``file``: the file, relative to ``runbook_path``.
    ``template`` None: it cannot be read, as ``findings`` say.
    """

    path: str
    file: str
    text: str
    sha256: str
    template: Prepared | None
    findings: tuple[Finding, ...] = ()


def source_of(text: str, *, path: str, file: str) -> Source:
    """A text scanned line by line, and prepared as a template."""
    report = Report(file)
    raw.scan(text, report)
    template = None
    try:
        template = prepare(text)
    except Refused as refused:
        report.add(refused.code, Position(refused.line, 1), refused.message)
    return Source(
        path=path,
        file=file,
        text=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        template=template,
        findings=tuple(report.findings),
    )


def read_source(root: Path, path: str) -> Source:
    """The runbook of a path of init.yml.

    A folder stands for its ``init.yml``; else the file itself; else ``.yml`` or ``.yaml`` is
    added. What cannot be read is a source without template, and a finding.
    """
    file = file_of(root, path)
    if file is None:
        return unreadable(path, "E108", f"{path} leaves {root}")
    named = str(file.relative_to(root.resolve())) if file.is_relative_to(root.resolve()) else path
    try:
        text = read_text(file)
    except OSError as error:
        return unreadable(path, "E107", f"{path} cannot be read: {error.strerror}")
    except ValueError as error:
        return unreadable(path, "E107", f"{path} cannot be read: {error}", named)
    return source_of(text, path=path, file=named)


def file_of(root: Path, path: str) -> Path | None:
    """The file that a path means; None where it leaves the root."""
    root = root.resolve()
    candidates = (
        root / path / "init.yml",
        root / path,
        root / f"{path}.yml",
        root / f"{path}.yaml",
    )
    found = next((each for each in candidates if each.is_file()), root / path)
    resolved = found.resolve()
    return resolved if resolved.is_relative_to(root) else None


def read_text(file: Path) -> str:
    """A file's text. Raises: OSError; ValueError where it is no text, or too long."""
    with file.open("rb") as stream:
        content = stream.read(LARGEST_BYTES + 1)
    if len(content) > LARGEST_BYTES:
        raise ValueError(f"more than {LARGEST_BYTES} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is no UTF-8") from error
    return text.replace("\r\n", "\n")


def unreadable(path: str, code: str, message: str, file: str | None = None) -> Source:
    report = Report(file or path)
    report.add(code, WHOLE_FILE, message)
    return Source(
        path=path,
        file=file or path,
        text="",
        sha256="",
        template=None,
        findings=tuple(report.findings),
    )
