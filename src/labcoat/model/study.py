"""Studies: what is tuned, under which load, towards which objective."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from labcoat.model.variant import Level
from labcoat.model.workload import Workload


class Interface(Enum):
    """How a server calls the app."""

    WSGI = "wsgi"
    ASGI = "asgi"


Seed = tuple[str, ...] | Path
"""A step that fills a database: a command as argv, or a file of SQL or of ``pg_dump``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """The user's app: what a server imports, where, and with which environment.

    ``target``: ``module:callable``. ``directory``: put first on the import path, and
    the working directory. ``python``: the interpreter that has the app's packages.
    ``env``: name -> value; a value may hold ``{database.url}`` and the like, filled by
    the stack; values are secrets until shown otherwise and reach no log or journal.
    ``seed``: the steps that fill the database once, in order.
    """

    interface: Interface
    target: str
    directory: Path
    python: Path
    env: tuple[tuple[str, str], ...] = ()
    seed: tuple[Seed, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentSpec:
    """One component that the study names.

    ``name``: a component of labcoat.stack. ``file``: the user's own config file, or
    None. ``command``: the command line that starts it, as the study file has it, or None.
    ``options``: settings over those of both. ``binary``: the program to start, None is
    "find it".
    """

    name: str
    file: Path | None = None
    command: str | None = None
    options: tuple[tuple[str, Level], ...] = ()
    binary: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One tuning session: stack, workload, objective, guardrails, budget, seed.

    ``components``: front to back: web server, app server, database.
    ``users``: how many closed-loop users the saturation load has.
    ``margin``: the smallest effect worth having, a ratio (0.02 is 2 %).
    ``file``: where it was read from; ``root``: its folder, which holds ``.labcoat``.
    """

    name: str
    file: Path
    root: Path
    app: App
    components: tuple[ComponentSpec, ...]
    workload: Workload
    users: int = 32
    objective: str = "throughput"
    margin: float = 0.02
    seed: int = 1
    ready_timeout_s: float = 30.0
    request_timeout_s: float = 30.0
