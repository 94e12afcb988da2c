"""The shape of a study file: one pydantic field per key, from which its reference derives.

Checks each key by itself, with the file's folder as context; what concerns several keys
is checked in ``study_file``.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from labcoat.errors import LoadError, UsageError
from labcoat.lab.study import env_file
from labcoat.load.placeholders import parse
from labcoat.model.metric import METRICS
from labcoat.model.workload import Source

_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
PLACEHOLDER = re.compile(r"\{(env:\w*|[A-Za-z_]+\.[A-Za-z_.]+)\}")
_CAPTURE_NAME = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)
_SEED_PLACEHOLDER = re.compile(r"\{([A-Za-z_][\w.]*)\}")
DATABASE = tuple(f"database.{part}" for part in ("url", "location", "host", "port", "name", "user"))
CACHES = (
    *(f"redis.{part}" for part in ("url", "host", "port")),
    *(f"memcached.{part}" for part in ("address", "host", "port")),
)
DUMPS = (".sql", ".sql.gz", ".dump", ".pgdump", ".backup", ".tar", ".dir")
MAX_BODY_BYTES = 16 * 1024 * 1024


def wrong(message: str) -> PydanticCustomError:
    """A mistake in our own words."""
    return PydanticCustomError("labcoat", "{message}", {"message": message})


def from_folder(folder: Path, name: str) -> Path:
    """A path of the file, from the file's folder. Symbolic links stay what they are."""
    return Path(os.path.abspath(folder / Path(name).expanduser()))  # noqa: PTH100


def in_folder(info: ValidationInfo[Path], name: str) -> Path:
    """``from_folder`` while the file is being checked."""
    return from_folder(folder_of(info), name)


def folder_of(info: ValidationInfo[Path]) -> Path:
    """The folder that the file is checked in."""
    if info.context is None:
        raise TypeError("a study file is checked in its folder: pass it as context")
    return info.context


def existing_file(name: str, info: ValidationInfo[Path]) -> str:
    path = in_folder(info, name)
    if not path.exists():
        raise wrong(f"there is no file {path}")
    if not path.is_file():
        raise wrong(f"{path} is not a file")
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise wrong(f"{path} cannot be read: {error.strerror}") from error
    return name


def existing_folder(name: str, info: ValidationInfo[Path]) -> str:
    path = in_folder(info, name)
    if not path.is_dir():
        raise wrong(f"there is no folder {path}")
    return name


def find_program(name: str, root: Path) -> Path | None:
    """The program that a path (from the folder) or a bare name (from PATH) means."""
    if "/" not in name:
        found = shutil.which(name)
        return None if found is None else Path(found)
    path = from_folder(root, name)
    return path if path.is_file() and os.access(path, os.X_OK) else None


def existing_program(name: str, info: ValidationInfo[Path]) -> str:
    if find_program(name, folder_of(info)) is None:
        path = in_folder(info, name)
        if "/" in name and path.is_file():
            raise wrong(f"{path} is not executable")
        place = "on PATH" if "/" not in name else f"at {in_folder(info, name)}"
        raise wrong(f"there is no program {name} {place}")
    return name


def is_target(target: str) -> str:
    if target.endswith("()"):
        raise wrong(
            f"{target!r} is a factory; name a module that has called it "
            f'(wsgi.py: app = create_app(); then "wsgi:app")'
        )
    if _TARGET.fullmatch(target) is None:
        raise wrong(f'expected "module:callable", got {target!r}')
    return target


def is_env_name(name: str) -> str:
    if _ENV_NAME.fullmatch(name) is None:
        raise wrong(f"{name!r} cannot be the name of an environment variable")
    return name


def is_env_value(value: str) -> str:
    """Known placeholders only; the message names the placeholder, never the value."""
    for name in PLACEHOLDER.findall(value):
        kind, _, variable = name.partition(":")
        if kind == "env":
            if variable not in os.environ:
                raise wrong(f"{{env:{variable}}}: the variable {variable} is not set here")
        elif name not in (*DATABASE, *CACHES):
            known = ", ".join(f"{{{one}}}" for one in (*DATABASE, *CACHES, "env:NAME"))
            raise wrong(f"unknown placeholder {{{name}}}; known are {known}")
    if "\0" in value:
        raise wrong("an environment variable cannot hold a NUL character")
    return value


