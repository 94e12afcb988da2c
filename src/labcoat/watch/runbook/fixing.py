"""What ``watch check --fix`` proposes: the source with what has one obvious cure cured."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from labcoat.watch.model.finding import Finding

Fixer = Callable[[str, Finding], str]


def fixed(text: str, findings: Iterable[Finding]) -> str:
    """The text, line by line, with every finding of a known kind put right.

    A finding that cannot be put right without knowing what was meant stays as it is.
    """
    lines = text.split("\n")
    for finding in sorted(findings, key=lambda each: (-each.line, -each.column)):
        fixer = FIXERS.get(finding.code)
        if fixer is not None and 0 < finding.line <= len(lines):
            lines[finding.line - 1] = fixer(lines[finding.line - 1], finding)
    return "\n".join(lines)


def quote_star(line: str, finding: Finding) -> str:
    """``second: */20`` -> ``second: "*/20"``; within braces up to the next comma."""
    del finding
    in_flow = re.search(r"[{,]\s*\w+\s*:\s+\*", line) is not None
    value = r"\*[^,}#\s]*" if in_flow else r"\*.*?"
    end = r"(?=\s*[,}])" if in_flow else r"(?=\s+#|\s*$)"
    return re.sub(rf"(:\s+)({value}){end}", r'\1"\2"', line, count=1)


def use_block(line: str, finding: Finding) -> str:
    """A plain text with ``: `` in it -> a block scalar."""
    del finding
    found = re.match(r"(\s*(?:- )?)([\w-]+):\s+(.*)$", line)
    if found is None:
        return line
    inner = " " * (len(found[1]) + 2)
    return f"{found[1]}{found[2]}: |-\n{inner}{found[3]}"


def rename_key(line: str, finding: Finding) -> str:
    """The key at the finding's place -> the one that is known."""
    name = re.fullmatch(r"write (\w+)", finding.fix)
    at = finding.column - 1
    found = re.compile(r"\w+").match(line, at)
    if name is None or found is None:
        return line
    return line[:at] + name[1] + line[found.end() :]


def replace_value(line: str, finding: Finding) -> str:
    """``key: whatever`` -> the ``key: value`` that the fix names."""
    written = re.fullmatch(r"write (\w+): (.+)", finding.fix)
    if written is None:
        return line
    old = rf"\b{written[1]}:\s*(?:'[^']*'|\"[^\"]*\"|[^\s,}}#]+)"
    return re.sub(old, lambda _: f"{written[1]}: {written[2]}", line, count=1)


def spell_status(line: str, finding: Finding) -> str:
    """``[critical]`` and ``CRITICAL`` -> ``[CRITICAL]``."""
    if finding.fix.startswith("write call_on: "):
        return replace_value(line, finding)
    word = finding.fix.removeprefix("write ")
    return re.sub(rf"\b{re.escape(word)}\b", word, line, flags=re.IGNORECASE)


def match_whole_line(line: str, finding: Finding) -> str:
    """``grep -q 0`` -> ``grep -qx 0``."""
    del finding
    pattern = r"(\bgrep\s+(?:-\w+\s+)*-\w*q\w*)(?<!x)(\s+['\"]?\d)"
    return re.sub(pattern, r"\1x\2", line)


FIXERS: Mapping[str, Fixer] = {
    "E101": quote_star,
    "E102": use_block,
    "W201": rename_key,
    "W202": replace_value,
    "W207": spell_status,
    "W210": rename_key,
    "W221": replace_value,
    "W240": match_whole_line,
}
