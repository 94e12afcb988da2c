"""``labcoat bench --tool`` and ``--load``: other people's tools, in turn with our own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labcoat.cli.exit_codes import ExitCode
from labcoat.cli.options import print_document
from labcoat.errors import UsageError
from labcoat.load.tools.agreement import (
    MARGIN,
    Answer,
    Bottleneck,
    Pair,
    ToolSummary,
    pairs,
    summarise_tool,
)
from labcoat.load.tools.base import LoadTool, ToolOrder
from labcoat.load.tools.comparing import OwnGenerator, compare_tools
from labcoat.load.tools.running import OWN, Found, ToolSlice, locate
from labcoat.report.format import effect, percent, rate, seconds, table

if TYPE_CHECKING:
    from labcoat.model.load import Target
    from labcoat.model.stats import LabWarning
    from labcoat.model.workload import Workload

SCHEMA = 1
MOST_USERS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the flags asked for. ``is_open``: a rate was given, which the tools cannot keep."""

    url: str
    tools: str | None
    script: Path | None
    rounds: int
    users: int
    measure_s: float
    keep_alive: bool
    timeout_s: float
    seed: int
    is_open: bool


def compare(asked: Asked, target: Target, workload: Workload, *, as_json: bool) -> None:
    """Measure and tell. Raises: UsageError, ToolMissing, LoadError; exits with 4."""
    from labcoat.host.local import LocalHost
    from labcoat.load import Generator

    host = LocalHost()
    tools = _tools(asked)
    (request,) = workload.requests
    _refuse(asked, target)
    order = ToolOrder(
        url=target.url + _literal(request.path),
        users=asked.users,
        measure_s=asked.measure_s,
        method=request.method,
        headers=tuple((name, _literal(value)) for name, value in request.headers),
        body=None if request.body is None else _literal(request.body),
        keep_alive=asked.keep_alive,
        timeout_s=asked.timeout_s,
        script=None if asked.script is None else Path(os.path.abspath(asked.script)),  # noqa: PTH100
    )
    found = [locate(tool, order, host) for tool in tools]
    names = [*([OWN] if asked.script is None else []), *(tool.name for tool in tools)]
    lasts_s = asked.rounds * len(names) * order.seconds
    click.echo(
        f"labcoat bench · {asked.url} · {' · '.join(names)} · {order.users} users"
        f" · {asked.rounds} rounds · about {lasts_s} s",
        err=True,
    )
    with Generator() as generator:
        own = OwnGenerator(generator=generator, target=target, workload=workload, seed=asked.seed)
        slices = compare_tools(
            found,
            order,
            rounds=asked.rounds,
            host=host,
            own=own if asked.script is None else None,
            seed=asked.seed,
            tell=lambda number, name: click.echo(
                f"round {number + 1} of {asked.rounds}: {name}", err=True
            ),
        )
    summaries = {name: summarise_tool(each) for name, each in slices.items()}
    compared = pairs(slices)
    if as_json:
        print_document(tools_document(order, found, slices, summaries, compared))
    else:
        click.echo(tools_text(order, found, slices, summaries, compared), nl=False)
    if all(each.bottleneck is Bottleneck.TOOL for each in summaries.values()):
        raise click.exceptions.Exit(ExitCode.INVALID)


def _tools(asked: Asked) -> tuple[LoadTool, ...]:
    from labcoat.load.tools import find_tool, tool_for

    if asked.script is not None:
        if asked.tools is not None:
            raise UsageError(
                "a script makes its own requests, so that no tool beside it does the same",
                where="--load with --tool",
                way_out="give one of them",
            )
        return (tool_for(asked.script),)
    names = [name.strip() for name in (asked.tools or "").split(",") if name.strip() != OWN]
    return tuple(find_tool(name) for name in dict.fromkeys(names))


def _refuse(asked: Asked, target: Target) -> None:
    """What our own generator can do and the tools cannot. Raises: UsageError."""
    where = "labcoat bench --tool" if asked.script is None else "labcoat bench --load"
    if asked.is_open:
        raise UsageError(
            "these tools are closed loops: they keep no rate",
            where=f"{where} with --rate",
            way_out="leave out --rate, or --tool; -c sets the number of users",
        )
    if target.uds is not None or target.verify_tls:
        raise UsageError(
            "not every tool dials a Unix socket or checks a certificate",
            where=f"{where} with {'--unix-socket' if target.uds else '--verify-tls'}",
            way_out="name a TCP address, or leave out --tool",
        )
    if asked.users > MOST_USERS:
        raise UsageError(f"ab takes at most {MOST_USERS:,} users", where="-c", way_out="give fewer")


def _literal(text: str) -> str:
    """A text of a request as it is sent. Raises: UsageError where a part of it is drawn."""
    from labcoat.load.placeholders import parse

    pieces = parse(text)
    words = [piece for piece in pieces if isinstance(piece, str)]
    if len(words) < len(pieces):
        raise UsageError(
            "the other tools know no placeholders",
            where=text,
            way_out="name one path, or use scripts of theirs with --load",
        )
    return "".join(words)


