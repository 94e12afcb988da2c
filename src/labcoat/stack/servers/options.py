"""What servers without a file of their own have in common: options as a command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from labcoat.errors import RenderError
from labcoat.host.base import Host
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.study import ComponentSpec
from labcoat.model.variant import Level
from labcoat.stack.base import Edited, Rendered, Wiring
from labcoat.stack.given import Given

CHECK_TIMEOUT_S = 60.0


def spelled(name: str) -> str:
    """An option as the command line spells it: ``blocking_threads`` is ``blocking-threads``."""
    return name.replace("_", "-").lstrip("-")


def adopted(
    spec: ComponentSpec, *, refused: Mapping[str, str], settled: Iterable[str]
) -> dict[str, Level]:
    """The study's options by their spelling on the command line.

    ``refused``: option -> why it cannot be measured. ``settled``: options that the sandbox sets.
    Raises: RenderError.
    """
    where = f"[stack] {spec.name}"
    if spec.file is not None:
        raise RenderError(
            f"{spec.name} reads no file: {spec.file}",
            where=where,
            way_out=f"write {spec.name} = {{ options = {{ workers = 2 }} }}",
        )
    options = {spelled(name): level for name, level in spec.options}
    for name, level in options.items():
        if name in refused and level is not False:
            raise RenderError(
                f"{spec.name} --{name} is refused: {refused[name]}",
                where=where,
                way_out=f"leave {name} out",
            )
        if name in settled:
            raise RenderError(
                f"{spec.name} --{name} is set by the sandbox",
                where=where,
                way_out=f"leave {name} out",
            )
    return options


def endpoints(options: Mapping[str, Level]) -> tuple[Endpoint, ...]:
    """Where the options say that the server listens."""
    if "uds" in options:
        return (Endpoint(speaks=Speaks.HTTP, path=Path(str(options["uds"]))),)
    if "port" in options:
        host = str(options.get("host", "127.0.0.1"))
        return (Endpoint(speaks=Speaks.HTTP, host=host, port=int(options["port"])),)
    return ()


def listening(endpoint: Endpoint) -> dict[str, Level]:
    """The options that make the server listen there."""
    if endpoint.path is not None:
        return {"uds": str(endpoint.path)}
    return {"host": endpoint.host, "port": endpoint.port}


def edited(
    name: str, options: tuple[tuple[str, Level], ...], levels: Mapping[str, Level]
) -> Edited:
    """The options with these levels, and the words for the user's own command line."""
    return Given(options=options).edited(
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


def moved(name: str, said: tuple[Endpoint, ...], listen: Endpoint) -> tuple[str, ...]:
    """The words for where it listens now."""
    before = said[0].address if said else "unsaid"
    return (f"[stack] {name}: listens on {listen.address} (was {before})",)


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
