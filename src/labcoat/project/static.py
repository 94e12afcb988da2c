"""Folders of static files that the code itself serves."""

from __future__ import annotations

from collections.abc import Iterator

from labcoat.project.clues import Clue, Place, Seed, StaticFiles
from labcoat.project.folder import Folder, joined, parent
from labcoat.project.frameworks import MAKERS, module_name
from labcoat.project.python_code import keywords, text_of

_FILLS = frozenset({"init_db.py", "populate.py", "seed.py", "seed_db.py"})


def read_static(folder: Folder) -> Iterator[Clue]:
    """``Flask(static_folder=...)``, its folder ``static``, and ``StaticFiles(directory=...)``."""
    for path, module in folder.modules.items():
        for call in module.calls:
            name = module.dotted(call.func)
            said = keywords(call)
            if MAKERS.get(name, ("", None))[0] == "Flask":
                inside = text_of(said.get("static_folder")) or "static"
                full = joined(parent(path), inside)
                url = text_of(said.get("static_url_path")) or f"/{inside}"
                if folder.has_folder(full) or "static_folder" in said:
                    yield _static(folder, Place(path, call.lineno), full, url)
            elif name.endswith("StaticFiles") and (inner := text_of(said.get("directory"))):
                found = folder.folder_of(inner, near=parent(path)) or inner
                yield _static(folder, Place(path, call.lineno), found, "")


def _static(folder: Folder, place: Place, name: str, url: str) -> StaticFiles:
    return StaticFiles(place=place, folder=name, url=url, exists=folder.has_folder(name))


def read_migrations(folder: Folder) -> Iterator[Clue]:
    """Alembic's and Flask-Migrate's commands, and modules whose name says that they fill."""
    for path, module in folder.modules.items():
        if path.rpartition("/")[2] in _FILLS and module.main:
            _, name = module_name(folder, path)
            words = ("{python}", "-m", name)
            yield Seed(place=Place(path, module.main[0].lineno), words=words)
    for path in folder.texts:
        if path.rpartition("/")[2] != "alembic.ini":
            continue
        is_flask = parent(path).endswith("migrations")
        tool = ("flask", "db", "upgrade") if is_flask else ("alembic", "upgrade", "head")
        yield Seed(place=Place(path, 1), words=("{python}", "-m", *tool))