def tools_text(
    order: ToolOrder,
    found: Sequence[Found],
    slices: Mapping[str, Sequence[ToolSlice]],
    summaries: Mapping[str, ToolSummary],
    compared: Sequence[Pair],
) -> str:
    """The tables for people."""
    versions = ", ".join(each.version or each.tool.name for each in found)
    rounds = len(next(iter(slices.values())))
    lines = [
        f"{order.url} · {order.users} users · {rounds} rounds of {order.seconds} s · {versions}",
        "",
        "throughput, OK answers per second (the same rounds, in an order drawn by coin)",
        *table([_row(summaries[name]) for name in slices]),
        "",
        "latency of the closed loop, median of the rounds: not what users see; a stall hides in it",
        *table([_latency_row(name, each) for name, each in slices.items()]),
        "",
        "bottleneck",
        *table([(name, _bottleneck(summaries[name])) for name in slices], left=2),
    ]
    if compared:
        lines += ["", f"who agrees with whom (within {percent(MARGIN)})", *_pair_lines(compared)]
    lines += [f"  note: {name}: {each}" for name, each in _notes(slices)]
    return "\n".join(lines) + "\n"


def _row(each: ToolSummary) -> tuple[str, ...]:
    interval = each.throughput
    faults = each.wrong_status + each.failed
    return (
        each.tool,
        rate(interval.point),
        f"[{rate(interval.low)}, {rate(interval.high)}]",
        f"says {rate(each.own_per_s)}",
        f"{faults:,} not OK" if faults else "",
    )


def _latency_row(name: str, slices: Sequence[ToolSlice]) -> tuple[str, ...]:
    cells = []
    for q in (0.5, 0.9, 0.99):
        values = sorted(each.told.latencies_s[q] for each in slices if q in each.told.latencies_s)
        said = seconds(values[len(values) // 2]) if values else "not told"
        cells.append(f"p{100 * q:.0f} {said}")
    longest = [each.told.max_s for each in slices if each.told.max_s is not None]
    return (name, *cells, f"max {seconds(max(longest)) if longest else 'not told'}")


def _bottleneck(each: ToolSummary) -> str:
    return (
        f"{each.bottleneck.value} ({percent(each.cpu_ratio)} of the cores that it can use,"
        f" {1e6 * each.cpu_per_request_s:.1f} µs per request; machine"
        f" {percent(each.idle_ratio)} idle)"
    )


def _pair_lines(compared: Sequence[Pair]) -> Iterator[str]:
    marks = {Answer.AGREE: "=", Answer.DIFFER: "≠", Answer.ALIKE: "~"}
    rows = [
        (
            f"{pair.first} {marks[pair.answer]} {pair.second}",
            effect(pair.effect.point, pair.effect.low, pair.effect.high),
            pair.answer.value + (f": {pair.why}" if pair.why else ""),
        )
        for pair in compared
    ]
    yield from table(rows, left=3)


def _notes(slices: Mapping[str, Sequence[ToolSlice]]) -> Iterator[tuple[str, str]]:
    for name, each in slices.items():
        for warning in _warnings(each):
            yield name, f"{warning.message}; {warning.remedy}"


def _warnings(slices: Sequence[ToolSlice]) -> tuple[LabWarning, ...]:
    """One of each kind, the first."""
    kinds: dict[str, LabWarning] = {}
    for each in slices:
        for warning in each.told.warnings:
            kinds.setdefault(warning.code, warning)
    return tuple(kinds.values())


def tools_document(
    order: ToolOrder,
    found: Sequence[Found],
    slices: Mapping[str, Sequence[ToolSlice]],
    summaries: Mapping[str, ToolSummary],
    compared: Sequence[Pair],
) -> dict[str, object]:
    """The document of ``--json``: seconds, ratios; null where there is no number."""
    versions = {each.tool.name: each.version or None for each in found}
    return {
        "schema": SCHEMA,
        "url": order.url,
        "method": order.method.upper(),
        "users": order.users,
        "measure_s": order.seconds,
        "margin_ratio": MARGIN,
        "tools": [
            {
                "tool": name,
                "version": versions.get(name),
                "throughput_per_s": summaries[name].throughput.point,
                "low_per_s": summaries[name].throughput.low,
                "high_per_s": summaries[name].throughput.high,
                "own_per_s": summaries[name].own_per_s,
                "wrong_status": summaries[name].wrong_status,
                "failed": summaries[name].failed,
                "cpu_ratio": summaries[name].cpu_ratio,
                "cpu_per_request_s": summaries[name].cpu_per_request_s,
                "idle_ratio": summaries[name].idle_ratio,
                "bottleneck": summaries[name].bottleneck.name.lower(),
                "rounds": [
                    {
                        "throughput_per_s": one.told.throughput_per_s,
                        "latencies_s": {
                            f"p{100 * q:g}": value for q, value in one.told.latencies_s.items()
                        },
                        "max_s": one.told.max_s,
                        "cpu_s": one.cpu_s,
                    }
                    for one in each
                ],
                "warnings": [asdict(warning) for warning in _warnings(each)],
            }
            for name, each in slices.items()
        ],
        "pairs": [
            {
                "first": pair.first,
                "second": pair.second,
                "effect_ratio": pair.effect.point,
                "low_ratio": pair.effect.low,
                "high_ratio": pair.effect.high,
                "answer": pair.answer.name.lower(),
                "why": pair.why,
            }
            for pair in compared
        ],
    }
