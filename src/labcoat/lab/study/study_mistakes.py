"""What is wrong with a study file: contradictions between keys, and complaints in plain words."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from labcoat.lab.study.study_form import (
    CACHES,
    DATABASE,
    PLACEHOLDER,
    ComponentForm,
    StudyForm,
)
from labcoat.lab.study.toml_lines import KeyPath
from labcoat.model.study import Interface
from labcoat.stack.edit.command import is_command_file

CAPTURED = re.compile(r"(?<!\{)\{captured:([A-Za-z_][\w-]*)\}", re.ASCII)


class Role(Enum):
    """Where a component stands, front to back."""

    WEB = 0
    SERVER = 1
    CACHE = 2
    POOLER = 3
    DATABASE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a study file may say of a component: its role, its apps, file and options."""

    role: Role
    serves: tuple[Interface, ...] = ()
    has_options: bool = True
    has_settings: bool = True


PLACES: Mapping[str, Place] = {
    "nginx": Place(role=Role.WEB, has_options=False),
    "uwsgi": Place(role=Role.SERVER, serves=(Interface.WSGI,)),
    "gunicorn": Place(role=Role.SERVER, serves=(Interface.WSGI, Interface.ASGI)),
    "granian": Place(role=Role.SERVER, serves=(Interface.WSGI, Interface.ASGI), has_settings=False),
    "uvicorn": Place(role=Role.SERVER, serves=(Interface.ASGI,), has_settings=False),
    "redis": Place(role=Role.CACHE),
    "memcached": Place(role=Role.CACHE),
    "pgbouncer": Place(role=Role.POOLER),
    "postgres": Place(role=Role.DATABASE),
}

_EXPECTED = {
    "string_type": "expected a string",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "bool_type": "expected true or false",
    "list_type": "expected a list",
    "dict_type": "expected a table",
    "model_type": "expected a table",
    "model_attributes_type": "expected a table",
}
_TYPES = {
    str: "a string",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a table",
}


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong, at a key of the file."""

    path: KeyPath
    message: str
    is_about_absence: bool = False


def find_contradictions(tables: Mapping[str, Any]) -> Iterator[Mistake]:
    """Mistakes that concern several keys; silent about shapes, which the form checks."""
    app, stack, workload = (
        table if isinstance(table, dict) else None
        for table in (tables.get("app"), tables.get("stack"), tables.get("workload"))
    )
    if app is not None:
        yield from contradictions_of_app(app)
    if stack is not None:
        yield from contradictions_of_stack(stack, app or {})
    if app is not None and not has_database(stack or {}):
        yield from needs_of_database(app)
    if app is not None:
        yield from needs_of_caches(app, stack or {})
    if stack is not None and not has_database(stack):
        yield from needs_of_poolers(stack)
    if workload is not None:
        for key in ("setup", "requests"):
            requests = workload.get(key)
            if isinstance(requests, list):
                yield from contradictions_of_requests(key, requests)
        yield from needs_of_captures(workload)


def contradictions_of_app(app: Mapping[str, Any]) -> Iterator[Mistake]:
    named = [interface.value for interface in Interface if interface.value in app]
    if len(named) > 1:
        yield Mistake(("app", "asgi"), "an app is either wsgi or asgi, not both")
    if not named:
        yield Mistake(("app",), 'names no app: wsgi = "module:callable", or asgi')


def contradictions_of_stack(stack: Mapping[str, Any], app: Mapping[str, Any]) -> Iterator[Mistake]:
    for name in stack:
        if name not in PLACES:
            known = ", ".join(PLACES)
            message = f"unknown component{guess(name, PLACES)}; known are {known}"
            yield Mistake(("stack", name), message)
    servers = [name for name in stack if is_at(name, Role.SERVER)]
    if not servers:
        known = ", ".join(name for name in PLACES if is_at(name, Role.SERVER))
        yield Mistake(("stack",), f"names no app server; one of {known}")
    for name in servers[1:]:
        yield Mistake(("stack", name), f"a second app server beside {servers[0]}; keep one")
    for name in servers:
        for interface in Interface:
            if interface.value in app and interface not in PLACES[name].serves:
                message = f"{name} cannot serve an app of kind {interface.value}"
                yield Mistake(("stack", name), message)
    for name, value in stack.items():
        if name in PLACES:
            yield from contradictions_of_settings(name, value)


def contradictions_of_settings(name: str, value: object) -> Iterator[Mistake]:
    """Options where the component takes none, a command where it is not the user's to start."""
    keys = {"file"} if isinstance(value, str) else value if isinstance(value, dict) else set()
    if "options" in keys and not PLACES[name].has_options:
        message = f"{name} takes no options; write its settings into its file"
        yield Mistake(("stack", name, "options"), message)
    file = value.get("file") if isinstance(value, dict) else value
    has_command = isinstance(file, str) and is_command_file(Path(file))
    if isinstance(file, str) and not has_command and not PLACES[name].has_settings:
        message = f'{name} reads no file of settings; use {name} = {{ command = "{name} ..." }}'
        yield Mistake(("stack", name, "file"), message)
    if "command" in keys and not is_at(name, Role.SERVER):
        message = f"only an app server has a command; {name} is started by labcoat"
        yield Mistake(("stack", name, "command"), message)
    if "command" in keys and "file" in keys:
        message = "either file or command; the files that a command names are adopted with it"
        yield Mistake(("stack", name, "command"), message)


