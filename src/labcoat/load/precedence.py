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

NICEST = -20
SLICE_NS = 100_000
"""The least slice that Linux' EEVDF scheduler grants: short slices come sooner."""

_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274, "riscv64": 274, "ppc64le": 355, "s390x": 345}
# size, policy, flags, nice, priority, runtime, deadline, period, clamp low, clamp high
_ATTRIBUTES = struct.Struct("=IIQiIQQQII")


def take_precedence() -> str:
    """Ask for short slices, and for the greatest weight where that is allowed; what was given.

    An ordinary user may ask for short slices only, and kernels before 6.12 ignore it. Not
    real time: the kernel takes that away for a twentieth of each second from whoever keeps a
    core busy, which a generator at its limit does, and stalls it for 50 ms at a time.
    Source: sched(7), sched_setattr(2).
    """
    number = _SCHED_SETATTR.get(os.uname().machine)
    if number is None:
        return "nothing"
    for nice, given in ((NICEST, "weight and short slices"), (0, "short slices")):
        asked = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_OTHER, 0, nice, 0, SLICE_NS, 0, 0, 0, 0)
        done: int = ctypes.CDLL(None, use_errno=True).syscall(number, 0, asked, 0)
        if done == 0:
            return given
    return "nothing"
