"""The Python runtime: how levels of ``python.*`` reach the app server's interpreter.

A name in capitals is an environment variable by its own name. The collector's levels
(``gc.threshold``, ``gc.freeze``) need code at the start of the interpreter: two modules that
labcoat ships are written into the sandbox.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from labcoat.errors import RenderError
from labcoat.model.variant import Level
from labcoat.stack.base import Rendered
from labcoat.stack.edit.patch import spelled

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
