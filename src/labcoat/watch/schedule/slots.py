"""The slots of a cron, through shifts of the clocks."""

from __future__ import annotations

import calendar
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from labcoat.watch.model.schedule import LAST, Cron

FARTHEST_YEARS = 41  # the rarest day, a 29 February on one weekday, comes again within 40
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - local times here are naive: a zone comes with them
_DAY_S = 86400
_LONGEST_SHIFT_S = 3 * 3600

Offset = Callable[[int], int]  # seconds east of UTC at an instant (seconds since the epoch)


def next_slot(cron: Cron, after: datetime) -> datetime | None:
    """The first slot later than an aware instant, in UTC; None if there is none in 41 years.

    Where the clocks are put forward, a slot that falls into the gap is due at its end, so
    that no daily round is lost; where they are put back, the repeated hour counts once.
    Crons that are due in every hour go on through both.
    """
    instant = next_instant(cron, int(after.timestamp() // 1), offset_of(cron.timezone))
    return None if instant is None else datetime.fromtimestamp(instant, UTC)


def slots(cron: Cron, after: datetime) -> Iterator[datetime]:
    """The slots after an instant, one by one."""
    slot = next_slot(cron, after)
    while slot is not None:
        yield slot
        slot = next_slot(cron, slot)


@lru_cache(maxsize=64)
def offset_of(timezone: str | None) -> Offset:
    """How far local time is ahead of UTC. Raises: ZoneInfoNotFoundError, ValueError."""
    if timezone is None:
        return lambda instant: time.localtime(instant).tm_gmtoff
    zone = ZoneInfo(timezone)

    def offset(instant: int) -> int:
        ahead = datetime.fromtimestamp(instant, zone).utcoffset()
        assert ahead is not None
        return int(ahead.total_seconds())

    return offset


def next_instant(cron: Cron, after: int, offset_at: Offset) -> int | None:
    """As ``next_slot``, in whole seconds since the epoch."""
    ahead = offset_at(after)
    start = after + 1 if cron.is_hourly else past_repeated(after + 1, ahead, offset_at)
    while True:
        local = next_local(cron, start + ahead)
        if local is None:
            return None
        instant = local - ahead
        if offset_at(instant) == ahead:
            return instant
        shift = first_shift(start - 1, instant, ahead, offset_at)
        before, ahead = ahead, offset_at(shift)
        if not cron.is_hourly and local < shift + ahead:
            return shift  # in the gap
        start = shift if cron.is_hourly else max(shift, shift + before - ahead)


def past_repeated(start: int, ahead: int, offset_at: Offset) -> int:
    """The start, moved past an hour that local time shows for the second time."""
    before = offset_at(start - _LONGEST_SHIFT_S)
    if before <= ahead:
        return start
    shift = first_shift(start - _LONGEST_SHIFT_S, start, before, offset_at)
    return max(start, shift + before - ahead)


def first_shift(low: int, high: int, ahead: int, offset_at: Offset) -> int:
    """The first instant in (low, high] at which local time is not ``ahead`` of UTC."""
    while low + _DAY_S < high and offset_at(low + _DAY_S) == ahead:
        low += _DAY_S
    high = min(high, low + _DAY_S)
    while low + 1 < high:
        middle = (low + high) // 2
        if offset_at(middle) == ahead:
            low = middle
        else:
            high = middle
    return high


def next_local(cron: Cron, start: int) -> int | None:
    """The first match at or after a local time (seconds since the local 1970)."""
    moment = _EPOCH + timedelta(seconds=start)
    day, earliest = moment.date(), (moment.hour, moment.minute, moment.second)
    last_year = day.year + FARTHEST_YEARS
    while day.year <= last_year:
        if day.month not in cron.months:
            day, earliest = month_after(day), (0, 0, 0)
            continue
        if matches_day(cron, day):
            found = next_time(cron, earliest)
            if found is not None:
                hour, minute, second = found
                midnight = (day - _EPOCH.date()).days * _DAY_S
                return midnight + hour * 3600 + minute * 60 + second
        day, earliest = day + timedelta(days=1), (0, 0, 0)
    return None


def month_after(day: date) -> date:
    """The first day of the next month."""
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def next_time(cron: Cron, earliest: tuple[int, int, int]) -> tuple[int, int, int] | None:
    """The first time of a day at or after the earliest."""
    hour, minute, second = earliest
    first = (cron.minutes[0], cron.seconds[0])
    for index in range(bisect_left(cron.hours, hour), len(cron.hours)):
        if cron.hours[index] > hour:
            return (cron.hours[index], *first)
        for place in range(bisect_left(cron.minutes, minute), len(cron.minutes)):
            if cron.minutes[place] > minute:
                return hour, cron.minutes[place], cron.seconds[0]
            later = bisect_left(cron.seconds, second)
            if later < len(cron.seconds):
                return hour, minute, cron.seconds[later]
    return None


def matches_day(cron: Cron, day: date) -> bool:
    """Whether there are slots on a day of a month that matches."""
    by_number = matches_month_day(cron, day)
    by_weekday = day.weekday() in cron.weekdays
    return by_number or by_weekday if cron.either_day else by_number and by_weekday


def matches_month_day(cron: Cron, day: date) -> bool:
    """Whether one of the expressions for the day of the month matches."""
    days = cron.days
    if day.day in days.numbers:
        return True
    length = calendar.monthrange(day.year, day.month)[1]
    if days.last and day.day == length:
        return True
    return any(
        nth.weekday == day.weekday()
        and (day.day + 7 > length if nth.nth == LAST else (day.day - 1) // 7 == nth.nth)
        for nth in days.nth
    )
