"""gunicorn.conf.py: settings are the module's names after it has run.

An assignment of a plain name at the top level is changed where it is (the last one wins);
otherwise the setting is written on a line of its own at the end, which wins over whatever the
code above computes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import libcst
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider

from labcoat.errors import RenderError
from labcoat.model.variant import Level
from labcoat.stack.edit.lines import appended
from labcoat.stack.edit.patch import Patch, apply, line_starts

Literal = Level | None | list[str] | tuple[str, ...]


def parse(text: str, *, path: Path) -> libcst.Module:
    """The module. Raises: RenderError with file and line."""
    try:
        return libcst.parse_module(text)
    except libcst.ParserSyntaxError as error:
        raise RenderError(
            f"the file is not Python: {_complaint(text) or error.message}",
            where=f"{path}:{error.raw_line}",
            way_out="mend the line",
        ) from error


def _complaint(text: str) -> str | None:
    """What Python itself says of a text that does not parse; None where it sees no mistake."""
    try:
        ast.parse(text)
    except SyntaxError as error:
        return error.msg
    return None


class Assigned:
    """One top-level assignment: the name, the line, and the value's span and literal."""

    __slots__ = ("computed", "end", "line", "name", "start", "value")

    def __init__(self, *, name: str, line: int, start: int, end: int, source: str) -> None:
        self.name = name
        self.line = line
        self.start = start
        self.end = end
        self.computed = False
        try:
            self.value: object = ast.literal_eval(source)
        except ValueError:
            self.value = None
            self.computed = True


def assignments(text: str, *, path: Path) -> tuple[Assigned, ...]:
    """Every ``name = value`` at the top level, in order."""
    module = parse(text, path=path)
    wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
    positions = wrapper.resolve(PositionProvider)
    offsets = line_starts(text)
    found: list[Assigned] = []
    for target, value in _plain(module):
        span: CodeRange = positions[value]
        start = offsets[span.start.line - 1] + span.start.column
        end = offsets[span.end.line - 1] + span.end.column
        source = module.code_for_node(value)
        line = positions[target].start.line
        found.append(Assigned(name=target.value, line=line, start=start, end=end, source=source))
    return tuple(found)


def bound(text: str, *, path: Path) -> dict[str, int]:
    """Every name that the file binds in any way, with the last line that does."""
    parse(text, path=path)
    lines: dict[str, int] = {}
    for node in _stores(text):
        lines[node.id] = max(node.lineno, lines.get(node.id, 0))
    return lines


def read(text: str, directive: str, *, path: Path) -> Level | None:
    """The value in force if the file says it literally; None is unset or computed."""
    values = [a for a in assignments(text, path=path) if a.name == directive]
    if not values or values[-1].computed:
        return None
    value = values[-1].value
    return value if isinstance(value, str | int | float | bool) else None


def assign(text: str, levels: Mapping[str, Literal], *, path: Path) -> str:
    """The text with these settings in force."""
    last = {found.name: found for found in assignments(text, path=path)}
    bindings = bound(text, path=path)
    patches: list[Patch] = []
    missing: list[str] = []
    for directive, level in levels.items():
        found = last.get(directive)
        if found is None or bindings[directive] > found.line:
            missing.append(f"{directive} = {level!r}")
        elif found.computed or not _same(found.value, level):
            patches.append(Patch(found.start, found.end, repr(level)))
    if missing:
        patches.append(appended(text, missing))
    return apply(text, patches)


def _same(value: object, level: Literal) -> bool:
    return type(value) is type(level) and value == level


def _plain(module: libcst.Module) -> Iterator[tuple[libcst.Name, libcst.BaseExpression]]:
    for statement in module.body:
        if not isinstance(statement, libcst.SimpleStatementLine):
            continue
        for small in statement.body:
            if isinstance(small, libcst.Assign):
                for target in small.targets:
                    if isinstance(target.target, libcst.Name):
                        yield target.target, small.value
            elif (
                isinstance(small, libcst.AnnAssign)
                and isinstance(small.target, libcst.Name)
                and small.value is not None
            ):
                yield small.target, small.value


def _stores(text: str) -> list[ast.Name]:
    """Where the module binds a name of its own, not a function's."""
    tree = ast.parse(text)
    shared = {
        name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names
    }
    found: list[ast.Name] = []
    queue: list[tuple[ast.AST, bool]] = [(tree, True)]
    while queue:
        node, is_outside = queue.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found += [node] if is_outside or node.id in shared else []
        inside = isinstance(node, _SCOPES)
        queue += [(child, is_outside and not inside) for child in ast.iter_child_nodes(node)]
    return found


_SCOPES = (
    ast.AsyncFunctionDef, ast.ClassDef, ast.DictComp, ast.FunctionDef, ast.GeneratorExp,
    ast.Lambda, ast.ListComp, ast.SetComp,
)  # fmt: skip
