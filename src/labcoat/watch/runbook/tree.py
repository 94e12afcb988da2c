"""YAML 1.1 with positions: what SafeLoader reads, and where each value stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import yaml
from yaml.constructor import ConstructorError, SafeConstructor

from labcoat.watch.runbook.report import Position, Report

MOST_VALUES = 10_000  # aliases of aliases unfold without an end
_MERGE = "tag:yaml.org,2002:merge"

Scalar = str | int | float | bool | None | object  # object: dates and binaries, which nobody wants


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar: its value by YAML 1.1, and its text. ``plain``: written without quotes."""

    line: int
    column: int
    value: Scalar
    text: str
    plain: bool


@dataclass(frozen=True, slots=True)
class Items:
    """A sequence."""

    line: int
    column: int
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A key and its value. ``line``, ``column``: of the key."""

    line: int
    column: int
    key: str
    value: Node


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping; of a key that is there twice the last is kept, as SafeLoader does."""

    line: int
    column: int
    entries: tuple[Entry, ...]

    def get(self, key: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.key == key), None)


Node = Leaf | Items | Table


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong with the YAML itself. Lines as in the text that was read."""

    code: str
    line: int
    column: int
    message: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """A text read: its tree (None where it has none), and what is wrong with it."""

    root: Node | None
    flaws: tuple[Flaw, ...]


@lru_cache(maxsize=2048)
def parse(text: str) -> Parsed:
    """The tree of a text. Raises nothing: what is wrong is told in ``flaws``."""
    builder = Builder()
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        root = None if node is None else builder.build(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (1, 1) if mark is None else (mark.line + 1, mark.column + 1)
        code, message = explained(error)
        return Parsed(None, (*builder.flaws, Flaw(code, line, column, message)))
    except yaml.reader.ReaderError as error:
        message = f"a character that YAML does not allow: {chr(int(error.character))!r}"
        line = text.count("\n", 0, error.position) + 1
        return Parsed(None, (Flaw("E100", line, 1, message),))
    except (TooMany, RecursionError):
        message = f"more than {MOST_VALUES:,} values, or values within themselves"
        return Parsed(None, (Flaw("E100", 1, 1, message),))
    return Parsed(root, tuple(builder.flaws))


def explained(error: yaml.MarkedYAMLError) -> tuple[str, str]:
    """Code and message of PyYAML's complaint."""
    problem = error.problem or "it cannot be read"
    if error.context == "while scanning an alias" or problem.startswith("found undefined alias"):
        return "E101", "an unquoted * is read as an alias"
    if problem == "mapping values are not allowed here":
        return "E102", "`: ` inside an unquoted text"
    if isinstance(error, ConstructorError):
        return ("E105", problem) if "could not determine" in problem else ("E100", problem)
    context = f" {error.context}" if error.context else ""
    return "E100", f"{problem}{context}"


class TooMany(Exception):
    """More values than a runbook can hold."""


class Builder:
    """Makes trees; counts what it made, and remembers doubled keys."""

    def __init__(self) -> None:
        self.constructor = SafeConstructor()
        self.flaws: list[Flaw] = []
        self.made = 0

    def build(self, node: yaml.Node, above: tuple[int, ...]) -> Node:
        """The tree of a node. Raises: ConstructorError, TooMany."""
        self.made += 1
        if self.made > MOST_VALUES or id(node) in above:
            raise TooMany
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        if isinstance(node, yaml.ScalarNode):
            return self.leaf(node)
        within = (*above, id(node))
        if isinstance(node, yaml.SequenceNode):
            self.known_tag(node, "seq")
            return Items(line, column, tuple(self.build(each, within) for each in node.value))
        assert isinstance(node, yaml.MappingNode)
        self.known_tag(node, "map")
        self.tell_doubles(node)
        if any(key.tag == _MERGE for key, _ in node.value):
            self.constructor.flatten_mapping(node)
        entries = {entry.key: entry for entry in self.entries(node, within)}
        return Table(line, column, tuple(entries.values()))

    def leaf(self, node: yaml.ScalarNode) -> Leaf:
        """A scalar. Raises: ConstructorError for a tag that makes objects, or a bad number."""
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        try:
            value = self.constructor.construct_object(node)
        except ValueError as error:  # 0o9, 2026-13-45: it looks like a number or a date
            raise ConstructorError(None, None, str(error), node.start_mark) from error
        return Leaf(line, column, value, str(node.value), node.style is None)

    def known_tag(self, node: yaml.Node, kind: str) -> None:
        if node.tag != f"tag:yaml.org,2002:{kind}":
            problem = f"could not determine a constructor for the tag {node.tag!r}"
            raise ConstructorError(None, None, problem, node.start_mark)

    def entries(self, node: yaml.MappingNode, within: tuple[int, ...]) -> Iterator[Entry]:
        """Keys as they are written (``on`` is on, not true), each with its value."""
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                problem = "a key that is no text"
                raise ConstructorError(None, None, problem, key.start_mark)
            mark = key.start_mark
            yield Entry(mark.line + 1, mark.column + 1, str(key.value), self.build(value, within))

    def tell_doubles(self, node: yaml.MappingNode) -> None:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            if key.value in seen:
                mark = key.start_mark
                message = f"{key.value} is here twice"
                self.flaws.append(Flaw("W211", mark.line + 1, mark.column + 1, message))
            seen.add(key.value)


def told(parsed: Parsed, report: Report, source_line: Callable[[int], int]) -> None:
    """The flaws as findings, at their source lines."""
    for flaw in parsed.flaws:
        report.add(flaw.code, Position(source_line(flaw.line), flaw.column), flaw.message)


def relocated(node: Node, source_line: Callable[[int], int]) -> Node:
    """The tree with the source lines of its values."""
    line = source_line(node.line)
    if isinstance(node, Leaf):
        return Leaf(line, node.column, node.value, node.text, node.plain)
    if isinstance(node, Items):
        items = tuple(relocated(each, source_line) for each in node.items)
        return Items(line, node.column, items)
    entries = tuple(
        Entry(source_line(e.line), e.column, e.key, relocated(e.value, source_line))
        for e in node.entries
    )
    return Table(line, node.column, entries)
