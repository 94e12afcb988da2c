"""memcached.conf as Debian has it: one option of the command line on each line.

``-m 64``, ``-m64``, ``--memory-limit=64``; comments stand on lines of their own. Options are known
by their long names, whichever is written. Source: memcached.c, Debian's start-memcached.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from labcoat.errors import RenderError
from labcoat.model.variant import Level
from labcoat.stack.edit.lines import Setting, appended, blanked
from labcoat.stack.edit.patch import Patch, apply

LONG: Mapping[str, str] = {
    "A": "enable-shutdown", "B": "protocol", "C": "disable-cas", "F": "disable-flush-all",
    "I": "max-item-size", "L": "enable-largepages", "M": "disable-evictions", "P": "pidfile",
    "R": "max-reqs-per-event", "S": "enable-sasl", "U": "udp-port", "W": "disable-watch",
    "X": "disable-dumping", "Y": "auth-file", "Z": "enable-ssl", "a": "unix-mask",
    "b": "listen-backlog", "c": "conn-limit", "d": "daemon", "e": "memory-file",
    "f": "slab-growth-factor", "k": "lock-memory", "l": "listen", "m": "memory-limit",
    "n": "slab-min-size", "o": "extended", "p": "port", "r": "enable-coredumps",
    "s": "unix-socket", "t": "threads", "u": "user", "v": "verbose",
}  # fmt: skip
FLAGS = frozenset(
    {
        "daemon", "disable-cas", "disable-dumping", "disable-evictions", "disable-flush-all",
        "disable-watch", "enable-coredumps", "enable-largepages", "enable-sasl",
        "enable-shutdown", "enable-ssl", "lock-memory", "verbose",
    }
)  # fmt: skip
_LINE = re.compile(
    r"[ \t]*(?:--(?P<long>[\w-]+)(?:=|[ \t]+|(?=\s*$))"
    r"|-(?P<short>[A-Za-z])v*[ \t]*|(?P<word>logfile)[ \t]+)(?P<value>.*?)[ \t]*\r?"
)


def long_name(name: str) -> str:
    """The long name of an option, however spelled: ``m``, ``-m``, ``--memory-limit``."""
    bare = name.lstrip("-")
    return LONG.get(bare, bare)


def names(directive: str) -> tuple[str, ...]:
    """Every spelling of an option."""
    wanted = long_name(directive)
    shorts = [short for short, name in LONG.items() if name == wanted]
    return (wanted, *shorts, *(f"-{short}" for short in shorts), f"--{wanted}")


def settings(text: str, *, path: Path) -> tuple[Setting, ...]:
    """Every option, by its long name, in order. Raises: RenderError with file and line."""
    found: list[Setting] = []
    offset = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            match = _LINE.fullmatch(line)
            if match is None:
                raise RenderError(
                    f"not an option of memcached: {line.split()[0]!r}",
                    where=f"{path}:{number}",
                    way_out="write one option on each line: -m 64",
                )
            found.append(
                Setting(
                    key=match["word"] or long_name(match["long"] or match["short"]),
                    value=match["value"],
                    line=number,
                    start=offset + match.start("value"),
                    end=offset + match.end("value"),
                    line_start=offset,
                    line_end=offset + len(line.rstrip("\r")),
                )
            )
        offset += len(line) + 1
    return tuple(found)


def levels_in(text: str, *, path: Path) -> dict[str, Level]:
    """Each option's level in force; ``extended`` adds up, a flag is true."""
    found: dict[str, Level] = {}
    for setting in settings(text, path=path):
        if setting.key == "extended" and "extended" in found:
            found["extended"] = f"{found['extended']},{setting.value}"
        else:
            found[setting.key] = True if setting.key in FLAGS else setting.value
    return found


def assign(text: str, levels: Mapping[str, Level], /, *, path: Path) -> str:
    """The text with these options in force; the line in force is changed, else one is added."""
    present = {setting.key: setting for setting in settings(text, path=path)}
    patches: list[Patch] = []
    missing: list[str] = []
    for name, level in levels.items():
        setting = present.get(long_name(name))
        if level is False:
            patches += [blanked(setting, f"# {setting.key}: off")] if setting is not None else []
        elif setting is None:
            word = f"--{long_name(name)}"
            missing.append(word if level is True else f"{word}={level}")
        elif level is not True and setting.value != str(level):
            patches.append(Patch(setting.start, setting.end, str(level)))
    if missing:
        patches.append(appended(text, missing))
    return apply(text, patches)
