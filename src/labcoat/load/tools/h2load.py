"""h2load of nghttp2, over HTTP/1.1: a closed loop, one thread.

A client whose connection was reset stays away for the rest of the slice, and is counted
nowhere. Latencies come from its log of single requests; what it prints differs by version.
Source: nghttp2, doc/h2load.1 and src/h2load.cc, 1.30 to 1.69.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from labcoat.load.tools.base import Said, Told, ToolOrder, no_result, seconds_of
from labcoat.model.stats import LabWarning

LOG, BODY = "requests.tsv", "body"
QUANTILES = (0.5, 0.9, 0.95, 0.99)
_FINISHED = re.compile(
    r"^finished in ([\d.]+(?:us|ms|s|m|h)(?:[\d.]+s)?), ([\d.]+) req/s", re.MULTILINE
)
_COUNTS = re.compile(
    r"^requests: \d+ total, (\d+) started, (\d+) done, (\d+) succeeded, (\d+) failed,"
    r" (\d+) errored(?:, (\d+) timeout)?",
    re.MULTILINE,
)
_CODES = re.compile(r"^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", re.MULTILINE)
_OF_CLIENT = re.compile(r"^req/s\s+(?:\(client\)\s*)?:?\s+([\d.]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class H2load:
    """The adapter."""

    name: ClassVar[str] = "h2load"
    script: ClassVar[str] = ""
    threads: ClassVar[int] = 1
    hides_stalls: ClassVar[bool] = True
    version_argv: ClassVar[tuple[str, ...]] = ("h2load", "--version")
    install: ClassVar[str] = "the package nghttp2-client has it"

    def lacks(self, order: ToolOrder) -> str | None:
        """A new connection for each request."""
        return None if order.keep_alive else "h2load always keeps its connections"

    def files(self, order: ToolOrder) -> Mapping[str, str]:
        """The body."""
        return {} if order.body is None else {BODY: order.body}

    def argv(self, order: ToolOrder, folder: Path) -> tuple[str, ...]:
        """``--h1``: without it plain ``http://`` means HTTP/2 in clear text."""
        method = order.method.upper()
        usual = "GET" if order.body is None else "POST"
        headers = order.headers if method == usual else ((":method", method), *order.headers)
        return (
            *("h2load", "--h1", "-t", str(self.threads), "-c", str(order.users), "-m", "1"),
            *("-D", str(order.seconds), "--log-file", str(folder / LOG)),
            *(() if order.body is None else ("-d", str(folder / BODY))),
            *(word for name, value in headers for word in ("-H", f"{name}: {value}")),
            order.url,
        )

    def leaves(self, order: ToolOrder) -> tuple[str, ...]:
        """Its log: start, status, duration in microseconds."""
        del order
        return (LOG,)

    def read(self, said: Said) -> Told:
        """Raises: LoadError."""
        text = said.stdout
        finished, counts, codes = (each.search(text) for each in (_FINISHED, _COUNTS, _CODES))
        if finished is None or counts is None or codes is None:
            raise no_result(self.name, said, "it did not say how it finished")
        errored, timeout = int(counts[5]), int(counts[6] or 0)
        twos, threes, fours, fives = map(int, codes.groups())
        if not twos + threes + fours + fives:
            raise no_result(self.name, said, "nothing was answered")
        durations_s = _durations_s(said.files.get(LOG, ""))
        quantiles: dict[float, float] = {}
        if durations_s.size:
            found = np.quantile(durations_s, QUANTILES, method="inverted_cdf").tolist()
            quantiles = dict(zip(QUANTILES, found, strict=True))
        return Told(
            ok=twos + threes,
            wrong_status=fours + fives,
            failed=max(errored, timeout),  # in several versions a timeout is an error as well
            elapsed_s=seconds_of(finished[1]),
            own_per_s=float(finished[2]),
            latencies_s=quantiles,
            max_s=float(durations_s.max()) if durations_s.size else None,
            warnings=tuple(_warnings(text)),
        )


def _durations_s(log: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Of requests that were answered; later versions have more columns."""
    first = log.partition("\n")[0].split()
    if len(first) < 3:
        return np.array([], dtype=np.float64)
    rows = np.array(log.split(), dtype=np.int64).reshape(-1, len(first))
    return np.asarray(rows[rows[:, 1] > 0, 2] / 1e6, dtype=np.float64)


def _warnings(text: str) -> Iterator[LabWarning]:
    least = _OF_CLIENT.search(text)
    if least is not None and float(least[1]) == 0:
        yield LabWarning(
            code="idle_clients",
            message="a client of h2load was answered nothing: after a reset it stays away for the"
            " rest, so fewer users were there than asked for",
            remedy="see the server's log for what it closed; its throughput is no comparison",
        )
