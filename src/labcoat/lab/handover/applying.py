"""Apply, roll back, history: a variant in the user's own files, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from labcoat.errors import HostError
from labcoat.journal import Journal
from labcoat.lab.handover import writing
from labcoat.lab.handover.digests import digest
from labcoat.lab.handover.patch import tuned_files
from labcoat.lab.handover.states import (
    ABSENT,
    APPLY,
    FIRST,
    ROLLBACK,
    History,
    Move,
    State,
    StateFile,
    document_of,
    history_of,
)
from labcoat.lab.handover.tuned import Tuned, latest_tuned, nothing_tuned, tuned_in
from labcoat.lab.handover.writing import Replacement
from labcoat.lab.trial.origin import project_key
from labcoat.model.study import Study
from labcoat.model.tune import FileChange
from labcoat.model.variant import ORIGIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What an apply did, or would do.

    ``state``: the one that holds the variant, None where none was made: nothing was to change,
    or it was only asked what would. ``is_new``: whether this apply made it. ``patch``: whole,
    with the content of the user's files.
    """

    state: State | None
    is_new: bool
    files: tuple[FileChange, ...]
    by_hand: tuple[str, ...]
    patch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledBack:
    """What a rollback did: the state that held before, the one that does now, files changed."""

    held: int
    holds: int
    files: tuple[str, ...]


def read_history(journal: Journal, root: Path) -> History:
    """Every state whose contents are kept below this folder, whichever study it came from."""
    records = [
        state
        for study in journal.studies()
        for state in journal.states(study.id)
        if writing.is_done(root, state.id)
    ]
    return history_of(sorted(records, key=lambda record: record.id))


def read_tuned(journal: Journal, study: Study) -> Tuned:
    """The latest finished campaign of the study as it is now, or the one that is applied.

    To apply options changes labcoat.toml, and with it the content of the study; what was
    applied is still the answer then. Raises: JournalError if there is none.
    """
    found = latest_tuned(journal, study)
    history = read_history(journal, study.root)
    if found is None and history.holds != FIRST and not edited_since(study.root, history):
        found = tuned_in(journal, history.state(history.holds).study_id)
        if found is not None and found.variant != history.state(history.holds).variant:
            found = None
    if found is None:
        raise nothing_tuned(study)
    return found


def edited_since(root: Path, history: History) -> tuple[str, ...]:
    """Files that are not as the state that holds left them. Raises: HostError."""
    if history.holds == FIRST:
        return ()
    key = project_key(root)
    files = history.state(history.holds).files
    return tuple(file.path for file in files if _digest_now(root, key, file.path) != file.after)


def applied_already(root: Path, history: History, tuned: Tuned) -> State | None:
    """The state that holds, if it is this variant's and no file of it was edited since."""
    if history.holds == FIRST or history.state(history.holds).variant != tuned.variant:
        return None
    return None if edited_since(root, history) else history.state(history.holds)


def proposed(
    study: Study, journal: Journal, tuned: Tuned
) -> tuple[Applied, tuple[Replacement, ...]]:
    """What an apply would do, and the files that it would replace.

    Raises: RenderError if a file changed since it was measured, HostError.
    """
    root = study.root
    state = applied_already(root, read_history(journal, root), tuned)
    if state is not None:
        return Applied(state=state, is_new=False, files=(), by_hand=tuned.by_hand, patch=""), ()
    found = tuned_files(study, tuned.variant, tuned.digests)
    replacements = tuple(
        Replacement(path=file.path, before=file.before, after=file.after) for file in found.files
    )
    handed = found.handover
    return Applied(
        state=None, is_new=False, files=handed.files, by_hand=handed.by_hand, patch=found.patch
    ), replacements


