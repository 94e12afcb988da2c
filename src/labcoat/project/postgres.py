"""Postgres: variables that hold its URL, and postgresql.conf files of the project."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from labcoat.project.clues import Clue, Database, DatabaseFile, Place, Variable, Wanted
from labcoat.project.folder import Folder
from labcoat.project.python_code import Module, keywords, text_of

_URL = re.compile(r"postgres(?:ql)?(?:\+(?P<driver>\w+))?://")
_NAME = re.compile(r"(?:\w*_)?(?:DATABASE|DB|PG|POSTGRES|POSTGRESQL|SQLALCHEMY)\w*_(?:URL|URI|DSN)")
_CONF = re.compile(r"^\s*(?:shared_buffers|max_connections|wal_\w+|work_mem)\s*=?", re.MULTILINE)
_PARTS = {
    "DB_HOST": "host", "DB_NAME": "name", "DB_PASSWORD": "", "DB_PORT": "port", "DB_USER": "user",
    "PGDATABASE": "name", "PGHOST": "host", "PGPASSWORD": "", "PGPORT": "port", "PGUSER": "user",
    "POSTGRES_DB": "name", "POSTGRES_HOST": "host", "POSTGRES_PASSWORD": "",
    "POSTGRES_PORT": "port", "POSTGRES_USER": "user",
}  # fmt: skip


def read_wanted(folder: Folder) -> Iterator[Clue]:
    """Variables that the code reads, and whether it can do without."""
    for path, module in folder.modules.items():
        if path.startswith("scripts/") or "/management/" in path:
            continue
        for node in (*module.subscripts, *module.calls):
            found = _read(module, node)
            if found is not None:
                name, is_required = found
                yield Wanted(place=Place(path, node.lineno), name=name, is_required=is_required)


def _read(module: Module, node: ast.expr) -> tuple[str, bool] | None:
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        name = text_of(node.slice) if module.dotted(node.value) == "os.environ" else None
        return None if name is None else (name, True)
    if not isinstance(node, ast.Call) or not node.args:
        return None
    called, name = module.dotted(node.func), text_of(node.args[0])
    if name is None or not re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
        return None
    if called in {"os.environ.get", "os.getenv"}:
        return name, False
    is_reader = called.partition(".")[0] in {"env", "decouple"} and _has(
        module, "environ", "decouple"
    )
    if is_reader and not called.startswith(("env.read", "os.")):
        return name, len(node.args) == 1 and "default" not in keywords(node)
    return None


def _has(module: Module, *packages: str) -> bool:
    return any(name.partition(".")[0] in packages for name in module.aliases.values())


def find_databases(clues: list[Clue]) -> Iterator[Clue]:
    """Databases by the names and values of variables that are set or read."""
    drivers = {v.name: found["driver"] or "" for v in clues if isinstance(v, Variable)
               and (found := _URL.match(v.value))}  # fmt: skip
    seen: set[str] = set()
    for clue in clues:
        if not isinstance(clue, Variable | Wanted) or clue.name in seen:
            continue
        is_set = isinstance(clue, Variable) and clue.name in drivers
        if is_set or (isinstance(clue, Wanted) and _NAME.fullmatch(clue.name)):
            seen.add(clue.name)
            yield Database(place=clue.place, variable=clue.name, driver=drivers.get(clue.name, ""))
    parts = {c.name: c for c in clues if isinstance(c, Wanted) and c.name in _PARTS}
    if any(_PARTS[name] == "host" for name in parts):
        first = next(iter(parts.values()))
        yield Database(
            place=first.place,
            parts=tuple(
                (name, f"{{database.{_PARTS[name]}}}" if _PARTS[name] else "") for name in parts
            ),
        )


def read_database_files(folder: Folder) -> Iterator[Clue]:
    """postgresql.conf, by its name or by what only it says."""
    for path, text in folder.texts.items():
        name = path.rpartition("/")[2]
        if re.fullmatch(r"postgres(?:ql)?[\w.-]*\.conf", name) and _CONF.search(text):
            found = _CONF.search(text)
            line = text.count("\n", 0, found.start()) + 1 if found else 1
            yield DatabaseFile(place=Place(path, line))
