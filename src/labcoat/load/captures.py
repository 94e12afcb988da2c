"""Captures: values out of answers, and into the requests that come after them.

The standard library only and nothing of ours: the probe that calls an app in process
loads this file by its path, under the app's own interpreter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

FORM = "application/x-www-form-urlencoded"
_MARK = re.compile("\0([^\0]+)\0")


def mark(name: str) -> str:
    """What stands in a bound request for the value of this name, until it is filled."""
    return f"\0{name}\0"


def find(
    source: str, expression: str, *, headers: Iterable[tuple[str, str]], body: Callable[[], str]
) -> str | None:
    """The value in an answer, or None: not there, empty, or of more than one line.

    ``source``: ``regex`` (first group, or the whole match), ``json`` (RFC 6901 pointer;
    strings, numbers and booleans), ``header`` or ``cookie`` (the name). A value is
    refused that could break out of the header that it is put into.
    """
    found: str | None = None
    if source == "regex":
        match = re.search(expression, body())
        if match is not None:
            found = match[1] if match.re.groups else match[0]
    elif source == "json":
        found = _pointed(expression, body())
    elif source == "header":
        named = [value for name, value in headers if name.lower() == expression.lower()]
        found = named[-1] if named else None
    else:
        for name, value in headers:
            key, _, content = value.partition(";")[0].partition("=")
            if name.lower() == "set-cookie" and key.strip() == expression:
                found = content.strip()
    return found if found and not re.search("[\0\r\n]", found) else None


def _pointed(pointer: str, body: str) -> str | None:
    """The scalar that a JSON pointer finds, as text."""
    try:
        value: Any = json.loads(body)
        for part in pointer.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            value = value[int(key) if isinstance(value, list) else key]
    except (ValueError, LookupError, TypeError):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (str, int, float)) else None


def fill(text: str, values: Mapping[str, str], spell: Callable[[str], str] = str) -> str:
    """The text with every mark replaced by its value, spelt as the place demands."""
    return _MARK.sub(lambda match: spell(values.get(match[1], "")), text)


def in_path(value: str) -> str:
    """A value as a path or a query holds it."""
    return quote(value, safe="")


def in_body(content_type: str) -> Callable[[str], str]:
    """How a body of this type spells a value: a form's way, JSON's way, or as it is."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == FORM:
        return quote_plus
    if kind.endswith("json"):
        return lambda value: json.dumps(value)[1:-1]
    return str


def fill_wire(wire: bytes, values: Mapping[str, str]) -> bytes:
    """A whole request with its marks replaced, and the length that its body then has.

    The head says Content-Length already, as 0, if a body is to be sent.
    """
    head, _, body = wire.partition(b"\r\n\r\n")
    first, _, fields = head.decode("latin-1").partition("\r\n")
    first = fill(first, values, in_path)
    filled = fill(body.decode(), values, in_body(_content_type(fields))).encode()
    fields = fill(fields, values)
    fields = re.sub("(?i)(?m)^Content-Length: 0(?=\r?$)", f"Content-Length: {len(filled)}", fields)
    return f"{first}\r\n{fields}\r\n\r\n".encode("latin-1", "replace") + filled


def _content_type(fields: str) -> str:
    found = re.search("(?im)^content-type:[ \\t]*([^\r\n]*)", fields)
    return found[1] if found else ""
