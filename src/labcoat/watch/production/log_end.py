"""The end of an access log: read backwards, rotated or growing, in bounded memory.

A log of many gigabytes costs as much as its last minutes. A line that nginx is writing at
this moment is left out. What was rotated away within the window is read too: a rotated file
can hold lines of the window only if it was changed since it began.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np

from labcoat.errors import UsageError
from labcoat.watch.production.routes import Matcher
from labcoat.watch.production.traffic import STRANGE, Traffic
from labcoat.workload.access_log import MOST_MISFITS, STATIC, chunks_of, recognised
from labcoat.workload.log_format import LogFormat
from labcoat.workload.secrets import masked_line
from labcoat.workload.timing import parse_time

CHUNK = 1 << 20
LONGEST_LINE = 1 << 20
MOST_REQUESTS = 2_000_000
"""Requests that are kept, the newest: 16 bytes each."""

SLACK_S = 60
"""Lines are in the order in which requests ended, give or take nginx's buffers."""

_ROTATED = re.compile(r"[.-]\d[\d.-]*(\.gz)?")
Columns: TypeAlias = tuple[list[int], list[int], list[int], list[int]]


@dataclass(slots=True)
class _Reading:
    """What was read so far, newest chunk first."""

    matcher: Matcher
    since_s: float
    until_s: float
    most: int
    chunks: list[Columns] = field(default_factory=list)
    kept: int = 0
    static: int = 0
    lines: int = 0
    misfits: int = 0
    first_misfit: str = ""
    is_cut: bool = False
    clocks: dict[bytes, int | None] = field(default_factory=dict)


def read_end(
    log: Path,
    chosen: tuple[str, LogFormat] | None,
    matcher: Matcher,
    *,
    since_s: float,
    until_s: float,
    most: int = MOST_REQUESTS,
) -> Traffic:
    """The requests logged in [since, until). ``chosen``: name and format; None tries the known.

    Raises: UsageError for a log that cannot be read, has another format, or holds no times.
    """
    reading = _Reading(matcher, since_s, until_s, most)
    seen: set[tuple[int, int]] = set()
    chosen = _read_plain(log, chosen, reading, seen)
    for older in _rotated(log, since_s):
        if reading.is_cut:
            break
        if older.suffix == ".gz":
            chosen = _read_packed(older, chosen, reading)
        else:
            chosen = _read_plain(older, chosen, reading, seen)
    _check_misfits(reading, log, chosen)
    return _traffic(reading)


def _rotated(log: Path, since_s: float) -> list[Path]:
    """Files that were rotated away from this one since then, the newest first."""
    found: list[tuple[float, Path]] = []
    for file in log.parent.glob(f"{_literal(log.name)}[.-]*"):
        if _ROTATED.fullmatch(file.name[len(log.name) :]) is None:
            continue
        try:
            changed_s = file.stat().st_mtime
        except OSError:
            continue  # rotated on, or removed, this very moment
        if changed_s >= since_s and file.is_file():
            found.append((changed_s, file))
    return [file for _, file in sorted(found, reverse=True)]


