"""Django: which settings are in force, and what they say of app, database and static files."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import replace

from labcoat.model.study import Interface
from labcoat.project.clues import (
    Clue,
    Database,
    NamedApp,
    Place,
    Remark,
    Seed,
    StaticFiles,
    Variable,
)
from labcoat.project.folder import Folder, joined, parent
from labcoat.project.frameworks import home_of, module_name
from labcoat.project.python_code import Module, keywords, literal, text_of

SETTINGS = "DJANGO_SETTINGS_MODULE"
POSTGRES = ("postgresql", "postgis", "postgresql_psycopg2")
# Keys of DATABASES -> what the sandbox fills in for them.
PARTS: Mapping[str, str] = {
    "HOST": "{database.host}",
    "NAME": "{database.name}",
    "PASSWORD": "",
    "PORT": "{database.port}",
    "USER": "{database.user}",
}
URLS = {"dj_database_url.config", "dj_database_url.parse"}
_FOLDERS = {"STATIC_ROOT": "STATIC_URL", "MEDIA_ROOT": "MEDIA_URL"}


def read_django(folder: Folder) -> Iterator[Clue]:
    """For each manage.py: its settings, with what they take from the settings they extend."""
    for path, module in folder.modules.items():
        if path.rpartition("/")[2] != "manage.py":
            continue
        named = next(defaults_of(module), None)
        if named is None:
            continue
        home = parent(path)
        settings, line = _chosen(folder, named)
        file = home_of(folder, settings, home)
        if file is None or file not in folder.modules:
            what = f"names the settings {settings}, which are not in this project"
            yield Remark(place=Place(path, line), what=what)
            continue
        yield from _settings(folder, file, home)
        command = ("{python}", "manage.py", "migrate", "--noinput")
        yield Seed(place=Place(path, line), words=command)


def defaults_of(module: Module) -> Iterator[tuple[str, int]]:
    """(settings module, line) of each ``os.environ.setdefault("DJANGO_SETTINGS_MODULE", ...)``."""
    for call in module.calls:
        if isinstance(call.func, ast.Attribute) and call.func.attr == "setdefault":
            texts = [text_of(argument) for argument in call.args]
            if len(texts) == 2 and texts[0] == SETTINGS and texts[1] is not None:
                yield texts[1], call.lineno


def _chosen(folder: Folder, named: tuple[str, int]) -> tuple[str, int]:
    said = folder.environment.get(SETTINGS)
    return (said, named[1]) if said else named


def in_force(folder: Folder, variables: Iterator[Variable]) -> Folder:
    """The folder seen with the settings that a Dockerfile, unit or compose file names."""
    said = [v for v in variables if v.name == SETTINGS]
    if not said:
        return folder
    first = min(said, key=lambda v: v.source)
    return replace(folder, environment={**folder.environment, SETTINGS: first.value})


def _settings(folder: Folder, file: str, home: str) -> Iterator[Clue]:
    """What a settings file says, and those that it imports all of: the last word wins."""
    bindings: dict[str, tuple[ast.expr, Place, Module]] = {}
    for path in _chain(folder, file, home):
        module = folder.modules[path]
        for name, node, line in module.bindings():
            bindings[name] = node, Place(path, line), module
    for name, interface in (
        ("WSGI_APPLICATION", Interface.WSGI),
        ("ASGI_APPLICATION", Interface.ASGI),
    ):
        if name in bindings and (dotted := text_of(bindings[name][0])):
            before, _, last = dotted.rpartition(".")
            target = f"{before}:{last}"
            place = bindings[name][1]
            yield NamedApp(place=place, target=target, folder=home, interface=interface)
    if "DEBUG" in bindings and literal(bindings["DEBUG"][0]) is True:
        yield Remark(
            place=bindings["DEBUG"][1],
            what="DEBUG = True: what would be measured is not what is deployed",
            way_out="let production's settings turn it off",
        )
    if "DATABASES" in bindings:
        yield from _databases(*bindings["DATABASES"])
    for root, url in _FOLDERS.items():
        if root in bindings:
            yield _static(folder, home, bindings[root], bindings.get(url))


def _chain(folder: Folder, file: str, home: str) -> list[str]:
    """The settings files that ``from .base import *`` leads to, the most basic first."""
    chain, queue = [file], [file]
    while queue:
        current = queue.pop()
        _, name = module_name(folder, current)
        is_package = current.endswith("/__init__.py")
        parts = name.split(".") if is_package else name.split(".")[:-1]
        for node in folder.modules[current].top:
            if not isinstance(node, ast.ImportFrom) or node.names[0].name != "*":
                continue
            lead = parts[: len(parts) - node.level + 1] if node.level else []
            dotted = ".".join((*lead, *(node.module or "").split("."))).strip(".")
            found = home_of(folder, dotted, module_name(folder, current)[0] or home)
            found = found or home_of(folder, dotted, home)
            if found is not None and found in folder.modules and found not in chain:
                chain.insert(0, found)
                queue.append(found)
    return chain


def _databases(node: ast.expr, place: Place, module: Module) -> Iterator[Clue]:
    """The default database, if it is a Postgres or a URL decides."""
    for call in (one for one in ast.walk(node) if isinstance(one, ast.Call)):
        name = module.dotted(call.func)
        is_env = name.rpartition(".")[2] in {"db", "db_url", "dj_db_url"}
        if name in URLS or is_env:
            first = call.args[0] if call.args else keywords(call).get("env")
            variable = text_of(first) or (
                "DATABASE_URL" if name != "dj_database_url.parse" else None
            )
            here = Place(place.path, call.lineno)
            if variable is not None and "://" not in variable:
                yield Database(place=here, variable=variable)
            elif variable is None:
                inner = next((_variable(module, one) for one in call.args), None)
                yield Database(place=here, variable=inner)
            return
    default = _entry(node, "default")
    engine = None if default is None else _entry(default, "ENGINE")
    said = text_of(engine) or (_default(engine) if engine is not None else None) or ""
    if default is None or said.rpartition(".")[2] not in POSTGRES:
        return
    parts = []
    for key, filler in PARTS.items():
        value = _entry(default, key)
        variable = None if value is None else _variable(module, value)
        if variable is not None:
            parts.append((variable, filler))
    here = Place(place.path, default.lineno)
    yield Database(place=here, parts=tuple(parts))


def _entry(node: ast.expr, key: str) -> ast.expr | None:
    if not isinstance(node, ast.Dict):
        return None
    for name, value in zip(node.keys, node.values, strict=True):
        if text_of(name) == key:
            return value
    return None


def _variable(module: Module, node: ast.expr) -> str | None:
    """The variable that an expression reads: ``os.environ["X"]``, ``getenv("X")``, ``env("X")``."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Subscript) and module.dotted(inner.value) == "os.environ":
            return text_of(inner.slice)
        if isinstance(inner, ast.Call) and inner.args:
            name = module.dotted(inner.func)
            if name in {"os.environ.get", "os.getenv"} or name.split(".")[0] in {
                "env", "config", "decouple",
            }:  # fmt: skip
                return text_of(inner.args[0])
    return None


def _default(node: ast.expr) -> str | None:
    if isinstance(node, ast.Call):
        second = node.args[1] if len(node.args) > 1 else keywords(node).get("default")
        return text_of(second)
    return None


def _static(
    folder: Folder,
    home: str,
    root: tuple[ast.expr, Place, Module],
    url: tuple[ast.expr, Place, Module] | None,
) -> StaticFiles:
    """A folder of static files: what is literal of ``BASE_DIR / "static"`` is its name."""
    node, place, _ = root
    texts = [one for inner in ast.walk(node) if (one := text_of(inner)) is not None]  # type: ignore[arg-type]
    name = joined(home, "/".join(texts).lstrip("/")) if texts else ""
    said = text_of(url[0]) if url else None
    return StaticFiles(
        place=place, folder=name, url=said or "", exists=bool(name) and folder.has_folder(name)
    )
