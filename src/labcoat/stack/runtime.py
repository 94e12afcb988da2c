"""The Python runtime: how levels of ``python.*`` reach the app server's interpreter.

A name in capitals is an environment variable by its own name. The collector's levels
(``gc.threshold``, ``gc.freeze``) need code at the start of the interpreter: two modules that
labcoat ships are written into the sandbox.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from labcoat.errors import RenderError
from labcoat.model.variant import Level
from labcoat.stack.base import Rendered
from labcoat.stack.edit.patch import newline_of, spelled

NAME = "python"
FORKING = ("gunicorn", "uwsgi")
"""Servers whose master can load the app before it forks its workers."""

_SHIPPED = Path(__file__).parent / "shipped" / NAME
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
_SITE = "sitecustomize.py"
_UWSGI = "uwsgi_freeze.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What a variant adds to an app server: variables, words of its argv, and files.

    ``files``: names in the folder that ``added`` is given, which is first on PYTHONPATH.
    """

    env: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    freezes_uwsgi: bool = False

    @classmethod
    def of(cls, levels: Mapping[str, Level], *, server: str) -> Runtime:
        """The runtime with these levels. Raises: RenderError for what cannot be reached."""
        env: dict[str, str] = {}
        files: list[str] = []
        freezes = levels.get("gc.freeze") is True
        for name, level in levels.items():
            if _VARIABLE.fullmatch(name):
                env[name] = spelled(level, true="1", false="")
            elif name == "gc.threshold":
                env["LABCOAT_GC_THRESHOLD"] = str(level)
            elif name != "gc.freeze":
                raise RenderError(
                    f"python.{name} is no setting of the runtime",
                    where=f"python.{name}",
                    way_out="labcoat knobs --component python lists them",
                )
        if freezes and server not in FORKING:
            raise RenderError(
                f"python.gc.freeze: {server} never loads the app before it forks",
                where="python.gc.freeze",
                way_out=f"use {' or '.join(FORKING)}, or leave the knob out",
            )
        if freezes and server == "gunicorn":
            env["LABCOAT_GC_FREEZE"] = "1"
        if env.keys() & {"LABCOAT_GC_THRESHOLD", "LABCOAT_GC_FREEZE"}:
            files.append(_SITE)
        freezes_uwsgi = freezes and server == "uwsgi"
        if freezes_uwsgi:
            files.append(_UWSGI)
        return cls(env=env, files=tuple(files), freezes_uwsgi=freezes_uwsgi)

    def environment(self, env: Mapping[str, str], folder: Path) -> dict[str, str]:
        """The server's environment with the variables in force, and the folder found first."""
        merged = {**env, **self.env}
        if _SITE in self.files:
            places = (str(folder), *filter(None, (env.get("PYTHONPATH"),)))
            merged["PYTHONPATH"] = os.pathsep.join(places)
        return merged

    def added(self, rendered: Rendered, folder: Path) -> Rendered:
        """The server's argv with what starts the recipe; its own files stay as they are."""
        if not self.freezes_uwsgi:
            return rendered
        words = ("--shared-import", str(folder / _UWSGI), "--hook-accepting", "rpc:labcoat_gc")
        return replace(rendered, argv=(*rendered.argv, *words))

    def texts(self) -> dict[str, str]:
        """The files by name."""
        return {name: (_SHIPPED / name).read_text(encoding="utf-8") for name in self.files}


FREEZE = """\
gc.disable()  # until the workers are forked; what is loaded by then is never collected
os.register_at_fork(
    before=lambda parent=os.getpid(): os.getpid() == parent and gc.freeze(),
    after_in_parent=gc.enable,
    after_in_child=gc.enable,
)
"""
"""``gc.freeze`` in a gunicorn.conf.py: what the sandbox's ``sitecustomize`` does."""

_THRESHOLD = re.compile(r"^gc\.set_threshold\(\d+\)", re.MULTILINE)


def collector_lines(text: str, levels: Mapping[str, Level]) -> tuple[str, tuple[str, ...]]:
    """A gunicorn.conf.py with the collector's levels, and the names of those that it now holds.

    Gunicorn executes the file in the process that its workers are forked from, and ignores
    names that are no settings.
    """
    newline = newline_of(text)
    freeze = FREEZE.replace("\n", newline)
    lines: list[str] = []
    modules: set[str] = set()
    held = tuple(name for name in levels if name in {"gc.threshold", "gc.freeze"})
    threshold = levels.get("gc.threshold")
    if threshold is not None:
        line = f"gc.set_threshold({threshold})"
        ours = [found.span() for found in _THRESHOLD.finditer(text)]
        if ours:
            start, end = ours[-1]
            text = text[:start] + line + text[end:]
        else:
            lines.append(line + newline)
            modules.add("gc")
    if levels.get("gc.freeze") is True and freeze not in text:
        lines.append(freeze)
        modules |= {"gc", "os"}
    if levels.get("gc.freeze") is False:
        text = text.replace(freeze, "")
    if lines:
        missing = [
            f"import {name}{newline}" for name in sorted(modules) if not _imports(text, name)
        ]
        lead = newline if text and not text.endswith("\n") else ""
        text += lead + "".join((newline, *missing, *lines))
    return text, held


def _imports(text: str, module: str) -> bool:
    return re.search(rf"^import {module}\s*$", text, re.MULTILINE) is not None


def by_hand(
    levels: Mapping[str, Level], *, server: str, module: str, held: Collection[str] = ()
) -> tuple[str, ...]:
    """What a person has to write for levels of ``python`` that no file of the study holds.

    ``module``: the one that makes the app. ``held``: levels that a file holds already.
    """
    words: list[str] = []
    for name, level in levels.items():
        if name in held:
            continue
        if _VARIABLE.fullmatch(name):
            words.append(_variable_words(name, spelled(level, true="1", false=""), server))
        elif name == "gc.threshold":
            words.append(
                f"python.gc.threshold: import gc; gc.set_threshold({level}) at the top of the"
                f" module {module}, which makes the app"
            )
        elif name == "gc.freeze" and level is True:
            words.append(_freeze_words(server, module))
    return tuple(words)


def _variable_words(name: str, value: str, server: str) -> str:
    if not value:
        return f"python.{name}: no {name} in the environment that {server} is started with"
    return (
        f"python.{name}: {name}={value} in the environment that {server} is started with"
        f" (systemd: Environment={name}={value}; a container: ENV {name}={value}), and"
        f' {name} = "{value}" in [app] env of labcoat.toml, where the next campaign starts'
    )


def _freeze_words(server: str, module: str) -> str:
    if server == "gunicorn":
        return (
            "python.gc.freeze: in the gunicorn.conf.py that it reads: import gc, os; gc.disable();"
            " os.register_at_fork(before=gc.freeze,"
            " after_in_parent=gc.enable, after_in_child=gc.enable)"
        )
    return (
        f"python.gc.freeze: import gc; gc.disable() at the top of the module {module}, and in it a"
        " function under @uwsgidecorators.postfork that calls gc.freeze() and gc.enable()"
    )
