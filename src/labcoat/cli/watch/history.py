"""``labcoat watch history``: what happened, from the journal."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labcoat.cli.options import Duration, json_option, print_document
from labcoat.cli.watch.site import config_option, folder_of, reading
from labcoat.errors import JournalError

if TYPE_CHECKING:
    from labcoat.watch.record.entry import Written
    from labcoat.watch.record.journal import WatchJournal

SCHEMA = 1


@click.command(short_help="Tell what was decided and done, and whether the journal is whole.")
@config_option
@click.option("--since", type=Duration(), metavar="TIME", help="Only the last 90s, 20m, 2h.")
@click.option("--target", metavar="TARGET", help="Only this target.")
@click.option("--attempt", metavar="ID", help="Only this attempt or advice.")
@click.option("--rounds", is_flag=True, help="The rounds too, not only what came of them.")
@click.option("--newest", type=click.IntRange(1), metavar="N", help="Only the newest so many.")
@click.option("--verify", is_flag=True, help="Only look whether every entry is as written.")
@json_option
def command(
    config: Path | None,
    *,
    since: float | None,
    target: str | None,
    attempt: str | None,
    rounds: bool,
    newest: int | None,
    verify: bool,
    as_json: bool,
) -> None:
    """Tell what the watch decided, did and was asked to do, oldest first.

    With --verify the chain of digests is followed from end to end: an entry that was
    altered or taken out is found and named, and the exit status is 2.
    """
    from labcoat.watch.record.entry import Kind

    journal = reading(folder_of(config))
    try:
        if verify:
            _verify(journal, as_json=as_json)
            return
        quiet = () if rounds else tuple(k for k in Kind if k not in (Kind.ROUND, Kind.VERIFYING))
        found = list(
            journal.entries(
                kinds=quiet,
                target=target,
                subject=attempt,
                since_s=None if since is None else time.time() - since,
                newest=newest,
            )
        )
    finally:
        journal.close()
    if as_json:
        print_document({"schema": SCHEMA, "entries": [_document(written) for written in found]})
        return
    for written in found:
        click.echo(_line(written))


def _verify(journal: WatchJournal, *, as_json: bool) -> None:
    verified = journal.verify()
    if as_json:
        print_document(
            {
                "schema": SCHEMA,
                "entries": verified.entries,
                "head": verified.head,
                "broken_at": verified.broken_at,
            }
        )
    elif verified.broken_at is None:
        click.echo(f"{verified.entries} entries, all as they were written; head {verified.head}")
    if verified.broken_at is not None:
        error = JournalError(
            f"the journal was altered: entry {verified.broken_at} is not what was written",
            where=str(journal.address),
            way_out=f"compare with a copy; the {verified.entries} entries before it are whole",
        )
        click.echo(f"error: {error}", err=True)
        raise click.exceptions.Exit(2)


def _document(written: Written) -> dict[str, Any]:
    entry = written.entry
    return {
        "seq": written.seq,
        "at_s": entry.at_s,
        "kind": entry.kind.value,
        "target": entry.target,
        "runbook": entry.runbook,
        "subject": entry.subject,
        "body": dict(entry.body),
        "digest": written.digest,
    }


def _line(written: Written) -> str:
    entry = written.entry
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.at_s))
    about = "  ".join(part for part in (entry.target, entry.runbook, entry.subject) if part)
    told = ", ".join(f"{name} {_short(value)}" for name, value in entry.body.items())
    return f"{at}  {entry.kind.value:<10} {about}  {told}".rstrip()


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
