"""Exact wake-ups for an event loop whose own timers count in milliseconds.

libuv rounds timers to 1 ms, ten times the service time of a fast answer; a timerfd
on CLOCK_MONOTONIC wakes the loop within some tens of microseconds.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable

_CLOCK_MONOTONIC = 1
_TFD_TIMER_ABSTIME = 1
_NS = 1_000_000_000


class _Itimerspec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


_libc = ctypes.CDLL(None, use_errno=True)


class Alarm:
    """One timer: ``at(when)`` calls ``ring`` once CLOCK_MONOTONIC has reached it."""

    __slots__ = ("_fd", "_loop", "_reference", "_ring", "_spec")

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        flags = os.O_NONBLOCK | os.O_CLOEXEC  # TFD_NONBLOCK, TFD_CLOEXEC have the same values
        self._fd = _libc.timerfd_create(_CLOCK_MONOTONIC, flags)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._spec = _Itimerspec()
        self._reference = ctypes.byref(self._spec)
        self._loop = loop
        self._ring = ring
        loop.add_reader(self._fd, self._readable)

    def _readable(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return  # set anew between its expiry and this call
        self._ring()

    def at(self, when_ns: int) -> None:
        """Ring at this moment, or at once when it has passed; replaces the last one."""
        self._spec.value_s, self._spec.value_ns = divmod(when_ns, _NS)
        _libc.timerfd_settime(self._fd, _TFD_TIMER_ABSTIME, self._reference, None)

    def close(self) -> None:
        """Never ring again."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
