"""``labcoat replicate``: published claims, replayed on this machine."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict
from importlib.resources import as_file, files
from pathlib import Path

import click

from labcoat.cli.exit_codes import ExitCode
from labcoat.cli.options import Duration, json_option, print_document
from labcoat.errors import HostError, UsageError

BUDGET_S = 900.0
SHIPPED = files("labcoat.protocols")
PLACE = Path(".labcoat") / "replications"


@click.command(short_help="Replay published claims here: confirmed, refuted or undecided.")
@click.argument("protocol", required=False)
@click.option(
    "--budget",
    "budget_s",
    type=Duration(),
    metavar="TIME",
    default=BUDGET_S,
    help="How long it may take, all claims together.  [default: 15m]",
)
@click.option(
    "--slice",
    "slice_s",
    type=Duration(),
    metavar="TIME",
    default=1.0,
    help="Mean length of a slice.  [default: 1s]",
)
@click.option("--list", "is_list", is_flag=True, help="List the protocols that are shipped.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print a section of a document.")
@json_option
def command(
    protocol: str | None,
    budget_s: float,
    slice_s: float,
    *,
    is_list: bool,
    as_markdown: bool,
    as_json: bool,
) -> None:
    """Replay a published ladder of changes on this machine.

    PROTOCOL is the name of a shipped one (--list), or a TOML file of yours. Each claim is an
    experiment: alone against the origin, and on top of the steps before it; it ends confirmed,
    refuted, or undecided with the budget that would decide it. Ctrl-C finishes the block; the
    same command goes on. Of a shipped protocol a copy of its small app and the journal lie in
    .labcoat/replications, here.
    """
    from labcoat.cli.finishing import finishing
    from labcoat.cli.live import LiveView
    from labcoat.host.local import LocalHost
    from labcoat.journal import Journal
    from labcoat.lab.replication.protocol_file import read_protocol
    from labcoat.lab.replication.replicating import Replicate, replicate
    from labcoat.lab.trial.question import Rhythm
    from labcoat.load import Generator
    from labcoat.report.replication import replication_markdown, replication_text

    if is_list:
        click.echo(_listed(as_json=as_json), nl=False)
        return
    if protocol is None:
        raise UsageError(
            "no protocol was named",
            where="labcoat replicate",
            way_out="labcoat replicate --list tells those that are shipped; or name a TOML file",
        )
    host = LocalHost()
    read = read_protocol(file_of(protocol), host.facts())
    try:
        with (
            Journal.open(read.study.root / ".labcoat" / "journal.db") as journal,
            Generator() as generator,
            LiveView(total_s=budget_s) as view,
            finishing() as stops,
        ):
            found = replicate(
                read,
                Replicate(
                    budget_s=budget_s,
                    rhythm=Rhythm(slice_s=slice_s, discard_s=0.25 * slice_s),
                    stops=stops,
                ),
                host=host,
                journal=journal,
                generator=generator,
                tell_event=view,
            )
    except KeyboardInterrupt:
        click.echo("what was measured is kept: the same command goes on from there", err=True)
        raise
    if as_json:
        print_document(asdict(found))
    else:
        text = replication_markdown(found) if as_markdown else replication_text(found)
        click.echo(text, nl=False)
    if found.is_interrupted:
        raise click.exceptions.Exit(ExitCode.INTERRUPTED)


def shipped() -> tuple[str, ...]:
    """Names of the shipped protocols, in order."""
    names = (each.name for each in SHIPPED.iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


def file_of(name: str) -> Path:
    """The protocol file that a name or a path means; a shipped one is copied here first.

    Raises: UsageError, HostError.
    """
    path = Path(name)
    if path.suffix == ".toml" or "/" in name:
        return path
    if name not in shipped():
        raise UsageError(
            f"there is no protocol {name!r}",
            where="labcoat replicate",
            way_out=f"one of {', '.join(shipped())}; or the path of a TOML file",
        )
    place = Path(os.path.abspath(PLACE / name))  # noqa: PTH100 as read_study has it
    try:
        with as_file(SHIPPED) as source:
            for each in (source / "apps").rglob("*"):
                target = place / each.relative_to(source)
                if each.is_file() and "__pycache__" not in each.parts:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(each, target)
            return Path(shutil.copyfile(source / f"{name}.toml", place / f"{name}.toml"))
    except OSError as error:
        raise HostError(
            f"cannot copy the protocol: {error.strerror}",
            where=place,
            way_out="start it in a folder that you may write to",
        ) from error


def _listed(*, as_json: bool) -> str:
    import json
    import tomllib

    rows = [
        (name, str(tomllib.loads((SHIPPED / f"{name}.toml").read_text("utf-8"))["title"]))
        for name in shipped()
    ]
    if as_json:
        return json.dumps({"protocols": dict(rows)}, indent=2, ensure_ascii=False) + "\n"
    width = max(len(name) for name, _ in rows)
    return "".join(f"{name:<{width}}  {title}\n" for name, title in rows)
