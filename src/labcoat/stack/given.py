"""What a study gives a component: a file of the user's, a command line, options of labcoat.toml."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from labcoat.model.variant import Level
from labcoat.stack.base import Edited, FileEdit, UserFile
from labcoat.stack.edit.command import Command


class Assign(Protocol):
    """A language of users' files: the text with these levels in force."""

    def __call__(self, text: str, levels: Mapping[str, Level], /, *, path: Path) -> str: ...


def alone(directive: str) -> tuple[str, ...]:
    """The spellings of a directive that has one."""
    return (directive,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the user wrote, strongest first: options, command line, file; any may be absent.

    ``env``: what fills the variables of the command line.
    """

    file: UserFile | None = None
    options: tuple[tuple[str, Level], ...] = ()
    command: Command | None = None
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def edited(
        self,
        levels: Mapping[str, Level],
        *,
        assign: Assign | None = None,
        names: Callable[[str], tuple[str, ...]] = alone,
        by_hand: Callable[[str, Level], str],
    ) -> Edited:
        """Each level where the one in force is said: an option stays an option.

        What is said nowhere goes into the file, where there is one, else onto the command line.
        ``assign``: the language of the file. ``names``: every spelling of a directive.
        ``by_hand``: the words for what only labcoat.toml holds, since that is not what the user
        starts the program with.
        """
        options: dict[str, Level] = {}
        words: dict[str, Level] = {}
        into_file: dict[str, Level] = {}
        said = dict(self.options)
        for directive, level in levels.items():
            option = next((name for name in names(directive) if name in said), None)
            worded = self._worded(names(directive))
            if option is not None:
                if not _same(said[option], level):
                    options[option] = level
            elif worded is not None:
                words[worded] = level
            elif self.file is not None:
                into_file[directive] = level
            elif self.command is not None:
                words[directive] = level
            else:
                options[directive] = level
        files: list[FileEdit] = []
        if self.file is not None:
            path, text = self.file.path, self.file.text
            after = assign(text, into_file, path=path) if assign and into_file else text
            files.append(FileEdit(path=path, before=text, after=after))
        command = None
        if self.command is not None:
            line = self.command.assigned(words, dict(self.env))
            if self.command.path is None:
                command = line if line != self.command.text else None
            else:
                path = self.command.path
                files.append(FileEdit(path=path, before=self.command.text, after=line))
        by = tuple(by_hand(name, level) for name, level in options.items())
        return Edited(files=tuple(files), options=options, command=command, by_hand=by)

    def _worded(self, spellings: tuple[str, ...]) -> str | None:
        """The spelling of a directive that the command line says."""
        if self.command is None:
            return None
        return next((name for name in spellings if self.command.said(name)), None)


def _same(one: Level, other: Level) -> bool:
    return type(one) is type(other) and one == other
