"""The study file: labcoat.toml in, a Study out, or every mistake at once.

Each mistake is told with its line, its key and what was expected. Values of the app's
environment may be secrets and are never quoted.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from labcoat.errors import UsageError
from labcoat.lab.study import env_file
from labcoat.lab.study.study_form import (
    PLACEHOLDER,
    AppForm,
    ComponentForm,
    ExpectForm,
    RequestForm,
    StepForm,
    StudyForm,
    WorkloadFileForm,
    WorkloadForm,
    find_program,
    from_folder,
    is_dump,
)
from labcoat.lab.study.study_mistakes import PLACES, Mistake, explain, find_contradictions
from labcoat.lab.study.toml_lines import KeyPath, key_lines, nearest_line
from labcoat.model.study import App, ComponentSpec, Interface, Seed, Study
from labcoat.model.workload import Capture, Expectation, RequestTemplate, Source, Workload

STUDY_FILE = "labcoat.toml"
REFERENCE = "docs/reference/study-file.md"


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
    file, form = read_form(path, StudyForm)
    elsewhere = workload_file(file)
    return build(form, file, file.parent if elsewhere is None else elsewhere.parent)


def workload_file(file: Path) -> Path | None:
    """The file that a study's ``workload = "FILE"`` names, or None. Raises: UsageError."""
    named = parse(read_text(file), file).get("workload")
    return from_folder(file.parent, named) if isinstance(named, str) else None


def read_workload(path: Path) -> tuple[Workload, int]:
    """The mix and the number of users of a file with a ``[workload]`` table alone.

    Raises: UsageError, with every mistake of the file in ``log``.
    """
    file, form = read_form(path, WorkloadFileForm)
    return build_workload(form.workload, file.parent), form.workload.users


FileForm = TypeVar("FileForm", bound=BaseModel)


def read_form(
    path: Path, kind: type[FileForm], *, called: str = "study file", reference: str = REFERENCE
) -> tuple[Path, FileForm]:
    """The file's absolute path, and what it says. Raises: UsageError with every mistake.

    ``called``, ``reference``: what kind of file it is, and where its keys are explained.
    """
    file = Path(os.path.abspath(path.expanduser()))  # noqa: PTH100  keeps symbolic links
    text = read_text(file, called=called)
    return file, form_of(text, file, kind, called=called, reference=reference)


def form_of(
    text: str,
    file: Path,
    kind: type[FileForm],
    *,
    called: str = "study file",
    reference: str = REFERENCE,
) -> FileForm:
    """What a file with this text says. Raises: UsageError with every mistake."""
    tables = parse(text, file, called=called, reference=reference)
    if isinstance(tables.get("workload"), str):
        elsewhere = from_folder(file.parent, tables["workload"])
        if not elsewhere.is_file():
            absent = Mistake(("workload",), f"there is no file {elsewhere}")
            raise complain(file, [absent], key_lines(text), kind=called, reference=reference)
        # Its mistakes are told with its own name and lines.
        _, named = read_form(elsewhere, WorkloadFileForm)
        tables["workload"] = named.workload
    form: FileForm | None = None
    mistakes = list(find_contradictions(tables))
    try:
        form = kind.model_validate(tables, context=file.parent)
    except ValidationError as error:
        mistakes += [explain(details, kind) for details in error.errors(include_url=False)]
    if mistakes or form is None:
        raise complain(file, mistakes, key_lines(text), kind=called, reference=reference)
    return form


def read_text(file: Path, *, called: str = "study file") -> str:
    """The file's text. Raises: UsageError."""
    if not file.exists():
        raise UsageError(f"there is no such {called}", where=file, way_out="check the path")
    if not file.is_file():
        raise UsageError(f"the {called} is not a file", where=file, way_out="name the file itself")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UsageError(
            f"the {called} cannot be read: {error.strerror}",
            where=file,
            way_out="grant this user access to it",
        ) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"the {called} is not UTF-8 text",
            where=f"{file}, line {line}",
            way_out="save it as UTF-8",
        ) from error


