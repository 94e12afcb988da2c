"""When rounds are due: a cron, resolved into numbers."""

from __future__ import annotations

from dataclasses import dataclass

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")  # as datetime.weekday() counts
LAST = 5  # "last" in NthWeekday.nth


@dataclass(frozen=True, slots=True, order=True)
class NthWeekday:
    """The nth weekday of a month: ``1st mon``. ``nth`` 0…4 counts, LAST is the last one."""

    nth: int
    weekday: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """Days of the month: numbers, nth weekdays, the last day; a day matches any of them."""

    numbers: tuple[int, ...] = ()
    nth: tuple[NthWeekday, ...] = ()
    last: bool = False


EVERY_DAY = Days(numbers=tuple(range(1, 32)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """A schedule: the sorted values that each field of a local time may take.

    ``weekdays``: 0 is Monday, as in ``datetime``. ``either_day``: a day matches if ``days``
    or ``weekdays`` does (a cron string that restricts both), else both must.
    ``timezone``: IANA name, None is the local time of the watching machine.
    ``text``: as the runbook has it, for people.
    """

    seconds: tuple[int, ...] = (0,)
    minutes: tuple[int, ...] = tuple(range(60))
    hours: tuple[int, ...] = tuple(range(24))
    days: Days = EVERY_DAY
    months: tuple[int, ...] = tuple(range(1, 13))
    weekdays: tuple[int, ...] = tuple(range(7))
    either_day: bool = False
    timezone: str | None = None
    text: str = "every minute"

    @property
    def is_hourly(self) -> bool:
        """Whether it is due in every hour, so that a shift of the clocks changes nothing."""
        return len(self.hours) == 24


EVERY_MINUTE = Cron()