def needs_of_database(app: Mapping[str, Any]) -> Iterator[Mistake]:
    env = app.get("env")
    for name, value in env.items() if isinstance(env, dict) else ():
        needed = [] if not isinstance(value, str) else PLACEHOLDER.findall(value)
        for each in DATABASE:
            if each in needed:
                yield Mistake(("app", "env", name), f"{{{each}}} needs a database in [stack]")
    if "seed" in app:
        yield Mistake(("app", "seed"), "fills a database, and [stack] names none (postgres)")


def needs_of_caches(app: Mapping[str, Any], stack: Mapping[str, Any]) -> Iterator[Mistake]:
    env = app.get("env")
    for name, value in env.items() if isinstance(env, dict) else ():
        for each in PLACEHOLDER.findall(value) if isinstance(value, str) else ():
            cache = each.partition(".")[0]
            if each in CACHES and cache not in stack:
                message = f"{{{each}}} needs {cache} in [stack]: {cache} = true"
                yield Mistake(("app", "env", name), message)


def needs_of_poolers(stack: Mapping[str, Any]) -> Iterator[Mistake]:
    for name in stack:
        if is_at(name, Role.POOLER):
            yield Mistake(("stack", name), "needs a database behind it: postgres = true")


def needs_of_captures(workload: Mapping[str, Any]) -> Iterator[Mistake]:
    """Values that are used before a step of the set-up has captured them."""
    known: set[str] = set()
    for key in ("setup", "requests"):
        requests = workload.get(key)
        for index, request in enumerate(requests if isinstance(requests, list) else ()):
            if not isinstance(request, dict):
                continue
            headers = request.get("headers")
            texts = {name: request.get(name) for name in ("path", "body")}
            texts |= (
                {"headers": " ".join(map(str, headers.values()))}
                if isinstance(headers, dict)
                else {}
            )
            for where, text in texts.items():
                for name in CAPTURED.findall(text) if isinstance(text, str) else ():
                    if name not in known:
                        yield Mistake(
                            ("workload", key, index, where),
                            f"{{captured:{name}}}: no step of the set-up before it captures {name}",
                        )
            captures = request.get("capture")
            if key == "setup" and isinstance(captures, dict):
                known |= set(captures)


def contradictions_of_requests(key: str, requests: list[object]) -> Iterator[Mistake]:
    names: set[str] = set()
    for index, request in enumerate(requests):
        if not isinstance(request, dict):
            continue
        name = request.get("name")
        if isinstance(name, str):
            if name in names:
                yield Mistake(("workload", key, index, "name"), f"a second request named {name!r}")
            names.add(name)
        if "body" in request and "body_file" in request:
            yield Mistake(
                ("workload", key, index, "body_file"), "either body or body_file, not both"
            )


def is_at(name: str, role: Role) -> bool:
    """Whether this is a known component with that role."""
    place = PLACES.get(name)
    return place is not None and place.role is role


def has_database(stack: Mapping[str, Any]) -> bool:
    return any(is_at(name, Role.DATABASE) for name in stack)


def explain(details: ErrorDetails, form: type[BaseModel] = StudyForm) -> Mistake:
    """A complaint of pydantic about a form, in the words of the file."""
    path = tuple(part for part in details["loc"] if part != "[key]")
    kind, message = details["type"], details["msg"]
    if kind == "extra_forbidden":
        known = field_names(form, path[:-1])
        return Mistake(
            path, f"unknown key{guess(str(path[-1]), known)}; known are {', '.join(known)}"
        )
    if kind == "missing":
        return Mistake(path, "is missing", is_about_absence=True)
    if kind == "labcoat":
        return Mistake(path, message)
    if kind in _EXPECTED:
        return Mistake(path, f"{_EXPECTED[kind]}, got {describe(path, details['input'])}")
    if kind in {"string_too_short", "too_short"}:
        return Mistake(path, "must not be empty")
    message = re.sub(r"^\w+ should ", "must ", message)
    return Mistake(path, f"{message}, got {describe(path, details['input'])}")


def describe(path: KeyPath, value: object) -> str:
    """A value of the file for a message; only its type where it may be a secret."""
    kind = next((text for known, text in _TYPES.items() if type(value) is known), "a date or time")
    if path[:2] == ("app", "env") or isinstance(value, dict | list):
        return kind
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def guess(name: str, known: Iterable[str]) -> str:
    """``; did you mean "x"?`` where something known is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f'; did you mean "{close[0]}"?' if close else ""


def field_names(form: type[BaseModel], path: KeyPath) -> tuple[str, ...]:
    """The keys that the table at a path may hold: through lists and tables of components."""
    path = tuple(part for part in path if not isinstance(part, int))  # an index of a list
    if not path:
        return tuple(form.model_fields)
    first, *rest = path
    inner = next(forms_in(form.model_fields[str(first)].annotation))
    if inner is ComponentForm:  # the next part is a component's name
        rest = rest[1:]
    return field_names(inner, tuple(rest))


def forms_in(annotation: object) -> Iterator[type[BaseModel]]:
    """The forms inside a type, however wrapped."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from forms_in(argument)
