"""Precedence: the generator runs as soon as it has something to do.

Visitors do not wait for the server's CPUs before they send; a generator that shares cores
with the stack does, by milliseconds, and would count its own wait as the stack's. So it asks
the scheduler for precedence over whatever else is ready. It is idle most of the time, and
alike for both arms of an experiment.
"""

from __future__ import annotations

import ctypes
import os
import struct

SLICE_NS = 100_000
"""The least slice that Linux' EEVDF scheduler grants: short slices come sooner."""

_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274, "riscv64": 274, "ppc64le": 355, "s390x": 345}
# size, policy, flags, nice, priority, runtime, deadline, period, clamp low, clamp high
_ATTRIBUTES = struct.Struct("=IIQiIQQQII")


def take_precedence() -> str:
    """Real-time priority where that is allowed, else short slices; which of them.

    An ordinary user may ask for short slices only, and kernels before 6.12 ignore it.
    Source: sched(7), sched_setattr(2).
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        return "short slices" if _ask_for_short_slices() else "none"
    return "real time"


def _ask_for_short_slices() -> bool:
    number = _SCHED_SETATTR.get(os.uname().machine)
    if number is None:
        return False
    asked = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_OTHER, 0, 0, 0, SLICE_NS, 0, 0, 0, 0)
    done: int = ctypes.CDLL(None, use_errno=True).syscall(number, 0, asked, 0)
    return done == 0
