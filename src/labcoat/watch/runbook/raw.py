"""The text as it is written, also where no target renders it, or where it does not parse.

Line by line, so what it says is certain only for the traps that it knows: an unquoted
``*/n`` in a schedule, ``: `` inside an unquoted command, fields that a schedule drops, and
``grep -q`` with a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from labcoat.watch.runbook.report import Position, Report
from labcoat.watch.runbook.timing import tell_unknown
from labcoat.watch.schedule.fields import FIELDS

_TIMES = "schedule|seconds?|minutes?|hours?|days?|months?|day_of_week"
_STAR = re.compile(rf"(?:^\s*|[{{,]\s*)(?:{_TIMES})\s*:\s+(?=\*(?:[/\s,}}]|$))")
_KEY = re.compile(r"^(?P<indent>\s*(?:- )?)(?P<key>[A-Za-z_][\w-]*)\s*:(?:\s+(?P<value>.*))?$")
_BLOCK = re.compile(r"[|>][+-]?\d?[+-]?\s*(?:#.*)?$")
_FIELD_IN_FLOW = re.compile(r"(?:[{,])\s*(?P<key>[A-Za-z_]\w*)\s*:")
_QUOTED = re.compile(r"""'[^']*'|"(?:[^"\\]|\\.)*\"""")
_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}")
_GREP = re.compile(
    r"""\bgrep\s+(?P<flags>(?:-\w+\s+)*-\w*q\w*(?:\s+-\w+)*)\s+(?P<q>['"]?)(?P<n>\d+)(?P=q)(?=$|[\s'"|;&)])"""
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is YAML, not the inside of a block scalar."""

    number: int
    text: str
    indent: int
    in_flow: bool


def scan(text: str, report: Report) -> None:
    """Everything that the lines alone tell.

    What stops YAML is looked for only where there are branches: without them YAML itself
    says so, and better.
    """
    if "{%" in text:
        for line in yaml_lines(text):
            tell_star(line, report)
            if not line.in_flow:
                tell_colon(line, report)
    tell_fields(text, report)
    for number, raw in enumerate(text.splitlines(), 1):
        for found in _GREP.finditer(raw):
            if "x" not in found["flags"] and "w" not in found["flags"]:
                tell_grep(found, number, report)


def tell_star(line: Line, report: Report) -> None:
    """E101: a schedule's field that starts with an unquoted ``*``."""
    star = _STAR.search(line.text)
    if star is not None:
        value = re.split(r"[,}]|\s#|$", line.text[star.end() :], maxsplit=1)[0].strip()
        place = Position(line.number, star.end() + 1)
        report.add("E101", place, "an unquoted * is read as an alias", f'write "{value}"')


def tell_fields(text: str, report: Report) -> None:
    """W201: fields that a schedule drops."""
    inside: int | None = None  # the indent of the schedule that is being read
    for line in yaml_lines(text):
        if inside is not None and line.indent <= inside:
            inside = None
        key = _KEY.match(line.text)
        if key is None:
            continue
        if inside is not None and key["key"] not in FIELDS:
            tell_unknown(key["key"], Position(line.number, line.indent + 1), report)
        elif key["key"] == "schedule" and not key["value"]:
            inside = line.indent
        elif key["key"] == "schedule" and key["value"].startswith("{"):
            tell_flow(line, report)


def tell_grep(found: re.Match[str], number: int, report: Report) -> None:
    """W240: a number that is part of a longer one."""
    digit = found["n"]
    message = f"grep -q {digit} also matches 1{digit} and {digit}0"
    report.add("W240", Position(number, found.start() + 1), message, f"write grep -qx {digit}")


def tell_flow(line: Line, report: Report) -> None:
    """Unknown fields of ``schedule: {…}``."""
    for found in _FIELD_IN_FLOW.finditer(_JINJA.sub("", line.text)):
        if found["key"] not in FIELDS:
            place = Position(line.number, found.start("key") + 1)
            tell_unknown(found["key"], place, report)


def tell_colon(line: Line, report: Report) -> None:
    """E102: a plain scalar that holds ``: `` does not parse at all."""
    key = _KEY.match(line.text)
    if key is None or not key["value"] or key["value"][0] in "\"'|>{[&*!#%@`":
        return
    value = re.sub(r"\s#.*$", "", _JINJA.sub("x", key["value"])).rstrip()
    found = re.search(r":(?=\s|$)", value)
    if found is not None and not value.startswith("{"):
        report.add(
            "E102",
            Position(line.number, key.start("value") + found.start() + 1),
            f"`: ` inside the unquoted text of {key['key']}",
            f"write {key['key']}: | and the text, indented, on the next line",
        )


def yaml_lines(text: str) -> Iterator[Line]:
    """The lines without comments, Jinja statements, and the insides of block scalars."""
    block: int | None = None
    depth = 0
    for number, raw in enumerate(text.splitlines(), 1):
        stripped = raw.lstrip(" ")
        indent = len(raw) - len(stripped)
        if not stripped or stripped.startswith(("#", "{%", "{#")):
            continue
        if block is not None:
            if indent > block:
                continue
            block = None
        key = _KEY.match(raw) if depth == 0 else None
        value = (key["value"] or "") if key is not None else ""
        if _BLOCK.match(value):
            block = indent
        yield Line(number, raw, indent, in_flow=depth > 0)
        if depth > 0 or value.startswith(("{", "[")):
            depth = max(0, depth + nesting(raw if depth > 0 else value))


def nesting(text: str) -> int:
    """How many braces and brackets of YAML's flow a text opens, less those that it closes."""
    bare = _QUOTED.sub("", _JINJA.sub("", text))
    return sum(bare.count(each) for each in "{[") - sum(bare.count(each) for each in "}]")
