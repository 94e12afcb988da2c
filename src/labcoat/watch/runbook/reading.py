"""One value at a time out of the tree; what it is not is reported."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import TypeVar

from labcoat.watch.runbook.keys import Level, names_at
from labcoat.watch.runbook.report import Place, Report, guess
from labcoat.watch.runbook.tree import Entry, Items, Leaf, Node, Table

Word = TypeVar("Word", bound=Enum)

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?")
_TRUTHS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def table(entry: Entry, report: Report) -> Table | None:
    """A mapping."""
    if isinstance(entry.value, Table):
        return entry.value
    report.add("E113", entry, f"{entry.key} is {kind_of(entry.value)}, not a mapping")
    return None


def kind_of(node: Node) -> str:
    """What a value is, in words; never the value itself, which may be secret."""
    if isinstance(node, Table):
        return "a mapping"
    if isinstance(node, Items):
        return "a list"
    if node.value is None:
        return "empty"
    if isinstance(node.value, bool):
        return f"the {'yes' if node.value else 'no'} that YAML reads in {node.text!r}"
    if isinstance(node.value, int | float):
        return f"the number {node.value}"
    return "a text" if isinstance(node.value, str) else "a date"


def unknown_keys(found: Table, level: Level, report: Report, *, place: str) -> None:
    """W210 for keys that mean nothing, with what they may have been meant to be."""
    known = names_at(level)
    for entry in found.entries:
        if entry.key not in known:
            close = guess(entry.key, known)
            hint = f'; did you mean "{close}"?' if close else ""
            fix = f"write {close}" if close else f"known in a {place}: {', '.join(known)}"
            report.add("W210", entry, f"unknown key {entry.key}{hint}", fix)


def text(found: Table, key: str, report: Report, *, required: bool = False) -> str | None:
    """A text. E112 where it is missing, or something else."""
    entry = found.get(key)
    if entry is None:
        if required:
            report.add("E112", found, f"{key} is missing", f"write {key}:")
        return None
    leaf = entry.value
    if isinstance(leaf, Leaf) and isinstance(leaf.value, str):
        return leaf.value
    if isinstance(leaf, Leaf) and leaf.value is None and not required:
        return None
    report.add(
        "E112", entry, f"{key} is {kind_of(leaf)}, not a text", f'put it in quotes: {key}: "…"'
    )
    return None


def integer(entry: Entry, report: Report, *, least: int = 0, code: str = "E113") -> int | None:
    """A whole number; in quotes, W221."""
    value = number_of(entry, report)
    if value is None or value != int(value) or value < least:
        report.add(
            code,
            entry,
            f"{entry.key} is no whole number of at least {least}",
            f"write {entry.key}: {max(least, 1)}",
        )
        return None
    return int(value)


def number_of(entry: Entry, report: Report) -> float | None:
    """Any number, unquoted (W221 where it was quoted); None where it is none."""
    leaf = entry.value
    if not isinstance(leaf, Leaf) or isinstance(leaf.value, bool):
        return None
    if isinstance(leaf.value, int | float):
        return float(leaf.value)
    if isinstance(leaf.value, str) and re.fullmatch(r"\s*\d+(\.\d+)?\s*", leaf.value):
        report.add(
            "W221",
            entry,
            f"{entry.key} is a number in quotes, which never compares in Automatron",
            f"write {entry.key}: {leaf.value.strip()}",
        )
        return float(leaf.value)
    return None


def duration_of(text_: str) -> float | None:
    """``90``, ``90s``, ``30m``, ``1h``, ``2h30m``, ``1d`` in seconds; None for anything else."""
    found = _DURATION.fullmatch(text_.strip())
    if found is None or not any(found.groups()):
        return None
    days, hours, minutes, seconds = (float(group or 0) for group in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def duration(entry: Entry, report: Report, *, code: str = "E113") -> float | None:
    """Seconds, as a number or with units."""
    leaf = entry.value
    seconds = None
    if (
        isinstance(leaf, Leaf)
        and isinstance(leaf.value, str)
        and not re.fullmatch(r"[\d.\s]+", leaf.value)
    ):
        seconds = duration_of(leaf.value)
    else:
        seconds = number_of(entry, report)
    if seconds is None or seconds < 0:
        report.add(
            code, entry, f"{entry.key} is no length of time", f"write {entry.key}: 300, or 5m, 1h"
        )
        return None
    return seconds


def truth(found: Table, key: str, report: Report) -> bool:
    """Yes or no; no where it is missing. Quoted, W221."""
    entry = found.get(key)
    if entry is None:
        return False
    leaf = entry.value
    if isinstance(leaf, Leaf):
        if leaf.value is None:
            return False
        if isinstance(leaf.value, bool):
            return leaf.value
        if leaf.text.strip().lower() in _TRUTHS:
            read = _TRUTHS[leaf.text.strip().lower()]
            report.add(
                "W221",
                entry,
                f"{key} is a text, which is always true in Automatron",
                f"write {key}: {str(read).lower()}",
            )
            return read
        if leaf.value in (0, 1):
            return bool(leaf.value)
    report.add("E113", entry, f"{key} is {kind_of(leaf)}, not true or false", f"write {key}: true")
    return False


def word(found: Table, key: str, words: type[Word], report: Report) -> Word | None:
    """One of a few words."""
    entry = found.get(key)
    if entry is None:
        return None
    known = [str(each.value) for each in words]
    leaf = entry.value
    if isinstance(leaf, Leaf) and leaf.text in known:
        return words(leaf.text)
    close = guess(leaf.text, known) if isinstance(leaf, Leaf) else None
    hint = f'; did you mean "{close}"?' if close else ""
    report.add(
        "E113",
        entry,
        f"{key} is none of {', '.join(known)}{hint}",
        f"write {key}: {close or known[0]}",
    )
    return None


def names(
    found: Table, key: str, known: Iterable[str], report: Report, what: str
) -> tuple[str, ...]:
    """A list of names that the runbook has (one name alone will do); E132 for others."""
    entry = found.get(key)
    if entry is None:
        return ()
    nodes = entry.value.items if isinstance(entry.value, Items) else (entry.value,)
    return tuple(
        name for node in nodes if (name := known_name(node, entry, known, report, what)) is not None
    )


def known_name(
    node: Node, place: Place, known: Iterable[str], report: Report, what: str
) -> str | None:
    """One name that the runbook has."""
    known = tuple(known)
    if isinstance(node, Leaf) and node.text in known:
        return node.text
    written = node.text if isinstance(node, Leaf) else kind_of(node)
    close = guess(written, known)
    hint = f'; did you mean "{close}"?' if close else ""
    listed = ", ".join(known) or "none"
    report.add("E132", place, f"there is no {what} {written}{hint}", f"write one of: {listed}")
    return None
