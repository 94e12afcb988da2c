"""Unified diffs of texts: the whole for programs, the short for the journal.

The header is the traditional one, without ``diff --git``: git takes the names of that form
from the folder that it is called in, so a study's folder may lie anywhere in a repository.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Sequence

NO_NEWLINE = "\\ No newline at end of file\n"
CUT = "…"

_MARKS = " \t;,{}()"
_QUOTED = re.compile(r'[\x00-\x1f"\\\x7f]')
_ESCAPES = {"\t": "\\t", "\n": "\\n", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
# A value as far as it surely is one: quoted, or up to what ends it in any of the languages,
# or makes an expression of it.
_VALUE = r"""[\s=]*(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^;,#{}()\[\]'"\n]*)"""


def patch(name: str, before: str | None, after: str, *, context: int = 3) -> str:
    """What changes a file, as ``git apply`` and ``patch -p1`` take it; empty for the same text.

    ``before``: None for a file that is not there yet.
    """
    pieces = [
        _origin(name, before),
        _header("+++", "b", name),
        *(_whole(line) for line in _hunks(before or "", after, context)),
    ]
    return "".join(pieces) if len(pieces) > 2 else ""


def short(
    name: str,
    before: str | None,
    after: str,
    *,
    directives: Collection[str],
    ours: Collection[str] = (),
) -> str:
    """The changed lines alone, each cut to the directives that are named.

    Whatever else a line holds (another directive, a comment) is ``…``: nothing of it is known
    to be no secret. ``ours``: whole lines that are no user's and so are shown as they are.
    """
    lines = list(_hunks(before or "", after, 0))
    if not lines:
        return ""
    told = [
        line
        if line.startswith("@@")
        else line[0] + _cut(line[1:].rstrip("\r\n"), directives, ours) + "\n"
        for line in lines
    ]
    return "".join((_origin(name, before), _header("+++", "b", name), *told))


def changed_lines(before: str, after: str) -> int:
    """How many lines are added and removed."""
    return sum(line[0] in "+-" for line in _hunks(before, after, 0))


def _hunks(before: str, after: str, context: int) -> Iterator[str]:
    """Hunks without the header; each line ends as it does in its file."""
    found = difflib.unified_diff(_lines(before), _lines(after), n=context)
    for number, line in enumerate(found):
        if number >= 2:
            yield line


def _lines(text: str) -> list[str]:
    """The lines with their ends; ``str.splitlines`` would also split where no line ends."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _whole(line: str) -> str:
    return line if line.endswith("\n") else f"{line}\n{NO_NEWLINE}"


def _origin(name: str, before: str | None) -> str:
    return "--- /dev/null\n" if before is None else _header("---", "a", name)


def _header(mark: str, side: str, name: str) -> str:
    text = f"{side}/{name}"
    if _QUOTED.search(text):
        escaped = _QUOTED.sub(lambda found: _ESCAPES.get(found[0], f"\\{ord(found[0]):03o}"), text)
        text = f'"{escaped}"'
    # A blank would end the name but for the tab after it.
    return f"{mark} {text}\t\n" if " " in text else f"{mark} {text}\n"


def _cut(line: str, directives: Collection[str], ours: Collection[str]) -> str:
    if not line.strip() or line in ours:
        return line
    shown: list[str] = []
    position = 0
    for start, end in _spans(line, sorted(directives, key=len, reverse=True)):
        shown += (_between(line[position:start]), line[start:end])
        position = end
    return "".join((*shown, _between(line[position:]))) if shown else CUT


def _spans(line: str, directives: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where a directive stands with its value, from left to right."""
    if not directives:
        return
    names = "|".join(r"\s+".join(map(re.escape, name.split())) for name in directives)
    # A comment that looks like a directive is no directive.
    code = re.match(r"""(?:[^#'"]|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|['"])*""", line)
    text = code[0] if code is not None else line
    for found in re.finditer(rf"(?<![\w.-])(?:{names})(?![\w.-]){_VALUE}", text):
        yield found.start(), found.start() + len(found[0].rstrip())


def _between(text: str) -> str:
    """What stands around directives: blanks and marks as they are, all else cut."""
    lead = text[: len(text) - len(text.lstrip(_MARKS))]
    tail = text[len(text.rstrip()) :]
    return text if lead == text else f"{lead}{CUT}{tail}"
