"""Runbooks: checks, actions, and what may run where. Frozen, rendered for one target."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from labcoat.watch.model.guards import COMPAT_GUARDS, Guards
from labcoat.watch.model.schedule import EVERY_MINUTE, Cron
from labcoat.watch.model.status import Status


class Semantics(Enum):
    """How statuses become decisions: as Automatron does, or corrected."""

    COMPAT = "compat"
    LABCOAT = "labcoat"


class Mode(Enum):
    """Whether decisions are carried out or only told."""

    ADVISE = "advise"
    ACT = "act"


class Match(Enum):
    """Over which of its checks an action's streak must hold (labcoat semantics)."""

    ANY = "any"
    ALL = "all"


class Place(Enum):
    """Where something runs: the target, a named host, or the watching machine."""

    TARGET = "target"
    HOST = "host"
    REMOTE = "remote"


@dataclass(frozen=True, slots=True)
class Shell:
    """A command for ``/bin/sh -c``. May hold placeholders of secrets (``secret.py``)."""

    cmd: str


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin file and its arguments as one shell text.

    ``path``: relative to ``<plugin_path>/checks/`` or ``<plugin_path>/actions/``.
    """

    path: str
    args: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What runs, where, as whom, and for how long at most.

    ``host``: only with Place.HOST. ``credentials``: a name from config.yml. ``become``:
    by ``sudo -n``. ``pty``: with a terminal, as Fabric 1 did.
    """

    place: Place
    what: Shell | Plugin
    timeout_s: float
    host: str | None = None
    credentials: str = "default"
    become: bool = False
    pty: bool = False

    def __post_init__(self) -> None:
        if (self.place is Place.HOST) != (self.host is not None):
            raise ValueError("a host is named exactly where a host is meant")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check of a runbook. ``line``: where it stands in the file."""

    name: str
    body: Body
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One action of a runbook, and when it is called for.

    ``frequency_s``: since the last end (compat), the last start (labcoat). ``checks``: names
    over which streaks count; empty is all. ``after``: another action that must have failed
    to cure this incident first. The last four fields mean nothing in compat.
    """

    name: str
    body: Body
    trigger: int
    frequency_s: float
    call_on: frozenset[Status]
    run_once: bool = False
    guards: Guards = COMPAT_GUARDS
    rollback: Body | None = None
    checks: tuple[str, ...] = ()
    match: Match = Match.ANY
    on_recovery: bool = False
    after: str | None = None
    line: int = 0

    def __post_init__(self) -> None:
        if self.trigger < 0 or self.frequency_s < 0 or not self.call_on:
            raise ValueError("trigger >= 0, frequency >= 0, call_on not empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class Runbook:
    """A runbook as rendered for one target.

    ``path``: as init.yml has it; state is keyed by it. ``file``: the file itself, relative
    to ``runbook_path``. ``group``: whose rolling limit counts (its key ``group:``, else the
    glob that mapped it). ``mode`` None: as the site says. ``spread_s`` None: as the site
    spreads; 0: exactly at the slot. ``sha256``: of the source text.
    """

    path: str
    file: str
    name: str
    sha256: str
    checks: tuple[Check, ...]
    actions: tuple[Action, ...] = ()
    schedule: Cron = EVERY_MINUTE
    semantics: Semantics = Semantics.COMPAT
    mode: Mode | None = None
    group: str = "*"
    spread_s: float | None = None

    def action(self, name: str) -> Action:
        """The action of that name. Raises: KeyError."""
        for action in self.actions:
            if action.name == name:
                return action
        raise KeyError(name)
