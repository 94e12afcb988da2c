"""Formats of access logs: nginx's ``log_format`` as a pattern for whole chunks of lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import crossplane

from labcoat.errors import UsageError

COMMON = '$remote_addr $remote_ident $remote_user [$time_local] "$request" $status $body_bytes_sent'
COMBINED = f'{COMMON} "$http_referer" "$http_user_agent"'
KNOWN = {"combined": COMBINED, "common": COMMON, "vhost_combined": f"$host:$server_port {COMBINED}"}
"""Formats with a name; a log of none is tried with each, in this order."""

_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")
_LISTS = ("upstream_", "http_", "sent_http_", "cookie_", "remote_user")

_TARGET = r'[^ "\n]+'
_TARGET_IN_JSON = r'(?:[^ "\\\n]|\\.)+'
_PATTERNS = {
    "time_local": r"\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}",
    "time_iso8601": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d",
    "msec": r"\d+\.\d+",
    "status": r"\d{3}",
    "request_method": r"[A-Z]+",
    "request_time": r"\d+\.\d+",
}
FIELDS = ("method", "target", "status", "time", "client", "request_time")
_ROLES = {
    "request_method": "method",
    "request_uri": "target",
    "uri": "target",
    "status": "status",
    "time_local": "time",
    "time_iso8601": "time",
    "msec": "time",
    "remote_addr": "client",
    "realip_remote_addr": "client",
    "request_time": "request_time",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFormat:
    """A format, ready to read with.

    ``text``: as it was given. ``pattern``: matches one whole line that holds a request;
    its groups are ``fields``, in order. ``loose``: matches any line of the format, one
    whose request is no HTTP too.
    """

    text: str
    pattern: re.Pattern[bytes]
    loose: re.Pattern[bytes]
    fields: tuple[str, ...]

    @classmethod
    def of(cls, text: str, *, is_json: bool = False) -> LogFormat:
        """Raises: UsageError if it does not say what was asked for and how that ended."""
        strict, fields = _pattern(text, is_json=is_json, is_loose=False)
        loose, _ = _pattern(text, is_json=is_json, is_loose=True)
        missing = [name for name in ("method", "target", "status") if name not in fields]
        if missing:
            raise UsageError(
                f"the log's format does not hold the request's {' and '.join(missing)}",
                where=text,
                way_out="it needs $request (or $request_method and $request_uri) and $status",
            )
        return cls(text=text, pattern=strict, loose=loose, fields=fields)


def _pattern(
    text: str, *, is_json: bool, is_loose: bool
) -> tuple[re.Pattern[bytes], tuple[str, ...]]:
    """The pattern of a line, and what its groups are."""
    parts: list[str] = []
    fields: list[str] = []
    position = 0
    found = list(_VARIABLE.finditer(text))
    for index, variable in enumerate(found):
        parts.append(re.escape(text[position : variable.start()]))
        position = variable.end()
        following = found[index + 1].start() if index + 1 < len(found) else len(text)
        after = text[position:following]
        if not after and index + 1 < len(found):
            raise UsageError(
                "two variables of the log's format touch: nothing tells where one ends",
                where=text,
                way_out="log them with a blank or a quote between",
            )
        name = variable[1] or variable[2]
        parts.append(_of_variable(name, after[:1], fields, is_json=is_json, is_loose=is_loose))
    parts.append(re.escape(text[position:]))
    line = "".join(parts)
    return re.compile(f"(?m)^{line}\\r?$".encode()), tuple(fields)


def _of_variable(name: str, after: str, fields: list[str], *, is_json: bool, is_loose: bool) -> str:
    """What one variable may be, up to the character after it."""
    anything = _up_to(name, after, is_json=is_json)
    if name == "request":
        if is_loose:
            return anything
        fields += ["method", "target"]
        return rf"([A-Z]+) ({_TARGET_IN_JSON if is_json else _TARGET}) HTTP/[0-9.]+"
    role = _ROLES.get(name)
    pattern = _PATTERNS.get(name, anything)
    if role is None or role in fields or is_loose:
        return pattern
    fields.append(role)
    return f"({pattern})"


def _up_to(name: str, after: str, *, is_json: bool) -> str:
    if is_json and after == '"':
        return r'(?:[^"\\\n]|\\.)*'
    if not after:
        return r"[^\n]*?"
    if after == " " and name.startswith(_LISTS):
        return r"[^\n]*?"  # several values, with blanks between
    return f"[^{re.escape(after)}\\n]*"


def from_nginx_conf(path: Path, name: str | None) -> tuple[str, LogFormat]:
    """The format of this name in an nginx.conf, or the one that its ``access_log`` uses.

    Includes are followed. Raises: UsageError (no such file, no such format, several).
    """
    formats, used = _formats_of(path)
    wanted = name
    if wanted is None:
        chosen = [each for each in dict.fromkeys(used) if each in formats] or list(formats)
        if not chosen:
            return "combined", LogFormat.of(COMBINED)
        if len(chosen) > 1:
            raise UsageError(
                f"several formats of logs: {', '.join(chosen)}",
                where=path,
                way_out=f"name the one of this log: --format {chosen[0]}",
            )
        wanted = chosen[0]
    if wanted in formats:
        text, is_json = formats[wanted]
        return wanted, LogFormat.of(text, is_json=is_json)
    if wanted in KNOWN:
        return wanted, LogFormat.of(KNOWN[wanted])
    raise UsageError(
        f"there is no log_format {wanted}",
        where=path,
        way_out=f"one of {', '.join([*formats, *KNOWN])}",
    )


def _formats_of(path: Path) -> tuple[dict[str, tuple[str, bool]], list[str]]:
    """Formats by name with whether they escape as JSON does, and the names that are used."""
    if not path.is_file():
        raise UsageError("there is no such file", where=path, way_out="check the path")
    try:
        payload = crossplane.parse(str(path), check_ctx=False, check_args=False)
    except OSError as error:
        raise UsageError(
            f"nginx's file cannot be read: {error}", where=path, way_out="mend the line named"
        ) from error
    formats: dict[str, tuple[str, bool]] = {}
    used: list[str] = []
    for row in _flat([row for each in payload["config"] for row in each["parsed"]]):
        if row["directive"] == "log_format" and len(row["args"]) > 1:
            name, *texts = row["args"]
            escapes = [text for text in texts if text.startswith("escape=")]
            text = "".join(text for text in texts if text not in escapes)
            formats[name] = (text, escapes == ["escape=json"])
        elif row["directive"] == "access_log" and len(row["args"]) > 1:
            used.append(row["args"][1])
    return formats, used


def _flat(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Directives in the order of the file, those of blocks too."""
    for row in rows:
        yield row
        yield from _flat(row.get("block", []))


def given_format(text: str) -> tuple[str, LogFormat]:
    """A format by its name or as nginx spells it. Raises: UsageError."""
    if text in KNOWN:
        return text, LogFormat.of(KNOWN[text])
    if "$" not in text:
        raise UsageError(
            f"no such format: {text}",
            where="--format",
            way_out=f"one of {', '.join(KNOWN)}, or the log_format itself in quotes;"
            " for one of your nginx.conf name that too: --nginx-conf FILE",
        )
    is_json = text.lstrip().startswith("{")
    return text, LogFormat.of(text, is_json=is_json)
