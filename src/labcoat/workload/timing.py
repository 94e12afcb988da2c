"""When a log's requests came: the rate by hour, bursts, visits and thinking times. Bounded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from zlib import crc32

VISIT_GAP_S = 1800
"""A client that asks nothing for so long has left; what comes after is another visit."""

MOST_CLIENTS = 4_000
LEAST_PER_HOUR = 100
_HOUR_S = 3600
_MONTHS = {
    name: number
    for number, name in enumerate(
        b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), start=1
    )
}
_LOCAL = re.compile(rb"(\d\d)/(\w{3})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")


def parse_time(text: bytes) -> tuple[int, int] | None:
    """Seconds since 1970 and the hour of the log's own clock; None if it is no time."""
    local = _LOCAL.fullmatch(text)
    try:
        if local is not None:
            day, month, year, hour, minute, second = local.group(1, 2, 3, 4, 5, 6)
            offset = timedelta(hours=int(local[8]), minutes=int(local[9]))
            zone = timezone(-offset if local[7] == b"-" else offset)
            moment = datetime(
                int(year), _MONTHS[month], int(day), int(hour), int(minute), min(int(second), 59),
                tzinfo=zone,
            )  # fmt: skip
        elif b"T" in text:
            moment = datetime.fromisoformat(text.decode("ascii"))
        else:
            moment = datetime.fromtimestamp(float(text), tz=UTC)
        return int(moment.timestamp()), moment.hour
    except (ValueError, KeyError, OverflowError, OSError):
        return None


class Arrivals:
    """Counts per second, kept by hour: how many, and the sum of their squares."""

    def __init__(self) -> None:
        self.first: int | None = None
        self.last: int | None = None
        self.by_hour_of_day: Counter[int] = Counter()
        self._open: dict[int, int] = {}
        self._hours: dict[int, list[int]] = {}
        self._clocks: dict[bytes, tuple[int, int] | None] = {}

    def second_of(self, text: bytes) -> int | None:
        """The moment that a line names; remembers those seen lately."""
        known = self._clocks.get(text, ())
        if known == ():
            if len(self._clocks) > 2 * _HOUR_S:
                self._clocks.clear()
            known = self._clocks[text] = parse_time(text)
        return known[0] if known else None

    def add(self, times: Mapping[bytes, int]) -> None:
        """Count the requests of a stretch of the log."""
        newest = 0
        for text, count in times.items():
            second = self.second_of(text)
            clock = self._clocks[text]
            if second is None or clock is None:
                continue
            self.by_hour_of_day[clock[1]] += count
            self._open[second] = self._open.get(second, 0) + count
            newest = max(newest, second)
            self.first = second if self.first is None else min(self.first, second)
            self.last = second if self.last is None else max(self.last, second)
        if len(self._open) > 2 * _HOUR_S:
            self._close(newest - _HOUR_S)

    def _close(self, before: int) -> None:
        """Sum up the seconds that will hardly come again."""
        for second in [second for second in self._open if second < before]:
            count = self._open.pop(second)
            hour = self._hours.setdefault(second // _HOUR_S, [0, 0])
            hour[0] += count
            hour[1] += count * count

    def facts(self) -> dict[str, object]:
        """Rates and the index of dispersion; empty where no line names a time.

        The index is variance over mean of counts per second, of each whole hour with at
        least 100 requests; told is the median hour. A Poisson process has 1.
        """
        if self.first is None or self.last is None:
            return {}
        self._close(self.last + 1)
        span = self.last - self.first + 1
        total = sum(n for n, _ in self._hours.values())
        indices = sorted(filter(None, (self._index(h, n, q) for h, (n, q) in self._hours.items())))
        return {
            "first": datetime.fromtimestamp(self.first, tz=UTC).isoformat(),
            "span_s": span,
            "rate_per_s": total / span,
            "busiest_hour_rate_per_s": max(
                n / self._seen_s(h) for h, (n, _) in self._hours.items()
            ),
            "requests_by_hour_of_day": [self.by_hour_of_day[hour] for hour in range(24)],
            "index_of_dispersion": indices[len(indices) // 2] if indices else None,
        }

    def _seen_s(self, hour: int) -> int:
        """How many seconds of an hour the log covers."""
        assert self.first is not None
        assert self.last is not None
        start = max(self.first, hour * _HOUR_S)
        return min(self.last + 1, (hour + 1) * _HOUR_S) - start

    def _index(self, hour: int, n: int, squares: int) -> float | None:
        seconds = self._seen_s(hour)
        if n < LEAST_PER_HOUR or seconds < 10:
            return None
        mean = n / seconds
        return (squares / seconds - mean * mean) / mean


class Clients:
    """Visits and thinking times of a sample of clients, chosen by a hash of their address.

    The sample halves whenever it grows beyond its bound, so memory is bounded; what is
    counted of it counts for as many as each chosen client stands for.
    """

    def __init__(self) -> None:
        self.visits = 0
        self.lasting_s = 0
        self.gaps: Counter[int] = Counter()
        self._last: dict[bytes, int] = {}  # client -> when it last asked
        self._level = 0

    def __len__(self) -> int:
        return len(self._last)

    def _is_chosen(self, client: bytes) -> bool:
        return not crc32(client) & ((1 << self._level) - 1)

    def add(self, rows: Sequence[tuple[bytes, bytes]], arrivals: Arrivals) -> None:
        """Requests in the order of the log: client and time."""
        chosen = set(filter(self._is_chosen, {client for client, _ in rows}))
        weight = 1 << self._level
        for client, text in rows:
            if client not in chosen:
                continue
            second = arrivals.second_of(text)
            if second is None:
                continue
            before = self._last.get(client, second - VISIT_GAP_S)
            gap = second - before
            if gap >= VISIT_GAP_S:
                self.visits += weight
            elif gap > 0:
                self.gaps[gap] += weight
                self.lasting_s += gap * weight
            self._last[client] = max(second, before)
        while len(self._last) > MOST_CLIENTS:
            self._level += 1
            self._last = {c: seen for c, seen in self._last.items() if self._is_chosen(c)}

    def facts(self, span_s: int) -> dict[str, object]:
        """Clients, visits, mean users at once (Little's law), and the median thinking time.

        Thinking is what lies between two requests of a client a second or more apart: what
        a page asks for by itself comes sooner.
        """
        if not self._last:
            return {}
        half, seen, median = sum(self.gaps.values()) / 2, 0, None
        for gap in sorted(self.gaps):
            seen += self.gaps[gap]
            if seen >= half:
                median = gap
                break
        return {
            "clients": len(self._last) << self._level,
            "visits": self.visits,
            "users_at_once": self.lasting_s / span_s,
            "think_s": median,
        }
