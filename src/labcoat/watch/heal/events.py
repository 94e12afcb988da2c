"""What happened: the only way into the state machine of healing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from labcoat.watch.heal.state import Fires, Pause, Phase
from labcoat.watch.model.runbook import Runbook
from labcoat.watch.model.status import Status


@dataclass(frozen=True, slots=True)
class Recorded:
    """The journal has committed that an attempt reached a phase (answers ``Record``)."""

    attempt_id: str
    phase: Phase


@dataclass(frozen=True, slots=True)
class NotRecorded:
    """The journal could not commit: an attempt not yet SENT is given up."""

    attempt_id: str


@dataclass(frozen=True, slots=True)
class Exited:
    """The body, or the rollback, ended. ``status`` None: how is not known, ``note`` says why
    (``signal 9``, ``interrupted``, ``rebooted``, ``timeout``).
    """

    attempt_id: str
    status: int | None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """It cannot be told whether the body was carried out: INDOUBT, never sent again."""

    attempt_id: str
    note: str


@dataclass(frozen=True, slots=True)
class NeverStarted:
    """It is certain that the body did not start, and never will: the lane is free again."""

    attempt_id: str


@dataclass(frozen=True, slots=True)
class Examined:
    """A verify round: the status of every check of the runbook (answers ``Examine``)."""

    attempt_id: str
    statuses: Mapping[str, Status]


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed (``wake_s`` says until when nothing can happen)."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A target answered, or did not. Only changes need be told."""

    target: str
    answers: bool


@dataclass(frozen=True, slots=True)
class Sentinels:
    """Whether the machines that always answer do answer."""

    answer: bool


@dataclass(frozen=True, slots=True)
class Flapping:
    """A runbook on a target began or ceased to flap."""

    runbook: Runbook
    target: str
    checks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reset:
    """Somebody closes the breaker of a lane: ``watch reset``; also clears its wave's stop."""

    runbook: str
    target: str
    action: str


@dataclass(frozen=True, slots=True)
class Paused:
    """``watch pause``."""

    pause: Pause


@dataclass(frozen=True, slots=True)
class Resumed:
    """``watch resume``: every pause of exactly this glob ends; None ends all."""

    glob: str | None = None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """``watch ack ID``: hides an advice, and ends the hourly telling of an escalation."""

    advice_id: str


Event = (
    Fires
    | Recorded
    | NotRecorded
    | Exited
    | Lost
    | NeverStarted
    | Examined
    | Tick
    | Contact
    | Sentinels
    | Flapping
    | Reset
    | Paused
    | Resumed
    | Acknowledged
)
