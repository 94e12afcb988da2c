"""What the watch's commands share: where the configuration is, and who asks."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from labcoat.errors import LabcoatError

if TYPE_CHECKING:
    from labcoat.watch.engine.settings import Settings
    from labcoat.watch.engine.shelf import Shelf
    from labcoat.watch.model.runbook import Mode
    from labcoat.watch.record.journal import WatchJournal

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def config_option(command: Decorated) -> Decorated:
    """``--config FILE``, given to the command as ``config: Path | None``."""
    return click.option(
        "--config",
        "config",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The watch's configuration.  [default: config.yml, or config/config.yml]",
    )(command)


def opened_site(config: Path | None, forced: Mode | None = None) -> tuple[Settings, Shelf]:
    """Settings and runbooks. What is odd in the file is told on standard error.

    Raises: UsageError with every mistake of the file.
    """
    from labcoat.watch.engine.site_settings import read_settings

    settings, shelf, findings = read_settings(config, Path.cwd(), forced=forced)
    for finding in findings:
        click.echo(str(finding), err=True)
    return settings, shelf


def folder_of(config: Path | None) -> Settings:
    """The settings, without a word on what is odd in them."""
    from labcoat.watch.engine.site_settings import read_settings

    return read_settings(config, Path.cwd())[0]


def reading(settings: Settings) -> WatchJournal:
    """The journal, to be read. Raises: JournalError if nothing was watched yet."""
    from labcoat.watch.record.journal import WatchJournal

    return WatchJournal.open(settings.journal, read_only=True)


def working_pid(settings: Settings) -> int | None:
    """The process id of the watch that is at work here."""
    from labcoat.watch.engine.control import ask
    from labcoat.watch.engine.settings import CONTROL

    reply = ask(settings.folder / CONTROL, {"do": "ping"})
    return None if reply is None else int(reply["pid"])


def request(config: Path | None, do: str, **fields: Any) -> Mapping[str, Any]:
    """Ask the watch at work; without one, do it here with the same engine.

    Raises: LabcoatError as the watch answers.
    """
    from labcoat.watch.engine.control import ask
    from labcoat.watch.engine.settings import CONTROL

    settings = folder_of(config)
    asked = {"do": do, "by": who(), **fields}
    reply = ask(settings.folder / CONTROL, asked)
    if reply is not None:
        return reply
    from labcoat.watch.engine.alone import answered_alone

    found, shelf = opened_site(config)
    return answered_alone(found, shelf, asked, say=lambda line: click.echo(line, err=True))


def who() -> str:
    """The name of the person, also behind sudo."""
    behind = os.environ.get("SUDO_USER")
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = str(os.getuid())
    return f"{behind} (as {name})" if behind else name


def refused(reply: Mapping[str, Any]) -> None:
    """Raise what an unsuccessful ``apply`` said."""
    if reply.get("started") is None:
        raise LabcoatError(
            f"not applied: {reply['why']}",
            way_out="labcoat watch status shows what holds; labcoat watch history tells why",
        )
