"""Digests of the user's files: whether they still are what was measured."""

from __future__ import annotations

import hmac
from pathlib import Path

from labcoat.lab.trial.origin import project_key
from labcoat.model.study import Study
from labcoat.model.variant import ORIGIN
from labcoat.stack.edits import Edits, edited

Digests = tuple[tuple[str, str], ...]


def digests_of(study: Study) -> Digests:
    """Path and digest of each file of the user's that the stack is made of, as it is now.

    What the files include is among them, and labcoat.toml where options of a component stand
    in it. Call it before the files are measured. Raises: RenderError, HostError.
    """
    return digests_in(study, edited(study, ORIGIN))


def digests_in(study: Study, edits: Edits) -> Digests:
    """The same of files that were read already. Raises: HostError."""
    key = project_key(study.root)
    return tuple(
        (spelled(study.root, file.path), digest(key, file.before.encode()))
        for file in edits.files
        if not file.is_new
    )


def digest(key: bytes, content: bytes) -> str:
    """SHA-256 of a file's content, keyed with a secret that stays in ``.labcoat``.

    A user's file may hold a password, and a journal that is sent by mail must not let it be
    guessed.
    """
    return hmac.new(key, content, "sha256").hexdigest()


def spelled(root: Path, path: Path) -> str:
    """A file as patches and the journal name it: from the study's folder, else absolute.

    Links are followed: what is changed is the file that they lead to.
    """
    real, folder = path.resolve(), root.resolve()
    return real.relative_to(folder).as_posix() if real.is_relative_to(folder) else str(real)
