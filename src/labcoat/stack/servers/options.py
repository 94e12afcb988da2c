"""What servers that are started by a command line have in common: finding it, and its options."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from labcoat.errors import RenderError
from labcoat.host.base import Host
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.study import App, ComponentSpec
from labcoat.model.variant import Level
from labcoat.stack.base import Edited, Rendered, UserFile, Wiring
from labcoat.stack.edit import command
from labcoat.stack.edit.command import Command, Grammar
from labcoat.stack.given import Given

CHECK_TIMEOUT_S = 60.0
_ASSIGNED = re.compile(r"(?:^|[\s\"'])(?!ExecStart)([A-Za-z_]\w*)=\S")
MOVED = ("bind", "host", "pid-file", "port", "uds")
"""Where it listens, and what it writes beside: the sandbox decides."""


def spelled(name: str) -> str:
    """An option as the command line spells it: ``blocking_threads`` is ``blocking-threads``."""
    return name.replace("_", "-").lstrip("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """The options in force, by their spelling on the command line, and where each is said.

    ``told``: the words for what the sandbox leaves out of the user's command line.
    """

    options: tuple[tuple[str, Level], ...] = ()
    given: Given = field(default_factory=Given)
    told: tuple[str, ...] = ()


def adopted(
    spec: ComponentSpec,
    app: App,
    grammar: Grammar,
    *,
    refused: Mapping[str, str],
    settled: Iterable[str],
) -> Adopted:
    """The user's command line, wherever it stands, and the study's options over it.

    ``refused``: option -> why it cannot be measured. ``settled``: options that the sandbox sets.
    Raises: RenderError.
    """
    where = f"[stack] {spec.name}"
    own = {spelled(name): level for name, level in spec.options}
    for name in own:
        if name in settled:
            raise RenderError(
                f"{spec.name} --{name} is set by the sandbox",
                where=where,
                way_out=f"leave {name} out",
            )
    line = command_of(spec, grammar)
    said: dict[str, Level] = {}
    told: tuple[str, ...] = ()
    if line is not None:
        said = {name: _one(level) for name, level in settings_of(line, app, settled).items()}
        told = left_out(line, app, settled)
    options = {**said, **own}
    for name, level in options.items():
        if name in refused and level is not False:
            raise RenderError(
                f"{spec.name} --{name} is refused: {refused[name]}",
                where=where if name in own or line is None else line.place,
                way_out=f"leave {name} out",
            )
    return Adopted(
        options=tuple((name, level) for name, level in options.items() if name not in settled),
        given=Given(options=tuple(own.items()), command=line, env=app.env),
        told=told,
    )


def command_of(spec: ComponentSpec, grammar: Grammar) -> Command | None:
    """The command line that starts a server: of labcoat.toml, or of a file; None if unsaid.

    Raises: RenderError, with file and line.
    """
    if spec.command is not None:
        return command.parse(spec.command, grammar, where=f"[stack] {spec.name} command")
    if spec.file is None or not command.is_command_file(spec.file):
        return None
    file = UserFile.read(spec.file)
    return command.find(file.text, grammar, path=file.path)


def settings_of(line: Command, app: App, moved: Iterable[str]) -> dict[str, Level | list[str]]:
    """What a command line says. Raises: RenderError for a variable that the app does not have.

    ``moved``: settings that the sandbox decides, whatever they say.
    """
    env = dict(app.env)
    for option in line.unfilled(env):
        if option.setting not in {*moved, *MOVED}:
            raise RenderError(
                f"nothing fills {option.value} of {option.words[0].text}",
                where=line.place,
                way_out="give the variable under [app] env, or write the level itself",
            )
    return line.settings(env)


def left_out(line: Command, app: App, settled: Iterable[str]) -> tuple[str, ...]:
    """The words for what the sandbox decides itself: the app, and settled options."""
    same = {app.target, app.target.removesuffix(":application")}
    apps = [word.text for word in line.rest if word.text not in same]
    lead = line.text[line.text.rfind("\n", 0, line.program.start) + 1 : line.program.start]
    return (
        *(f"{line.place}: {text} -> {app.target}, as [app] says" for text in apps[:1]),
        *(
            f"{line.place}: {name} before the program is not taken over: [app] env says it"
            for name in _ASSIGNED.findall(lead)
            if name not in dict(app.env)
        ),
        *(
            f"{line.place}: {option.words[0].text} left out: the sandbox sets it"
            for option in line.options
            if option.setting in settled
        ),
    )


def _one(level: Level | list[str]) -> Level:
    return level[-1] if isinstance(level, list) else level


def endpoints(options: Mapping[str, Level]) -> tuple[Endpoint, ...]:
    """Where the options say that the server listens."""
    if "uds" in options:
        return (Endpoint(speaks=Speaks.HTTP, path=Path(str(options["uds"]))),)
    if "port" in options and str(options["port"]).isdecimal():
        host = str(options.get("host", "127.0.0.1"))
        return (Endpoint(speaks=Speaks.HTTP, host=host, port=int(options["port"])),)
    return ()


def listening(endpoint: Endpoint) -> dict[str, Level]:
    """The options that make the server listen there."""
    if endpoint.path is not None:
        return {"uds": str(endpoint.path)}
    return {"host": endpoint.host, "port": endpoint.port}


def edited(name: str, given: Given, levels: Mapping[str, Level]) -> Edited:
    """What was given with these levels, and the words for a command line that nobody showed."""
    return given.edited(
        {spelled(option): level for option, level in levels.items()},
        by_hand=lambda option, level: (
            f"{name}: {' '.join(as_argv({option: level}))} on its command line, where you start it"
        ),
    )


def as_argv(options: Mapping[str, Level], *, bare_no: bool = True) -> tuple[str, ...]:
    """Options as words; True is a flag, False its ``--no-`` form."""
    words: list[str] = []
    for name, level in options.items():
        if level is True:
            words.append(f"--{name}")
        elif level is False:
            words += [f"--no-{name}"] if bare_no else []
        else:
            words += [f"--{name}", str(level)]
    return tuple(words)


def workers_of(argv: Sequence[str]) -> float:
    """How many workers a command line asks for; 1 where it does not say."""
    words = list(argv)
    return float(words[words.index("--workers") + 1]) if "--workers" in words else 1.0


def moved(name: str, given: Given, said: tuple[Endpoint, ...], listen: Endpoint) -> tuple[str, ...]:
    """The words for where it listens now."""
    before = said[0].address if said else "unsaid"
    place = f"[stack] {name}" if given.command is None else given.command.place
    return (f"{place}: listens on {listen.address} (was {before})",)


def asked(host: Host, rendered: Rendered, wiring: Wiring, *, name: str) -> None:
    """Whether the server knows these options, by its own command line with ``--help`` added.

    click programs parse from left to right and refuse an unknown option before they help.
    Raises: RenderError.
    """
    completed = host.run(
        (*rendered.argv, "--help"),
        timeout_s=CHECK_TIMEOUT_S,
        cwd=wiring.app.directory,
        env=wiring.env,
    )
    if completed.status != 0:
        raise RenderError(
            f"{name} refuses its options",
            where=f"[stack] {name}",
            log=completed.tail(),
            way_out="mend the option named above, or leave the knob out",
        )
