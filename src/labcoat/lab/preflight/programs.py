"""Which programs of a stack this machine has, for whom the study is."""

from __future__ import annotations

import sys
from pathlib import Path

from labcoat.errors import LabcoatError
from labcoat.host.base import Host
from labcoat.host.readings import ProgramFound
from labcoat.model.study import App, Interface, Study
from labcoat.stack.binaries import PROGRAMS, locate


def find_programs(host: Host, study: Study | None) -> tuple[ProgramFound, ...]:
    """Every program that labcoat can start: found, or how to get it; companions where wanted.

    With a study its app's interpreter is asked and its components are wanted; without one,
    labcoat's own interpreter.
    """
    app = study.app if study is not None else _no_app()
    named = {spec.name: spec.binary for spec in study.components} if study is not None else {}
    found: list[ProgramFound] = []
    for program in PROGRAMS:
        is_wanted = program.name in named
        if program.is_optional and not is_wanted:
            continue
        try:
            located = locate(program.name, app=app, host=host, named=named.get(program.name))
        except LabcoatError as error:
            why = "; ".join((error.what.removeprefix(f"{program.name} "), *error.log))
            found.append(
                ProgramFound(
                    name=program.name,
                    found=None,
                    why=why.removeprefix("is "),
                    way_out=program.get_it,
                    wanted=is_wanted,
                )
            )
            continue
        where = f"{located.version} ({located.source}: {located.argv[-1]})"
        found.append(ProgramFound(name=program.name, found=where, wanted=is_wanted))
    return tuple(found)


def _no_app() -> App:
    """An app that is of labcoat's own interpreter."""
    return App(
        interface=Interface.WSGI,
        target="none:none",
        directory=Path.cwd(),
        python=Path(sys.executable),
    )
