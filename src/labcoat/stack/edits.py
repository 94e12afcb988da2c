"""The user's own files with a variant in force: what is handed over, and what it is held against.

Reads the files, writes none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from labcoat.errors import RenderError
from labcoat.model.study import Study
from labcoat.model.variant import Level, Variant
from labcoat.stack.base import Edited, FileEdit, UserFile
from labcoat.stack.components import COMPONENTS, adopt
from labcoat.stack.edit import toml
from labcoat.stack.limits import OTHERS
from labcoat.stack.runtime import NAME, by_hand
from labcoat.stack.servers import SERVERS

_SERVERS = frozenset(component.name for component in SERVERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """Every file of the user's that the stack is made of, and what no file can hold.

    ``files``: front to back, labcoat.toml last where options stand in it; unchanged ones too.
    """

    files: tuple[FileEdit, ...]
    by_hand: tuple[str, ...]

    @property
    def changed(self) -> tuple[FileEdit, ...]:
        """The files in which a level changes."""
        return tuple(file for file in self.files if file.after != file.before)


def edited(study: Study, variant: Variant) -> Edits:
    """The study's files as they are now, with this variant's levels in force.

    Raises: RenderError with file and line; for a level of a component that is not there.
    """
    components = adopt(study)
    _refuse_strangers(components, variant)
    files: dict[Path, FileEdit] = {}
    words: list[str] = []
    options: dict[str, Mapping[str, Level]] = {}
    commands: dict[str, str] = {}
    for name, component in components.items():
        of_component = component.edited(variant)
        for file in of_component.files:
            _add(files, file)
        words += of_component.by_hand
        if of_component.options:
            options[name] = of_component.options
        if of_component.command is not None:
            commands[name] = of_component.command
        if name in _SERVERS:
            words += _of_the_runtime(study, variant, name, of_component)
    study_file = _study_file(study, options, commands, words)
    if study_file is not None:
        _add(files, study_file)
    words += [
        f"{knob} = {level}: no file of the stack holds it"
        for knob, level in variant.assignment
        if knob.partition(".")[0] in OTHERS - {NAME}
    ]
    return Edits(files=tuple(files.values()), by_hand=tuple(words))


def _of_the_runtime(
    study: Study, variant: Variant, server: str, of_server: Edited
) -> tuple[str, ...]:
    module = study.app.target.partition(":")[0]
    return by_hand(variant.levels(NAME), server=server, module=module, held=of_server.runtime)


def _study_file(
    study: Study,
    options: Mapping[str, Mapping[str, Level]],
    commands: Mapping[str, str],
    words: list[str],
) -> FileEdit | None:
    """labcoat.toml, where settings of a component stand in it; None where none do."""
    stands = any(spec.file is None or spec.options for spec in study.components)
    if not stands or not study.file.is_file():
        words += _in_words(study, options)
        words += _commands_in_words(study, commands)
        return None
    file = UserFile.read(study.file)
    text = file.text
    for name, levels in options.items():
        try:
            text = toml.assign(text, name, levels, path=file.path)
        except RenderError:
            words += _in_words(study, {name: levels})
    for name, command in commands.items():
        try:
            text = toml.command(text, name, command, path=file.path)
        except RenderError:
            words += _commands_in_words(study, {name: command})
    return FileEdit(path=file.path, before=file.text, after=text)


def _in_words(study: Study, options: Mapping[str, Mapping[str, Level]]) -> Iterator[str]:
    for name, levels in options.items():
        for option, level in levels.items():
            said = f'"{level}"' if isinstance(level, str) else str(level).lower()
            yield f"{study.file.name}: {option} = {said} under [stack.{name}.options]"


def _commands_in_words(study: Study, commands: Mapping[str, str]) -> Iterator[str]:
    for name, command in commands.items():
        yield f"{study.file.name}: command = {command!r} under [stack.{name}]"


def _add(files: dict[Path, FileEdit], file: FileEdit) -> None:
    """One more file; the same by another name counts once. Raises: RenderError."""
    place = Path(file.path).resolve()
    known = files.setdefault(place, replace(file, path=place))
    if known.after != file.after:
        raise RenderError(
            "one file serves two places of the stack, which would change it differently",
            where=file.path,
            way_out="give each a file of its own",
        )


def _refuse_strangers(components: Mapping[str, object], variant: Variant) -> None:
    known = {component.name for component in COMPONENTS}
    for knob, _ in variant.assignment:
        name = knob.partition(".")[0]
        if name not in components and name not in OTHERS:
            what = "in this stack" if name in known else "that labcoat knows"
            raise RenderError(
                f"{knob} cannot be handed over: there is no {name} {what}",
                where=f"variant {variant.name}",
                way_out="name the study that the variant was measured in",
            )