def parse(
    text: str, file: Path, *, called: str = "study file", reference: str = REFERENCE
) -> dict[str, Any]:
    """The file's tables. Raises: UsageError with line and column."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what, _, place = str(error).removesuffix(")").partition(" (at ")
        raise UsageError(
            f"the {called} is not valid TOML: {what}",
            where=f"{file}, {place}",
            way_out="mend it there; strings want quotes, tables want [brackets]",
        ) from error
    except RecursionError as error:
        raise UsageError(
            f"the {called} is nested too deeply", where=file, way_out=f"see {reference}"
        ) from error


def complain(
    file: Path,
    mistakes: list[Mistake],
    lines: dict[KeyPath, int],
    *,
    kind: str = "study file",
    reference: str = REFERENCE,
) -> UsageError:
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
        f"{count} in the {kind}",
        where=file,
        way_out=f"mend the lines named above; every key is explained in {reference}",
        log=[f"line {line:<{width}}  {text}" for line, text in rows],
    )


def spell(path: KeyPath) -> str:
    """``workload.requests[2].weight``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def build(form: StudyForm, file: Path, workload_root: Path) -> Study:
    """The study of a file without mistakes; the workload's files lie in a folder of their own."""
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
                form.stack.items(), key=lambda item: tuple(PLACES).index(item[0])
            )
        ),
        workload=build_workload(form.workload, workload_root),
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
        directory=from_folder(root, app.directory),
        python=python or default_python(root),
        env=build_env(app, root),
        seed=tuple(build_step(step, root) for step in app.seed or ()),
        pool=app.pool,
    )


def build_env(app: AppForm, root: Path) -> tuple[tuple[str, str], ...]:
    """The variables of the env files, then those of the study file, which win."""
    variables: dict[str, str] = {}
    for name in app.env_file:
        text = from_folder(root, name).read_text(encoding="utf-8")
        variables |= env_file.read(text, {**os.environ, **variables})
    variables |= {name: fill_env(value) for name, value in app.env.items()}
    return tuple(variables.items())


def build_step(step: str | list[str], root: Path) -> Seed:
    if isinstance(step, str) and is_dump(step):
        return from_folder(root, step)
    words = shlex.split(step) if isinstance(step, str) else step
    is_python = words[0] in {"python", "python3"}
    return ("{python}" if is_python else words[0], *words[1:])


def default_python(root: Path) -> Path:
    """The interpreter of the project's own environment, else the one that labcoat has."""
    for folder in (".venv", "venv"):
        candidate = find_program(f"{folder}/bin/python", root)
        if candidate is not None:
            return candidate
    return Path(sys.executable)


def fill_env(value: str) -> str:
    """The value with ``{env:NAME}`` filled; what is left to the stack is ``{database.url}``."""

    def fill(match: re.Match[str]) -> str:
        kind, _, variable = match[1].partition(":")
        return os.environ[variable] if kind == "env" else match[0]

    return PLACEHOLDER.sub(fill, value)


def build_component(name: str, component: ComponentForm, root: Path) -> ComponentSpec:
    return ComponentSpec(
        name=name,
        file=None if component.file is None else from_folder(root, component.file),
        command=component.command,
        options=tuple(component.options.items()),
        binary=None if component.binary is None else find_program(component.binary, root),
    )


def build_workload(form: WorkloadForm, root: Path) -> Workload:
    return Workload(
        requests=build_requests(form.requests, root),
        cookies=form.cookies,
        base_dir=str(root),
        normalise=tuple(form.normalise),
        setup=build_requests(form.setup, root),
    )


def build_requests(requests: Sequence[StepForm], root: Path) -> tuple[RequestTemplate, ...]:
    """The mix, or the set-up; requests without a name get one from method and path."""
    taken = {request.name for request in requests if request.name is not None}
    templates = []
    for request in requests:
        method = request.method.upper()
        name = request.name or free_name(f"{method} {request.path}", taken)
        taken.add(name)
        body = request.body
        if request.body_file is not None:
            body = from_folder(root, request.body_file).read_text(encoding="utf-8")
        templates.append(
            RequestTemplate(
                path=request.path,
                name=name,
                method=method,
                weight=float(request.weight) if isinstance(request, RequestForm) else 1.0,
                headers=tuple(request.headers.items()),
                body=body,
                expect=build_expectation(request.expect),
                captures=tuple(build_captures(request.capture)),
            )
        )
    return tuple(templates)


def build_captures(captures: Mapping[str, Mapping[str, str]]) -> Iterator[Capture]:
    for name, found in captures.items():
        for kind, expression in found.items():
            yield Capture(name=name, source=Source(kind), expression=expression)


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
