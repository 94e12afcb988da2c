"""How an attempt to heal ended."""

from __future__ import annotations

from enum import Enum


class Outcome(Enum):
    """How an attempt ended. SUCCEEDED and FAILED: by exit code, where nothing is verified."""

    CURED = "cured"
    NOT_CURED = "not-cured"
    HARMED = "harmed"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INDOUBT = "indoubt"
    NEVER_STARTED = "never-started"

    @property
    def is_failure(self) -> bool:
        """Whether it counts against the breaker and doubles the cooldown."""
        return self in (Outcome.NOT_CURED, Outcome.HARMED, Outcome.FAILED, Outcome.INDOUBT)
