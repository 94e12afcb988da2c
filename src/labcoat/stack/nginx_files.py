"""nginx.conf with the files that it includes: read once, then walked as one tree."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from labcoat.errors import RenderError
from labcoat.stack.base import UserFile
from labcoat.stack.edit import nginx_tree as language
from labcoat.stack.edit.nginx_tree import Directive

SHIPPED = Path(__file__).parent / "shipped"
SYSTEM = Path("/etc/nginx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A directive and the blocks around it, across includes."""

    directive: Directive
    ancestors: tuple[Directive, ...] = ()

    @property
    def context(self) -> tuple[str, ...]:
        """Names of the blocks around it."""
        return tuple(block.name for block in self.ancestors)

    @property
    def place(self) -> str:
        """``file:line``."""
        return f"{self.directive.path}:{self.directive.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """The user's nginx.conf and what it includes.

    ``texts``: path -> text, the root first. ``includes``: (file, argument) -> files that it names,
    empty if there are none. ``gone``: (file, argument) of includes whose file is nowhere.
    """

    root: Path
    texts: Mapping[Path, str]
    includes: Mapping[tuple[Path, str], tuple[Path, ...]]
    gone: tuple[tuple[Path, str], ...]  # no set: how it is written out must not vary

    @classmethod
    def read(cls, path: Path) -> Adopted:
        """Everything from the root file down. Raises: RenderError with file and line."""
        texts: dict[Path, str] = {}
        includes: dict[tuple[Path, str], tuple[Path, ...]] = {}
        gone: dict[tuple[Path, str], None] = {}
        queue = [path]
        while queue:
            current = queue.pop(0)
            if current in texts:
                continue
            texts[current] = UserFile.read(current).text
            tree = language.parse(texts[current], path=current)
            for _, directive in language.walk(tree):
                if directive.name != "include" or len(directive.args) != 1:
                    continue
                wanted = directive.words[0]
                named = _named(wanted, path.parent)
                if named is None:
                    gone[current, wanted] = None
                includes[current, wanted] = named or ()
                queue += named or ()
        adopted = cls(root=path, texts=texts, includes=includes, gone=tuple(gone))
        adopted.sites(texts)
        return adopted

    def sites(self, texts: Mapping[Path, str]) -> list[Site]:
        """Every directive of these versions of the texts, in the order in which nginx reads."""
        trees = {path: language.parse(text, path=path) for path, text in texts.items()}
        return list(self._walk(trees, trees[self.root], (), (self.root,)))

    def _walk(
        self,
        trees: Mapping[Path, tuple[Directive, ...]],
        tree: tuple[Directive, ...],
        ancestors: tuple[Directive, ...],
        chain: tuple[Path, ...],
    ) -> Iterator[Site]:
        for directive in tree:
            yield Site(directive=directive, ancestors=ancestors)
            if directive.name == "include" and directive.args:
                for file in self.includes.get((directive.path, directive.words[0]), ()):
                    if file in chain:
                        raise RenderError(
                            f"{file} includes itself",
                            where=f"{directive.path}:{directive.line}",
                            way_out="take one of the includes out",
                        )
                    yield from self._walk(trees, trees[file], ancestors, (*chain, file))
            yield from self._walk(trees, directive.children, (*ancestors, directive), chain)


def _named(wanted: str, folder: Path) -> tuple[Path, ...] | None:
    """The files that an include means; None if it names one file and that is nowhere.

    Looked for beside the user's nginx.conf first, then at the absolute path, then among the
    files that every nginx package brings along and that labcoat ships too.
    """
    absolute = Path(wanted)
    relative = wanted
    if absolute.is_absolute():
        inside = absolute.is_relative_to(SYSTEM)
        relative = str(absolute.relative_to(SYSTEM)) if inside else absolute.name
    is_pattern = glob.has_magic(wanted)
    beside = f"{glob.escape(str(folder))}/{relative}"
    for pattern in (beside, wanted if absolute.is_absolute() else f"{SYSTEM}/{wanted}"):
        # Path.glob wants a relative pattern; these are absolute.
        every = (Path(found) for found in glob.glob(pattern))  # noqa: PTH207
        files = sorted(path for path in every if path.is_file())
        if files:
            return tuple(files)
    if is_pattern:
        return ()
    shipped = SHIPPED / absolute.name
    return (shipped,) if shipped.is_file() else None
