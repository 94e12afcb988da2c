"""What the watch knows at present: targets, runbooks per target, and their standings."""

from __future__ import annotations

from dataclasses import dataclass, field

from labcoat.watch.decide.standing import FRESH, Standing
from labcoat.watch.decide.stored import to_document
from labcoat.watch.engine.targets import Target
from labcoat.watch.model.runbook import Runbook
from labcoat.watch.record.journal import Key
from labcoat.watch.record.recorder import Recorder


@dataclass(slots=True)
class Ledger:
    """The present. A key is (runbook path, target id)."""

    recorder: Recorder
    targets: dict[str, Target] = field(default_factory=dict)
    runbooks: dict[Key, Runbook] = field(default_factory=dict)
    standings: dict[Key, Standing] = field(default_factory=dict)

    def standing(self, key: Key) -> Standing:
        """What is remembered under a key."""
        return self.standings.get(key, FRESH)

    def stand(self, key: Key, standing: Standing) -> None:
        """Remember, and have it written with the next batch."""
        self.standings[key] = standing
        self.recorder.keep({key: to_document(standing)})