def is_seed_word(word: str) -> str:
    for name in _SEED_PLACEHOLDER.findall(word):
        if name not in {"python", *DATABASE}:
            known = "{python} and {database.url}"
            raise wrong(f"unknown placeholder {{{name}}}; known are {known}")
    return word


def as_steps(value: object) -> object:
    """The short forms of a seed: one step, or the words of one command."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value and all(isinstance(word, str) for word in value):
        return value if is_step(value[0]) else [value]
    return value


def is_step(word: str) -> bool:
    """Whether a string is a step by itself: a file of a database, or a command with blanks."""
    return is_dump(word) or any(character.isspace() for character in word)


def is_dump(word: str) -> bool:
    """Whether a string names a file of SQL or of ``pg_dump``, by its ending."""
    return word.lower().endswith(DUMPS) and not any(character.isspace() for character in word)


def is_seed(step: object, info: ValidationInfo[Path]) -> str | list[str]:
    """A step that can be taken: a file that is there, or a command."""
    if isinstance(step, list) and step and all(isinstance(word, str) for word in step):
        return [is_seed_word(word) for word in step]
    if not isinstance(step, str) or not step.strip():
        raise wrong("expected a file, a command line or a list of words")
    if is_dump(step):
        path = in_folder(info, step)
        if not path.exists():
            raise wrong(f"there is no file {path}")
        return step
    try:
        shlex.split(step)
    except ValueError as error:
        raise wrong(f"not a command line: {error}") from error
    return is_seed_word(step)


def is_env_file(name: str, info: ValidationInfo[Path]) -> str:
    existing_file(name, info)
    path = in_folder(info, name)
    try:
        env_file.read(path.read_text(encoding="utf-8"), os.environ)
    except UnicodeDecodeError as error:
        raise wrong(f"{path} is not UTF-8 text") from error
    except env_file.NotAnEnvFile as error:
        raise wrong(f"{path}, line {error.line}: expected NAME=value") from error
    return name


def as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def is_level(level: object) -> object:
    if not isinstance(level, str | int | float | bool):
        raise wrong("expected a string, a number, true or false")
    return level


def as_component(value: object) -> object:
    """The short forms: the user's file, or true for none."""
    if isinstance(value, str):
        return {"file": value}
    if value is True:
        return {}
    if not isinstance(value, dict):
        raise wrong(
            'expected the path of its file, true for none, or a table such as { file = "..." }'
        )
    return value


def is_route(path: str, info: ValidationInfo[Path]) -> str:
    if not path.startswith("/"):
        raise wrong(f"a path starts with '/', got {path!r}")
    if any(character.isspace() or ord(character) < ord(" ") for character in path):
        raise wrong(f"a path holds no blanks (write %20), got {path!r}")
    return is_template(path, info)


def is_template(text: str, info: ValidationInfo[Path]) -> str:
    """Every placeholder is known, and every ``{file:...}`` names a list that is there."""
    try:
        parse(text, base_dir=str(folder_of(info)))
    except UsageError as error:
        raise wrong(f"{error.what}; {error.way_out}") from error
    except LoadError as error:
        raise wrong(error.what) from error
    return text


def is_token(name: str) -> str:
    if _TOKEN.fullmatch(name) is None:
        raise wrong(f"{name!r} cannot be a header's name or a method")
    return name


def is_header_value(value: str, info: ValidationInfo[Path]) -> str:
    if "\r" in value or "\n" in value or "\0" in value:
        raise wrong("a header's value is one line")
    return is_template(value, info)


def is_body_file(name: str, info: ValidationInfo[Path]) -> str:
    existing_file(name, info)
    path = in_folder(info, name)
    if path.stat().st_size > MAX_BODY_BYTES:
        raise wrong(f"{path} is larger than 16 MiB")
    try:
        is_template(path.read_text(encoding="utf-8"), info)
    except UnicodeDecodeError as error:
        raise wrong(f"{path} is not UTF-8 text") from error
    return name


def is_pattern(text: str) -> str:
    try:
        re.compile(text.encode())
    except re.error as error:
        raise wrong(f"not a regular expression: {error}, in {text!r}") from error
    return text


def is_capture_name(name: str) -> str:
    if _CAPTURE_NAME.fullmatch(name) is None:
        raise wrong(f"{name!r} cannot name a capture: use letters, digits, _ and -")
    return name


