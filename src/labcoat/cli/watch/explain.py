"""``labcoat watch explain``: a runbook on a target in words."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labcoat.cli.watch.check import read_facts
from labcoat.errors import UsageError

if TYPE_CHECKING:
    from labcoat.watch.model.runbook import Runbook


@click.command(short_help="Tell when a runbook is due, and what calls for its actions.")
@click.argument("target")
@click.argument("runbook")
@click.argument("action", required=False)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The watch's configuration.  [default: config.yml, or config/config.yml]",
)
@click.option(
    "--facts",
    "facts_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Facts as JSON: of one target, or {target: facts}.",
)
def command(
    target: str, runbook: str, action: str | None, config: Path | None, facts_file: Path | None
) -> None:
    """Tell when RUNBOOK (a path of init.yml) is due on TARGET, what calls for each ACTION, and
    what stands around it.

    Exit codes: 0 told, 3 there is no such runbook, or it is refused.
    """
    from labcoat.watch.decide.explaining import explained

    found = found_for(target, runbook, config, facts_file)
    if action is not None:
        named = [each for each in found.actions if each.name == action]
        if not named:
            known = ", ".join(each.name for each in found.actions) or "none"
            raise UsageError(
                f"there is no action {action!r}", where=found.file, way_out=f"one of: {known}"
            )
        found = replace(found, actions=tuple(named))
    for line in explained(found, target, time.time()):
        click.echo(line)


def found_for(target: str, path: str, config: Path | None, facts_file: Path | None) -> Runbook:
    """The runbook as the target gets it. Raises: UsageError with all findings."""
    from labcoat.watch.runbook.defaults import Defaults
    from labcoat.watch.runbook.load import load, load_without_facts
    from labcoat.watch.runbook.mapping import read_mapping
    from labcoat.watch.runbook.site_file import find_site, read_site
    from labcoat.watch.runbook.source import read_source

    file = config or find_site(Path.cwd())
    if file is None:
        raise UsageError(
            "there is no config.yml here", where=Path.cwd(), way_out="begin with labcoat watch init"
        )
    site = read_site(file)
    assigned = {each.path: each for each in read_mapping(site.runbook_path).for_target(target)}
    if path not in assigned:
        raise UsageError(
            f"{target} does not get {path!r}",
            where=site.runbook_path / "init.yml",
            way_out=f"one of: {', '.join(assigned) or 'none'}",
        )
    defaults = Defaults(semantics=site.semantics)
    source, glob = read_source(site.runbook_path, path), assigned[path].glob
    facts = {} if facts_file is None else read_facts(facts_file)
    if target in facts:
        loaded = load(source, facts[target], target=target, glob=glob, defaults=defaults)
    else:
        loaded = load_without_facts(source, glob=glob, defaults=defaults)
    if loaded.runbook is None:
        raise UsageError(
            "the runbook is refused",
            where=source.file,
            way_out="labcoat watch check tells all of it",
            log=[str(finding) for finding in loaded.findings],
        )
    return loaded.runbook
