"""Clues: what one place of a project says, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from labcoat.model.study import Interface
from labcoat.model.variant import Level


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A file of the project, relative to its folder, and a line from 1; None: all of it."""

    path: str
    line: int | None = None

    def __str__(self) -> str:
        """``path:line``, as messages and comments cite it."""
        return self.path if self.line is None else f"{self.path}:{self.line}"


class Source(IntEnum):
    """Where a command line was written; the first is the most binding."""

    ASKED = 0
    PROCFILE = 1
    SYSTEMD = 2
    DOCKERFILE = 3
    COMPOSE = 4
    SCRIPT = 5
    CODE = 6
    ENVIRONMENT = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Clue:
    """Something that a place of the project says."""

    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class AppObject(Clue):
    """An app in the code: a module's callable, or a factory that makes one when called.

    ``interface``: None where the code does not tell. ``folder``: what must come first on the
    import path. ``framework``: in the words of its authors, empty where nothing tells.
    """

    target: str
    folder: str
    framework: str
    interface: Interface | None
    is_factory: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedApp(Clue):
    """A setting that names the app: ``WSGI_APPLICATION``, ``FLASK_APP`` and the like."""

    target: str
    folder: str
    interface: Interface | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Clue):
    """A command line that starts something. ``folder``: its working directory, as written.

    ``variables``: names that stood in its words before they were filled.
    """

    words: tuple[str, ...]
    source: Source
    folder: str = ""
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    variables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Server(Clue):
    """An app server with its options, wherever they were written.

    ``file``: its own file in the project. ``target``: the app that it is told to serve.
    ``unreadable``: what it reads and labcoat cannot, or None. ``options``: all of them;
    ``around``: those that only variables say. ``reads``: variables, with values, that its command
    line needs.
    """

    name: str
    source: Source
    options: tuple[tuple[str, Level], ...] = ()
    around: tuple[tuple[str, Level], ...] = ()
    reads: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    file: str | None = None
    target: str | None = None
    interface: Interface | None = None
    folder: str = ""
    is_factory: bool = False
    unreadable: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFile(Clue):
    """A file of an app server's own: what it says of the app and of where it listens."""

    name: str
    target: str | None = None
    folder: str | None = None
    interface: Interface | None = None
    settings: tuple[tuple[str, Level], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherServer(Clue):
    """A server that is not for production (``is_for_development``), or that labcoat lacks."""

    name: str
    is_for_development: bool
    target: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable(Clue):
    """A variable of the environment that something sets; the value may be a secret."""

    name: str
    value: str = field(repr=False)
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted(Clue):
    """A variable that the app's code reads. ``is_required``: it has no default."""

    name: str
    is_required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Database(Clue):
    """A Postgres that the project uses.

    ``variable``: the one that holds its URL, ``parts``: those that hold its host, port, name,
    user and password; without either its address stands where the clue points. ``driver``: of
    the URL's scheme.
    """

    variable: str | None = None
    parts: tuple[tuple[str, str], ...] = ()
    driver: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFile(Clue):
    """A postgresql.conf of the project."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site(Clue):
    """An nginx.conf of the project, or a site that one includes.

    ``passes``: (what a pass leads to, where that address is written), ``serves``: (url, folder,
    place) of static files. ``is_main``: it has an http block. ``includes``: what it took along.
    ``named``: what visitors ask for, as the server blocks say, with their ``listen`` lines.
    """

    is_main: bool
    passes: tuple[tuple[str, Place], ...] = ()
    named: tuple[tuple[str, Place], ...] = ()
    serves: tuple[tuple[str, str, Place], ...] = ()
    includes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFiles(Clue):
    """A folder of static or media files. ``exists``: it is in this project."""

    folder: str
    url: str = ""
    exists: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Clue):
    """A path without parameters that the app answers a GET of."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency(Clue):
    """A package that the project asks for."""

    package: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed(Clue):
    """A command that fills the database: words as in ``[app] seed``."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark(Clue):
    """Something to be told: what, and the way out (empty: none is needed)."""

    what: str
    way_out: str = ""
