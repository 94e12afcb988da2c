"""A project's folder, read once and with bounds: names, and the texts that may tell something."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from labcoat.project.clues import Place, Remark
from labcoat.project.python_code import Module, SyntaxTrouble, read_module

MAX_ENTRIES = 100_000
MAX_DEPTH = 12
MAX_FILE_BYTES = 512 * 1024
MAX_TEXT_BYTES = 64 * 1024 * 1024
# Folders of tools, of packages and of what was built: nothing there was deployed by its owner.
SKIPPED = frozenset(
    {
        "__pycache__", "bower_components", "build", "dist", "htmlcov", "node_modules",
        "site-packages", "target", "vendor",
    }
)  # fmt: skip
HOMES = (".venv", "venv")  # where a study looks for an interpreter by itself
# Python in these is about the app and not the app.
ASIDE = frozenset({"docs", "migrations", "test", "testing", "tests"})
_CONFIGURATION = re.compile(
    r"""(?:^|/)(?:
        Procfile[^/]* | [^/]*Dockerfile[^/]* | [^/]*Containerfile[^/]*
        | [^/]*compose[^/]*\.ya?ml | [^/]*\.service | [^/]*\.ini | [^/]*\.conf(?:\.[^/]*)?
        | [^/]*\.sh | [^/]*entrypoint[^/.]* | pyproject\.toml | Pipfile | setup\.cfg
        | requirements[^/]*\.txt | requirements/[^/]*\.txt | \.env[^/]* | \.flaskenv
        | sites-(?:available|enabled)/[^/]+ | conf\.d/[^/]+ | [^/]*nginx[^/.]*
        | [^/]*uwsgi[^/]*\.(?:ya?ml|xml|json)
    )$""",
    re.VERBOSE,
)
_NOT_READ = re.compile(r"\.(?:lock|md|rst|svg|png|jpe?g|gif|so|pyc|gz|zip|j2|tpl|template)$")
# Words of Python files that may hold an app, its settings, or what starts it. Plain words:
# to look for each of them is quicker than one expression for all.
_TELLS = (
    b"start_response", b"receive", b"get_wsgi_application", b"get_asgi_application",
    b"make_wsgi_app", b"Flask(", b"FastAPI(", b"Starlette(", b"Quart(", b"Bottle(", b"Litestar(",
    b"Sanic(", b"OpenAPI(", b"default_app", b"falcon", b"ProtocolTypeRouter",
    b"get_app(", b"create_app", b"make_app", b"build_app", b"SETTINGS_MODULE",
    b"WSGI_APPLICATION", b"ASGI_APPLICATION", b"DATABASES", b"environ", b"getenv", b"decouple",
    b"uvicorn.run", b"StaticFiles", b"wsgi_app",
)  # fmt: skip
_TELLING_NAMES = re.compile(
    r"wsgi|asgi|settings|gunicorn|^manage|^app|^main|^seed|^init_db|populate"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder as it was read; paths are relative to ``root``, with ``/``.

    ``files``: every file seen. ``texts``: those that may tell something. ``modules``: the
    Python among them, as syntax. ``homes``: folders of virtual environments. ``environment``:
    the variables of whoever asks. ``remarks``: what could not be read, and why.
    """

    root: Path
    files: frozenset[str]
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)
    modules: Mapping[str, Module] = field(default_factory=dict, repr=False)
    homes: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    remarks: tuple[Remark, ...] = ()

    def locate(self, name: str, *, near: str = "") -> str | None:
        """The file of the project that a path of the deployment means, or None.

        ``/app/deploy/gunicorn.conf.py`` of a container is ``deploy/gunicorn.conf.py`` here: the
        longest ending that is a file, seen from ``near`` and from the project's folder; else the
        only file of that name.
        """
        path = self._inside(name)
        for start in dict.fromkeys((near, "")):
            for first in range(len(path.parts)):
                found = joined(start, "/".join(path.parts[first:]))
                if found in self.files:
                    return found
        same = [file for file in self.files if PurePosixPath(file).name == path.name]
        return same[0] if len(same) == 1 else None

    def has_folder(self, name: str) -> bool:
        """Whether a file lies below this folder of the project."""
        return name in {"", "."} or any(file.startswith(f"{name}/") for file in self.files)

    def folder_of(self, name: str, *, near: str = "") -> str | None:
        """The folder of the project that a folder of the deployment means, or None."""
        path = self._inside(name)
        for start in dict.fromkeys((near, "")):
            for first in range(len(path.parts)):
                found = joined(start, "/".join(path.parts[first:]))
                if found and self.has_folder(found):
                    return found
        return None

    def _inside(self, name: str) -> PurePosixPath:
        path = PurePosixPath(name)
        if path.is_absolute():
            own = PurePosixPath(self.root.as_posix())
            path = path.relative_to(own if path.is_relative_to(own) else "/")
        return path


