"""The app servers' own files: gunicorn.conf.py and uWSGI's ini."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from labcoat.errors import RenderError
from labcoat.model.study import Interface
from labcoat.model.variant import Level
from labcoat.project.clues import Clue, Place, Remark, ServerFile
from labcoat.project.folder import Folder, joined, parent
from labcoat.stack.edit import ini
from labcoat.stack.edit import uwsgi as formats

_GUNICORN = ("gunicorn.conf.py", "gunicorn_conf.py", "gunicorn_config.py", "gunicorn.py")
_SAID = frozenset({"bind", "workers", "worker_class", "wsgi_app", "chdir", "threads"})
_SOCKETS = ("socket", "uwsgi-socket", "http-socket", "http11-socket", "http")
_LANGUAGES = tuple(kind for kind in formats.LANGUAGES if kind != ".ini")
_REFUSED = ("emperor", "py-autoreload", "ini", "include", "inherit", "attach-daemon")


def read_gunicorn_files(folder: Folder) -> Iterator[Clue]:
    """gunicorn.conf.py by its name, and what it says literally."""
    for path, module in folder.modules.items():
        if path.rpartition("/")[2] not in _GUNICORN:
            continue
        said = module.literals()
        if path.endswith("gunicorn.py") and not _SAID & set(said):
            continue
        lines = {name: line for name, _, line in module.bindings()}
        first = min((lines[name] for name in _SAID if name in lines), default=1)
        kind = str(said.get("worker_class", ("", 0))[0])
        is_asgi = "uvicorn" in kind.lower() or kind == "asgi"
        target, _ = said.get("wsgi_app", (None, 0))
        where, _ = said.get("chdir", (None, 0))
        yield ServerFile(
            place=Place(path, first),
            name="gunicorn",
            target=_named(target),
            folder=folder.folder_of(where) if isinstance(where, str) else None,
            interface=Interface.ASGI if is_asgi else None,
            settings=tuple(
                (name, value) for name, (value, _) in said.items() if isinstance(value, str | int)
            ),
        )


def _named(target: object) -> str | None:
    if not isinstance(target, str):
        return None
    return target if ":" in target else f"{target}:application"


def read_uwsgi_files(folder: Folder) -> Iterator[Clue]:
    """Every ini file with a ``[uwsgi]`` section; of uWSGI's other languages, by its name."""
    for path, text in folder.texts.items():
        name = path.rpartition("/")[2]
        is_ini = name.endswith(".ini") and "[uwsgi]" in text
        if not (is_ini or ("uwsgi" in name and name.endswith(_LANGUAGES))):
            continue
        try:
            settings = ini.settings(formats.as_ini(text, path=Path(path)), path=Path(path))
        except RenderError as error:
            line = (error.where or "").rpartition(":")[2]
            place = Place(path, int(line) if line.isdecimal() else None)
            yield Remark(place=place, what=error.what, way_out=error.way_out or "")
            continue
        said: dict[str, Level] = {one.key: one.value for one in settings}
        lines = {one.key: one.line for one in settings}
        for refused in _REFUSED:
            if refused in said:
                what = f"uwsgi {refused} cannot be measured"
                way_out = f"leave {refused} out of the file that is measured"
                yield Remark(place=Place(path, lines[refused]), what=what, way_out=way_out)
        first = next((lines[key] for key in (*_SOCKETS, "module") if key in lines), 1)
        where = str(said.get("chdir", ""))
        yield ServerFile(
            place=Place(path, first),
            name="uwsgi",
            target=_target_of(folder, path, said),
            folder=_home(folder, path, where),
            interface=Interface.WSGI,
            settings=tuple(said.items()),
        )


def _home(folder: Folder, path: str, where: str) -> str | None:
    if not where:
        return None
    if where.startswith(("%d", "%(")):
        return joined(parent(path), where.removeprefix("%d").lstrip("/") or ".")
    return folder.folder_of(where, near=parent(path))


def _target_of(folder: Folder, path: str, said: dict[str, Level]) -> str | None:
    called = str(said.get("callable", "application"))
    module = said.get("module") or said.get("wsgi")
    if module is not None:
        return str(module) if ":" in str(module) else f"{module}:{called}"
    file = said.get("wsgi-file") or said.get("file")
    if file is not None:
        found = folder.locate(str(file), near=parent(path)) or str(file)
        return f"{found.removesuffix('.py').replace('/', '.').strip('.')}:{called}"
    mount = str(said.get("mount", ""))
    _, equals, app = mount.partition("=")
    if equals and app:
        return app if ":" in app else f"{app.removesuffix('.py').replace('/', '.')}:{called}"
    return None
