"""gobench, of 2013 to 2016, and forks of it: a closed loop in Go, on all cores.

The original cuts its elapsed time to whole seconds, so that its rate is too high by up to one
part in as many as it lasted; it tells no latency, and calls every status but 200 bad.
Source: cmpxchg16/gobench, gobench.go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from labcoat.load.tools.base import Said, Told, ToolOrder, no_result, number_of, seconds_of
from labcoat.model.stats import LabWarning

BODY = "body"
_TIME = re.compile(r"^Test time:\s+(?:(\d+) sec|([\dhm.]+(?:ms|s)))", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Gobench:
    """The adapter."""

    name: ClassVar[str] = "gobench"
    script: ClassVar[str] = ""
    threads: ClassVar[int] = 0
    hides_stalls: ClassVar[bool] = True
    version_argv: ClassVar[tuple[str, ...]] = ()
    install: ClassVar[str] = "go install github.com/cmpxchg16/gobench@latest"

    def lacks(self, order: ToolOrder) -> str | None:
        """Headers, and methods but GET and POST."""
        if order.headers:
            return "gobench sends no headers of your own"
        if order.method.upper() != ("GET" if order.body is None else "POST"):
            return "gobench sends GET, or POST with a body"
        return None

    def files(self, order: ToolOrder) -> Mapping[str, str]:
        """The body."""
        return {} if order.body is None else {BODY: order.body}

    def argv(self, order: ToolOrder, folder: Path) -> tuple[str, ...]:
        """Timeouts are in milliseconds."""
        timeout = str(round(1e3 * order.timeout_s))
        return (
            *("gobench", "-u", order.url, "-c", str(order.users), "-t", str(order.seconds)),
            *(f"-k={str(order.keep_alive).lower()}", "-tr", timeout, "-tw", timeout),
            *(() if order.body is None else ("-d", str(folder / BODY))),
        )

    def leaves(self, order: ToolOrder) -> tuple[str, ...]:
        """Nothing but its words."""
        del order
        return ()

    def read(self, said: Said) -> Told:
        """Raises: LoadError."""
        text = said.stdout
        time = _TIME.search(text)
        try:
            ok = int(number_of(r"^Successful requests:\s+([\d,]+) hits", text))
            own_per_s = number_of(r"^Successful requests rate:\s+([\d,]+) hits/sec", text)
        except ValueError as error:
            raise no_result(self.name, said, str(error)) from error
        wrong = int(number_of(r"^Bad requests.*:\s+([\d,]+) hits", text, default=0))
        failed = int(number_of(r"^Network failed:\s+([\d,]+) hits", text, default=0))
        if time is None or not ok + wrong:
            raise no_result(self.name, said, "nothing was answered")
        elapsed_s = max(1.0, float(time[1])) if time[1] else seconds_of(time[2])
        warnings: tuple[LabWarning, ...] = ()
        if time[1]:
            warnings = (
                LabWarning(
                    code="whole_seconds",
                    message=f"gobench says {time[1]} s and means up to one second more: its rate"
                    f" may be {100 / elapsed_s:.0f} % too high",
                    remedy="let it last 30 s at least (-d 30)",
                ),
            )
        return Told(
            ok=ok,
            wrong_status=wrong,
            failed=failed,
            elapsed_s=elapsed_s,
            own_per_s=own_per_s,
            warnings=warnings,
        )
