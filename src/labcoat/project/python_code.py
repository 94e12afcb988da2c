"""Python files as syntax: what a module binds at its top level, and what its calls name."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SyntaxTrouble:
    """Why a text is not Python, and on which line."""

    what: str
    line: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A module as syntax. ``aliases``: local name -> the dotted name that was imported.

    ``top``: the statements that importing the module executes, those within ``if`` and ``try``
    too, but not what only ``python module.py`` does, which is ``main``. ``calls``,
    ``functions``, ``subscripts``: every one of them, wherever it stands.
    """

    aliases: Mapping[str, str] = field(repr=False)
    top: tuple[ast.stmt, ...] = field(repr=False)
    main: tuple[ast.stmt, ...] = field(repr=False)
    calls: tuple[ast.Call, ...] = field(repr=False)
    functions: tuple[ast.FunctionDef | ast.AsyncFunctionDef, ...] = field(repr=False)
    subscripts: tuple[ast.Subscript, ...] = field(repr=False)

    def dotted(self, node: ast.expr) -> str:
        """The full name that an expression means: ``flask.Flask``; empty for anything else."""
        if isinstance(node, ast.Name):
            return self.aliases.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            before = self.dotted(node.value)
            return f"{before}.{node.attr}" if before else ""
        return ""

    def bindings(self) -> Iterator[tuple[str, ast.expr, int]]:
        """(name, value, line) of each plain assignment at the top."""
        for statement in self.top:
            if isinstance(statement, ast.Assign):
                for target in statement.targets:
                    if isinstance(target, ast.Name):
                        yield target.id, statement.value, statement.lineno
            elif (
                isinstance(statement, ast.AnnAssign)
                and isinstance(statement.target, ast.Name)
                and statement.value is not None
            ):
                yield statement.target.id, statement.value, statement.lineno

    def literals(self) -> dict[str, tuple[object, int]]:
        """Name -> (value, line) of what is said literally at the top; the last one wins."""
        found: dict[str, tuple[object, int]] = {}
        for name, node, line in self.bindings():
            value = literal(node)
            if value is not None:
                found[name] = value, line
            else:
                found.pop(name, None)
        return found


def read_module(text: str) -> Module | SyntaxTrouble:
    """The module of a text; nothing of it is executed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the user's escapes, which are not our concern
            tree = ast.parse(text)
        every = list(ast.walk(tree))
        return Module(
            aliases=dict(_aliases(every)),
            top=tuple(_executed(tree.body)),
            main=tuple(_main(tree.body)),
            calls=tuple(node for node in every if isinstance(node, ast.Call)),
            functions=tuple(
                node for node in every if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            ),
            subscripts=tuple(node for node in every if isinstance(node, ast.Subscript)),
        )
    except SyntaxError as error:
        return SyntaxTrouble(error.msg, error.lineno)
    except (ValueError, RecursionError, MemoryError) as error:
        return SyntaxTrouble(str(error) or "nested too deeply", None)


def literal(node: ast.expr) -> object:
    """The value of a literal; None for what has to be computed (and for None itself)."""
    try:
        value: object = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
    return value


def text_of(node: ast.expr | None) -> str | None:
    """The text of a string literal, else None."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def keywords(call: ast.Call) -> dict[str, ast.expr]:
    """The keyword arguments of a call."""
    return {word.arg: word.value for word in call.keywords if word.arg is not None}


def _is_main(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and "__name__" in ast.dump(statement.test)


def _executed(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        if _is_main(statement):
            continue
        yield statement
        if isinstance(statement, ast.If):
            yield from _executed(statement.body)
            yield from _executed(statement.orelse)
        elif isinstance(statement, ast.Try):
            yield from _executed(statement.body)
            for handler in statement.handlers:
                yield from _executed(handler.body)
        elif isinstance(statement, ast.With):
            yield from _executed(statement.body)


def _main(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        if isinstance(statement, ast.If) and _is_main(statement):
            yield from statement.body


def _aliases(every: Iterable[ast.AST]) -> Iterator[tuple[str, str]]:
    for node in every:
        if isinstance(node, ast.Import):
            for name in node.names:
                yield (name.asname, name.name) if name.asname else (_first(name.name),) * 2
        elif isinstance(node, ast.ImportFrom):
            lead = "." * node.level + (node.module or "")
            for name in node.names:
                dot = "" if lead.endswith(".") else "."
                yield name.asname or name.name, f"{lead}{dot}{name.name}"


def _first(dotted: str) -> str:
    return dotted.partition(".")[0]
