"""What the project asks for: pyproject.toml, requirements files, Pipfile, setup.cfg."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from labcoat.lab.study.toml_lines import key_lines, nearest_line
from labcoat.project.clues import Clue, Dependency, NamedApp, Place, Remark, Source
from labcoat.project.folder import Folder, parent
from labcoat.project.procfile import in_shell

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
Path = tuple[str | int, ...]


def read_requirements(folder: Folder) -> Iterator[Clue]:
    """A package per line of requirements*.txt."""
    for path, text in folder.texts.items():
        name = path.rpartition("/")[2]
        is_ours = name.startswith("requirements") or parent(path).endswith("requirements")
        if not (is_ours and name.endswith(".txt")):
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            found = _NAME.match(line)
            if found is not None and not line.lstrip().startswith(("#", "-")):
                yield Dependency(place=Place(path, number), package=normal(found[1]))


def read_pyprojects(folder: Folder) -> Iterator[Clue]:
    """Dependencies, command lines of task runners, and FastAPI's ``entrypoint``."""
    for path, text in folder.texts.items():
        if path.rpartition("/")[2] not in {"pyproject.toml", "Pipfile"}:
            continue
        try:
            tables, lines = tomllib.loads(text), key_lines(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            found = re.search(r"at line (\d+)", str(error))
            place = Place(path, int(found[1]) if found else None)
            what = str(error).partition(" (at ")[0] or "nested too deeply"
            yield Remark(place=place, what=f"is not TOML: {what}", way_out="mend the line")
            continue
        for keys, value in _leaves(tables):
            _, line = nearest_line(lines, keys)
            yield from _leaf(path, keys, value, line)


def _leaf(path: str, keys: Path, value: Any, line: int | None) -> Iterator[Clue]:
    place = Place(path, line)
    names = [key for key in keys if isinstance(key, str)]
    is_list = "dependencies" in names or "optional-dependencies" in names
    is_list = is_list or names[:1] == ["dependency-groups"]
    if keys == ("tool", "fastapi", "entrypoint") and isinstance(value, str):
        yield NamedApp(place=place, target=value, folder=parent(path))
    elif isinstance(value, str) and {"scripts", "tasks"} & set(names) and names[0] == "tool":
        yield from in_shell(value, place, Source.SCRIPT, parent(path))
    elif isinstance(keys[-1], int) and is_list and isinstance(value, str):
        if found := _NAME.match(value):
            yield Dependency(place=place, package=normal(found[1]))
    elif is_list or names[:1] in (["packages"], ["dev-packages"]):
        after = {"dependencies", "packages", "dev-packages"} & set(names)
        key = next((names[names.index(one) + 1 :] for one in after), [])
        if key and names[0] in {"tool", "packages", "dev-packages"}:
            yield Dependency(place=place, package=normal(key[0]))


def _leaves(value: Any, keys: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from _leaves(inner, (*keys, key))
    elif keys:
        yield keys, value


def normal(name: str) -> str:
    """A package's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
