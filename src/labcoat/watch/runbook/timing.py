"""Schedule, time zone, spread."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from labcoat.watch.model.schedule import EVERY_MINUTE, Cron
from labcoat.watch.runbook import reading
from labcoat.watch.runbook.report import Place, Report, guess
from labcoat.watch.runbook.tree import Entry, Leaf, Table
from labcoat.watch.schedule.fields import FIELDS, CronMistake, from_fields, from_string
from labcoat.watch.schedule.slots import next_slot

_NUMERIC_WEEKDAY = re.compile(r"(?<!/)\b\d")
_ANY_DAY = datetime(2024, 1, 1, tzinfo=UTC)


def schedule(found: Table, report: Report) -> Cron:
    """The runbook's schedule; every minute where it is missing, or wrong and reported."""
    zone = timezone(found, report)
    entry = found.get("schedule")
    if entry is None or (isinstance(entry.value, Leaf) and entry.value.value is None):
        return replace(EVERY_MINUTE, timezone=zone)
    try:
        cron = read(entry, zone, report)
    except CronMistake as mistake:
        code = "E121" if isinstance(entry.value, Table) else "E120"
        report.add(code, entry, mistake.what, mistake.fix)
        return EVERY_MINUTE
    if cron is not None and next_slot(cron, _ANY_DAY) is None:
        code = "E121" if isinstance(entry.value, Table) else "E120"
        report.add(code, entry, "this schedule is never due", "name a day that exists")
    return cron or EVERY_MINUTE


def read(entry: Entry, zone: str | None, report: Report) -> Cron | None:
    """A cron string, or a mapping of fields. Raises: CronMistake."""
    if isinstance(entry.value, Table):
        return from_fields(fields(entry.value, report), timezone=zone)
    if isinstance(entry.value, Leaf) and isinstance(entry.value.value, str):
        text = entry.value.value
        tell_quirks(text, entry, report)
        return from_string(text, timezone=zone)
    report.add(
        "E120",
        entry,
        f"schedule is {reading.kind_of(entry.value)}, no cron string",
        'put it in quotes: "*/5 * * * *"',
    )
    return None


def tell_quirks(text: str, place: Place, report: Report) -> None:
    """What Automatron reads otherwise, or not at all."""
    parts = text.split()
    if len(parts) > 5:
        report.add(
            "W203", place, f"{len(parts)} fields in {text!r}: {' '.join(parts[5:])} is ignored"
        )
    if len(parts) >= 5 and _NUMERIC_WEEKDAY.search(parts[4]):
        report.add("W220", place, f"weekday {parts[4]} counts from Sunday")


def fields(found: Table, report: Report) -> dict[str, int | str]:
    """The fields that are known; others are told, and dropped as Automatron drops them."""
    read_: dict[str, int | str] = {}
    for entry in found.entries:
        if entry.key not in FIELDS:
            tell_unknown(entry.key, entry, report)
            continue
        leaf = entry.value
        value = leaf.value if isinstance(leaf, Leaf) else None
        if isinstance(value, int | str) and not isinstance(value, bool):
            read_[entry.key] = value
        else:
            report.add(
                "E121",
                entry,
                f"{entry.key} is {reading.kind_of(leaf)}",
                f'write {entry.key}: "*/5"',
            )
    return read_


def tell_unknown(name: str, place: Place, report: Report) -> None:
    """W201: dropped without a word by Automatron."""
    close = guess(name, FIELDS)
    hint = f'; did you mean "{close}"?' if close else ""
    report.add(
        "W201",
        place,
        f"schedule field {name} is dropped{hint}",
        f"write {close}" if close else None,
    )


def timezone(found: Table, report: Report) -> str | None:
    """A time zone that this machine knows."""
    name = reading.text(found, "timezone", report)
    entry = found.get("timezone")
    if name is None or entry is None:
        return None
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        report.add("E122", entry, f"there is no time zone {name!r}")
        return None
    return name


def spread(found: Table, report: Report) -> float | None:
    """How far slots are spread, where the runbook says so."""
    entry = found.get("spread")
    return None if entry is None else reading.duration(entry, report)
