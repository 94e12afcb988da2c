"""Replacing several of the user's files: all of them or none, whatever ends the process.

The order of side effects, each on the disk before the next begins:

1. the contents before and after, and the plan, under ``.labcoat/states/ID`` (this user's alone);
2. ``.labcoat/states/pending`` names the ID: from here on the intention outlives the process;
3. each new content beside its file, then one rename after another;
4. ``ID/done``, and ``pending`` goes.

Killed before 2, nothing has happened. Killed later, ``settle`` finishes what was begun from the
kept contents, and every command that reads a study calls it first: a stack is never measured
half changed. An error (no room, no permission) is no end of the process: it is undone at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from labcoat.errors import HostError

PENDING = "pending"
PLAN = "plan.json"
DONE = "done"

_BEFORE = "free space, or grant this user access; your files are as they were"
_NEXT = "free space, or grant this user access; the next command then finishes the change"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """A file, and its whole content before and after; None is no file. ``path``: real, no link."""

    path: Path
    before: bytes | None
    after: bytes | None


def states_folder(root: Path) -> Path:
    """Where the states of the files of a project lie."""
    return root / ".labcoat" / "states"


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """Nobody else changes the project's files meanwhile. Raises: HostError if someone does."""
    folder = states_folder(root)
    with _told("cannot keep states", folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise HostError(
                "another labcoat is changing the files of this project",
                where=folder,
                way_out="wait until it has finished, and try again",
            ) from error
        yield
    finally:
        os.close(descriptor)


def refuse_impossible(replacements: Sequence[Replacement]) -> None:
    """Raises: HostError that names every file which could not be replaced in place."""
    log = []
    for each in replacements:
        if each.before is None:
            if each.path.exists():
                log.append(f"{each.path}: is there already, and would be written over")
            elif not os.access(each.path.parent, os.W_OK):
                log.append(f"{each.path}: this user may not write into its folder")
            continue
        try:
            links = each.path.stat().st_nlink
        except OSError as error:
            log.append(f"{each.path}: {error.strerror}")
            continue
        if links > 1:
            log.append(f"{each.path}: has {links} names (hard links), of which one would change")
        elif not (os.access(each.path, os.W_OK) and os.access(each.path.parent, os.W_OK)):
            log.append(f"{each.path}: this user may not change it, or its folder")
    if log:
        raise HostError(
            "files cannot be replaced",
            where="files of the stack",
            log=log,
            way_out="become a user who may, or take the patch: labcoat diff | patch -p1",
        )


def replace_all(root: Path, id_: str, replacements: Sequence[Replacement]) -> None:
    """Change every file from its content before to the one after; call it ``alone``.

    Raises: HostError, with every file as it was; also if one is not what it was thought to be.
    """
    folder = states_folder(root)
    if (folder / PENDING).exists():
        raise HostError(
            "another labcoat was killed meanwhile, and left a change half done",
            where=folder / PENDING,
            way_out="try again: that change is finished first",
        )
    replaced: list[Replacement] = []
    try:
        with _told("cannot keep the state", folder):
            _sweep(folder)
            _keep(folder / id_, replacements)
            _write(folder / PENDING, id_.encode(), mode=0o600)
        _refuse_others(replacements, id_)
        with _told("cannot change the files", folder / id_):
            for each in replacements:
                _stage(each.path, each.after, id_)
            for each in replacements:
                _put_in_place(each.path, each.after, id_)
                replaced.append(each)
                _sync_folder(each.path.parent)
    except BaseException:
        with _told("cannot undo what was begun", folder / id_, way_out=_NEXT):
            _undo(folder, id_, replacements, replaced)
        raise
    with _told("cannot say that the files were changed", folder / id_, way_out=_NEXT):
        _finish(folder, id_)


def settle(root: Path) -> str | None:
    """Finish what a killed labcoat began; the id of the state, None if there was nothing.

    Raises: HostError if a file is neither as before nor as after.
    """
    folder = states_folder(root)
    pending = folder / PENDING
    if not pending.exists():
        return None
    with alone(root):
        id_ = pending.read_text(encoding="utf-8") if pending.exists() else None
        if id_ is None:  # whoever had the lock before has finished it
            return None
        replacements = kept(root, id_)
        _refuse_edited(folder, id_, replacements)
        what = "cannot finish a change of files that was interrupted"
        with _told(what, folder / id_, way_out=_NEXT):
            for each in replacements:
                if _content(each.path) != each.after:
                    _stage(each.path, each.after, id_)
                    _put_in_place(each.path, each.after, id_)
                    _sync_folder(each.path.parent)
                _beside(each.path, id_).unlink(missing_ok=True)
            _finish(folder, id_)
        return id_


def _sweep(folder: Path) -> None:
    """Remove what was kept for states that never came about; nothing is pending here."""
    for each in folder.iterdir():
        if each.is_dir() and not (each / DONE).exists():
            shutil.rmtree(each)


def is_done(root: Path, id_: str) -> bool:
    """Whether a state came about, and its contents are kept."""
    return (states_folder(root) / id_ / DONE).exists()


def kept(root: Path, id_: str) -> tuple[Replacement, ...]:
    """The contents that were kept with a state. Raises: HostError."""
    folder = states_folder(root) / id_
    try:
        plan = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        # A plan of only paths is one of files that were there before and are after.
        rows: list[tuple[str, bool, bool]] = [
            (each, True, True) if isinstance(each, str) else tuple(each) for each in plan
        ]
        return tuple(
            Replacement(
                path=Path(path),
                before=(folder / f"{number}.before").read_bytes() if was else None,
                after=(folder / f"{number}.after").read_bytes() if will_be else None,
            )
            for number, (path, was, will_be) in enumerate(rows)
        )
    except (OSError, ValueError) as error:
        raise HostError(
            f"the contents of a state cannot be read: {error}",
            where=folder,
            way_out="put that folder back from a copy; your files were not touched",
        ) from error


def _keep(folder: Path, replacements: Sequence[Replacement]) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number, each in enumerate(replacements):
        for side, content in (("before", each.before), ("after", each.after)):
            if content is not None:
                _write(folder / f"{number}.{side}", content, mode=0o600)
    plan = json.dumps(
        [[str(each.path), each.before is not None, each.after is not None] for each in replacements]
    )
    _write(folder / PLAN, plan.encode(), mode=0o600)
    _sync_folder(folder)
    _sync_folder(folder.parent)


def _finish(folder: Path, id_: str) -> None:
    _write(folder / id_ / DONE, b"", mode=0o600)
    (folder / PENDING).unlink()
    _sync_folder(folder)


def _undo(
    folder: Path, id_: str, replacements: Sequence[Replacement], replaced: Sequence[Replacement]
) -> None:
    """Everything as it was; what cannot be undone stays pending, for ``settle``."""
    for each in replaced:
        _stage(each.path, each.before, id_)
        _put_in_place(each.path, each.before, id_)
    for each in replacements:
        _beside(each.path, id_).unlink(missing_ok=True)
    (folder / PENDING).unlink(missing_ok=True)
    shutil.rmtree(folder / id_, ignore_errors=True)


def _refuse_others(replacements: Sequence[Replacement], id_: str) -> None:
    """Raises: HostError for a file that is not as before."""
    log = [str(each.path) for each in replacements if _content(each.path) != each.before]
    if log:
        raise HostError(
            "files changed while labcoat was about to change them",
            where=f"state {id_}",
            log=log,
            way_out="nothing was changed; try again",
        )


def _refuse_edited(folder: Path, id_: str, replacements: Sequence[Replacement]) -> None:
    log = [
        f"{each.path}: before in {folder / id_ / f'{number}.before'}, after in {number}.after"
        for number, each in enumerate(replacements)
        if _content(each.path) not in {each.before, each.after}
    ]
    if log:
        raise HostError(
            "labcoat was killed while it changed files, and these were edited since",
            where=folder / id_,
            log=log,
            way_out=(
                "put one of the two contents back, and the next command finishes; or remove"
                f" {folder / PENDING} to leave every file as it is"
            ),
        )


def _put_in_place(path: Path, content: bytes | None, id_: str) -> None:
    """What was staged takes the file's place, or the file goes."""
    if content is None:
        path.unlink(missing_ok=True)
    else:
        _beside(path, id_).replace(path)


def _stage(path: Path, content: bytes | None, id_: str) -> None:
    """The content beside its file, with the file's owner, mode and extended attributes.

    A new file is everybody's to read, as its neighbours are.
    """
    beside = _beside(path, id_)
    beside.unlink(missing_ok=True)
    if content is None:
        return
    if not path.exists():
        _put(beside, content, mode=0o644)
        return
    was = path.stat()
    _put(beside, content, mode=0o600)
    if (was.st_uid, was.st_gid) != (beside.stat().st_uid, beside.stat().st_gid):
        os.chown(beside, was.st_uid, was.st_gid)
    beside.chmod(stat.S_IMODE(was.st_mode))
    with contextlib.suppress(OSError):  # not every file system has them
        for name in os.listxattr(path):
            with contextlib.suppress(OSError):  # nor may every user set all of them
                os.setxattr(beside, name, os.getxattr(path, name))


def _beside(path: Path, id_: str) -> Path:
    return path.with_name(f".{path.name}.labcoat-{id_}")


def _write(path: Path, content: bytes, *, mode: int) -> None:
    """A file with this content, on the disk and by its whole name once this returns."""
    half = path.with_name(f"{path.name}.half")
    half.unlink(missing_ok=True)
    _put(half, content, mode=mode)
    half.replace(path)
    _sync_folder(path.parent)


def _put(path: Path, content: bytes, *, mode: int) -> None:
    """A new file with this content, on the disk once this returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


@contextlib.contextmanager
def _told(what: str, where: Path, *, way_out: str = _BEFORE) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HostError(
            f"{what}: {error.strerror}", where=error.filename or where, way_out=way_out
        ) from error
