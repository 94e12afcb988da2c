"""On which line each key of a TOML text stands; the parsers at hand do not say.

Reads valid TOML 1.0 only (``tomllib`` has already accepted it) and understands just as
much of values as is needed to find where they end.
"""

from __future__ import annotations

import re
import tomllib

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_MULTILINE_BASIC = re.compile(r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}', re.DOTALL)
_MULTILINE_LITERAL = re.compile(r"'''(?:[^']|'{1,2}(?!'))*'{3,5}")
_BASIC = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_LITERAL = re.compile(r"'[^'\n]*'")
_STRINGS = (_MULTILINE_BASIC, _MULTILINE_LITERAL, _BASIC, _LITERAL)
_SCALAR = re.compile(r"[^,\]}#\n]+")


def key_lines(text: str) -> dict[KeyPath, int]:
    """Key path -> the line where it first stands, counted from 1.

    Paths hold table keys and, for arrays, indices from 0:
    ``("workload", "requests", 2, "weight")``. Tables made on the way are included.
    """
    return _Scanner(text).scan()


def nearest_line(lines: dict[KeyPath, int], path: KeyPath) -> tuple[KeyPath, int | None]:
    """The longest beginning of a path that the text holds, and its line (None: nothing)."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return path[:length], lines[path[:length]]
    return (), None


class _Scanner:
    """One pass over a text, by recursive descent."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.position = 0
        self.lines: dict[KeyPath, int] = {}
        self.lengths: dict[KeyPath, int] = {}  # arrays of tables: how many so far

    def scan(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self.skip_blank()
        while self.position < len(self.text):
            table = self.header() if self.peek("[") else self.pair(table)
            self.skip_blank()
        return self.lines

    def header(self) -> KeyPath:
        """``[a.b]`` or ``[[a.b]]``: the table that the following pairs belong to."""
        start = self.position
        is_array = self.take("[[")
        if not is_array:
            self.take("[")
        keys = self.dotted_key()
        self.take("]]" if is_array else "]")
        path: KeyPath = ()
        for index, key in enumerate(keys):
            path = (*path, key)
            self.record(path, start)
            is_last = index == len(keys) - 1
            if is_last and is_array:
                self.lengths[path] = self.lengths.get(path, 0) + 1
            if path in self.lengths:
                path = (*path, self.lengths[path] - 1)
                self.record(path, start)
        return path

    def pair(self, table: KeyPath) -> KeyPath:
        """``a.b = value`` inside a table; gives the table back."""
        start = self.position
        path = table
        for key in self.dotted_key():
            path = (*path, key)
            self.record(path, start)
        self.take("=")
        self.value(path)
        return table

    def dotted_key(self) -> list[str]:
        keys = [self.simple_key()]
        while self.take("."):
            keys.append(self.simple_key())
        return keys

    def simple_key(self) -> str:
        self.skip_blank()
        for pattern in (_BASIC, _LITERAL, _BARE_KEY):
            match = pattern.match(self.text, self.position)
            if match is not None:
                self.position = match.end()
                if pattern is _BARE_KEY:
                    return match.group()
                return str(tomllib.loads(f"key = {match.group()}")["key"])
        raise ValueError(f"not a key at offset {self.position}")

    def value(self, path: KeyPath) -> None:
        self.skip_blank()
        if self.take("["):
            self.array(path)
        elif self.take("{"):
            self.inline_table(path)
        else:
            self.scalar()

    def array(self, path: KeyPath) -> None:
        index = 0
        while not self.take("]"):
            element = (*path, index)
            self.record(element, self.position)
            self.value(element)
            self.take(",")
            index += 1

    def inline_table(self, path: KeyPath) -> None:
        while not self.take("}"):
            self.pair(path)
            self.take(",")

    def scalar(self) -> None:
        for pattern in (*_STRINGS, _SCALAR):
            match = pattern.match(self.text, self.position)
            if match is not None:
                self.position = match.end()
                return
        raise ValueError(f"not a value at offset {self.position}")

    def record(self, path: KeyPath, offset: int) -> None:
        self.lines.setdefault(path, self.text.count("\n", 0, offset) + 1)

    def peek(self, token: str) -> bool:
        return self.text.startswith(token, self.position)

    def take(self, token: str) -> bool:
        """Step over the token, and blanks around it, if it is next."""
        self.skip_blank()
        if not self.peek(token):
            return False
        self.position += len(token)
        self.skip_blank()
        return True

    def skip_blank(self) -> None:
        match = _BLANK.match(self.text, self.position)
        self.position = self.position if match is None else match.end()
