"""All that a project's files say: every reader, in one tuple."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from labcoat.project.clues import Clue, Command, Remark, Variable
from labcoat.project.compose import read_compose
from labcoat.project.dependencies import read_pyprojects, read_requirements
from labcoat.project.django import in_force, read_django
from labcoat.project.dockerfile import read_dockerfiles
from labcoat.project.dotenv import read_variables
from labcoat.project.folder import Folder, read_folder
from labcoat.project.frameworks import read_apps, read_own_servers, read_pages
from labcoat.project.nginx import read_nginx
from labcoat.project.paste import read_paste
from labcoat.project.postgres import find_databases, read_database_files, read_wanted
from labcoat.project.procfile import read_procfiles
from labcoat.project.scripts import read_shell_scripts
from labcoat.project.server_files import read_gunicorn_files, read_uwsgi_files
from labcoat.project.servers import read_commands, read_scripts
from labcoat.project.static import read_migrations, read_static
from labcoat.project.systemd import read_units

Reader = Callable[[Folder], Iterable[Clue]]

READERS: tuple[Reader, ...] = (
    read_procfiles,
    read_units,
    read_dockerfiles,
    read_compose,
    read_shell_scripts,
    read_pyprojects,
    read_requirements,
    read_variables,
    read_apps,
    read_scripts,
    read_own_servers,
    read_pages,
    read_wanted,
    read_django,
    read_paste,
    read_gunicorn_files,
    read_uwsgi_files,
    read_nginx,
    read_static,
    read_migrations,
    read_database_files,
)

SETTERS: tuple[Reader, ...] = (read_units, read_dockerfiles, read_compose, read_variables)
"""Those that tell which settings of Django are in force."""

Kind = TypeVar("Kind", bound=Clue)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """A folder, and every clue in it."""

    folder: Folder
    clues: tuple[Clue, ...] = field(repr=False)

    def of(self, kind: type[Kind]) -> tuple[Kind, ...]:
        """The clues of a kind, in the order of the readers."""
        return tuple(clue for clue in self.clues if isinstance(clue, kind))


def gather(root: Path, environment: Mapping[str, str] | None = None) -> Survey:
    """What the project in this folder says. Reads files; imports and starts nothing."""
    return survey_of(read_folder(root, environment))


def survey_of(folder: Folder) -> Survey:
    """What these texts say."""
    variables = [c for read in SETTERS for c in read(folder) if isinstance(c, Variable)]
    folder = in_force(folder, iter(variables))
    clues: list[Clue] = list(folder.remarks)
    for read in READERS:
        clues += read(folder)
    commands = [clue for clue in clues if isinstance(clue, Command)]
    clues += read_commands(folder, commands, clues)
    clues += find_databases(clues)
    return Survey(folder=folder, clues=tuple(dict.fromkeys(clues)))


def remarks_of(survey: Survey) -> tuple[Remark, ...]:
    """What has to be told of single places, by place."""
    return tuple(sorted(survey.of(Remark), key=lambda one: (one.place.path, one.place.line or 0)))