def apply(study: Study, journal: Journal, tuned: Tuned, *, dry: bool = False) -> Applied:
    """Put the variant of a campaign into the user's files; ``dry`` only tells what would change.

    A state is recorded first. What is applied already is not applied again.
    Raises: RenderError (a file changed since it was measured), HostError (it cannot be replaced).
    """
    root = study.root
    with writing.alone(root):
        found, replacements = proposed(study, journal, tuned)
        writing.refuse_impossible(replacements)
        if dry or not replacements:
            return found
        key = project_key(root)
        files = [
            StateFile(
                path=file.path, before=_digest(key, each.before), after=_digest(key, each.after)
            )
            for file, each in zip(found.files, replacements, strict=True)
        ]
        history = read_history(journal, root)
        document = document_of(APPLY, files, parent=_id(history, history.holds))
        record = journal.record_state(tuned.study_id, tuned.variant, document)
        writing.replace_all(root, record.id, replacements)
        history = read_history(journal, root)
        return replace(found, state=history.state(history.holds), is_new=True)


def roll_back(root: Path, journal: Journal, target: str | None = None) -> RolledBack:
    """Go back to the state before the one that holds, or to any other; recorded like an apply.

    Raises: UsageError (no such state), HostError (files were edited since, or cannot be changed).
    """
    with writing.alone(root):
        history = read_history(journal, root)
        number = history.before() if target is None else history.find(target)
        held = history.holds
        moves = history.moves(number)
        if number != held:
            _refuse_edited(root, history, moves)
            replacements = [_replacement(root, history, move) for move in moves]
            writing.refuse_impossible(replacements)
            document = document_of(
                ROLLBACK,
                [StateFile(path=each.path, before=each.now, after=each.then) for each in moves],
                parent=_id(history, held),
                target=_id(history, number),
            )
            variant = history.state(number).variant if number != FIRST else ORIGIN
            study_id = history.state(max(number, held)).study_id
            record = journal.record_state(study_id, variant, document)
            writing.replace_all(root, record.id, replacements)
        return RolledBack(held=held, holds=number, files=tuple(move.path for move in moves))


def _id(history: History, number: int) -> str | None:
    return None if number == FIRST else history.state(number).id


def _refuse_edited(root: Path, history: History, moves: Sequence[Move]) -> None:
    """Raises: HostError that names every file which labcoat did not leave as it is."""
    key = project_key(root)
    log = [
        f"{move.path}: labcoat left it as {_left(root, history, move)}"
        for move in moves
        if _digest_now(root, key, move.path) != move.now
    ]
    if log:
        raise HostError(
            "files were edited since labcoat changed them, and going back would lose that",
            where=root,
            log=log,
            way_out="keep the edit elsewhere, put the file named above in its place, try again",
        )


def _replacement(root: Path, history: History, move: Move) -> Replacement:
    """The contents of a file that moves, as they are and as they were kept. Raises: HostError."""
    real = (root / move.path).resolve()
    source = real if move.then == ABSENT else _kept(root, history, move.path, move.then)
    try:
        before = None if move.now == ABSENT else real.read_bytes()
        after = None if move.then == ABSENT else source.read_bytes()
    except OSError as error:
        raise HostError(
            f"cannot read a file on the way back: {error.strerror}",
            where=error.filename,
            way_out="grant this user access to it, or put it back from a copy",
        ) from error
    if _digest(project_key(root), after) != move.then:
        raise HostError(
            "the content that was kept with a state is damaged",
            where=source,
            way_out="put it back from a copy; your files were not touched",
        )
    return Replacement(path=real, before=before, after=after)


def _left(root: Path, history: History, move: Move) -> str:
    if move.now == ABSENT:
        return "no file at all"
    return str(_kept(root, history, move.path, move.now))


def _kept(root: Path, history: History, path: str, wanted: str) -> Path:
    """Where the content of a file with this digest lies: with some state, for all are kept."""
    folder = writing.states_folder(root)
    return next(
        folder / state.id / f"{number}.{side}"
        for state in history.states
        for number, file in enumerate(state.files)
        for side, one in (("before", file.before), ("after", file.after))
        if (file.path, one) == (path, wanted)
    )


def _digest(key: bytes, content: bytes | None) -> str:
    return ABSENT if content is None else digest(key, content)


def _digest_now(root: Path, key: bytes, path: str) -> str | None:
    """The digest of a file as it is; None if it cannot be read."""
    try:
        return digest(key, (root / path).read_bytes())
    except FileNotFoundError:
        return ABSENT
    except OSError:
        return None
