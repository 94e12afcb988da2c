"""ab, ApacheBench 2.3: one thread, a closed loop, HTTP/1.0.

It counts answers of any status as complete and not as failed, tells only in a line of its own
how many were not 2xx, and says nothing at all of connections that were closed without an
answer: with ``-k`` those are complete requests that are no keep-alive requests.
Source: httpd 2.4, support/ab.c.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from labcoat.load.tools.base import Said, Told, ToolOrder, no_result, number_of
from labcoat.model.stats import LabWarning

PERCENTILES, BODY = "percentiles.csv", "body"
QUANTILES = (0.5, 0.9, 0.95, 0.99)
MOST_PER_S = 100_000
"""``-t`` alone means 50,000 at most; ``-n`` after it lifts that, at 32 bytes of memory each."""


@dataclass(frozen=True, slots=True)
class Ab:
    """The adapter."""

    name: ClassVar[str] = "ab"
    script: ClassVar[str] = ""
    threads: ClassVar[int] = 1
    hides_stalls: ClassVar[bool] = True
    version_argv: ClassVar[tuple[str, ...]] = ("ab", "-V")
    install: ClassVar[str] = "the package apache2-utils has it"

    def lacks(self, order: ToolOrder) -> str | None:
        """It takes no script, and sends no body with an unusual method."""
        if order.body is not None and order.method.upper() not in {"POST", "PUT"}:
            return f"ab sends a body with POST and PUT only, not with {order.method}"
        return None

    def files(self, order: ToolOrder) -> Mapping[str, str]:
        """The body."""
        return {} if order.body is None else {BODY: order.body}

    def argv(self, order: ToolOrder, folder: Path) -> tuple[str, ...]:
        """``-l``: bodies may differ in length; ``-r``: a reset is counted, not the end."""
        method = order.method.upper()
        what: tuple[str, ...] = () if method == "GET" else ("-m", method)
        if order.body is not None:
            headers = {name.lower(): value for name, value in order.headers}
            kind = headers.get("content-type", "application/x-www-form-urlencoded")
            what = ("-u" if method == "PUT" else "-p", str(folder / BODY), "-T", kind)
        return (
            *("ab", "-q", "-l", "-r", "-s", str(max(1, round(order.timeout_s)))),
            *(
                "-t",
                str(order.seconds),
                "-n",
                str(MOST_PER_S * order.seconds),
                "-c",
                str(order.users),
            ),
            *(("-k",) if order.keep_alive else ()),
            *what,
            *(word for name, value in order.headers for word in ("-H", f"{name}: {value}")),
            *("-e", str(folder / PERCENTILES), order.url),
        )

    def leaves(self, order: ToolOrder) -> tuple[str, ...]:
        """Percentiles in ms with three decimals; those on the screen are whole."""
        del order
        return (PERCENTILES,)

    def read(self, said: Said) -> Told:
        """Raises: LoadError."""
        text = said.stdout
        try:
            complete = int(number_of(r"^Complete requests:\s+(\d+)", text))
            elapsed_s = number_of(r"^Time taken for tests:\s+([\d.]+) seconds", text)
            own_per_s = number_of(r"^Requests per second:\s+([\d.]+)", text)
        except ValueError as error:
            raise no_result(self.name, said, str(error)) from error
        failed = int(number_of(r"^Failed requests:\s+(\d+)", text, default=0))
        wrong = int(number_of(r"^Non-2xx responses:\s+(\d+)", text, default=0))
        kept = number_of(r"^Keep-Alive requests:\s+(\d+)", text, default=-1)
        failed = min(failed, complete - wrong)  # one request may fail in several ways
        ok = complete - wrong - failed
        if not ok + wrong or not elapsed_s:
            raise no_result(self.name, said, "nothing was answered")
        table = dict(_percentiles(said.files.get(PERCENTILES, "")))
        return Told(
            ok=ok,
            wrong_status=wrong,
            failed=failed,
            elapsed_s=elapsed_s,
            own_per_s=own_per_s,
            latencies_s={q: table[q] for q in QUANTILES if q in table},
            max_s=table.get(1.0),
            warnings=tuple(_warnings(complete, wrong, kept)),
        )


def _percentiles(text: str) -> Iterator[tuple[float, float]]:
    for row in csv.reader(text.splitlines()[1:]):
        yield int(row[0]) / 100, float(row[1]) / 1e3


def _warnings(complete: int, wrong: int, kept: float) -> Iterator[LabWarning]:
    if wrong:
        yield LabWarning(
            code="non_2xx",
            message=f"ab counts {wrong:,} answers that are not 2xx in its own rate, and none of"
            " them as failed",
            remedy="the rate shown here leaves them out; see why the server answers so",
        )
    if 0 <= kept < 0.99 * complete:
        yield LabWarning(
            code="not_kept",
            message=f"{complete - int(kept):,} of {complete:,} requests did not keep their"
            " connection; ab counts one that was closed without any answer as complete",
            remedy="look into the server's log; some servers do not keep HTTP/1.0 connections",
        )