def _literal(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _read_plain(
    log: Path,
    chosen: tuple[str, LogFormat] | None,
    reading: _Reading,
    seen: set[tuple[int, int]],
) -> tuple[str, LogFormat] | None:
    for chunk in _backwards(log, seen):
        if chosen is None:
            chosen = recognised(chunk, str(log))
        if not _take(chunk, chosen[1], reading, log) or reading.is_cut:
            break
    return chosen


def _read_packed(
    log: Path, chosen: tuple[str, LogFormat] | None, reading: _Reading
) -> tuple[str, LogFormat] | None:
    """A packed file has no end to begin at: all of it is read, what is too old dropped."""
    newer, reading.chunks = reading.chunks, []
    for chunk in chunks_of(str(log)):
        if chosen is None:
            chosen = recognised(chunk, str(log))
        _take(chunk, chosen[1], reading, log)
        if reading.is_cut:
            break
    reading.chunks = [*newer, *reversed(reading.chunks)]
    return chosen


def _backwards(log: Path, seen: set[tuple[int, int]]) -> Iterator[bytes]:
    """Whole lines, the last chunk first. A file seen already gives nothing. Raises: UsageError."""
    if log.exists() and not log.is_file():  # a pipe would be waited for
        raise UsageError("the log is no file", where=log, way_out="name the file that nginx writes")
    try:
        with log.open("rb") as file:
            status = os.fstat(file.fileno())
            if (status.st_dev, status.st_ino) in seen:
                return
            seen.add((status.st_dev, status.st_ino))
            yield from _chunks(file.fileno(), status.st_size, log)
    except OSError as error:
        raise UsageError(
            f"the log cannot be read: {error.strerror}",
            where=log,
            way_out="check the path, and that this user may read it (group adm on Debian)",
        ) from error


def _chunks(descriptor: int, size: int, log: Path) -> Iterator[bytes]:
    at, rest, is_last = size, b"", True
    while at > 0:
        length = min(CHUNK, at)
        at -= length
        piece = os.pread(descriptor, length, at) + rest
        if is_last:
            piece = piece[: piece.rfind(b"\n") + 1]
            is_last = not piece
        begin = 0 if at == 0 else piece.find(b"\n") + 1
        rest = piece[:begin] if begin else (b"" if at == 0 else piece)
        if len(rest) > LONGEST_LINE + CHUNK:
            raise UsageError(
                "a line has no end: this is no log", where=log, way_out="name a text file"
            )
        if (begin or at == 0) and piece[begin:]:
            yield piece[begin:]


def _take(chunk: bytes, form: LogFormat, reading: _Reading, log: Path) -> bool:
    """Keep what is of the window; whether an older chunk may hold more of it."""
    fields = form.fields
    if "time" not in fields:
        raise UsageError(
            "the log's format holds no time",
            where=f"{log} ({form.text})",
            way_out="add $time_local, $time_iso8601 or $msec to its log_format",
        )
    places = [fields.index(name) for name in ("method", "target", "status", "time")]
    timed = fields.index("request_time") if "request_time" in fields else None
    rows = form.pattern.findall(chunk)
    _count_misfits(chunk, len(rows), form, reading)
    columns: Columns = ([], [], [], [])
    newest = -1
    for row in rows:
        method, target, status, when = (row[place] for place in places)
        second = _second_of(when, reading)
        if second is None:
            continue
        newest = max(newest, second)
        if not reading.since_s <= second < reading.until_s:
            continue
        route = reading.matcher.of(method, target)
        if route == STRANGE and STATIC.search(target.partition(b"?")[0].decode("utf-8", "replace")):
            reading.static += 1
            continue
        columns[0].append(second)
        columns[1].append(-1 if timed is None else round(float(row[timed]) * 1000))
        columns[2].append(route)
        columns[3].append(int(status))
    reading.chunks.append(columns)
    reading.kept += len(columns[0])
    reading.is_cut = reading.kept >= reading.most
    return newest < 0 or newest >= reading.since_s - SLACK_S


def _second_of(when: bytes, reading: _Reading) -> int | None:
    known = reading.clocks.get(when, -1)
    if known == -1:
        if len(reading.clocks) > 10_000:
            reading.clocks.clear()
        parsed = parse_time(when)
        known = reading.clocks[when] = None if parsed is None else parsed[0]
    return known


def _count_misfits(chunk: bytes, matched: int, form: LogFormat, reading: _Reading) -> None:
    lines = chunk.count(b"\n")
    reading.lines += lines
    if matched == lines:
        return
    for line in chunk.split(b"\n"):
        if line.strip() and form.loose.fullmatch(line) is None:
            reading.misfits += 1
            reading.first_misfit = reading.first_misfit or masked_line(
                line.decode("utf-8", "replace")
            )


def _check_misfits(reading: _Reading, log: Path, chosen: tuple[str, LogFormat] | None) -> None:
    misfits, lines = reading.misfits, reading.lines
    if chosen is not None and misfits and (misfits > MOST_MISFITS * lines + 1 or misfits == lines):
        raise UsageError(
            f"{misfits} of the last {lines} lines do not have the format {chosen[0]}",
            where=log,
            way_out="give the log's log_format with --format '...', or --nginx-conf FILE",
            log=[reading.first_misfit, f"tried {chosen[1].text}"],
        )


def _traffic(reading: _Reading) -> Traffic:
    def column(index: int, kind: type[np.signedinteger]) -> np.ndarray:
        parts = [np.array(chunk[index], kind) for chunk in reversed(reading.chunks)]
        return np.concatenate([np.empty(0, kind), *parts])

    second = column(0, np.int64)
    order = np.argsort(second, kind="stable")
    since_s = reading.since_s
    if reading.is_cut and second.size:
        since_s = float(second[order[0]])
    return Traffic(
        second=second[order],
        took_ms=column(1, np.int32)[order],
        route=column(2, np.int16)[order],
        status=column(3, np.int16)[order],
        since_s=since_s,
        until_s=reading.until_s,
        static=reading.static,
        is_cut=reading.is_cut,
    )
