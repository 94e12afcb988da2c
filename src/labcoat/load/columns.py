"""Columns that fill up during a slice: one row per request, no object per request."""

from __future__ import annotations

from array import array

import numpy as np

from labcoat.model.load import Records

GROWTH = 1 << 16
"""Rows by which the columns grow: about a millisecond of work, once in a long while."""

LIMIT = 5_000_000
"""Most rows of one slice: about 200 MB."""


class Columns:
    """Preallocated, growing columns; times as CLOCK_MONOTONIC nanoseconds, 0 for "never"."""

    __slots__ = ("_arrays", "capacity", "count")

    def __init__(self) -> None:
        self.count = 0
        self.capacity = 0
        self._arrays = tuple(array(code) for code in "qqqqhihb")
        self._grow()

    def _grow(self) -> None:
        for column in self._arrays:
            column.frombytes(bytes(column.itemsize * GROWTH))
        self.capacity += GROWTH

    def add(
        self,
        intended: int,
        sent: int,
        first_byte: int,
        done: int,
        status: int,
        received: int,
        route: int,
        outcome: int,
    ) -> None:
        """One request that has ended."""
        row = self.count
        if row == self.capacity:
            self._grow()
        at_intended, at_sent, at_first, at_done, statuses, sizes, routes, outcomes = self._arrays
        at_intended[row] = intended
        at_sent[row] = sent
        at_first[row] = first_byte
        at_done[row] = done
        statuses[row] = status
        sizes[row] = received
        routes[row] = route
        outcomes[row] = outcome
        self.count = row + 1

    @property
    def is_full(self) -> bool:
        """Whether the slice must end for want of room."""
        return self.count >= LIMIT

    def records(self, started_ns: int) -> Records:
        """The rows, with times since the slice's start and -1 for what never happened."""
        types = (np.int64,) * 4 + (np.int16, np.int32, np.int16, np.int8)
        columns = [
            np.frombuffer(column, dtype)[: self.count].copy()
            for column, dtype in zip(self._arrays, types, strict=True)
        ]
        for times in columns[:4]:
            never = times == 0
            np.subtract(times, started_ns, out=times)
            times[never] = -1
        intended, sent, first_byte, done, status, received, route, outcome = columns
        return Records(
            intended=intended,
            sent=sent,
            first_byte=first_byte,
            done=done,
            status=status,
            received=received,
            route=route,
            outcome=outcome,
        )
