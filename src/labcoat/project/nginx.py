"""nginx: every main file and site of the project, with includes followed as nginx follows them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from labcoat.errors import RenderError
from labcoat.project.clues import Clue, Place, Remark, Site
from labcoat.project.folder import Folder
from labcoat.stack.edit import nginx_tree as language
from labcoat.stack.nginx_doors import doors, inside, listens, servers
from labcoat.stack.nginx_files import Adopted
from labcoat.stack.nginx_files import Site as Found

_BLOCK = re.compile(r"^\s*(?:http|server|upstream\s+\S+)\s*\{", re.MULTILINE)
_HTTP = re.compile(r"^\s*http\s*\{", re.MULTILINE)
_ELSEWHERE = (".service", ".sh", ".txt", ".toml", ".py", ".ini")


def read_nginx(folder: Folder) -> Iterator[Clue]:
    """Main files first, then sites that none of them includes."""
    texts = {
        path: text
        for path, text in folder.texts.items()
        if _BLOCK.search(text) and not path.endswith(_ELSEWHERE) and "compose" not in path
    }
    taken: set[str] = set()
    for path, text in texts.items():
        if _HTTP.search(text):
            for clue in _main(folder, path):
                taken |= set(clue.includes) if isinstance(clue, Site) else set()
                yield clue
    for path, text in texts.items():
        if not _HTTP.search(text) and path not in taken:
            try:
                language.parse(text, path=folder.root / path)
            except RenderError as error:
                yield broken(folder, path, error)
            else:
                yield Site(place=Place(path, 1), is_main=False)


def _main(folder: Folder, path: str) -> Iterator[Clue]:
    try:
        adopted = Adopted.read(folder.root / path)
        sites = adopted.sites(adopted.texts)
        found = doors(sites, strict=False)
        listening = {id(one.site.directive): one.endpoint.address for one in listens(sites)}
    except RenderError as error:
        yield broken(folder, path, error)
        return
    yield Site(
        place=Place(path, next((s.directive.line for s in sites if s.directive.name == "http"), 1)),
        is_main=True,
        passes=tuple((door.endpoint.address, place_of(folder, door.site)) for door in found),
        named=tuple(_servers(folder, sites, listening)),
        serves=tuple(_static(folder, sites)),
        includes=tuple(
            str(file.relative_to(folder.root))
            for file in adopted.texts
            if file.is_relative_to(folder.root)
        ),
    )
    for file, wanted in adopted.gone:
        what = f"includes {wanted}, which is nowhere"
        yield Remark(place=Place(relative(folder, file)), what=what)


def _servers(
    folder: Folder, sites: Sequence[Found], listening: dict[int, str]
) -> Iterator[tuple[str, Place]]:
    """What each server block is called and where it listens."""
    for block in servers(sites):
        own = inside(sites, block)
        names = [w for s in own if s.directive.name == "server_name" for w in s.directive.words]
        places = [listening[id(s.directive)] for s in own if id(s.directive) in listening]
        words = f"{' '.join(names) or 'without a name'} on {', '.join(places) or 'port 80'}"
        yield words, place_of(folder, block)


def _static(folder: Folder, sites: Sequence[Found]) -> Iterator[tuple[str, str, Place]]:
    """(url, folder, place) of each ``alias`` and ``root`` within a location."""
    for site in sites:
        if site.directive.name not in {"alias", "root"} or not site.directive.args:
            continue
        blocks = [one for one in site.ancestors if one.name == "location"]
        url = " ".join(blocks[-1].words) if blocks else "/"
        yield url, site.directive.words[0], place_of(folder, site)


def place_of(folder: Folder, site: Found) -> Place:
    """Where a directive stands, seen from the project."""
    return Place(relative(folder, site.directive.path), site.directive.line)


def relative(folder: Folder, path: Path) -> str:
    """A path of the project without the project's own; others stay whole."""
    return str(path.relative_to(folder.root)) if path.is_relative_to(folder.root) else str(path)


def broken(folder: Folder, path: str, error: RenderError) -> Remark:
    """What nginx's language, or an include, is not."""
    file, _, line = (error.where or "").rpartition(":")
    place = Place(relative(folder, Path(file)), int(line)) if line.isdecimal() else Place(path)
    return Remark(place=place, what=error.what, way_out=error.way_out or "")
