"""Cron strings, and dicts as APScheduler 3 reads them, into numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from labcoat.watch.model.schedule import LAST, MONTHS, WEEKDAYS, Cron, Days, NthWeekday

FIELDS = ("second", "minute", "hour", "day", "month", "day_of_week")
POSITIONS = ("1st", "2nd", "3rd", "4th", "5th", "last")
CRON_WEEKDAYS = ("sun", *WEEKDAYS[:6])  # as cron counts: 0 is Sunday

_ALL = re.compile(r"\*(?:/(\d+))?")
_RANGE = re.compile(r"([a-z]+|\d+)(?:-([a-z]+|\d+))?(?:/(\d+))?", re.IGNORECASE)
_POSITION = re.compile(r"(1st|2nd|3rd|4th|5th|last) +(\w+)", re.IGNORECASE)


class CronMistake(ValueError):
    """A schedule that cannot be read: what, and the way out. The runbook room tells it."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Span:
    """What a field may hold: its bounds, and names for its numbers from ``first_name``."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    first_name: int = 0


SPANS: Mapping[str, Span] = {
    "second": Span("second", 0, 59),
    "minute": Span("minute", 0, 59),
    "hour": Span("hour", 0, 23),
    "day": Span("day", 1, 31),
    "month": Span("month", 1, 12, MONTHS, 1),
    "day_of_week": Span("day_of_week", 0, 6, WEEKDAYS),
}
CRON_WEEKDAY = Span("day of week", 0, 7, CRON_WEEKDAYS)
CRON_SPANS = (SPANS["minute"], SPANS["hour"], SPANS["day"], SPANS["month"], CRON_WEEKDAY)


def from_string(text: str, *, timezone: str | None = None) -> Cron:
    """A cron string "m h dom mon dow" at second 0, read as cron(8) does.

    Weekday 0 and 7 are Sunday. Where day of month and day of week are both restricted
    (neither starts with ``*``), a day matches either. Fields past five are ignored.
    Raises: CronMistake.
    """
    parts = text.split()
    if len(parts) < 5:
        raise CronMistake(
            f"{len(parts)} of 5 fields in schedule {text!r}",
            'write "minute hour day month weekday", such as "*/5 * * * *"',
        )
    minutes, hours, days, months, weekdays = (
        numbers(part, span) for part, span in zip(parts, CRON_SPANS, strict=False)
    )
    return Cron(
        minutes=minutes,
        hours=hours,
        days=Days(numbers=days),
        months=months,
        weekdays=tuple(sorted({(number - 1) % 7 for number in weekdays})),
        either_day=not parts[2].startswith("*") and not parts[4].startswith("*"),
        timezone=timezone,
        text=" ".join(parts[:5]),
    )


def from_fields(fields: Mapping[str, int | str], *, timezone: str | None = None) -> Cron:
    """A dict of APScheduler's fields: Monday is 0; a day must match day and day_of_week.

    ``second`` is 0 where it is left out, every other field ``*``. Fields of other names are
    for the caller to tell of. Raises: CronMistake.
    """
    texts = {name: str(fields.get(name, "0" if name == "second" else "*")) for name in FIELDS}
    read = {name: numbers(texts[name], SPANS[name]) for name in FIELDS if name != "day"}
    told = ", ".join(f"{name} {texts[name]}" for name in FIELDS if name in fields)
    return Cron(
        seconds=read["second"],
        minutes=read["minute"],
        hours=read["hour"],
        days=days_of_month(texts["day"]),
        months=read["month"],
        weekdays=read["day_of_week"],
        timezone=timezone,
        text=told or "every minute",
    )


def numbers(text: str, span: Span) -> tuple[int, ...]:
    """The sorted numbers that a comma-separated list of expressions means."""
    found: set[int] = set()
    for item in items(text, span.name):
        found.update(range_of(item, span))
    return tuple(sorted(found))


def items(text: str, name: str) -> Iterator[str]:
    """The expressions of a field, one by one."""
    for item in text.split(","):
        if not item.strip():
            raise CronMistake(f"an empty expression in {name} {text!r}", "leave no comma alone")
        yield item.strip()


def range_of(item: str, span: Span) -> range:
    """The numbers of ``*``, ``*/n``, ``a``, ``a-b``, ``a/n``, ``a-b/n``, in names or numbers."""
    everything = _ALL.fullmatch(item)
    if everything is not None:
        return range(span.low, span.high + 1, step_of(everything[1], item, span))
    found = _RANGE.fullmatch(item)
    if found is None:
        raise mistaken(item, span)
    first = number_of(found[1], item, span)
    if found[2] is not None:
        last = number_of(found[2], item, span)
        if span is CRON_WEEKDAY and last == 0 < first:
            last = 7  # sat-sun: as the end of a range, Sunday is 7
    else:
        last = first if found[3] is None else span.high
    if first > last:
        raise CronMistake(
            f"{item!r} in {span.name} ends before it starts",
            f"write two ranges: {found[1]}-{spelled(span.high, span)},"
            f"{spelled(span.low, span)}-{found[2]}",
        )
    return range(first, last + 1, step_of(found[3], item, span))


def spelled(number: int, span: Span) -> str:
    """A number as its name, where the field has names."""
    index = number - span.first_name
    return span.names[index % len(span.names)] if span.names else str(number)


def step_of(text: str | None, item: str, span: Span) -> int:
    if text is None:
        return 1
    if int(text) == 0:
        raise CronMistake(f"step 0 in {span.name} {item!r}", "write a step of at least 1")
    if int(text) > span.high - span.low:
        raise CronMistake(
            f"step {text} in {span.name} {item!r} is longer than the field",
            f"write a step of at most {span.high - span.low}",
        )
    return int(text)


def number_of(text: str, item: str, span: Span) -> int:
    """A number, or a name, of a field."""
    lower = text.lower()
    if lower in span.names:
        return span.names.index(lower) + span.first_name
    if not text.isdecimal() or not span.low <= int(text) <= span.high:
        raise mistaken(item, span)
    return int(text)


def mistaken(item: str, span: Span) -> CronMistake:
    names = f", or {span.names[0]}…{span.names[-1]}" if span.names else ""
    return CronMistake(
        f"{item!r} is no {span.name}",
        f"write *, */n, a, a-b, a-b/n or a list of them, within {span.low}…{span.high}{names}",
    )


def days_of_month(text: str) -> Days:
    """Days: numbers, ``last``, and ``1st mon`` … ``5th sun``, ``last fri``."""
    read: set[int] = set()
    nth: set[NthWeekday] = set()
    last = False
    for item in items(text, "day"):
        position = _POSITION.fullmatch(item)
        if item.lower() == "last":
            last = True
        elif position is not None:
            weekday = number_of(position[2].lower(), item, WEEKDAY_NAMES)
            which = POSITIONS.index(position[1].lower())
            nth.add(NthWeekday(LAST if position[1].lower() == "last" else which, weekday))
        else:
            read.update(range_of(item, SPANS["day"]))
    return Days(numbers=tuple(sorted(read)), nth=tuple(sorted(nth)), last=last)


WEEKDAY_NAMES = Span("weekday", 0, -1, WEEKDAYS)  # by name only: no number is within its bounds
