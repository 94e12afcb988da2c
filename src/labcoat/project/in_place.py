"""Whether a study can read a server's command line where it stands.

Then ``labcoat apply`` can change it there, and labcoat.toml repeats none of it.
"""

from __future__ import annotations

from pathlib import Path

from labcoat.errors import RenderError
from labcoat.model.study import App, ComponentSpec
from labcoat.project.choosing import ChosenApp
from labcoat.project.clues import Server
from labcoat.project.folder import Folder
from labcoat.project.grammars import GRAMMARS
from labcoat.stack.edit.command import is_command_file


def is_read_in_place(folder: Folder, server: Server, app: ChosenApp) -> bool:
    """Whether the stack itself finds the command line in its file, and the same file behind it."""
    path = folder.root / server.place.path
    program = next((one for one in GRAMMARS if one.name == server.name), None)
    if program is None or server.place.path not in folder.texts or not is_command_file(path):
        return False
    spec = ComponentSpec(name=server.name, file=path)
    study = App(
        interface=app.interface,
        target=app.target,
        directory=folder.root / app.folder,
        python=Path(),
        env=server.reads,
    )
    try:
        component = program.component.adopt(spec, study)
    except RenderError:
        return False
    given = getattr(component, "given", None)
    file = None if given is None or given.file is None else given.file.path
    return file == (None if server.file is None else folder.root / server.file)
