"""uWSGI's ini files, read the way uWSGI reads them.

Not the ini of configparser: a key may be repeated (``env``, ``plugin``), indentation means
nothing, a key without ``=`` is true, a key may hold ``-`` and placeholders, and only the lines
of one section count (``[uwsgi]``, or the one that the command line names).

A composite (``request-log``) writes several options as one level; see
``labcoat.stack.edit.composites``.

Source: uWSGI core/ini.c.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from labcoat.errors import RenderError
from labcoat.model.variant import Level
from labcoat.stack.edit.composites import INI as COMPOSITES
from labcoat.stack.edit.lines import Setting, appended, blanked
from labcoat.stack.edit.patch import Patch, apply, spelled

# Names that uWSGI's option table treats as one and the same option.
ALIASES: tuple[tuple[str, ...], ...] = (
    ("processes", "workers"),
    ("socket", "uwsgi-socket"),
    ("home", "virtualenv", "venv", "pyhome"),
    ("pythonpath", "python-path", "pp"),
    ("module", "wsgi"),
    ("plugins", "plugin"),
    ("need-plugins", "need-plugin"),
    ("stats", "stats-server"),
    ("req-logger", "logger-req"),
)

_LOOPS = frozenset({"for", "for-glob", "for-readline", "for-times"})
_BLOCK_ENDS = frozenset({"end-for", "end-if", "endfor", "endif"})
_SECTION = re.compile(r"\[(?P<name>[^\]]*)\]")


def names(directive: str) -> tuple[str, ...]:
    """Every spelling of an option."""
    return next((group for group in ALIASES if directive in group), (directive,))


def settings(text: str, *, path: Path, section: str = "uwsgi") -> tuple[Setting, ...]:
    """Every option of the section, in order. Raises: RenderError with file and line."""
    found: list[Setting] = []
    current: str | None = None
    seen = False
    offset = 0
    for number, line in enumerate(text.split("\n"), start=1):
        bare = line.strip()
        if bare.startswith("["):
            match = _SECTION.match(bare)
            if match is None:
                raise RenderError(
                    f"not a section: {bare!r}", where=f"{path}:{number}", way_out="close it with ]"
                )
            current = match["name"]
            seen = seen or current == section
        elif bare and bare[0] not in ";#" and current == section:
            found.append(_setting(line, number, offset))
        offset += len(line) + 1
    if not seen and text.strip():
        raise RenderError(
            f"no [{section}] section", where=path, way_out=f"write [{section}] above the options"
        )
    return tuple(found)


def read(text: str, directive: str, *, path: Path) -> str | None:
    """The value in force (the last one), or None if the text does not say it for certain.

    What stands last inside of a block (``if-env``, ``for``) may or may not be in force.
    """
    if directive in COMPOSITES:
        return COMPOSITES[directive].level(lambda part: read(text, part, path=path))
    spellings = names(directive)
    present = settings(text, path=path)
    said = [setting for setting in present if setting.key in spellings]
    return said[-1].value if said and said[-1] not in in_blocks(present) else None


def in_blocks(present: Sequence[Setting]) -> frozenset[Setting]:
    """The options between ``for`` or ``if-...`` and its end."""
    found: set[Setting] = set()
    depth = 0
    for setting in present:
        if setting.key in _BLOCK_ENDS:
            depth = max(0, depth - 1)
        elif depth:
            found.add(setting)
        if setting.key in _LOOPS or setting.key.startswith("if-"):
            depth += 1
    return frozenset(found)


def is_on(value: str | None) -> bool:
    """Whether uWSGI takes a value as true."""
    return value is not None and value.lower() in {"true", "yes", "on", "1", "y"}


def assign(text: str, levels: Mapping[str, Level], *, path: Path, section: str = "uwsgi") -> str:
    """The text with these options in force, each changed where it is, else added to the section."""
    present = settings(text, path=path, section=section)
    changed, missing = changes(present, levels)
    patches = [valued(text, setting, value) for setting, value in changed]
    if missing:
        lines = [f"{directive} = {value}" for directive, value in missing.items()]
        patches.append(added(text, lines, present, section))
    return apply(text, patches)


def changes(
    present: Sequence[Setting], levels: Mapping[str, Level]
) -> tuple[list[tuple[Setting, str]], dict[str, str]]:
    """(options to change, each with its new value; options to add) that put levels in force.

    An option inside of a block is left alone, and said again behind it.
    """
    changed: list[tuple[Setting, str]] = []
    missing: dict[str, str] = {}
    blocks = in_blocks(present)
    for directive, level in _apart(levels).items():
        spellings = names(directive)
        wanted = spelled(level, true="true", false="false")
        last = next((s for s in reversed(present) if s.key in spellings), None)
        if last is None or last in blocks:
            missing[directive] = wanted
        elif not _same(last.value, level):
            changed.append((last, wanted))
    return changed, missing


def _apart(levels: Mapping[str, Level]) -> dict[str, Level]:
    """The levels with composites taken apart; what is said by its own name wins."""
    parts = {
        name: value
        for directive, level in levels.items()
        if directive in COMPOSITES
        for name, value in COMPOSITES[directive].parts(level)
    }
    return {**parts, **{name: level for name, level in levels.items() if name not in COMPOSITES}}


def removed(setting: Setting, why: str) -> Patch:
    """A patch that leaves an option out; its value is not repeated."""
    return blanked(setting, f"# {setting.key}: {why}")


def _setting(line: str, number: int, offset: int) -> Setting:
    key, equals, value = line.partition("=")
    start = offset + len(key) + len(equals)
    stripped = value.strip()
    start += len(value) - len(value.lstrip()) if stripped else 0
    return Setting(
        key=key.strip(),
        value=stripped if equals else "true",
        line=number,
        start=start if equals else offset + len(line.rstrip()),
        end=start + len(stripped) if equals else offset + len(line.rstrip()),
        line_start=offset,
        line_end=offset + len(line.rstrip("\r")),
    )


def _same(value: str, level: Level) -> bool:
    if isinstance(level, bool):
        return is_on(value) is level
    return value == str(level)


def valued(text: str, setting: Setting, wanted: str) -> Patch:
    """The option with another value; a bare key gets its ``=``."""
    has_equals = "=" in text[setting.line_start : setting.line_end]
    return Patch(setting.start, setting.end, wanted if has_equals else f" = {wanted}")


def added(
    text: str, lines: list[str], present: tuple[Setting, ...], section: str = "uwsgi"
) -> Patch:
    """Lines behind the last option of the section, which is made where it is not there."""
    if present:
        return appended(text, lines, at=present[-1].line_start)
    header = re.search(rf"^[ \t]*\[{re.escape(section)}\]", text, re.MULTILINE)
    if header is None:
        return appended(text, [f"[{section}]", *lines])
    return appended(text, lines, at=header.start())
