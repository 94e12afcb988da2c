"""After a crash: what every attempt in flight has become, asked of its target.

The state of healing is written with the entries, but the machine moves on between two
commits: what counts is the last phase that an entry tells of.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from labcoat.watch.engine.attempting import Sent
from labcoat.watch.engine.healing import Healer, body_of
from labcoat.watch.engine.targets import Target
from labcoat.watch.heal.events import NeverStarted, Tick
from labcoat.watch.heal.intents import Record
from labcoat.watch.heal.state import Attempt, Phase
from labcoat.watch.record.entry import Kind
from labcoat.watch.record.journal import WatchJournal

ORDER = tuple(Phase)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastSaid:
    """What the journal's entries say of an attempt: its last phase, and the place's boot id."""

    phase: Phase
    boot_id: str


def last_said(journal: WatchJournal, attempt_id: str) -> LastSaid:
    """Read an attempt's entries."""
    phase, boot_id = Phase.DECIDED, ""
    for written in journal.entries(kinds=[Kind.ATTEMPT], subject=attempt_id):
        body = written.entry.body
        phase = max(phase, Phase(body["phase"]), key=ORDER.index)
        boot_id = body.get("boot_id", boot_id)
    return LastSaid(phase=phase, boot_id=boot_id)


def recover(healer: Healer, journal: WatchJournal) -> int:
    """Take up every attempt in flight where it was; how many there were."""
    flying = list(healer.state.attempts.values())
    for attempt in flying:
        said = last_said(journal, attempt.id)
        phase = max(attempt.phase, said.phase, key=ORDER.index)
        _take_up(healer, attempt, replace(said, phase=phase))
    if flying:
        healer.feed(Tick())
    return len(flying)


def _take_up(healer: Healer, attempt: Attempt, said: LastSaid) -> None:
    match said.phase:
        case Phase.DECIDED | Phase.INTENT:
            healer.feed(NeverStarted(attempt.id))
        case Phase.SENT | Phase.ROLLBACK_SENT:
            _settle(healer, attempt, said)
        case Phase.ROLLBACK_INTENT:
            _roll_back(healer, attempt)
        case Phase.VERIFYING if attempt.outcome is not None:
            _roll_back(healer, attempt)
        case Phase.VERIFYING | Phase.ROLLBACK_DONE:
            # A verify round that was under way is made again.
            _hold(healer, replace(attempt, examine_s=healer.clock.now().elapsed_s))
        case Phase.DONE | Phase.INDOUBT | Phase.ENDED:
            # Entries ahead of the state: the exit was told, the state not yet written.
            _settle(healer, attempt, replace(said, phase=Phase.SENT))


def _settle(healer: Healer, attempt: Attempt, said: LastSaid) -> None:
    """It was sent: ask. The state is put where the entries are, so that the answer counts."""
    sent_s = attempt.sent_s if attempt.sent_s is not None else healer.clock.now().elapsed_s
    attempt = replace(attempt, phase=said.phase, sent_s=sent_s)
    _hold(healer, attempt)
    rolls_back = said.phase is Phase.ROLLBACK_SENT
    target = healer.ledger.targets.get(attempt.key.target)
    sent = Sent(
        attempt_id=attempt.id,
        marker=f"{attempt.id}.rollback" if rolls_back else attempt.id,
        body=body_of(attempt, said.phase),
        target=target or Target(id=attempt.key.target, address=attempt.key.target),
        boot_id=said.boot_id,
        sent_s=sent_s,
    )
    healer.resume(attempt, sent)


def _roll_back(healer: Healer, attempt: Attempt) -> None:
    """Its rollback was intended, and certainly not sent: intend it again."""
    _hold(healer, replace(attempt, phase=Phase.VERIFYING, examine_s=None))
    intended = replace(attempt, phase=Phase.ROLLBACK_INTENT)
    healer.take_up(Record(intended, Phase.ROLLBACK_INTENT))


def _hold(healer: Healer, attempt: Attempt) -> None:
    attempts = {**healer.state.attempts, attempt.id: attempt}
    healer.state = replace(healer.state, attempts=attempts)
