"""One round: all checks of one runbook on one target, once."""

from __future__ import annotations

from dataclasses import dataclass

from labcoat.watch.model.status import Status

UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Result:
    """What one check said. ``reason``: why UNKNOWN, where the check itself did not say it
    (``unreachable``, ``timeout``, ``hostkey``, ``signal``, ...).
    """

    check: str
    status: Status
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """The results of one round, in the order of the checks.

    ``elapsed_s``: when it was judged, on the clock of Moment. ``unreachable``: the target
    did not answer (or an upload failed); every result is then UNKNOWN(unreachable).
    """

    elapsed_s: float
    results: tuple[Result, ...]
    unreachable: bool = False

    @property
    def is_all_ok(self) -> bool:
        return all(result.status is Status.OK for result in self.results)
