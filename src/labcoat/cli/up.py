"""``labcoat up``: the study's stack, standing until it is told to go."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from labcoat.cli.options import json_option, open_study, print_document, study_option
from labcoat.errors import Died

if TYPE_CHECKING:
    from labcoat.host.sandbox import Sandbox
    from labcoat.stack.standing import Standing

COLOURS = ("cyan", "magenta", "yellow", "green", "blue")
POLL_S = 0.2


@click.command()
@study_option
@click.option("--logs", "with_logs", is_flag=True, help="Follow every component's logs.")
@json_option
def command(study_file: Path | None, *, with_logs: bool, as_json: bool) -> None:
    """Start the study's stack and keep it up until Ctrl-C.

    The real programs start in a sandbox, from your own files; only ports, paths, sockets,
    users, pid files and logs are rewired, and each rewiring is told. Ctrl-C or SIGTERM takes
    all of it down and is the normal end (exit 0); if a component dies, so do the others (exit 1).
    """
    from labcoat.host.local import LocalHost
    from labcoat.host.sandbox import Sandbox
    from labcoat.stack.rig import Rig

    study = open_study(study_file)
    host = LocalHost()
    kept = study.root / ".labcoat" / "logs"
    with Sandbox.open(host, keep_logs_in=kept) as sandbox, Rig(host, sandbox, study) as rig:
        standing = rig.boot("up")
        try:
            if as_json:
                print_document(document(standing, sandbox))
                sys.stdout.flush()
            else:
                tell(standing, sandbox)
            stand(standing, sandbox, follow=with_logs, err=as_json)
        except KeyboardInterrupt:
            click.echo("taking it down", err=True)


def document(standing: Standing, sandbox: Sandbox) -> Mapping[str, object]:
    """What stands, as ``--json`` prints it."""
    return {
        "url": standing.target.url,
        "socket": standing.target.uds,
        "sandbox": str(sandbox.root),
        "components": [
            {
                "name": layer.name,
                "version": layer.located.version,
                "program": layer.located.argv[0],
                "source": layer.located.source,
                "pid": layer.process.pid,
                "listens": layer.wiring.listen.address,
                "log": str(layer.process.log),
                "rewired": list(layer.rewired),
            }
            for layer in standing.layers
        ],
    }


def tell(standing: Standing, sandbox: Sandbox) -> None:
    """What stands, for people."""
    target = standing.target
    where = target.url if target.uds is None else f"unix:{target.uds}"
    click.echo(f"{click.style(where, bold=True)}  (Ctrl-C takes it down)")
    click.echo(f"sandbox {sandbox.root}")
    for layer, colour in zip(standing.layers, cycle(COLOURS), strict=False):
        name = click.style(f"{layer.name} {layer.located.version}", fg=colour, bold=True)
        click.echo(f"\n{name}  pid {layer.process.pid}, {layer.wiring.listen.address}")
        click.echo(f"  program  {layer.located.argv[0]} ({layer.located.source})")
        click.echo(f"  log      {layer.process.log}")
        for note in layer.rewired:
            click.echo(f"  rewired  {note}")


def stand(standing: Standing, sandbox: Sandbox, *, follow: bool, err: bool) -> None:
    """Wait while everything lives. Raises: Died when a component is gone."""
    from labcoat.stack.environment import mask

    follower = Follower(standing, err=err)
    try:
        while True:
            if follow:
                follower.show()
            sandbox.check()
            time.sleep(POLL_S)
    except Died as error:
        mask(error, standing.layers[0].wiring.app)
        raise
    finally:
        if follow:
            follower.show()
        follower.close()


class Follower:
    """Shows what is new in every log below the components' folders, line by line."""

    def __init__(self, standing: Standing, *, err: bool) -> None:
        self.standing = standing
        self.err = err
        self.files: dict[Path, IO[bytes]] = {}
        self.rest: dict[Path, bytes] = {}

    def show(self) -> None:
        """Print every whole line that was written since the last call."""
        for layer, colour in zip(self.standing.layers, cycle(COLOURS), strict=False):
            prefix = click.style(f"{layer.name:>8} |", fg=colour)
            for path in sorted(layer.wiring.directory.glob("*.log")):
                for line in self.lines(path):
                    click.echo(f"{prefix} {self.shown(line)}", err=self.err)

    def lines(self, path: Path) -> list[str]:
        """Whole new lines of one file."""
        if path not in self.files:
            self.files[path] = path.open("rb")
            self.rest[path] = b""
        *whole, self.rest[path] = (self.rest[path] + self.files[path].read()).split(b"\n")
        return [line.decode(errors="replace") for line in whole]

    def shown(self, line: str) -> str:
        """A line without the app's secrets."""
        from labcoat.stack.environment import secrets_of

        for secret in secrets_of(self.standing.layers[0].wiring.app):
            line = line.replace(secret, "***")
        return line

    def close(self) -> None:
        """Close the files."""
        for file in self.files.values():
            file.close()
