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

from labcoat.errors import JournalError
from labcoat.journal.address import MASK
from labcoat.model.study import App, Study
from labcoat.model.workload import RequestTemplate

HARMLESS_HEADERS = frozenset(
    {"accept", "accept-encoding", "accept-language", "connection", "content-type", "user-agent"}
)
_SECRET_WORD = r"(?:pass(?:word|wd)?|pwd|secret|token|api[_-]?key|auth|signature)"
_IN_URL = re.compile(r"(?<=://)([^\s:/@]*):[^\s/@]+(?=@)")
_NAMED = re.compile(rf"(?i)([\w-]*{_SECRET_WORD}[\w-]*\s*=\s*)[^\s&;,'\"]+")


def masked(text: str) -> str:
    """The text without passwords of URLs and without values of secret-looking names."""
    return _NAMED.sub(rf"\g<1>{MASK}", _IN_URL.sub(rf"\g<1>:{MASK}", text))


def dumped(document: object, *, where: str) -> str:
    """A document as JSON, masked, the same text for the same content.

    Takes dataclasses, enums and paths as well. Raises: JournalError for a value that
    JSON does not have: a number that is not finite, a key that is not text.
    """
    try:
        plain = _plain(document)
        return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
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
    }


def _plain(value: object) -> Any:
    """The value in JSON's own terms, every string masked."""
    match value:
        case Enum():
            return _plain(value.value)
        case str():
            return masked(value)
        case Path():
            return masked(str(value))
        case Mapping():
            if not all(isinstance(key, str) for key in value):
                raise TypeError("a key is not text")
            return {key: _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            names = [field.name for field in dataclasses.fields(value)]
            return {name: _plain(getattr(value, name)) for name in names}
        case _:
            return value
