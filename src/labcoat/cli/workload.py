"""``labcoat workload``: drafts of workloads from what you have, and what will be sent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labcoat.cli.options import json_option, open_study, print_document, study_option
from labcoat.errors import HostError, UsageError
from labcoat.workload import SOURCES

if TYPE_CHECKING:
    from labcoat.workload.draft import Draft


SUMMARIES = {row.command: row.summary for row in SOURCES}


@click.group(short_help="Draft the mix from a log, an API or a recording; show what is sent.")
def command() -> None:
    """Draft a workload from what you have, and show what will be sent.

    A draft is a file to be read and corrected; labcoat.toml names it instead of its own
    [workload] table: workload = "workload.toml". Secrets are taken out of it, and told by
    name and number.
    """


def draft_options(decorated: Callable[..., Any]) -> Callable[..., Any]:
    """``--output``, ``--force`` and ``--json``, which every source has."""
    decorated = click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path, dir_okay=False),
        default=Path("workload.toml"),
        show_default=True,
        metavar="FILE",
        help="The file to write; lists of values go into a folder beside it.",
    )(decorated)
    decorated = click.option("--force", is_flag=True, help="Overwrite an earlier draft.")(decorated)
    return json_option(decorated)


@command.command("from-access-log", short_help=SUMMARIES["from-access-log"])
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--format",
    "format_text",
    metavar="FORMAT",
    help="combined, common or vhost_combined, a log_format as nginx spells it, or with"
    " --nginx-conf its name there.  [default: the one that fits]",
)
@click.option(
    "--nginx-conf",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Take the log_format from this file, includes and all.",
)
@click.option(
    "--body",
    "bodies",
    nargs=2,
    multiple=True,
    metavar="ROUTE FILE",
    help="The body of a route that a log cannot hold: --body 'POST /cart' cart.txt",
)
@click.option(
    "--routes",
    "most_routes",
    type=click.IntRange(1, 1000),
    default=60,
    show_default=True,
    help="Take at most so many routes, the most frequent.",
)
@draft_options
def from_access_log(
    *,
    files: tuple[str, ...],
    format_text: str | None,
    nginx_conf: Path | None,
    bodies: tuple[tuple[str, str], ...],
    most_routes: int,
    output: Path,
    force: bool,
    as_json: bool,
) -> None:
    """Draft the mix that an access log holds: FILE..., oldest first, packed or not; - is
    standard input.

    Only what was answered well is taken. Ids and slugs become placeholders; the values that
    were asked for are sampled into files, so popular ones stay popular. Requests that change
    something are left out unless you give their bodies: a log holds none.
    """
    from labcoat.workload.access_log import read_logs
    from labcoat.workload.log_format import from_nginx_conf, given_format

    ready(output, force=force)
    chosen = None
    if nginx_conf is not None:
        chosen = from_nginx_conf(nginx_conf, format_text)
    elif format_text is not None:
        chosen = given_format(format_text)
    draft = read_logs(
        files, chosen, bodies=dict(bodies), folder=values_folder(output).name,
        most_routes=most_routes,
    )  # fmt: skip
    finish(draft, output, as_json=as_json)


@command.command("from-openapi", short_help=SUMMARIES["from-openapi"])
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--unsafe", is_flag=True, help="Take operations that may change data as well.")
@draft_options
def from_openapi(*, file: Path, unsafe: bool, output: Path, force: bool, as_json: bool) -> None:
    """Draft one request for each operation of an OpenAPI document (3.0, 3.1; JSON or YAML).

    Values come from its examples, defaults and enumerations, else from the bounds of its
    schemas; of optional parameters none is sent.
    """
    from labcoat.workload.openapi import read_openapi

    ready(output, force=force)
    finish(read_openapi(file, unsafe=unsafe), output, as_json=as_json)


@command.command("from-har", short_help=SUMMARIES["from-har"])
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--host", metavar="HOST", help="Which host's requests.  [default: the first asked]")
@draft_options
def from_har(*, file: Path, host: str | None, output: Path, force: bool, as_json: bool) -> None:
    """Draft what a browser recorded (developer tools, network, save all as HAR).

    Cookies, credentials and tokens are taken out: where the app wants a login, write the
    steps of [[workload.setup]].
    """
    from labcoat.workload.har import read_har

    ready(output, force=force)
    finish(read_har(file, host=host), output, as_json=as_json)


@command.command("show", short_help="Say what will be sent; send nothing.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--requests",
    "count",
    type=click.IntRange(0, 10_000),
    default=10,
    show_default=True,
    help="So many requests of the plan, the first.",
)
@study_option
@json_option
def show(*, file: Path | None, count: int, study_file: Path | None, as_json: bool) -> None:
    """Say what will be sent: each route with an example, the users, the plan.

    FILE is a workload file; without one it is the study's. Nothing is sent; secrets are masked.
    """
    from labcoat.cli.workload_text import show_document, show_text
    from labcoat.lab.study.study_file import read_workload

    if file is not None:
        workload, users = read_workload(file)
        seed, name = 1, str(file)
    else:
        study = open_study(study_file)
        workload, users, seed, name = study.workload, study.users, study.seed, study.name
    document = show_document(workload, users=users, seed=seed, count=count, name=name)
    if as_json:
        print_document(document)
    else:
        click.echo("\n".join(show_text(document)))


def values_folder(output: Path) -> Path:
    """Where a draft's lists of values lie."""
    return output.with_name(f"{output.stem}-values")


def ready(output: Path, *, force: bool) -> None:
    """Probe the output before the work. Raises: UsageError if something is there already."""
    there = [path for path in (output, values_folder(output)) if path.exists()]
    if there and not force:
        raise UsageError(
            "there is something already, and it may be yours",
            where=", ".join(map(str, there)),
            way_out="name another file with --output, or overwrite it with --force",
        )
    if not output.absolute().parent.is_dir():
        raise UsageError("there is no such folder", where=output.parent, way_out="make it first")


def finish(draft: Draft, output: Path, *, as_json: bool) -> None:
    """Write the draft, prove that the study can read it, and tell it."""
    from labcoat.cli.workload_text import draft_document, draft_text
    from labcoat.lab.study.study_file import read_workload
    from labcoat.workload.toml import workload_text

    try:
        for name, lines in draft.values.items():
            path = output.parent / name
            path.parent.mkdir(exist_ok=True)
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        half = output.with_name(f".{output.name}.half")
        half.write_text(workload_text(draft), encoding="utf-8")
        half.replace(output)
    except OSError as error:
        raise HostError(
            f"the draft cannot be written: {error.strerror}",
            where=error.filename,
            way_out="free space there, or name another file with --output",
        ) from error
    read_workload(output)
    if as_json:
        print_document(draft_document(draft, output))
    else:
        click.echo("\n".join(draft_text(draft, output)))
