"""``labcoat check``: production against the tuned baseline, as a monitoring plugin."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labcoat.cli.options import Duration, json_option, open_project, print_document, study_option
from labcoat.errors import LabcoatError, UsageError

if TYPE_CHECKING:
    from labcoat.watch.production.compare import Compared, Cpu
    from labcoat.watch.production.promises import Promise
    from labcoat.watch.production.reference import Reference
    from labcoat.watch.production.traffic import Traffic
    from labcoat.watch.production.verdict import Checked


@click.command(
    short_help="Compare production with the tuned baseline.",
    epilog="Exit codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN or any failure.",
)
@click.option(
    "--access-log",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="nginx's access log. Its log_format needs $request_time for latencies.",
)
@click.option(
    "--format",
    "format_text",
    metavar="FORMAT",
    help="As of labcoat workload from-access-log.  [default: the one that fits]",
)
@click.option(
    "--nginx-conf",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Take the log_format from this file, includes and all.",
)
@click.option(
    "--window",
    "window_s",
    type=Duration(),
    default="5m",
    show_default=True,
    metavar="TIME",
    help="How much of the log's end is compared.",
)
@click.option(
    "--stub-status",
    metavar="URL",
    help="nginx's stub_status: counts requests exactly while CPU is read.",
)
@click.option(
    "--pid",
    "pid_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The app server's pid file: compare the CPU of its tree, too.",
)
@click.option(
    "--sample",
    "sample_s",
    type=Duration(),
    default="6s",
    show_default=True,
    metavar="TIME",
    help="With --pid: read CPU for so long.",
)
@click.option(
    "--slo", "slos", multiple=True, metavar="SLO", help="p99=300ms, errors=1%: CRITICAL if broken."
)
@study_option
@click.option(
    "--journal",
    "journal_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The journal with the baseline.  [default: .labcoat/journal.db beside the study file]",
)
@json_option
def command(  # noqa: PLR0913 - one for each flag
    *,
    access_log: Path | None,
    format_text: str | None,
    nginx_conf: Path | None,
    window_s: float,
    stub_status: str | None,
    pid_file: Path | None,
    sample_s: float,
    slos: tuple[str, ...],
    study_file: Path | None,
    journal_path: Path | None,
    as_json: bool,
) -> None:
    """Compare the last minutes of production with the tuned baseline: latencies of each
    route, errors, CPU per request, at like loads. A monitoring plugin for any monitor.

    WARNING: a ratio to the baseline is surely above 1.05; CRITICAL: above 1.20, or an SLO
    is broken; UNKNOWN: nothing can be told, with the way out. The baseline is the newest that
    was measured while your files were in the state (labcoat history) that holds now.
    """
    from labcoat.watch.production.promises import promise_of
    from labcoat.watch.production.verdict import document_of, text_of

    promises = [promise_of(slo) for slo in slos]
    if access_log is None:
        raise UsageError(
            "there is nothing to look at",
            where="--access-log",
            way_out="name nginx's access log, as /var/log/nginx/access.log",
        )
    root, journal_file = _places(study_file, journal_path)
    reference, against = _recalled(root, journal_file)
    cpu = _cpu(pid_file, stub_status, access_log, sample_s)
    traffic = _traffic(access_log, format_text, nginx_conf, reference, window_s)
    compared = _compared(traffic, reference, cpu)
    checked = _checked(traffic, compared, promises, reference, against)
    if as_json:
        print_document(document_of(checked))
    else:
        click.echo(text_of(checked))
    raise click.exceptions.Exit(int(checked.status))


def _places(study_file: Path | None, journal_path: Path | None) -> tuple[Path, Path]:
    """The project's folder and its journal. Raises: UsageError."""
    from labcoat.lab.handover.tuned import journal_file

    if journal_path is not None:
        return journal_path.absolute().parent.parent, journal_path
    root = open_project(study_file)
    return root, journal_file(root)


def _recalled(root: Path, file: Path) -> tuple[Reference | LabcoatError, str]:
    """The baseline, or why there is none: SLOs are judged without one."""
    from labcoat.errors import JournalError
    from labcoat.journal import Journal
    from labcoat.watch.production.recall import recall

    if not file.exists():
        return JournalError(
            "nothing was measured yet", where=file, way_out="measure first: labcoat baseline"
        ), ""
    try:
        with Journal.open(file, read_only=True) as journal:
            found = recall(journal, root)
    except JournalError as error:
        return error, ""
    at = found.at.astimezone().strftime("%Y-%m-%d %H:%M")
    return found, f"of {at}, state {found.state}, up to {found.most_per_s:,.0f} requests/s"


def _traffic(
    log: Path,
    format_text: str | None,
    nginx_conf: Path | None,
    reference: Reference | LabcoatError,
    window_s: float,
) -> Traffic:
    from labcoat.watch.production.log_end import read_end
    from labcoat.watch.production.routes import Matcher
    from labcoat.workload.log_format import from_nginx_conf, given_format

    chosen = None
    if nginx_conf is not None:
        chosen = from_nginx_conf(nginx_conf, format_text)
    elif format_text is not None:
        chosen = given_format(format_text)
    requests = () if isinstance(reference, LabcoatError) else reference.requests
    now_s = time.time()
    return read_end(log, chosen, Matcher(requests), since_s=now_s - window_s, until_s=now_s)


def _cpu(pid_file: Path | None, stub_status: str | None, log: Path, sample_s: float) -> Cpu | None:
    from labcoat.watch.production.spending import grown, handled, read_pid, sample

    if pid_file is None:
        if stub_status is not None:
            handled(stub_status)
        return None
    answered = grown(log) if stub_status is None else lambda: handled(stub_status)
    return sample(read_pid(pid_file), answered, for_s=sample_s)


def _compared(traffic: Traffic, reference: Reference | LabcoatError, cpu: Cpu | None) -> Compared:
    from labcoat.watch.production.compare import Compared, Trouble, compare

    if isinstance(reference, LabcoatError):
        missing = Trouble(what=reference.what, way_out=reference.way_out or "labcoat baseline")
        return Compared(rows=(), troubles=(missing,))
    return compare(traffic, reference, cpu=cpu)


def _checked(
    traffic: Traffic,
    compared: Compared,
    promises: Sequence[Promise],
    reference: Reference | LabcoatError,
    against: str,
) -> Checked:
    from labcoat.watch.production.compare import Row, Trouble, kept
    from labcoat.watch.production.verdict import Checked

    told = list(kept(traffic, promises))
    notes = list(compared.notes)
    if traffic.is_cut:
        notes.append("too many requests for memory: only the newest were compared")
    return Checked(
        rows=(*(each for each in told if isinstance(each, Row)), *compared.rows),
        troubles=(*compared.troubles, *(each for each in told if isinstance(each, Trouble))),
        notes=tuple(notes),
        rate_per_s=traffic.rate_per_s,
        most_per_s=None if isinstance(reference, LabcoatError) else reference.most_per_s,
        requests=len(traffic),
        window_s=traffic.until_s - traffic.since_s,
        against=against,
    )
