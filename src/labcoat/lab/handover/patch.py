"""From a study and a variant to what is handed over: the patch, and the words beside it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labcoat.errors import HostError, RenderError
from labcoat.lab.handover import unified
from labcoat.lab.handover.digests import Digests, digests_in, spelled
from labcoat.model.study import Study
from labcoat.model.tune import FileChange, Handover
from labcoat.model.variant import Variant
from labcoat.stack import app_pool, swap
from labcoat.stack.base import FileEdit
from labcoat.stack.edit.nginx import KEYED, PARAMETERED
from labcoat.stack.edits import edited
from labcoat.stack.runtime import collector_lines

PATCH = "tuned.patch"


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedFile:
    """A file of the user's that changes: ``name`` as patches spell it, and its bytes.

    ``before``: None for a file that is not there yet.
    """

    name: str
    path: Path
    before: bytes | None
    after: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedFiles:
    """A handover with what it takes to apply it. ``patch``: the whole, for programs.

    ``handover`` is for the journal and for reports: it holds no secret; the rest may.
    """

    handover: Handover
    files: tuple[TunedFile, ...]
    patch: str


def hand_over(study: Study, variant: Variant, digests: Digests) -> tuple[Handover, str]:
    """What is handed over for a variant, and the text of the whole patch.

    ``digests``: of the files as they were measured, from ``digests_of``. Files that hold every
    level already need not be those.
    Raises: RenderError if a file has changed since, or has no place for a level; HostError.
    """
    tuned = tuned_files(study, variant, digests)
    return tuned.handover, tuned.patch


def tuned_files(study: Study, variant: Variant, digests: Digests) -> TunedFiles:
    """The same with the bytes of every file. Raises: RenderError, HostError."""
    edits = edited(study, variant)
    if edits.changed:
        refuse_changed(study, digests, digests_in(study, edits))
    directives = tuple(_directives(study, variant))
    ours = collector_lines("", variant.levels("python"))[0].splitlines()
    changed = [(spelled(study.root, file.path), file) for file in edits.changed]
    by_hand = (*edits.by_hand, *_outside(study, changed))
    inside = [(name, file) for name, file in changed if not Path(name).is_absolute()]
    handover = Handover(
        assignment=variant.assignment,
        diff="".join(
            unified.short(
                name,
                None if file.is_new else file.before,
                file.after,
                directives=directives,
                ours=file.after.splitlines() if file.is_new else ours,
            )
            for name, file in changed
        ),
        files=tuple(
            FileChange(path=name, lines=unified.changed_lines(file.before, file.after))
            for name, file in changed
        ),
        by_hand=by_hand,
        digests=digests,
    )
    return TunedFiles(
        handover=handover,
        files=tuple(
            TunedFile(
                name=name,
                path=file.path,
                before=None if file.is_new else file.before.encode(),
                after=file.after.encode(),
            )
            for name, file in changed
        ),
        patch="".join(
            (
                *(f"# by hand: {line}\n" for words in by_hand for line in words.splitlines()),
                *(
                    unified.patch(name, None if file.is_new else file.before, file.after)
                    for name, file in inside
                ),
            )
        ),
    )


def keep_patch(study: Study, text: str) -> Path:
    """Write the whole patch to ``.labcoat/tuned.patch``, for this user alone: it may hold secrets.

    Raises: HostError.
    """
    path = study.root / ".labcoat" / PATCH
    half = path.with_name(f".{PATCH}-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            half.unlink()
        half.touch(mode=0o600)
        half.write_bytes(text.encode())
        half.replace(path)
    except OSError as error:
        raise HostError(
            f"cannot keep the patch: {error.strerror}",
            where=path,
            way_out="grant this user access to .labcoat beside the study file",
        ) from error
    return path


def refuse_changed(study: Study, measured: Digests, now: Digests) -> None:
    """Raises: RenderError that names every file which is not the one that was measured."""
    then, today = dict(measured), dict(now)
    log = [
        f"{name}: {_difference(name, then, today)}"
        for name in dict.fromkeys((*then, *today))
        if then.get(name) != today.get(name)
    ]
    if log:
        raise RenderError(
            "files of the stack are not those that were measured",
            where=study.root,
            log=log,
            way_out="put them back as they were, or measure them as they are: labcoat tune",
        )


def _difference(name: str, then: dict[str, str], today: dict[str, str]) -> str:
    if name not in then:
        return "was not part of the stack"
    return "changed since" if name in today else "no longer part of the stack"


def _directives(study: Study, variant: Variant) -> Iterator[str]:
    """How the lines that a variant changes begin, in the languages of the users' files."""
    for knob, _ in variant.assignment:
        component, _, directive = knob.partition(".")
        name, _, parameter = directive.partition(".")
        if component == "nginx" and parameter:
            yield parameter if name == "upstream" else _first_words(name, parameter)
        elif component == "python":
            yield "gc.set_threshold"
        elif component == swap.NAME:
            yield from ("proxy_pass", "proxy_set_header", "uwsgi_pass")
        elif component == app_pool.NAME:
            yield study.app.pool or directive
        else:
            yield from {directive, directive.replace("-", "_"), directive.replace("_", "-")}


def _first_words(name: str, parameter: str) -> str:
    if name in PARAMETERED:
        return name
    return f"{name} {parameter}" if name in KEYED else parameter


def _outside(study: Study, changed: list[tuple[str, FileEdit]]) -> Iterator[str]:
    """Words for files that no patch can carry: both programs refuse paths that lead outside."""
    for name, _ in changed:
        if Path(name).is_absolute():
            yield (
                f"{name} lies outside {study.root}, so no patch can change it: labcoat apply does"
            )
