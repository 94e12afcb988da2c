"""postgresql.conf: one setting per line, the last one wins, include lines kept.

Grammar, after "Setting Parameters" in PostgreSQL's manual and its guc-file scanner:
``name [=] value [# comment]``; a value is a word or a single-quoted string in which a quote is
doubled or escaped with a backslash; names do not depend on case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from labcoat.errors import RenderError
from labcoat.model.variant import Level
from labcoat.stack.edit.lines import Setting, appended
from labcoat.stack.edit.patch import Patch, apply, spelled

INCLUDES = ("include", "include_if_exists", "include_dir")

_LINE = re.compile(
    r"""[ \t]*
    (?:
      (?P<key>[A-Za-z_\x80-\uffff][\w$]*(?:\.[A-Za-z_\x80-\uffff][\w$]*)?)
      (?:[ \t]*=[ \t]*|[ \t]+)
      (?P<value>'(?:[^'\\\n]|\\.|'')*'|[^\s'\#=][^\s'\#]*)
    )?
    [ \t]*(?:\#.*)?\r?$""",
    re.VERBOSE,
)
_BARE = re.compile(r"[A-Za-z0-9_.:/+-]+")


def settings(text: str, *, path: Path) -> tuple[Setting, ...]:
    """Every setting, in order. Raises: RenderError with file and line."""
    found: list[Setting] = []
    offset = 0
    for number, line in enumerate(text.split("\n"), start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise RenderError(
                f"not a setting of postgresql.conf: {line.split('=')[0].strip()!r}",
                where=f"{path}:{number}",
                way_out="write it as  name = value  or  name = 'value'",
            )
        if match["key"] is not None:
            raw = match["value"]
            found.append(
                Setting(
                    key=match["key"].lower(),
                    value=_unquoted(raw),
                    line=number,
                    start=offset + match.start("value"),
                    end=offset + match.end("value"),
                    line_start=offset,
                    line_end=offset + len(line.rstrip("\r")),
                )
            )
        offset += len(line) + 1
    return tuple(found)


def read(text: str, directive: str, *, path: Path) -> str | None:
    """The value in force, or None if the text does not set it."""
    values = [s.value for s in settings(text, path=path) if s.key == directive.lower()]
    return values[-1] if values else None


def assign(text: str, levels: Mapping[str, Level], *, path: Path) -> str:
    """The text with these settings in force; the line in force is changed, else one is added."""
    present = {setting.key: setting for setting in settings(text, path=path)}
    patches: list[Patch] = []
    missing: list[str] = []
    for directive, level in levels.items():
        wanted = spelled(level)
        setting = present.get(directive.lower())
        if setting is None:
            missing.append(f"{directive} = {quoted(wanted)}")
        elif setting.value != wanted:
            patches.append(Patch(setting.start, setting.end, quoted(wanted)))
    if missing:
        patches.append(appended(text, missing))
    return apply(text, patches)


def quoted(value: str) -> str:
    """A value as the file wants it: bare if it may be, else in single quotes."""
    if _BARE.fullmatch(value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _unquoted(raw: str) -> str:
    if not raw.startswith("'"):
        return raw
    return re.sub(r"''|\\(.)", lambda found: found[1] or "'", raw[1:-1])
