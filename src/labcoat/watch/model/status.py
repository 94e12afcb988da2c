"""What a check says, in the words and numbers of the monitoring plugins."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class Status(IntEnum):
    """The status of a check; its value is the exit code of a monitoring plugin."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3

    @classmethod
    def of_exit(cls, code: int) -> Status:
        """0 OK, 1 WARNING, 2 CRITICAL, anything else (127, signals below 0) UNKNOWN."""
        return cls(code) if code in (0, 1, 2) else cls.UNKNOWN


_GRAVITY = (Status.OK, Status.WARNING, Status.UNKNOWN, Status.CRITICAL)


def worst(statuses: Iterable[Status]) -> Status:
    """The gravest status: CRITICAL, then UNKNOWN, WARNING, OK. None at all is UNKNOWN."""
    return max(statuses, key=_GRAVITY.index, default=Status.UNKNOWN)
