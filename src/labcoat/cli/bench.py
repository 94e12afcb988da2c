"""``labcoat bench``: the honest load generator alone, on one URL."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from labcoat.cli.exit_codes import ExitCode
from labcoat.cli.options import json_option, print_document
from labcoat.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from labcoat.load.messages import Progress
    from labcoat.model.load import Plan, Target, Window
    from labcoat.model.workload import Workload

CLOSED_USERS = 32
OPEN_CONNECTIONS = 256


@click.command()
@click.argument("url")
@click.option(
    "-c",
    "--connections",
    type=click.IntRange(1, 50_000),
    help=f"Users in a closed loop [{CLOSED_USERS}]; with --rate, most connections at once "
    f"[{OPEN_CONNECTIONS}].",
)
@click.option(
    "-d",
    "--duration",
    "measure_s",
    type=click.FloatRange(0.1, 86_400),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to measure.",
)
@click.option(
    "--warmup",
    "warmup_s",
    type=click.FloatRange(0, 86_400),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Load before the measured part, left out of the numbers.",
)
@click.option(
    "--rate",
    "rate_per_s",
    type=click.FloatRange(0, 1_000_000, min_open=True),
    metavar="N",
    help="Open loop: start N requests each second, whether or not earlier ones were answered.",
)
@click.option("--poisson", is_flag=True, help="With --rate: random gaps instead of equal ones.")
@click.option(
    "--workload",
    "workload_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The mix of a workload file instead of one request; URL is then the server alone.",
)
@click.option("-m", "--method", default="GET", show_default=True, metavar="METHOD")
@click.option(
    "-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="May be repeated."
)
@click.option("--body", metavar="TEXT", help="Body of each request; @FILE reads a file.")
@click.option("--no-keep-alive", is_flag=True, help="A new connection for each request.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, 3_600, min_open=True),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
)
@click.option("--unix-socket", type=click.Path(), help="Dial this socket instead of the host.")
@click.option("--verify-tls", is_flag=True, help="Check the server's certificate.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of placeholders and gaps.")
@json_option
def command(  # noqa: PLR0913 one argument per flag
    *,
    url: str,
    connections: int | None,
    measure_s: float,
    warmup_s: float,
    rate_per_s: float | None,
    poisson: bool,
    workload_file: Path | None,
    method: str,
    headers: tuple[str, ...],
    body: str | None,
    no_keep_alive: bool,
    timeout_s: float,
    unix_socket: str | None,
    verify_tls: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Put honest load on URL, and tell what it endured.

    Without --rate: a closed loop, which answers "how much". With --rate: an open loop,
    latency from the intended start, which answers "how fast".

    The path, the headers and the body may hold {1..500}, {uuid}, {file:ids.txt} and
    {a|b|c}; write {{ and }} for literal braces.

    Load goes to the host that URL names and to no other. Put it only on servers that
    are yours: to anybody else it is an attack.

    Exit codes: 0 measured, 1 error, 2 usage, 4 not to be trusted (the generator was the
    limit), 130 interrupted.
    """
    from labcoat.cli.bench_text import bench_document, bench_text
    from labcoat.host.local import LocalHost
    from labcoat.load import Generator, judge
    from labcoat.model.load import Window

    if poisson and rate_per_s is None:
        raise UsageError("--poisson needs a rate", where="labcoat bench", way_out="add --rate N")
    target, workload = _what(url, unix_socket, method, headers, body, verify_tls=verify_tls)
    if workload_file is not None:
        if urlsplit(url).path.strip("/") or (method, headers, body) != ("GET", (), None):
            raise UsageError(
                "a workload file says what to send: paths, methods, headers, bodies",
                where=f"--workload {workload_file}",
                way_out=f"name the server alone ({target.url}), without -m, -H and --body",
            )
        workload, users = _mix(workload_file)
        connections = connections or (users if rate_per_s is None else None)
    plan = _plan(connections, rate_per_s, poisson=poisson)
    window = Window(measure_s=measure_s, warmup_s=warmup_s)
    host = LocalHost()
    with _view(url, plan, window) as watch, Generator(watch=watch) as generator:
        before = host.counters()
        measurement = generator.load(
            target,
            workload,
            plan,
            window,
            seed=seed,
            keep_alive=not no_keep_alive,
            timeout_s=timeout_s,
        )
        after = host.counters()
    verdict = judge(
        measurement, host_before=before, host_after=after, port_range=host.facts().port_range
    )
    if as_json:
        print_document(
            bench_document(url, method if workload_file is None else None, measurement, verdict)
        )
    else:
        click.echo(bench_text(url, measurement, verdict), nl=False)
    if not verdict.is_honest:
        click.get_current_context().exit(int(ExitCode.INVALID))


def _what(
    url: str,
    unix_socket: str | None,
    method: str,
    headers: tuple[str, ...],
    body: str | None,
    *,
    verify_tls: bool,
) -> tuple[Target, Workload]:
    """The target and the one request. Raises: UsageError."""
    from labcoat.load.dialler import split
    from labcoat.model.load import Target
    from labcoat.model.workload import RequestTemplate, Workload

    split(url)
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = Target(url=f"{parts.scheme}://{parts.netloc}", uds=unix_socket, verify_tls=verify_tls)
    request = RequestTemplate(
        path=path,
        name=path,
        method=method,
        headers=tuple(_header(line) for line in headers),
        body=None if body is None else _body(body),
    )
    return target, Workload(requests=(request,))


def _mix(file: Path) -> tuple[Workload, int]:
    """The mix and the users of a workload file. Raises: UsageError."""
    from labcoat.lab.study.study_file import read_workload

    return read_workload(file)


def _header(line: str) -> tuple[str, str]:
    name, separator, value = line.partition(":")
    if not separator or not name.strip():
        raise UsageError("not a header", where=f"-H {line!r}", way_out="write -H 'Name: value'")
    return name.strip(), value.strip()


def _body(text: str) -> str:
    if not text.startswith("@"):
        return text
    path = Path(text[1:])
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the body cannot be read: {error}", where=path, way_out="name a text file"
        ) from error


def _plan(connections: int | None, rate_per_s: float | None, *, poisson: bool) -> Plan:
    from labcoat.model.load import Arrivals, ClosedLoop, OpenLoop

    if rate_per_s is None:
        return ClosedLoop(users=connections or CLOSED_USERS)
    return OpenLoop(
        rate_per_s=rate_per_s,
        arrivals=Arrivals.POISSON if poisson else Arrivals.CONSTANT,
        connections=connections or OPEN_CONNECTIONS,
    )


def _view(
    url: str, plan: Plan, window: Window
) -> AbstractContextManager[Callable[[Progress], None] | None]:
    """A live line on a terminal, one plain line elsewhere; both on standard error."""
    from labcoat.cli.bench_text import LiveLine, plan_text

    lasts = f"{window.warmup_s:g} + {window.measure_s:g} s"
    headline = f"labcoat bench · {url} · {plan_text(plan)} · {lasts}"
    click.echo(headline, err=True)
    if not sys.stderr.isatty():
        return nullcontext(None)
    return LiveLine(total_s=window.warmup_s + window.measure_s)
