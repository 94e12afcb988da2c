"""redis.conf: a directive and its arguments on each line, the last one wins.

Grammar, after Redis' src/config.c: comments stand on lines of their own; names do not depend on
case; an argument may be quoted. Directives that add up (``save``, ``user``) are not told apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from labcoat.errors import RenderError
from labcoat.model.variant import Level
from labcoat.stack.edit.lines import Setting, appended
from labcoat.stack.edit.patch import Patch, apply, spelled

_LINE = re.compile(r"[ \t]*(?P<key>[^\s#]\S*)(?:[ \t]+(?P<value>\S.*?))?[ \t]*\r?")
_ESCAPED = re.compile(r"\\(.)")


def settings(text: str, *, path: Path) -> tuple[Setting, ...]:
    """Every directive, in order. Raises: RenderError with file and line for an ``include``."""
    found: list[Setting] = []
    offset = 0
    for number, line in enumerate(text.split("\n"), start=1):
        match = _LINE.fullmatch(line)
        if match is not None:
            key = match["key"].lower()
            if key == "include":
                raise RenderError(
                    "redis.conf includes another file, which labcoat does not follow",
                    where=f"{path}:{number}",
                    way_out="name a file under [stack] redis that holds all of its lines",
                )
            start = match.start("value") if match["value"] is not None else match.end("key")
            end = start + len(match["value"] or "")
            found.append(
                Setting(
                    key=key,
                    value=_unquoted(match["value"] or ""),
                    line=number,
                    start=offset + start,
                    end=offset + end,
                    line_start=offset,
                    line_end=offset + len(line.rstrip("\r")),
                )
            )
        offset += len(line) + 1
    return tuple(found)


def read(text: str, directive: str, *, path: Path) -> str | None:
    """The value in force, or None if the text does not say it."""
    values = [s.value for s in settings(text, path=path) if s.key == directive.lower()]
    return values[-1] if values else None


def assign(text: str, levels: Mapping[str, Level], /, *, path: Path) -> str:
    """The text with these levels in force; the line in force is changed, else one is added."""
    present = {setting.key: setting for setting in settings(text, path=path)}
    patches: list[Patch] = []
    missing: list[str] = []
    for directive, level in levels.items():
        wanted = spelled(level, true="yes", false="no")
        setting = present.get(directive.lower())
        if setting is None:
            missing.append(f"{directive} {wanted}")
        elif setting.value != wanted:
            lead = "" if text[setting.start - 1].isspace() else " "
            patches.append(Patch(setting.start, setting.end, lead + wanted))
    if missing:
        patches.append(appended(text, missing))
    return apply(text, patches)


def _unquoted(raw: str) -> str:
    """An argument that is quoted as a whole without its quotes; several stay as written."""
    if len(raw) < 2 or raw[0] not in "\"'" or raw[-1] != raw[0]:
        return raw
    inner = raw[1:-1]
    return inner if raw[0] in _ESCAPED.sub("", inner) else _ESCAPED.sub(r"\1", inner)
