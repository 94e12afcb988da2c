"""When a slice is void. Blind to the arm's label: no gate sees it."""

from __future__ import annotations

from labcoat.lab.trial.workbench import Reading

STEAL_CAP_RATIO = 0.5


def void_reason(reading: Reading, *, allowed_error_ratio: float = 0.0) -> str | None:
    """Why this slice cannot be used, or None.

    ``allowed_error_ratio``: the share of errors that the baseline itself has.
    A dead worker or component is not seen here: it raises Died where it is noticed.
    """
    usage, errors = reading.usage, reading.errors
    if errors > allowed_error_ratio * max(reading.answered, 1):
        return f"{errors} errors"
    if usage.host_after.throttled_n > usage.host_before.throttled_n:
        return "the CPU quota throttled the stack"
    if reading.steal_ratio > STEAL_CAP_RATIO:
        return f"{reading.steal_ratio:.0%} of the CPU was stolen"
    if reading.summary.throughput_per_s == 0:  # the warm-up may have been answered
        return "nothing was answered"
    failed = [row for row in reading.honesty.rows if not row.passed and row.voids]
    if failed:
        return f"generator: {failed[0].explanation}"
    return None
