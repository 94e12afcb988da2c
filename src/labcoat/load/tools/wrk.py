"""wrk 4: a closed loop that always keeps its connections; scripted in Lua.

Its percentiles are corrected afterwards with samples that it invents (``stats_correct``), so that
a stall shows in them, by a guess; it can keep no rate. Source: wg/wrk, src/wrk.c.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from labcoat.load.tools.base import Said, Told, ToolOrder, no_result, number_of, seconds_of
from labcoat.model.stats import LabWarning

REQUEST = "request.lua"
_QUANTILE = re.compile(r"^\s+([\d.]+)%\s+([\d.]+(?:us|ms|s|m|h))", re.MULTILINE)
_ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_RAN = re.compile(r"^\s+(\d+) requests in ([\d.]+(?:us|ms|s|m|h)),", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Wrk:
    """The adapter."""

    name: ClassVar[str] = "wrk"
    script: ClassVar[str] = ".lua"
    threads: ClassVar[int] = 1
    hides_stalls: ClassVar[bool] = False
    version_argv: ClassVar[tuple[str, ...]] = ("wrk", "-v")
    install: ClassVar[str] = "the package wrk has it"

    def lacks(self, order: ToolOrder) -> str | None:
        """Nothing."""
        del order
        return None

    def files(self, order: ToolOrder) -> Mapping[str, str]:
        """A script of its own where it has no flag: methods and bodies."""
        if order.script is not None or (order.method.upper() == "GET" and order.body is None):
            return {}
        lines = [f"wrk.method = {json.dumps(order.method.upper())}"]
        if order.body is not None:
            lines.append(f"wrk.body = {_lua(order.body)}")
            if not any(name.lower() == "content-type" for name, _ in order.headers):
                lines.append('wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"')
        return {REQUEST: "\n".join(lines) + "\n"}

    def argv(self, order: ToolOrder, folder: Path) -> tuple[str, ...]:
        """One thread, like the others' one core."""
        script = order.script or (folder / REQUEST if self.files(order) else None)
        headers = order.headers
        if not order.keep_alive:
            headers += (("Connection", "close"),)
        return (
            *("wrk", "-t", str(self.threads), "-c", str(order.users), "--latency"),
            *("-d", f"{order.seconds}s", "--timeout", f"{max(1, round(order.timeout_s))}s"),
            *(() if script is None else ("-s", str(script))),
            *(word for name, value in headers for word in ("-H", f"{name}: {value}")),
            order.url,
        )

    def leaves(self, order: ToolOrder) -> tuple[str, ...]:
        """Nothing but its words."""
        del order
        return ()

    def read(self, said: Said) -> Told:
        """Raises: LoadError."""
        text = said.stdout
        ran = _RAN.search(text)
        if ran is None:
            raise no_result(self.name, said, "it did not count any requests")
        requests, elapsed_s = int(ran[1]), seconds_of(ran[2])
        wrong = int(number_of(r"Non-2xx or 3xx responses: (\d+)", text, default=0))
        errors = _ERRORS.search(text)
        connect, read, write, timeout = map(int, errors.groups() if errors else (0, 0, 0, 0))
        if not requests:
            raise no_result(self.name, said, "nothing was answered")
        longest = re.search(r"^\s+Latency\s+\S+\s+\S+\s+(\S+)", text, re.MULTILINE)
        warnings: tuple[LabWarning, ...] = ()
        if timeout:
            warnings = (
                LabWarning(
                    code="timeouts",
                    message=f"{timeout:,} requests timed out; wrk leaves them out of its latencies",
                    remedy="give them more time (--timeout), or fewer users",
                ),
            )
        return Told(
            ok=requests - wrong,
            wrong_status=wrong,
            failed=connect + read + write + timeout,
            elapsed_s=elapsed_s,
            own_per_s=number_of(r"^Requests/sec:\s+([\d.]+)", text),
            latencies_s={
                float(share) / 100: seconds_of(value) for share, value in _QUANTILE.findall(text)
            },
            max_s=None if longest is None else seconds_of(longest[1]),
            warnings=warnings,
        )


def _lua(text: str) -> str:
    """A Lua string: of bytes, in decimal escapes where they are not plain."""
    said = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03d}"
        for byte in text.encode()
    )
    return f'"{said}"'
