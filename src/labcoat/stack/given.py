"""What a study gives a component: a file of the user's, options of labcoat.toml, or both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from labcoat.model.variant import Level
from labcoat.stack.base import Edited, FileEdit, UserFile


class Assign(Protocol):
    """A language of users' files: the text with these levels in force."""

    def __call__(self, text: str, levels: Mapping[str, Level], /, *, path: Path) -> str: ...


def alone(directive: str) -> tuple[str, ...]:
    """The spellings of a directive that has one."""
    return (directive,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The file as the user wrote it, and the options that overrule it; either may be absent."""

    file: UserFile | None = None
    options: tuple[tuple[str, Level], ...] = ()

    def edited(
        self,
        levels: Mapping[str, Level],
        *,
        assign: Assign | None = None,
        names: Callable[[str], tuple[str, ...]] = alone,
        by_hand: Callable[[str, Level], str],
    ) -> Edited:
        """Each level where the one in force is said: an option stays an option.

        What is said nowhere goes into the file, where there is one. ``assign``: the language
        of the file. ``names``: every spelling of a directive. ``by_hand``: the words for what
        only labcoat.toml holds, since that is not what the user starts the program with.
        """
        said = dict(self.options)
        options: dict[str, Level] = {}
        into_file: dict[str, Level] = {}
        for directive, level in levels.items():
            option = next((name for name in names(directive) if name in said), None)
            if option is None and self.file is not None:
                into_file[directive] = level
            elif option is None or not _same(said[option], level):
                options[option or directive] = level
        files: tuple[FileEdit, ...] = ()
        if self.file is not None:
            path, text = self.file.path, self.file.text
            after = assign(text, into_file, path=path) if assign and into_file else text
            files = (FileEdit(path=path, before=text, after=after),)
        words = tuple(by_hand(name, level) for name, level in options.items())
        return Edited(files=files, options=options, by_hand=words)


def _same(one: Level, other: Level) -> bool:
    return type(one) is type(other) and one == other
