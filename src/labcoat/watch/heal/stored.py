"""What healing remembers as a JSON document, and back; and on another clock."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from labcoat.watch.heal.state import Attempt, Escalation, HealState, Lane, Partition, Wave
from labcoat.watch.model import document


def to_document(state: HealState) -> Any:
    """Everything but those who wait: their rounds come again."""
    return document.to_document(replace(state, waiting=()))


def from_document(told: Any) -> HealState:
    """Raises: JournalError."""
    return document.from_document(HealState, told)


def attempt_to_document(attempt: Attempt) -> Any:
    """An attempt with its action: enough to verify and roll back what it began with."""
    return document.to_document(attempt)


def attempt_from_document(told: Any) -> Attempt:
    """Raises: JournalError."""
    return document.from_document(Attempt, told)


def moved(time_s: float | None, by_s: float) -> float | None:
    return None if time_s is None else time_s + by_s


def shifted(state: HealState, by_s: float) -> HealState:
    """The state on a clock that reads ``by_s`` more, as after a reboot.

    ``by_s`` = present elapsed - kept elapsed - time that passed between (``span_s``).
    """
    return replace(
        state,
        lanes={key: lane_shifted(lane, by_s) for key, lane in state.lanes.items()},
        attempts={id_: attempt_shifted(each, by_s) for id_, each in state.attempts.items()},
        starts_s=tuple(start_s + by_s for start_s in state.starts_s),
        waves={key: wave_shifted(wave, by_s) for key, wave in state.waves.items()},
        escalations={key: told_shifted(each, by_s) for key, each in state.escalations.items()},
        partition=partition_shifted(state.partition, by_s),
    )


def lane_shifted(lane: Lane, by_s: float) -> Lane:
    return replace(
        lane,
        starts_s=tuple(start_s + by_s for start_s in lane.starts_s),
        resting_until_s=moved(lane.resting_until_s, by_s),
        retry_s=moved(lane.retry_s, by_s),
    )


def attempt_shifted(attempt: Attempt, by_s: float) -> Attempt:
    return replace(
        attempt,
        decided_s=attempt.decided_s + by_s,
        sent_s=moved(attempt.sent_s, by_s),
        since_s=moved(attempt.since_s, by_s),
        examine_s=moved(attempt.examine_s, by_s),
    )


def wave_shifted(wave: Wave, by_s: float) -> Wave:
    stopped_s = moved(wave.stopped_until_s, by_s)
    return replace(wave, last_s=wave.last_s + by_s, stopped_until_s=stopped_s)


def told_shifted(escalation: Escalation, by_s: float) -> Escalation:
    return replace(escalation, since_s=escalation.since_s + by_s, told_s=escalation.told_s + by_s)


def partition_shifted(partition: Partition, by_s: float) -> Partition:
    return replace(
        partition,
        lost={name: since_s + by_s for name, since_s in partition.lost.items()},
        frozen_since_s=moved(partition.frozen_since_s, by_s),
    )
