"""Plugin files that will not work where they are sent."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from labcoat.watch.model.runbook import Body, Place, Plugin, Runbook
from labcoat.watch.runbook.report import Position, Report

# e_machine of the ELF header, by what `uname -m` says.
MACHINES = {
    "x86_64": 62,
    "aarch64": 183,
    "i686": 3,
    "i386": 3,
    "armv7l": 40,
    "riscv64": 243,
    "ppc64le": 21,
    "s390x": 22,
}
_BESIDE = re.compile(
    rb"""^\s*(?:\.|source)\s+\S*utils\.sh\b|^\s*use\s+utils\b|require\s+['"]?utils\.pm""",
    re.MULTILINE,
)


def tell(runbook: Runbook, plugin_path: Path, report: Report) -> None:
    """E114 for a file that is not there; W241, W242 for one that is sent and will not work."""
    for folder, line, body in bodies(runbook):
        if not isinstance(body.what, Plugin):
            continue
        file = plugin_path / folder / body.what.path
        place = Position(line, 1)
        head = head_of(file)
        if head is None:
            report.add("E114", place, f"there is no plugin {body.what.path} in {folder}/")
        elif body.place is not Place.REMOTE:
            tell_sent(body.what.path, head, place, report)


def bodies(runbook: Runbook) -> Iterator[tuple[str, int, Body]]:
    """Every body with its plugins' folder and its line."""
    for check in runbook.checks:
        yield "checks", check.line, check.body
    for action in runbook.actions:
        yield "actions", action.line, action.body
        if action.rollback is not None:
            yield "actions", action.line, action.rollback


def tell_sent(path: str, head: bytes, place: Position, report: Report) -> None:
    """What a file that is sent to a target needs there."""
    if head.startswith(b"\x7fELF") and len(head) >= 20:
        order = "little" if head[5] == 1 else "big"
        machine = int.from_bytes(head[18:20], order)  # type: ignore[arg-type]  # one of two words
        ours = MACHINES.get(platform.machine())
        if ours is not None and machine != ours:
            report.add("W241", place, f"plugin {path} is built for another machine")
    elif _BESIDE.search(head):
        report.add("W242", place, f"plugin {path} needs utils.sh or utils.pm beside it")


@lru_cache(maxsize=256)
def read_head(file: Path, changed_ns: int) -> bytes:
    """The first 64 KiB of a file, read again once it changed."""
    del changed_ns
    with file.open("rb") as stream:
        return stream.read(65536)


def head_of(file: Path) -> bytes | None:
    """The beginning of a file; None where it is none, or cannot be read."""
    try:
        return read_head(file, file.stat().st_mtime_ns) if file.is_file() else None
    except OSError:
        return None
