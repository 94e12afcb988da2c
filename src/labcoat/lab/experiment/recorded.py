"""What an experiment has gathered so far, read back from the journal."""

from __future__ import annotations

from dataclasses import dataclass, field

from labcoat.journal import Journal
from labcoat.lab.trial.pairing import MeasuredBlock, VoidBlock
from labcoat.lab.trial.validity import void_reason
from labcoat.lab.trial.workbench import Reading
from labcoat.model.journal import BlockRecord, TrialRecord

INTERRUPTED = "interrupted"
SLICES = 4


@dataclass(slots=True, kw_only=True)
class Gathered:
    """The blocks of an experiment, in order of their index.

    ``voids``: in the order they happened, without those that were only interrupted.
    ``attempts``: block index -> the attempt that comes next.
    """

    blocks: list[MeasuredBlock] = field(default_factory=list)
    voids: list[VoidBlock] = field(default_factory=list)
    attempts: dict[int, int] = field(default_factory=dict)

    def epochs(self) -> list[list[MeasuredBlock]]:
        """Good blocks by epoch; epochs without any are left out."""
        found: dict[int, list[MeasuredBlock]] = {}
        for block in self.blocks:
            found.setdefault(block.epoch, []).append(block)
        return list(found.values())


def read_gathered(journal: Journal, experiment_id: str) -> Gathered:
    """The good blocks and the voids of an experiment; a block that was torn counts as neither."""
    gathered = Gathered()
    trials: dict[str, list[TrialRecord]] = {}
    for record in journal.trials(experiment_id):
        trials.setdefault(record.trial.block or "", []).append(record)
    for block in journal.blocks(experiment_id):
        gathered.attempts[block.index] = max(
            gathered.attempts.get(block.index, 0), block.attempt + 1
        )
        mine = trials.get(block.id, [])
        if block.void is None and len(mine) == SLICES:
            gathered.blocks.append(_measured(journal, block, mine))
        elif block.void not in {None, INTERRUPTED} and mine:
            gathered.voids.append(_void(journal, block, mine[-1]))
    gathered.blocks.sort(key=lambda block: block.index)
    return gathered


def void_torn_blocks(journal: Journal, experiment_id: str) -> None:
    """Call blocks void that a crash or a Ctrl-C cut short: their instances are gone.

    So is the last block if the crash came between its last slice and the gate.
    """
    trials: dict[str | None, list[TrialRecord]] = {}
    for record in journal.trials(experiment_id):
        trials.setdefault(record.trial.block, []).append(record)
    blocks = journal.blocks(experiment_id)
    for block in blocks:
        if block.void is not None:
            continue
        mine = trials.get(block.id, [])
        if len(mine) < SLICES:
            journal.record_void(block.id, INTERRUPTED)
        elif block is blocks[-1] and (reason := void_reason(_reading(journal, mine[-1]))):
            journal.record_void(block.id, reason)


def _measured(journal: Journal, block: BlockRecord, trials: list[TrialRecord]) -> MeasuredBlock:
    slices = [(record.trial.arm, _reading(journal, record)) for record in trials]
    return MeasuredBlock(
        index=block.index,
        epoch=block.epoch,
        slices=tuple(slices),
        took_s=sum(reading.wall_s for _, reading in slices),
    )


def _void(journal: Journal, block: BlockRecord, last: TrialRecord) -> VoidBlock:
    return VoidBlock(
        index=block.index,
        arm=last.trial.arm,
        reason=block.void or "",
        errors=_reading(journal, last).faults,
    )


def _reading(journal: Journal, record: TrialRecord) -> Reading:
    return Reading.of(journal.measurement(record.id), journal.usage(record.id))
