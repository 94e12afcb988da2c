"""The study file: labcoat.toml in, a Study out, or every mistake at once.

Each mistake is told with its line, its key and what was expected. Values of the app's
environment may be secrets and are never quoted.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from labcoat.errors import UsageError
from labcoat.lab.study_form import (
    PLACEHOLDER,
    ComponentForm,
    ExpectForm,
    RequestForm,
    StudyForm,
    find_program,
)
from labcoat.lab.toml_lines import KeyPath, key_lines, nearest_line
from labcoat.model.study import App, ComponentSpec, Interface, Study
from labcoat.model.workload import Expectation, RequestTemplate, Workload

STUDY_FILE = "labcoat.toml"
REFERENCE = "docs/reference/study-file.md"


class Role(Enum):
    """Where a component stands, front to back."""

    WEB = 0
    SERVER = 1
    DATABASE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a study file may say of a component: its role, its app's interfaces, its file."""

    role: Role
    serves: tuple[Interface, ...] = ()
    has_file: bool = True


PLACES: Mapping[str, Place] = {
    "nginx": Place(role=Role.WEB),
    "uwsgi": Place(role=Role.SERVER, serves=(Interface.WSGI,)),
    "gunicorn": Place(role=Role.SERVER, serves=(Interface.WSGI, Interface.ASGI)),
    "granian": Place(
        role=Role.SERVER, serves=(Interface.WSGI, Interface.ASGI), has_file=False
    ),
    "uvicorn": Place(role=Role.SERVER, serves=(Interface.ASGI,), has_file=False),
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


def find_study(start: Path) -> Path:
    """The nearest study file, in this folder or one above. Raises: UsageError."""
    folder = start.absolute()
    for candidate in (folder, *folder.parents):
        if (candidate / STUDY_FILE).is_file():
            return candidate / STUDY_FILE
    raise UsageError(
        f"there is no {STUDY_FILE} here or in a folder above",
        where=folder,
        way_out=f"name one with --study FILE, or write one ({REFERENCE})",
    )


def read_study(path: Path) -> Study:
    """The study that a file describes; relative paths start from the file's folder.

    Raises: UsageError, with every mistake of the file in ``log``.
    """
    file = Path(os.path.abspath(path.expanduser()))  # noqa: PTH100  keeps symbolic links
    text = read_text(file)
    tables = parse(text, file)
    form: StudyForm | None = None
    mistakes = list(find_contradictions(tables))
    try:
        form = StudyForm.model_validate(tables, context=file.parent)
    except ValidationError as error:
        mistakes += [explain(details) for details in error.errors(include_url=False)]
    if mistakes or form is None:
        raise complain(file, mistakes, key_lines(text))
    return build(form, file)


def read_text(file: Path) -> str:
    """The file's text. Raises: UsageError."""
    if not file.exists():
        raise UsageError("there is no such study file", where=file, way_out="check the path")
    if not file.is_file():
        raise UsageError(
            "the study file is not a file", where=file, way_out=f"name the {STUDY_FILE} itself"
        )
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UsageError(
            f"the study file cannot be read: {error.strerror}",
            where=file,
            way_out="grant this user access to it",
        ) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(
            "the study file is not UTF-8 text",
            where=f"{file}, line {line}",
            way_out="save it as UTF-8",
        ) from error


def parse(text: str, file: Path) -> dict[str, Any]:
    """The file's tables. Raises: UsageError with line and column."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what, place = str(error), ""
        if match := re.fullmatch(r"(.*) \(at (line \d+, column \d+|end of document)\)", what):
            what, place = match[1], f", {match[2]}"
        raise UsageError(
            f"the study file is not valid TOML: {what}",
            where=f"{file}{place}",
            way_out="mend it there; strings want quotes, tables want [brackets]",
        ) from error
    except RecursionError as error:
        raise UsageError(
            "the study file is nested too deeply", where=file, way_out=f"see {REFERENCE}"
        ) from error


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
    requests = None if workload is None else workload.get("requests")
    if isinstance(requests, list):
        yield from contradictions_of_requests(requests)


def contradictions_of_app(app: Mapping[str, Any]) -> Iterator[Mistake]:
    named = [interface.value for interface in Interface if interface.value in app]
    if len(named) > 1:
        yield Mistake(("app", "asgi"), "an app is either wsgi or asgi, not both")
    if not named:
        yield Mistake(("app",), 'names no app: wsgi = "module:callable", or asgi')


def contradictions_of_stack(
    stack: Mapping[str, Any], app: Mapping[str, Any]
) -> Iterator[Mistake]:
    for name in stack:
        if name not in PLACES:
            known = ", ".join(PLACES)
            yield Mistake(("stack", name), f"unknown component{guess(name, PLACES)}; known are {known}")
    servers = [name for name in stack if is_at(name, Role.SERVER)]
    if not servers:
        known = ", ".join(name for name in PLACES if is_at(name, Role.SERVER))
        yield Mistake(("stack",), f"names no app server; one of {known}")
    for name in servers[1:]:
        yield Mistake(("stack", name), f"a second app server beside {servers[0]}; keep one")
    for name in servers:
        for interface in Interface:
            if interface.value in app and interface not in PLACES[name].serves:
                yield Mistake(("stack", name), f"{name} cannot serve an app of kind {interface.value}")
    for name, value in stack.items():
        place = PLACES.get(name)
        has_file = isinstance(value, str) or (isinstance(value, dict) and "file" in value)
        if place is not None and not place.has_file and has_file:
            yield Mistake(
                ("stack", name, "file"),
                f"{name} has no file of its own; use {name} = {{ options = {{ ... }} }}",
            )


def needs_of_database(app: Mapping[str, Any]) -> Iterator[Mistake]:
    env = app.get("env")
    for name, value in env.items() if isinstance(env, dict) else ():
        if isinstance(value, str) and "database.url" in PLACEHOLDER.findall(value):
            yield Mistake(("app", "env", name), "{database.url} needs a database in [stack]")
    if "seed" in app:
        yield Mistake(("app", "seed"), "fills a database, and [stack] names none (postgres)")


def contradictions_of_requests(requests: list[object]) -> Iterator[Mistake]:
    names: set[str] = set()
    for index, request in enumerate(requests):
        if not isinstance(request, dict):
            continue
        name = request.get("name")
        if isinstance(name, str):
            if name in names:
                yield Mistake(
                    ("workload", "requests", index, "name"), f"a second request named {name!r}"
                )
            names.add(name)
        if "body" in request and "body_file" in request:
            yield Mistake(
                ("workload", "requests", index, "body_file"), "either body or body_file, not both"
            )


def is_at(name: str, role: Role) -> bool:
    """Whether this is a known component with that role."""
    place = PLACES.get(name)
    return place is not None and place.role is role


def has_database(stack: Mapping[str, Any]) -> bool:
    return any(is_at(name, Role.DATABASE) for name in stack)


def explain(details: ErrorDetails) -> Mistake:
    """A complaint of pydantic in the words of the file."""
    path = tuple(part for part in details["loc"] if part != "[key]")
    kind, message = details["type"], details["msg"]
    if kind == "extra_forbidden":
        known = list(field_names(StudyForm, path[:-1]))
        return Mistake(path, f"unknown key{guess(str(path[-1]), known)}; known are {', '.join(known)}")
    if kind == "missing":
        return Mistake(path, "is missing", is_about_absence=True)
    if kind == "labcoat":
        return Mistake(path, message)
    if kind in _EXPECTED:
        return Mistake(path, f"{_EXPECTED[kind]}, got {describe(path, details['input'])}")
    message = message.removeprefix("Input should ").removeprefix("be ")
    return Mistake(path, f"must be {message}, got {describe(path, details['input'])}")


def describe(path: KeyPath, value: object) -> str:
    """A value of the file for a message; only its type where it may be a secret."""
    kind = next((text for known, text in _TYPES.items() if type(value) is known), "a date or time")
    if path[:2] == ("app", "env") or isinstance(value, dict | list):
        return kind
    text = {True: "true", False: "false"}.get(value, repr(value)) if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def guess(name: str, known: object) -> str:
    """``; did you mean "x"?`` where something known is close."""
    close = difflib.get_close_matches(name, list(known), n=1)  # type: ignore[call-overload]
    return f'; did you mean "{close[0]}"?' if close else ""


def field_names(form: type[BaseModel], path: KeyPath) -> tuple[str, ...]:
    """The keys that a table of the file may hold."""
    table = table_at(form, path)
    return () if table is None else tuple(table.model_fields)


def table_at(form: type[BaseModel], path: KeyPath) -> type[BaseModel] | None:
    """The form of the table at a path: through lists and tables of components."""
    if not path:
        return form
    first, *rest = path
    field = form.model_fields.get(str(first))
    if field is None:
        return None
    inner = next(forms_in(field.annotation), None)
    if inner is None:
        return None
    if inner in (ComponentForm, RequestForm):  # the next part is a component's name, an index
        rest = rest[1:]
    return table_at(inner, tuple(rest))


def forms_in(annotation: object) -> Iterator[type[BaseModel]]:
    """The forms inside a type, however wrapped."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from forms_in(argument)


def complain(file: Path, mistakes: list[Mistake], lines: dict[KeyPath, int]) -> UsageError:
    """One error with every mistake, in the order of the file's lines."""
    rows: list[tuple[int, str]] = []
    for mistake in mistakes:
        found, line = nearest_line(lines, mistake.path)
        shown = mistake.path if mistake.is_about_absence else found or mistake.path
        rows.append((line or 1, f"{spell(shown)}: {mistake.message}"))
    rows = sorted(dict.fromkeys(rows))
    width = len(str(rows[-1][0]))
    count = "1 mistake" if len(rows) == 1 else f"{len(rows)} mistakes"
    return UsageError(
        f"{count} in the study file",
        where=file,
        way_out=f"mend the lines named above; every key is explained in {REFERENCE}",
        log=[f"line {line:<{width}}  {text}" for line, text in rows],
    )


def spell(path: KeyPath) -> str:
    """``workload.requests[2].weight``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def build(form: StudyForm, file: Path) -> Study:
    """The study of a file without mistakes."""
    root = file.parent
    settings = form.study
    return Study(
        name=form.name or root.name or "study",
        file=file,
        root=root,
        app=build_app(form, root),
        components=tuple(
            build_component(name, component, root)
            for name, component in sorted(
                form.stack.items(), key=lambda item: PLACES[item[0]].role.value
            )
        ),
        workload=Workload(
            requests=build_requests(form.workload.requests, root),
            cookies=form.workload.cookies,
            base_dir=str(root),
        ),
        users=form.workload.users,
        objective=settings.objective,
        margin=settings.margin,
        seed=settings.seed,
        ready_timeout_s=settings.ready_timeout_s,
        request_timeout_s=settings.request_timeout_s,
    )


def build_app(form: StudyForm, root: Path) -> App:
    app = form.app
    target = app.wsgi if app.wsgi is not None else app.asgi
    if target is None:
        raise AssertionError("an app without target passed the checks")
    python = None if app.python is None else find_program(app.python, root)
    return App(
        interface=Interface.ASGI if app.wsgi is None else Interface.WSGI,
        target=target,
        directory=from_root(root, app.directory),
        python=python or default_python(root),
        env=tuple((name, take_secrets(value)) for name, value in app.env.items()),
        seed=None if app.seed is None else tuple(app.seed),
    )


def default_python(root: Path) -> Path:
    """The interpreter of the project's own environment, else the one that labcoat has."""
    for folder in (".venv", "venv"):
        candidate = find_program(f"{folder}/bin/python", root)
        if candidate is not None:
            return candidate
    return Path(sys.executable)


def take_secrets(value: str) -> str:
    """The value with ``{env:NAME}`` filled from our environment; the stack fills the rest."""
    return PLACEHOLDER.sub(
        lambda match: os.environ[match[1].removeprefix("env:")]
        if match[1].startswith("env:")
        else match[0],
        value,
    )


def build_component(name: str, component: ComponentForm, root: Path) -> ComponentSpec:
    return ComponentSpec(
        name=name,
        file=None if component.file is None else from_root(root, component.file),
        options=tuple(component.options.items()),
        binary=None if component.binary is None else find_program(component.binary, root),
    )


def build_requests(requests: list[RequestForm], root: Path) -> tuple[RequestTemplate, ...]:
    """The mix; requests without a name get one from method and path, made unique."""
    taken = {request.name for request in requests if request.name is not None}
    templates = []
    for request in requests:
        method = request.method.upper()
        name = request.name or free_name(f"{method} {request.path}", taken)
        taken.add(name)
        body = request.body
        if request.body_file is not None:
            body = from_root(root, request.body_file).read_text(encoding="utf-8")
        templates.append(
            RequestTemplate(
                path=request.path,
                name=name,
                method=method,
                weight=float(request.weight),
                headers=tuple(request.headers.items()),
                body=body,
                expect=build_expectation(request.expect),
            )
        )
    return tuple(templates)


def free_name(name: str, taken: set[str]) -> str:
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name} #{number}"
    return candidate


def build_expectation(expect: ExpectForm) -> Expectation:
    return Expectation(
        statuses=tuple(expect.status), contains=expect.contains, min_bytes=expect.min_bytes
    )


def from_root(root: Path, name: str) -> Path:
    """A path of the file, from the file's folder; symbolic links stay what they are."""
    return Path(os.path.abspath(root / Path(name).expanduser()))  # noqa: PTH100