def joined(folder: str, name: str) -> str:
    """``folder/name`` without ``.`` and with ``..`` taken back; empty is the project's folder."""
    path = os.path.normpath(f"{folder or '.'}/{name or '.'}")
    return "" if path == "." else path


def parent(path: str) -> str:
    """The folder that a file of the project lies in; empty is the project's own."""
    return path.rpartition("/")[0]


def read_folder(root: Path, environment: Mapping[str, str] | None = None) -> Folder:
    """The folder as it is now. Nothing in it is imported, started or changed."""
    files: list[str] = []
    texts: dict[str, str] = {}
    remarks: list[Remark] = []
    homes = [home for home in HOMES if _is_home(root / home)]
    budget = MAX_TEXT_BYTES
    for name in walk(root, homes, remarks):
        files.append(name)
        is_python = name.endswith(".py")
        if not (is_python or _CONFIGURATION.search(name)) or _NOT_READ.search(name):
            continue
        content = read_bytes(root / name, name, remarks)
        if content is None or (is_python and not is_telling(name, content)):
            continue
        budget -= len(content)
        if budget < 0:
            remarks.append(unread(name, "this and later files were not read: too much text"))
            break
        text = decoded(content, name, remarks)
        if text is not None:
            texts[name] = text
    modules, troubles = read_modules(texts)
    return Folder(
        root=root,
        files=frozenset(files),
        texts=texts,
        modules=modules,
        homes=tuple(homes),
        environment=dict(environment or {}),
        remarks=(*remarks, *troubles),
    )


def walk(root: Path, homes: list[str], remarks: list[Remark]) -> Iterator[str]:
    """Every file, those of upper folders first; links to folders are not followed."""
    level, seen = [""], 0
    for _ in range(MAX_DEPTH):
        below: list[str] = []
        for folder in level:
            entries = _entries(root / folder, folder, remarks)
            if folder and any(entry.name == "pyvenv.cfg" for entry in entries):
                homes += [folder] if _is_home(root / folder) else []
                continue
            for entry in entries:
                name = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_dir(follow_symlinks=False):
                    below += [name] if _is_ours(entry.name) else []
                elif entry.is_file() or entry.is_symlink():
                    yield name
            seen += len(entries)
            if seen > MAX_ENTRIES:
                what = f"only the first {MAX_ENTRIES:,} entries of the project were looked at"
                remarks.append(unread(folder or ".", what))
                return
        level = below


def _entries(path: Path, name: str, remarks: list[Remark]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        remarks.append(unread(name or ".", f"cannot be looked into: {error.strerror}"))
        return []


def _is_ours(name: str) -> bool:
    return name not in {*SKIPPED, *HOMES} and not name.startswith(".")


def _is_home(path: Path) -> bool:
    """Whether this is a virtual environment, be it by a link."""
    return os.access(path / "bin" / "python", os.X_OK)


def is_telling(name: str, content: bytes) -> bool:
    """Whether a Python file may hold what a study needs."""
    *folders, file = name.split("/")
    aside = not ASIDE.isdisjoint(folders) or file.startswith("test_") or file == "conftest.py"
    if aside:
        return False
    return _TELLING_NAMES.search(file) is not None or any(word in content for word in _TELLS)


def read_bytes(path: Path, name: str, remarks: list[Remark]) -> bytes | None:
    """The content, or None with a remark; a Python file that is too large tells nothing."""
    try:
        if not path.is_file() and path.exists():
            return None
        if path.stat().st_size > MAX_FILE_BYTES:
            if not name.endswith(".py"):
                remarks.append(unread(name, "was not read: larger than 512 KiB"))
            return None
        return path.read_bytes()
    except OSError as error:
        remarks.append(unread(name, f"cannot be read: {error.strerror}"))
        return None


def decoded(content: bytes, name: str, remarks: list[Remark]) -> str | None:
    """The text, or None with a remark."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = "was not read: it is not UTF-8 text"
        remarks.append(Remark(place=Place(name, line), what=what, way_out="save it as UTF-8"))
        return None


def unread(name: str, what: str) -> Remark:
    """The remark on a file or a folder that tells nothing."""
    return Remark(place=Place(name), what=what, way_out="what it says has to be written by hand")


def read_modules(texts: Mapping[str, str]) -> tuple[dict[str, Module], list[Remark]]:
    """The Python files as syntax, and remarks on those that are none."""
    modules: dict[str, Module] = {}
    remarks: list[Remark] = []
    for name, text in texts.items():
        if not name.endswith(".py"):
            continue
        found = read_module(text)
        if isinstance(found, SyntaxTrouble):
            what = f"is not Python: {found.what}"
            remarks.append(
                Remark(place=Place(name, found.line), what=what, way_out="mend the line")
            )
        else:
            modules[name] = found
    return modules, remarks
