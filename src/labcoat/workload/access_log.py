"""Access logs: the mix, and when it came, from millions of lines in bounded memory.

Whole chunks of lines are matched at once and counted before anything looks at a request:
what a log repeats costs next to nothing.
"""

from __future__ import annotations

import gzip
import re
import sys
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from operator import itemgetter
from pathlib import Path
from typing import IO, cast

from labcoat.errors import UsageError
from labcoat.model.workload import Expectation, RequestTemplate
from labcoat.workload.draft import Draft, LeftOut, free_name
from labcoat.workload.log_format import KNOWN, LogFormat
from labcoat.workload.placing import Files, place
from labcoat.workload.routes import SLOT, Router, Shape, Tally, ordered, pieces_of
from labcoat.workload.secrets import masked_line
from labcoat.workload.timing import Arrivals, Clients

CHUNK = 1 << 22
LONGEST_LINE = 1 << 20
MOST_MISFITS = 0.01
"""The share of lines that may not parse: cut-off lines happen, another format does not."""

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing and carry no body: what a log can say completely."""

NOT_MODIFIED = 304
PARTIAL = 206
STATIC = re.compile(
    r"/(?:static|assets|media|_next)/|\.(?:css|js|mjs|map|png|jpe?g|gif|svg|ico|webp|avif|woff2?|ttf"
    r"|otf|eot|mp4|webm|mp3)$",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Reading:
    """What was counted so far."""

    format: LogFormat
    name: str
    router: Router = field(default_factory=Router)
    arrivals: Arrivals = field(default_factory=Arrivals)
    clients: Clients = field(default_factory=Clients)
    lines: int = 0
    garbage: int = 0
    misfits: int = 0
    first_misfit: tuple[str, int, str] | None = None  # file, line number, the line masked
    by_class: Counter[str] = field(default_factory=Counter)
    static: int = 0


def read_logs(
    files: Sequence[str],
    log_format: tuple[str, LogFormat] | None,
    *,
    bodies: Mapping[str, str],
    folder: str,
    most_routes: int,
) -> Draft:
    """The draft of one log, or of a rotated log's files, oldest first; ``-`` is standard input.

    ``log_format``: its name and what it is; None tries the known ones. ``bodies``: file of
    the body by route (``POST /cart``). ``folder``: where the draft's samples are to lie.
    Raises: UsageError for what cannot be read or does not parse.
    """
    reading: Reading | None = None
    for file in files:
        number = 0
        for chunk in chunks_of(file):
            if reading is None:
                name, chosen = log_format or recognised(chunk, file)
                reading = Reading(format=chosen, name=name)
            _count(reading, chunk, file, number)
            number += chunk.count(b"\n")
            _check_misfits(reading)
    if reading is None or not reading.lines:
        raise UsageError(
            "the log is empty", where=", ".join(files), way_out="name a log that holds requests"
        )
    return _draft(reading, files, bodies=bodies, folder=folder, most_routes=most_routes)


# -- reading ---------------------------------------------------------------------------


@contextmanager
def _opened(file: str) -> Iterator[IO[bytes]]:
    """A file, unpacked if it is packed. Raises: UsageError."""
    try:
        raw = sys.stdin.buffer if file == "-" else Path(file).open("rb")  # noqa: SIM115
    except OSError as error:
        raise UsageError(
            f"the log cannot be read: {error.strerror}", where=file, way_out="check the path"
        ) from error
    with cast("BufferedReader", raw) as plain:
        is_packed = plain.peek(2)[:2] == b"\x1f\x8b"
        yield cast("IO[bytes]", gzip.GzipFile(fileobj=plain) if is_packed else plain)


def chunks_of(file: str) -> Iterator[bytes]:
    """The log in whole lines, some MiB at a time. Raises: UsageError."""
    with _opened(file) as stream:
        rest = b""
        while True:
            try:
                piece = stream.read(CHUNK)
            except (OSError, EOFError, zlib.error) as error:
                raise UsageError(
                    f"the log cannot be read to its end: {error}",
                    where=file,
                    way_out="copy it again, or unpack it by hand",
                ) from error
            if not piece:
                break
            end = piece.rfind(b"\n") + 1
            if end:
                yield rest + piece[:end]
                rest = piece[end:]
            else:
                rest += piece
            if len(rest) > LONGEST_LINE + CHUNK:
                raise UsageError(
                    "a line has no end: this is no log", where=file, way_out="name a text file"
                )
        if rest:
            yield rest + b"\n"


def recognised(chunk: bytes, file: str) -> tuple[str, LogFormat]:
    """The known format that the first lines have. Raises: UsageError with the first line."""
    lines = [line for line in chunk.split(b"\n", 200)[:200] if line.strip()]
    sample = b"\n".join(lines)
    counted = []
    for name, text in KNOWN.items():
        candidate = LogFormat.of(text)
        counted.append((len(candidate.loose.findall(sample)), name, candidate))
    most, name, chosen = max(counted, key=itemgetter(0))
    if lines and most < len(lines) / 2:
        raise UsageError(
            "the log has none of the known formats",
            where=f"{file}, line 1",
            way_out="give its log_format with --format '...', or --nginx-conf FILE",
            log=[
                masked_line(lines[0].decode("utf-8", "replace")),
                *(f"tried {name}: {text}" for name, text in KNOWN.items()),
            ],
        )
    return name, chosen


def _count(reading: Reading, chunk: bytes, file: str, number: int) -> None:
    """Count a chunk; ``number``: lines of the file before it."""
    fields = reading.format.fields
    rows = reading.format.pattern.findall(chunk)
    lines = chunk.count(b"\n")
    reading.lines += lines
    if len(rows) != lines:
        _examine(reading, chunk, file, number)
    places = [fields.index(name) for name in ("method", "target", "status")]
    for (method, target, status), count in Counter(map(itemgetter(*places), rows)).items():
        _take(reading, method.decode(), target.decode("utf-8", "replace"), int(status), count)
    if "time" in fields:
        when = fields.index("time")
        reading.arrivals.add(Counter(map(itemgetter(when), rows)))
        if "client" in fields:
            by_client = itemgetter(fields.index("client"), when)
            reading.clients.add(list(map(by_client, rows)), reading.arrivals)


def _take(reading: Reading, method: str, target: str, status: int, count: int) -> None:
    reading.by_class[f"{status // 100}xx" if status != NOT_MODIFIED else "304"] += count
    if not (200 <= status < 300 or status == NOT_MODIFIED):
        return
    if STATIC.search(target.partition("?")[0]):
        reading.static += count
    # What was answered in part or not at all, for the client had it, is answered in full to ours.
    reading.router.add(method, target, 200 if status in (NOT_MODIFIED, PARTIAL) else status, count)


def _examine(reading: Reading, chunk: bytes, file: str, number: int) -> None:
    """Tell lines without an HTTP request from those of another format."""
    for index, line in enumerate(chunk.split(b"\n")[:-1], start=1):
        if reading.format.pattern.fullmatch(line) is not None:
            continue
        if not line.strip():
            reading.lines -= 1
        elif reading.format.loose.fullmatch(line) is not None:
            reading.garbage += 1
        else:
            reading.misfits += 1
            if reading.first_misfit is None:
                text = masked_line(line.decode("utf-8", "replace"))
                reading.first_misfit = (file, number + index, text)


def _check_misfits(reading: Reading) -> None:
    """Raises: UsageError if too many lines do not parse, with the first of them."""
    if reading.first_misfit is None:
        return
    if reading.misfits <= max(1, MOST_MISFITS * reading.lines) and reading.misfits < reading.lines:
        return
    file, number, line = reading.first_misfit
    raise UsageError(
        f"{reading.misfits} of {reading.lines} lines do not have the format {reading.name}",
        where=f"{file}, line {number}",
        way_out="give the log's log_format with --format '...', or --nginx-conf FILE",
        log=[line, f"tried {reading.format.text}"],
    )


# -- drafting --------------------------------------------------------------------------


def _draft(
    reading: Reading,
    files: Sequence[str],
    *,
    bodies: Mapping[str, str],
    folder: str,
    most_routes: int,
) -> Draft:
    router = reading.router
    router.fold()
    values = Files(folder)
    requests: list[RequestTemplate] = []
    left_out = [
        LeftOut(route=f"{route}", count=n, why="a token in its path")
        for route, n in router.tokens.items()
    ]
    unused = dict(bodies)
    rare, rare_n = router.forgotten_routes, router.forgotten
    for shape, tally in ordered(router.tallies.items()):
        name = name_of(shape)
        body_file = unused.pop(name if shape[0] != "GET" else f"GET {name}", None)
        if shape[0] not in SAFE and body_file is None:
            left_out.append(LeftOut(route=name, count=tally.count, why="a log holds no bodies"))
        elif len(requests) >= most_routes:
            rare, rare_n = rare + 1, rare_n + tally.count
        else:
            name = free_name(name, [request.name for request in requests])
            requests.append(_request(shape, tally, name, values, body_file))
    if unused:
        known = ", ".join(each.route for each in left_out[:8]) or "none"
        raise UsageError(
            f"no request of the log is {next(iter(unused))!r}",
            where="--body",
            way_out=f"left out for want of a body are: {known}",
        )
    if not requests:
        raise UsageError(
            "nothing of the log can be sent: no GET was answered well",
            where=", ".join(files),
            way_out="take a log of ordinary traffic, or give bodies with --body ROUTE FILE",
        )
    if rare:
        left_out.append(
            LeftOut(route=f"{rare} rare routes", count=rare_n, why="--routes takes more")
        )
    return Draft(
        origin=f"{', '.join(files)} ({reading.name})",
        requests=tuple(requests),
        values=values.lines,
        left_out=tuple(left_out),
        dropped=tuple(sorted(router.dropped.items(), key=lambda item: (-item[1], item[0]))),
        notes=tuple(_notes(reading)),
        facts=_facts(reading),
    )


def name_of(shape: Shape) -> str:
    """A route in words: its target with ``*`` for what varies; the method unless it is GET."""
    target = "*".join(pieces_of(shape))
    return target if shape[0] == "GET" else f"{shape[0]} {target}"


def _request(
    shape: Shape, tally: Tally, name: str, values: Files, body_file: str | None
) -> RequestTemplate:
    stem = "-".join(part.replace(SLOT, "") for part in shape[1] if part.strip(SLOT)) or "root"
    try:
        body = None if body_file is None else Path(body_file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the body cannot be read: {error}", where=body_file, way_out="name a text file"
        ) from error
    return RequestTemplate(
        path=place(pieces_of(shape), tally.sample, values, stem),
        name=name,
        method=shape[0],
        weight=float(tally.count),
        body=body,
        expect=Expectation(statuses=tuple(sorted(tally.statuses))),
    )


def _notes(reading: Reading) -> Iterator[str]:
    if reading.garbage:
        yield f"{reading.garbage} lines hold no HTTP request (scanners, TLS on a plain port)"
    if reading.first_misfit is not None:
        file, number, _ = reading.first_misfit
        yield f"{reading.misfits} lines do not parse, the first is line {number} of {file}"
    if len(reading.clients) == 1 and reading.lines > 100:
        yield "every request came from one address, perhaps a proxy's: visits and users say nothing"
    if not reading.arrivals.facts():
        yield "the format holds no time: nothing is known of rates"


def _facts(reading: Reading) -> dict[str, object]:
    answered = sum(reading.by_class.values())
    good = reading.by_class["2xx"] + reading.by_class["304"]
    arrivals = reading.arrivals.facts()
    span = arrivals.get("span_s")
    return {
        "format": reading.format.text,
        "lines": reading.lines,
        "statuses": {
            kind: count / answered for kind, count in sorted(reading.by_class.items()) if answered
        },
        "static_ratio": reading.static / good if good else None,
        "arrivals": arrivals,
        "clients": reading.clients.facts(span) if isinstance(span, int) else {},
    }