def is_capture(table: dict[str, str]) -> dict[str, str]:
    """One source, and an expression that it understands."""
    kinds = [source.value for source in Source]
    if len(table) != 1 or next(iter(table)) not in kinds:
        raise wrong(f"say where to find it with exactly one of {', '.join(kinds)}")
    kind, expression = next(iter(table.items()))
    if not expression:
        raise wrong(f"the {kind} must not be empty")
    if kind == Source.REGEX.value:
        try:
            re.compile(expression)
        except re.error as error:
            raise wrong(f"not a regular expression: {error}, in {expression!r}") from error
    if kind == Source.JSON.value and not expression.startswith("/"):
        raise wrong(f"a JSON pointer starts with '/', got {expression!r}")
    return table


def as_statuses(value: object) -> object:
    return [value] if isinstance(value, int) and not isinstance(value, bool) else value


def is_objective(name: str) -> str:
    names = [metric.name for metric in METRICS]
    if name not in names:
        raise wrong(f"unknown metric {name!r}; known are {', '.join(names)}")
    return name


ProgramName = Annotated[str, AfterValidator(existing_program)]
FileName = Annotated[str, AfterValidator(existing_file)]
Status = Annotated[int, Field(ge=100, le=599)]


class Form(BaseModel):
    """A table of the file: nothing unknown, nothing coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class AppForm(Form):
    """The app: exactly one of ``wsgi`` and ``asgi``."""

    wsgi: Annotated[str, AfterValidator(is_target)] | None = Field(
        None, description='The WSGI app, as `"module:callable"`.'
    )
    asgi: Annotated[str, AfterValidator(is_target)] | None = Field(
        None, description='The ASGI app, as `"module:callable"`.'
    )
    directory: Annotated[str, AfterValidator(existing_folder)] = Field(
        ".", description="The app's folder: working directory, and first on the import path."
    )
    python: ProgramName | None = Field(
        None,
        description=(
            "The interpreter that has the app's packages. Default: `.venv/bin/python` or "
            "`venv/bin/python` in the file's folder, else labcoat's own."
        ),
    )
    env: dict[
        Annotated[str, AfterValidator(is_env_name)], Annotated[str, AfterValidator(is_env_value)]
    ] = Field(
        {},
        description=(
            "The app's environment. `{database.url}` becomes the database's URL (its parts are "
            "`{database.host}`, `.port`, `.name`, `.user`, and `.location`, the URL after its "
            "scheme), `{redis.url}` and `{memcached.address}` lead to these (`.host` and `.port` "
            "too), `{env:NAME}` the variable NAME of your own environment (for secrets)."
        ),
    )
    env_file: Annotated[
        list[Annotated[str, AfterValidator(is_env_file)]], BeforeValidator(as_list)
    ] = Field(
        [],
        description=(
            "A file of `NAME=value` lines (`.env`), or a list of them, for what `env` does not "
            "say; later ones win. Values reach no journal, report or log."
        ),
    )
    seed: (
        Annotated[
            list[Annotated[Any, AfterValidator(is_seed)]],
            Field(min_length=1),
            BeforeValidator(as_steps),
        ]
        | None
    ) = Field(
        None,
        description=(
            "What fills the database, once: a file of SQL (`.sql`, `.sql.gz`), an archive of "
            "`pg_dump` (`.dump`, `.pgdump`, `.backup`, `.tar`, or a folder `.dir`), or a command "
            'line (`"python manage.py migrate"`); a list of them is taken in order. A list of '
            "plain words is one command; `{python}` is the app's interpreter, as `python` is. "
            "Commands see the app's environment and run in its directory."
        ),
    )
    pool: Annotated[str, AfterValidator(is_env_name)] | None = Field(
        None,
        description=(
            "The environment variable from which the app takes the size of its connection pool, "
            "per process: what the knob `app.pool` sets."
        ),
    )


class ComponentForm(Form):
    """One component; a string is short for ``file``, true for an empty table."""

    file: FileName | None = Field(
        None,
        description=(
            "Your own file for this component: its settings, or the file that holds the command "
            "line which starts an app server (Procfile, systemd unit, Dockerfile, Compose file, "
            "script)."
        ),
    )
    command: Annotated[str, Field(min_length=1)] | None = Field(
        None,
        description=(
            "The command line that starts an app server, instead of `file`: "
            '`"gunicorn -c gunicorn.conf.py -w 4 shop:app"`. Files that it names are adopted.'
        ),
    )
    options: dict[str, Annotated[Any, AfterValidator(is_level)]] = Field(
        {}, description="Settings in the component's own spelling, over those of the file."
    )
    binary: ProgramName | None = Field(
        None, description="The program to start. Default: from PATH, else labcoat's own copy."
    )


class ExpectForm(Form):
    """What a right answer looks like."""

    status: Annotated[list[Status], BeforeValidator(as_statuses)] = Field(
        [], description="The accepted status codes. Default: any below 400."
    )
    contains: str | None = Field(None, description="Text that the body must hold.")
    min_bytes: int = Field(0, ge=0, description="The least size of the body, in bytes.")


class StepForm(Form):
    """One step of what each user does once, before its first slice."""

    path: Annotated[str, AfterValidator(is_route)] = Field(
        description=(
            "Path and query. Placeholders: `{1..500}` a whole number, `{uuid}`, "
            "`{file:ids.txt}` a line of a file, `{a|b|c}` one of the words, `{env:NAME}` a "
            "variable of your own environment (for passwords), `{user}` the user's number, "
            "`{captured:NAME}` what the user captured; `{{` and `}}` are braces."
        )
    )
    method: Annotated[str, AfterValidator(is_token)] = Field("GET", description="The method.")
    name: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="The route's name in reports. Default: method and path."
    )
    headers: dict[
        Annotated[str, AfterValidator(is_token)], Annotated[str, AfterValidator(is_header_value)]
    ] = Field({}, description="Headers to send; values may hold placeholders.")
    body: Annotated[str, AfterValidator(is_template)] | None = Field(
        None, description="The body to send; may hold placeholders."
    )
    body_file: Annotated[str, AfterValidator(is_body_file)] | None = Field(
        None, description="A file that holds the body, instead of `body`."
    )
    capture: dict[
        Annotated[str, AfterValidator(is_capture_name)],
        Annotated[dict[str, str], AfterValidator(is_capture)],
    ] = Field(
        {},
        description=(
            "What to take from a right answer, by name: `{ regex = '...' }` (its first group, in "
            'the body), `{ json = "/a/b" }` (a JSON pointer), `{ header = "..." }` or '
            '`{ cookie = "..." }`.'
        ),
    )
    expect: ExpectForm = Field(ExpectForm(), description="What a right answer looks like.")


class RequestForm(StepForm):
    """One kind of request of the mix."""

    weight: float = Field(
        1.0, gt=0, allow_inf_nan=False, description="The relative share of the mix."
    )


class WorkloadForm(Form):
    """What the stack endures; or the path of a file that holds this table."""

    users: int = Field(
        32, ge=1, le=10_000, description="How many users the saturation load has (closed loop)."
    )
    cookies: bool = Field(True, description="Whether each user keeps the cookies it is given.")
    normalise: list[Annotated[str, AfterValidator(is_pattern)]] = Field(
        [],
        description=(
            "Regular expressions of what may differ between two equal answers (a token, a time): "
            "taken out of bodies before the answers of two arms are compared."
        ),
    )
    setup: list[StepForm] = Field(
        [], description="What each user does once, in order, before its first slice: a login."
    )
    requests: list[RequestForm] = Field(min_length=1, description="The mix of requests.")


class WorkloadFileForm(Form):
    """A file that holds nothing but a workload."""

    workload: WorkloadForm = Field(description="What the stack endures.")


class SettingsForm(Form):
    """The table ``[study]``: how labcoat decides."""

    objective: Annotated[str, AfterValidator(is_objective)] = Field(
        "throughput", description="The metric to improve."
    )
    margin: float = Field(
        0.02, gt=0, lt=1, description="The smallest effect worth having, a ratio: 0.02 is 2 %."
    )
    seed: int = Field(1, ge=0, lt=2**63, description="The seed of every random draw.")
    ready_timeout_s: float = Field(
        30.0, gt=0, le=3600, description="How long a component may take to boot, in seconds."
    )
    request_timeout_s: float = Field(
        30.0, gt=0, le=3600, description="How long one request may take, in seconds."
    )


class StudyForm(Form):
    """The whole file."""

    name: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        None, description="The study's name. Default: the name of the file's folder."
    )
    app: AppForm = Field(description="The app.")
    stack: dict[str, Annotated[ComponentForm, BeforeValidator(as_component)]] = Field(
        description="The components around the app."
    )
    workload: WorkloadForm = Field(description="What the stack endures.")
    study: SettingsForm = Field(SettingsForm(), description="How labcoat decides.")
