"""What both arms of an experiment are made from, as a digest: has anything changed since?"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from labcoat.errors import HostError
from labcoat.load.placeholders import parse
from labcoat.model.study import Study
from labcoat.stack.cluster import files_below
from labcoat.stack.rig import Rig

SOURCES = frozenset(
    {
        ".cfg", ".csv", ".html", ".ini", ".j2", ".jinja", ".jinja2", ".json", ".py", ".sql",
        ".toml", ".txt", ".yaml", ".yml",
    }
)  # fmt: skip
KEY_BYTES = 32


def origin_digest(study: Study, rig: Rig) -> str:
    """A digest of the user's files, the app's sources and environment, the programs' versions.

    And of what is asked: headers and bodies of the workload are not in the journal, the
    lines of its ``{file:...}`` are nowhere else. Keyed with a secret that stays in
    ``.labcoat``: secret values are in it, and a journal that is sent by mail must not let
    them be guessed.
    Raises: HostError, StackError; UsageError, LoadError (a placeholder or its file is wrong).
    """
    digest = hmac.new(project_key(study.root), digestmod="sha256")
    for name, component in rig.components.items():
        located = rig.located(name)
        for part in (name, repr(component), located.version, located.build):
            digest.update(part.encode() + b"\0")
    for name, value in study.app.env:
        digest.update(f"{name}={value}".encode() + b"\0")
    for request in (*study.workload.setup, *study.workload.requests):
        digest.update(repr(request).encode() + b"\0")
        for text in (request.path, request.body or "", *(value for _, value in request.headers)):
            pieces = parse(text, base_dir=study.workload.base_dir)
            digest.update(repr(pieces).encode() + b"\0")
    try:
        for path in files_below(study.app.directory, SOURCES):
            digest.update(str(path.relative_to(study.app.directory)).encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    except OSError as error:
        raise HostError(
            f"cannot read the app's sources: {error.strerror}",
            where=error.filename,
            way_out="grant this user access to them",
        ) from error
    return digest.hexdigest()[:24]


def project_key(root: Path) -> bytes:
    """The project's own secret, made when it is first needed. Raises: HostError."""
    path = root / ".labcoat" / "key"
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            half = path.with_name(f".key-{os.getpid()}")
            half.touch(mode=0o600)
            half.write_bytes(secrets.token_bytes(KEY_BYTES))
            half.replace(path)
        return path.read_bytes()
    except OSError as error:
        raise HostError(
            f"cannot keep the project's key: {error.strerror}",
            where=path,
            way_out="grant this user access to .labcoat beside the study file",
        ) from error
