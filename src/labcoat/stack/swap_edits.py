"""What is handed over for another app server: its file, nginx's lines, and the words."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from labcoat.errors import RenderError
from labcoat.model.study import Study
from labcoat.model.variant import ORIGIN, Variant
from labcoat.stack.base import Component, Edited, FileEdit, UserFile
from labcoat.stack.nginx import Nginx
from labcoat.stack.nginx_files import SHIPPED
from labcoat.stack.runtime import collector_lines
from labcoat.stack.swap import FILES, KNOB, Swapped, command_of, text_of


def edited_swapped(
    study: Study, components: Mapping[str, Component], swapped: Swapped, variant: Variant
) -> dict[str, Edited]:
    """Component of the user's -> its files; the old server's entry holds the new server's file.

    The old server's own files stay as they are: going back is to start it again.
    """
    found: dict[str, Edited] = {}
    for name, component in components.items():
        if name == swapped.old:
            found[name] = _server(study, component, swapped, variant)
        elif isinstance(component, Nginx):
            found[name] = _front(component, swapped)
        else:
            found[name] = component.edited(variant)
    return found


def _front(nginx: Nginx, swapped: Swapped) -> Edited:
    after = swapped.components[nginx.name]
    assert isinstance(after, Nginx)
    return Edited(
        files=tuple(
            FileEdit(path=path, before=text, after=after.adopted.texts[path])
            for path, text in nginx.adopted.texts.items()
            if path.parent != SHIPPED
        )
    )


def _server(study: Study, old: Component, swapped: Swapped, variant: Variant) -> Edited:
    files = list(old.edited(ORIGIN).files)
    source = os.path.relpath(files[0].path, study.root) if files else study.file.name
    text = text_of(swapped, source=source, app=study.app)
    runtime: tuple[str, ...] = ()
    named = None
    if text is not None:
        if swapped.new == "gunicorn":
            text, runtime = collector_lines(text, variant.levels("python"))
        folder = Path(files[0].path).resolve().parent if files else study.root
        file = _file(folder, FILES[swapped.new], text)
        files.append(file)
        named = os.path.relpath(file.path, study.root)
    command = command_of(swapped, app=study.app, file=named)
    here = "its options" if named is None else f'"{named}"'
    rest = (
        f"{KNOB}: whatever else {source} says (user, environment, hooks, limits) has to be said"
        f" to {swapped.new} by you"
    )
    study_file = (
        f"{study.file.name}: {swapped.new} with {here} instead of {swapped.old} under [stack],"
        " where the next campaign starts"
    )
    start = f"{KNOB}: stop {swapped.old}, and start instead: {command}"
    return Edited(files=tuple(files), runtime=runtime, by_hand=(start, rest, study_file))


def _file(folder: Path, name: str, text: str) -> FileEdit:
    """The new file; under another name where the user has one of that name already."""
    for path in (folder / name, folder / f"tuned-{name}"):
        if not path.exists():
            return FileEdit(path=path, before="", after=text, is_new=True)
        if UserFile.read(path).text == text:
            return FileEdit(path=path, before=text, after=text, is_new=True)
    raise RenderError(
        "there is a file already where the new server's would be",
        where=folder / f"tuned-{name}",
        way_out="move it away",
    )
