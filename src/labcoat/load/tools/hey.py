"""hey: a closed loop in Go, on all cores.

Answers of any status count in its rate; it follows redirects, and keeps the latencies of the
first million requests only. Source: rakyll/hey, requester/report.go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from labcoat.load.tools.base import Said, Told, ToolOrder, no_result, number_of

BODY = "body"
_QUANTILE = re.compile(r"^\s+(\d+)%+ in ([\d.]+) secs", re.MULTILINE)
_STATUS = re.compile(r"^\s+\[(\d{3})\]\t(\d+) responses", re.MULTILINE)
_ERROR = re.compile(r"^\s+\[(\d+)\]\t(?!\d+ responses)\S", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Hey:
    """The adapter."""

    name: ClassVar[str] = "hey"
    script: ClassVar[str] = ""
    threads: ClassVar[int] = 0
    hides_stalls: ClassVar[bool] = True
    version_argv: ClassVar[tuple[str, ...]] = ()
    install: ClassVar[str] = "the package hey has it"

    def lacks(self, order: ToolOrder) -> str | None:
        """Nothing."""
        del order
        return None

    def files(self, order: ToolOrder) -> Mapping[str, str]:
        """The body."""
        return {} if order.body is None else {BODY: order.body}

    def argv(self, order: ToolOrder, folder: Path) -> tuple[str, ...]:
        """Redirects are answers here, not to be followed."""
        return (
            *("hey", "-z", f"{order.seconds}s", "-c", str(order.users)),
            *("-t", str(max(1, round(order.timeout_s))), "-m", order.method.upper()),
            "-disable-redirects",
            *(() if order.keep_alive else ("-disable-keepalive",)),
            *(() if order.body is None else ("-D", str(folder / BODY))),
            *(word for name, value in order.headers for word in ("-H", f"{name}: {value}")),
            order.url,
        )

    def leaves(self, order: ToolOrder) -> tuple[str, ...]:
        """Nothing but its words."""
        del order
        return ()

    def read(self, said: Said) -> Told:
        """Raises: LoadError."""
        text = said.stdout
        answers, _, after = text.partition("Error distribution:")
        statuses = {int(code): int(count) for code, count in _STATUS.findall(answers)}
        if not statuses:
            raise no_result(self.name, said, "nothing was answered" + _first_error(after))
        ok = sum(count for code, count in statuses.items() if code < 400)
        return Told(
            ok=ok,
            wrong_status=sum(statuses.values()) - ok,
            failed=sum(map(int, _ERROR.findall(after))),
            elapsed_s=number_of(r"^\s+Total:\s+([\d.]+) secs", text),
            own_per_s=number_of(r"^\s+Requests/sec:\s+([\d.]+)", text),
            latencies_s={
                int(share) / 100: float(value) for share, value in _QUANTILE.findall(text)
            },
            max_s=number_of(r"^\s+Slowest:\s+([\d.]+) secs", text),
        )


def _first_error(after: str) -> str:
    lines = after.strip().splitlines()
    return f" ({lines[0].strip()})" if lines else ""
