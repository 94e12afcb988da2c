"""``labcoat watch check``: what is wrong with runbooks, and where."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labcoat.cli.options import json_option, print_document
from labcoat.errors import UsageError

if TYPE_CHECKING:
    from labcoat.watch.model.finding import Finding
    from labcoat.watch.runbook.checking import Checked
    from labcoat.watch.runbook.source import Source

SCHEMA = 1


@click.command(short_help="Find what is wrong with runbooks, and where.")
@click.argument("runbooks", nargs=-1, type=click.Path(path_type=Path), metavar="[RUNBOOK ...]")
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
    help="Facts as JSON: of one target, or {target: facts}; each runbook is rendered with them.",
)
@click.option("--fix", is_flag=True, help="Print a diff of what has one cure; edits nothing.")
@click.option("--strict", is_flag=True, help="Take warnings for errors.")
@json_option
def command(
    *,
    runbooks: tuple[Path, ...],
    config: Path | None,
    facts_file: Path | None,
    fix: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Find what is wrong with runbooks: YAML, templates, schedules, keys, silent traps.

    Without RUNBOOK: the whole site, init.yml and every runbook that it names. A finding
    reads file:line:column CODE message; fix: way out. E codes refuse a runbook, W codes
    warn. Without --facts both sides of a template's conditions are looked at.

    Exit codes: 0 clean, 1 warnings, 2 errors, 3 usage.
    """
    facts = {} if facts_file is None else read_facts(facts_file)
    checked = looked_through(runbooks, config, facts)
    if as_json:
        print_document(
            {
                "schema": SCHEMA,
                "errors": checked.errors,
                "warnings": checked.warnings,
                "findings": [asdict(finding) for finding in checked.findings],
            }
        )
    elif fix:
        print_fixes(checked.sources, checked.findings, runbooks)
    else:
        for finding in checked.findings:
            click.echo(str(finding))
        click.echo(summary(checked), err=True)
    click.get_current_context().exit(exit_code(checked, strict=strict))


def exit_code(checked: Checked, *, strict: bool) -> int:
    """0 clean, 1 warnings, 2 errors."""
    if checked.errors or (strict and checked.warnings):
        return 2
    return 1 if checked.warnings else 0


def summary(checked: Checked) -> str:
    """How many, in words."""
    counted = (
        (checked.errors, "error"),
        (checked.warnings, "warning"),
        (len(checked.sources), "runbook"),
    )
    errors, warnings, books = (f"{n} {word}{'' if n == 1 else 's'}" for n, word in counted)
    return f"{errors}, {warnings} in {books}"


def looked_through(
    runbooks: Sequence[Path], config: Path | None, facts: Mapping[str, Mapping[str, Any]]
) -> Checked:
    """The runbooks that are named, or the site. Raises: UsageError."""
    from labcoat.watch.runbook.checking import Checked, check_file, check_site
    from labcoat.watch.runbook.defaults import Defaults
    from labcoat.watch.runbook.site_file import find_site, read_site

    file = config or find_site(Path.cwd())
    site = None if file is None else read_site(file)
    defaults = Defaults()
    if site is not None:
        plugin_path = site.plugin_path if site.plugin_path.is_dir() else None
        defaults = Defaults(semantics=site.semantics, plugin_path=plugin_path)
    if runbooks:
        missing = next((path for path in runbooks if not path.exists()), None)
        if missing is not None:
            raise UsageError("there is no such runbook", where=missing, way_out="mend the path")
        each = [check_file(path, facts, defaults) for path in runbooks]
        return Checked(
            tuple(source for one in each for source in one.sources),
            tuple(finding for one in each for finding in one.findings),
        )
    if site is None:
        raise UsageError(
            "there is no config.yml here",
            where=Path.cwd(),
            way_out="name runbooks, or begin with labcoat watch init",
        )
    checked = check_site(site.runbook_path, facts, defaults)
    return Checked(checked.sources, (*site.findings, *checked.findings))


def read_facts(file: Path) -> dict[str, dict[str, Any]]:
    """Facts by target. A file with the facts of one target names it by its hostname.

    Raises: UsageError.
    """
    try:
        document = json.loads(file.read_bytes())
    except OSError as error:
        raise UsageError(
            f"cannot read the facts: {error.strerror}", where=file, way_out="mend the path"
        ) from error
    except ValueError as error:
        raise UsageError(
            f"the facts are no JSON: {error}",
            where=file,
            way_out='write {"web1": {"hostname": "web1"}}',
        ) from error
    if not isinstance(document, dict) or not document:
        raise UsageError(
            "the facts are no mapping", where=file, way_out='write {"web1": {"hostname": "web1"}}'
        )
    if "hostname" in document or not all(isinstance(each, dict) for each in document.values()):
        return {str(document.get("hostname", "target")): document}
    return document


def print_fixes(
    sources: Sequence[Source], findings: Sequence[Finding], runbooks: Sequence[Path]
) -> None:
    """The diffs that would put right what can be put right."""
    import difflib

    from labcoat.watch.runbook.fixing import fixed

    folders = [str(path.parent) for path in runbooks] or ["."]
    shown = False
    for source, folder in zip(
        sources, folders * (len(sources) if not runbooks else 1), strict=False
    ):
        file = source.file if folder == "." else f"{folder}/{source.file}"
        new = fixed(source.text, [finding for finding in findings if finding.file == file])
        lines = difflib.unified_diff(
            source.text.splitlines(keepends=True),
            new.splitlines(keepends=True),
            f"a/{file}",
            f"b/{file}",
        )
        for line in lines:
            shown = True
            click.echo(
                line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n", nl=False
            )
    if not shown:
        click.echo("nothing here has one obvious cure", err=True)
