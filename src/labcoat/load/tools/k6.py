"""k6: scripted in JavaScript, on all cores; here with users in a closed loop.

Its export counts a failed request as a "pass" of ``http_req_failed``, and calls failed what its
script calls so (by default: no answer, or a status from 400). Flags come before the script's
own options, scenarios included. Source: the k6 manual, 0.30 to 2.2.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from labcoat.load.tools.base import Said, Told, ToolOrder, no_result
from labcoat.model.stats import LabWarning

SCRIPT, EXPORT = "script.js", "summary.json"
NAMES = {"med": 0.5, "p(50)": 0.5, "p(90)": 0.9, "p(95)": 0.95, "p(99)": 0.99}
THRESHOLD_CROSSED = 99


@dataclass(frozen=True, slots=True)
class K6:
    """The adapter."""

    name: ClassVar[str] = "k6"
    script: ClassVar[str] = ".js"
    threads: ClassVar[int] = 0
    hides_stalls: ClassVar[bool] = True
    version_argv: ClassVar[tuple[str, ...]] = ("k6", "version")
    install: ClassVar[str] = "k6's own site has packages of it"

    def lacks(self, order: ToolOrder) -> str | None:
        """Nothing."""
        del order
        return None

    def files(self, order: ToolOrder) -> Mapping[str, str]:
        """A script that asks for one thing, where the user has none."""
        if order.script is not None:
            return {}
        how = json.dumps({"headers": dict(order.headers), "timeout": f"{order.timeout_s:g}s"})
        what = ", ".join(json.dumps(each) for each in (order.method.upper(), order.url, order.body))
        return {
            SCRIPT: "import http from 'k6/http';\n"
            f"export const options = {{ noConnectionReuse: {json.dumps(not order.keep_alive)},"
            " insecureSkipTLSVerify: true, maxRedirects: 0 };\n"
            f"export default function () {{ http.request({what}, {how}); }}\n"
        }

    def argv(self, order: ToolOrder, folder: Path) -> tuple[str, ...]:
        """A script of the user's finds the address in ``__ENV.BASE_URL``."""
        return (
            *("k6", "run", "--quiet", "--vus", str(order.users)),
            *("--duration", f"{order.seconds}s", "--summary-export", str(folder / EXPORT)),
            *("--summary-trend-stats", "avg,min,med,max,p(90),p(95),p(99)"),
            *("-e", f"BASE_URL={order.url}", str(order.script or folder / SCRIPT)),
        )

    def leaves(self, order: ToolOrder) -> tuple[str, ...]:
        """Its summary."""
        del order
        return (EXPORT,)

    def read(self, said: Said) -> Told:
        """Raises: LoadError."""
        try:
            metrics = json.loads(said.files[EXPORT])["metrics"]
            reqs, took = _values(metrics, "http_reqs"), _values(metrics, "http_req_duration")
            count, own_per_s = int(reqs["count"]), float(reqs["rate"])
        except (KeyError, TypeError, ValueError) as error:
            raise no_result(self.name, said, f"its summary has no {error}") from error
        failed = int(_values(metrics, "http_req_failed").get("passes", 0))
        if count <= failed or own_per_s <= 0:
            raise no_result(self.name, said, "nothing was answered well")
        return Told(
            ok=count - failed,
            wrong_status=failed,
            failed=0,  # within the line above: k6 does not tell them apart
            elapsed_s=count / own_per_s,
            own_per_s=own_per_s,
            latencies_s={NAMES[name]: float(took[name]) / 1e3 for name in took if name in NAMES},
            max_s=float(took["max"]) / 1e3 if "max" in took else None,
            warnings=tuple(_warnings(said, metrics)),
        )


def _values(metrics: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The numbers of a metric: in later forms of the summary they lie one level deeper."""
    metric: Mapping[str, Any] = metrics.get(name, {})
    deeper: Mapping[str, Any] = metric.get("values", metric)
    return deeper


def _warnings(said: Said, metrics: Mapping[str, Any]) -> Iterator[LabWarning]:
    dropped = int(_values(metrics, "dropped_iterations").get("count", 0))
    if dropped or "Insufficient VUs" in said.stderr:
        yield LabWarning(
            code="dropped_iterations",
            message=f"k6 dropped {dropped:,} iterations: this is not the rate that was asked for",
            remedy="give the script more preAllocatedVUs, or a lower rate",
        )
    if said.status == THRESHOLD_CROSSED:
        yield LabWarning(
            code="threshold",
            message="a threshold of the script was crossed",
            remedy="the script says which; it does not change what was measured",
        )
