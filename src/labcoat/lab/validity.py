"""When a slice is void. Blind to the arm's label: no gate sees it."""

from __future__ import annotations

import numpy as np

from labcoat.lab.workbench import Reading
from labcoat.model.load import Outcome

STEAL_CAP_RATIO = 0.5
ERRORS = tuple(int(each) for each in Outcome if each not in (Outcome.OK, Outcome.UNFINISHED))


def errors_of(reading: Reading, *, route: int | None = None) -> int:
    """Requests of a slice that ended wrongly, of all routes or of one."""
    records = reading.measurement.records
    wrong = np.isin(records.outcome, ERRORS)
    if route is not None:
        wrong &= records.route == route
    return int(wrong.sum())


def void_reason(reading: Reading, *, allowed_error_ratio: float = 0.0) -> str | None:
    """Why this slice cannot be used, or None.

    ``allowed_error_ratio``: the share of errors that the baseline itself has.
    A dead worker or component is not seen here: it raises Died where it is noticed.
    """
    usage, errors = reading.usage, errors_of(reading)
    if errors > allowed_error_ratio * max(reading.answered, 1):
        return f"{errors} errors"
    if usage.host_after.throttled_n > usage.host_before.throttled_n:
        return "the CPU quota throttled the stack"
    if reading.steal_ratio > STEAL_CAP_RATIO:
        return f"{reading.steal_ratio:.0%} of the CPU was stolen"
    if reading.answered == 0:
        return "nothing was answered"
    failed = [row for row in reading.honesty.rows if not row.passed and row.voids]
    if failed:
        return f"generator: {failed[0].explanation}"
    return None
