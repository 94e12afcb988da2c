"""Locust: users in Python, one process, a closed loop.

It saturates one core early and says so itself; response times from 100 ms are rounded to two
digits. Needs 2.8 or newer, for ``--json``;
older ones than 2.30 or so do not say which failures were answers.
Source: Locust 2, stats.py and runners.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from labcoat.load.tools.base import Said, Told, ToolOrder, no_result
from labcoat.model.stats import LabWarning

FILE = "locustfile.py"
QUANTILES = (0.5, 0.9, 0.95, 0.99)
BUSY = "CPU usage"
START_S = 2
"""Its run time counts from before its users are there, by up to as much on a busy machine."""

_WRONG = re.compile(r"^(\d+) +\S+ .*(?:BadStatusCode\(.*code=(?!0\))|HTTPError\()", re.MULTILINE)
"""Of its report of errors those that were answers; it does not tell them apart elsewhere."""


@dataclass(frozen=True, slots=True)
class Locust:
    """The adapter."""

    name: ClassVar[str] = "locust"
    script: ClassVar[str] = ".py"
    threads: ClassVar[int] = 1
    hides_stalls: ClassVar[bool] = True
    version_argv: ClassVar[tuple[str, ...]] = ("locust", "--version")
    install: ClassVar[str] = "pip install locust, into an environment of its own on PATH"

    def lacks(self, order: ToolOrder) -> str | None:
        """Nothing."""
        del order
        return None

    def files(self, order: ToolOrder) -> Mapping[str, str]:
        """A locustfile that asks for one thing, where the user has none."""
        if order.script is not None:
            return {}
        parts = urlsplit(order.url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = dict(order.headers)
        if not order.keep_alive:
            headers["Connection"] = "close"
        if order.body is not None:
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        return {
            FILE: "from locust import FastHttpUser, constant, task\n\n\n"
            "class User(FastHttpUser):\n"
            "    wait_time = constant(0)\n"
            "    insecure = True\n"
            f"    connection_timeout = network_timeout = {order.timeout_s!r}\n\n"
            "    @task\n"
            "    def ask(self):\n"
            f"        self.client.request({order.method.upper()!r}, {path!r},"
            f" data={order.body!r}, headers={headers!r}, allow_redirects=False)\n"
        }

    def argv(self, order: ToolOrder, folder: Path) -> tuple[str, ...]:
        """All users at once; its own exit status counts failures, which are told anyway."""
        parts = urlsplit(order.url)
        return (
            *("locust", "-f", str(order.script or folder / FILE), "--headless", "--only-summary"),
            *("-u", str(order.users), "-r", str(order.users), "-t", f"{order.seconds + START_S}s"),
            *("-H", f"{parts.scheme}://{parts.netloc}", "--json", "--exit-code-on-error", "0"),
        )

    def leaves(self, order: ToolOrder) -> tuple[str, ...]:
        """Nothing but its words: its tables of a file are half a second old."""
        del order
        return ()

    def read(self, said: Said) -> Told:
        """Raises: LoadError."""
        try:
            rows = json.loads(said.stdout[said.stdout.index("[") :])
            count = sum(int(row["num_requests"]) for row in rows)
            bad = sum(int(row["num_failures"]) for row in rows)
            began = min(float(row["start_time"]) for row in rows)
            ended = max(float(row["last_request_timestamp"] or began) for row in rows)
            longest_s = max(float(row["max_response_time"]) for row in rows) / 1e3
            times = [(int(ms), n) for row in rows for ms, n in row["response_times"].items()]
        except (KeyError, TypeError, ValueError) as error:
            raise no_result(self.name, said, f"its JSON is not as known ({error})") from error
        wrong = min(bad, sum(map(int, _WRONG.findall(said.stderr))))
        if count - bad + wrong <= 0 or ended <= began:
            raise no_result(self.name, said, "nothing was answered")
        return Told(
            ok=count - bad,
            wrong_status=wrong,
            failed=bad - wrong,
            elapsed_s=ended - began,
            own_per_s=count / (ended - began),
            latencies_s=dict(_quantiles(sorted(times))),
            max_s=longest_s,
            warnings=tuple(_warnings(said)),
        )


def _quantiles(times: list[tuple[int, int]]) -> Iterator[tuple[float, float]]:
    """Of a histogram in whole milliseconds, in order."""
    total = sum(n for _, n in times)
    for q in QUANTILES:
        below = 0
        for ms, n in times:
            below += n
            if below >= q * total:
                yield q, ms / 1e3
                break


def _warnings(said: Said) -> Iterator[LabWarning]:
    if BUSY in said.stderr:
        yield LabWarning(
            code="locust_busy",
            message="Locust itself warned that its CPU was over 90 %: it was the limit",
            remedy="use fewer users, or a lighter tool for plain URLs",
        )
