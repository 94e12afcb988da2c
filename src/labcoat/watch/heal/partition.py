"""Is the fault probably ours? Then nothing acts."""

from __future__ import annotations

from dataclasses import replace

from labcoat.watch.heal.events import Contact, Sentinels
from labcoat.watch.heal.intents import Alert
from labcoat.watch.heal.state import Partition

SHARE = 0.30
AT_LEAST = 3
WITHIN_S = 60.0


def limit(targets: int) -> float:
    """How many targets that do not answer make a partition."""
    return max(AT_LEAST, SHARE * targets)


def observed(
    partition: Partition, event: Contact | Sentinels, targets: int, now_s: float
) -> tuple[Partition, tuple[Alert, ...]]:
    """The partition after a contact, and the alert where it begins or ends.

    Begins: 30 % of the targets, and at least 3, ceased to answer within 60 s; or the
    sentinels did. Ends: fewer than that do not answer, and the sentinels do.
    """
    partition = noted(partition, event, now_s)
    recent = sum(now_s - since_s <= WITHIN_S for since_s in partition.lost.values())
    if partition.frozen_since_s is None:
        if not partition.sentinels_gone and recent < limit(targets):
            return partition, ()
        why = "the sentinels do not answer" if partition.sentinels_gone else (
            f"{recent} of {targets} targets ceased to answer within {WITHIN_S:.0f} s"
        )  # fmt: skip
        text = f"{why}: the fault is probably on this side; no action starts"
        return replace(partition, frozen_since_s=now_s), (Alert("partition", text),)
    if partition.sentinels_gone or len(partition.lost) >= limit(targets):
        return partition, ()
    text = f"{targets - len(partition.lost)} of {targets} targets answer: actions may start again"
    return replace(partition, frozen_since_s=None), (Alert("partition-over", text),)


def noted(partition: Partition, event: Contact | Sentinels, now_s: float) -> Partition:
    """Who does not answer, since when."""
    match event:
        case Sentinels(answer=answer):
            return replace(partition, sentinels_gone=not answer)
        case Contact(target=target, answers=True):
            lost = {name: since for name, since in partition.lost.items() if name != target}
            return replace(partition, lost=lost)
        case Contact(target=target):
            return replace(partition, lost={target: now_s, **partition.lost})
