"""Documents: what is kept as JSON, without secrets.

Values of the app's environment are never written, only their names. So are values of
request headers other than the harmless ones, and bodies. In every string of every
document, what looks like a password or a token is masked.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from labcoat.errors import JournalError
from labcoat.journal.address import MASK
from labcoat.model.study import App, Study
from labcoat.model.workload import RequestTemplate

HARMLESS_HEADERS = frozenset(
    {"accept", "accept-encoding", "accept-language", "connection", "content-type", "user-agent"}
)
_SENSITIVE = r"(?:pass|password|passwd|pwd|secret|token|api[_-]?key|auth|authorization|signature)"
_NAME = rf"(?:[\w-]*[_-])?{_SENSITIVE}(?:[_-][\w-]*)?"
_IN_URL = re.compile(r"(?<=://)([^\s:/@]*):[^\s/@]+(?=@)")
_NAMED = re.compile(rf"(?i)(?<![\w-])({_NAME}\s*=\s*)[^\s&;,'\"]+")
_IS_SENSITIVE = re.compile(rf"(?i){_NAME}")


def masked(text: str) -> str:
    """The text without passwords of URLs and without values of secret-looking names."""
    return _NAMED.sub(rf"\g<1>{MASK}", _IN_URL.sub(rf"\g<1>:{MASK}", text))


def dumped(document: object, *, where: str) -> str:
    """A document as JSON, masked, the same text for the same content.

    Takes dataclasses, enums, paths and numpy's numbers as well. Raises: JournalError
    for a value that JSON does not have: a number that is not finite, a key that is
    not text.
    """
    return exact(_plain(document), where=where)


def exact(document: object, *, where: str) -> str:
    """A document as JSON, nothing masked. Raises: JournalError like ``dumped``."""
    try:
        return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise JournalError(
            f"a document cannot be kept: {error}",
            where=where,
            way_out="keep text, finite numbers, booleans, None, and lists and mappings of them",
        ) from error


def loaded(text: str, *, where: str) -> Any:
    """A document again. Raises: JournalError if it is not JSON."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise JournalError(
            f"a document of the journal is damaged: {error}",
            where=where,
            way_out="restore the journal from a copy",
        ) from error


def study_document(study: Study) -> dict[str, Any]:
    """What the user asked for, without secrets."""
    steps = study.workload.setup
    return {
        **{
            field.name: getattr(study, field.name)
            for field in dataclasses.fields(study)
            if field.name not in {"app", "workload"}
        },
        "app": _app(study.app),
        "workload": {
            "requests": [_request(request) for request in study.workload.requests],
            "cookies": study.workload.cookies,
            "base_dir": study.workload.base_dir,
            "normalise": study.workload.normalise,
            # Told only where there is one: documents of older journals stay what they were.
            **({"setup": [_request(step) for step in steps]} if steps else {}),
        },
    }


def fingerprint(document: str) -> str:
    """SHA-256 of a document's text."""
    return hashlib.sha256(document.encode()).hexdigest()


def _app(app: App) -> dict[str, Any]:
    return {
        "interface": app.interface,
        "target": app.target,
        "directory": app.directory,
        "python": app.python,
        "env_names": sorted(name for name, _ in app.env),
        "seed": app.seed,
    }


def _request(request: RequestTemplate) -> dict[str, Any]:
    return {
        "name": request.name,
        "method": request.method,
        "path": request.path,
        "weight": request.weight,
        "headers": [
            [name, value if name.lower() in HARMLESS_HEADERS else MASK]
            for name, value in request.headers
        ],
        "body_bytes": None if request.body is None else len(request.body.encode()),
        "expect": request.expect,
        **({"captures": request.captures} if request.captures else {}),
    }


def _plain(value: object) -> Any:
    """The value in JSON's own terms, every string masked; what has none is left as it is."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    match value:
        case Enum():
            plain = _plain(value.value)
        case str() | Path():
            plain = masked(str(value))
        case Mapping():
            plain = {key: _kept(key, each) for key, each in value.items()}
        case list() | tuple():
            plain = [_plain(each) for each in value]
        case np.generic():
            plain = value.item()
        case _:
            plain = value
    return plain


def _kept(key: object, value: object) -> Any:
    """What is kept under a key: nothing of a string whose key says that it is secret."""
    if not isinstance(key, str):
        raise JournalError(
            f"a document has the key {key!r}, which is not text",
            way_out="keep mappings from text; this is a defect of the caller",
        )
    is_secret = isinstance(value, str) and _IS_SENSITIVE.fullmatch(key) is not None
    return MASK if is_secret else _plain(value)
