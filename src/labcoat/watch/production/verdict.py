"""What a check says: a status, one line with performance data, and the long text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from labcoat.watch.model.status import Status, worst
from labcoat.watch.production.compare import ALL, CRIT, WARN, Row, Trouble

SCHEMA = 1
_GRAVITY = (Status.CRITICAL, Status.UNKNOWN, Status.WARNING, Status.OK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """All that a check found. ``rate_per_s``: of the window. ``against``: which baseline."""

    rows: tuple[Row, ...]
    troubles: tuple[Trouble, ...]
    notes: tuple[str, ...]
    rate_per_s: float
    most_per_s: float | None
    requests: int
    window_s: float
    against: str

    @property
    def status(self) -> Status:
        """CRITICAL, else UNKNOWN where something cannot be told, else WARNING, else OK."""
        return worst([*(row.status for row in self.rows), *(Status.UNKNOWN for _ in self.troubles)])


def text_of(checked: Checked) -> str:
    """``LABCOAT STATUS - text|perfdata``, then the long text."""
    first = f"LABCOAT {checked.status.name} - {_plain(_headline(checked))}"
    items = " ".join(perfdata(checked))
    lines = [f"{first}|{items}"]
    lines += [f"UNKNOWN   {_plain(t.what)}; way out: {_plain(t.way_out)}" for t in checked.troubles]
    rows = sorted(checked.rows, key=lambda row: _GRAVITY.index(row.status))
    lines += [f"{row.status.name:<9} {_plain(row.text)}" for row in rows]
    lines += [f"note      {_plain(note)}" for note in checked.notes]
    if checked.against:
        lines.append(f"baseline  {_plain(checked.against)}")
    return "\n".join(lines)


def _headline(checked: Checked) -> str:
    status = checked.status
    grave = [row.text for row in checked.rows if row.status is status is not Status.OK]
    if status is Status.UNKNOWN:
        trouble = checked.troubles[0]
        return f"{trouble.what}; {trouble.way_out}"
    if grave:
        more = f" (and {len(grave) - 1} more)" if len(grave) > 1 else ""
        return f"{grave[0]}{more}"
    return f"{checked.requests} requests, {checked.rate_per_s:.3g}/s: as the baseline, or better"


def perfdata(checked: Checked) -> Iterator[str]:
    """Values in SI units; ratios to the baseline with their thresholds."""
    most = "" if checked.most_per_s is None else f";;;0;{checked.most_per_s:.6g}"
    yield f"rate={checked.rate_per_s:.6g}{most}"
    for row in checked.rows:
        name = row.what if row.of == ALL else f"{row.of} {row.what}"
        label = name.replace("'", "").replace("=", "-").replace("|", "-")
        if row.value is not None:
            promised = row.ratio is None
            limit = f";;{row.expected:.6g}" if promised else ""
            yield f"'{label}'={row.value:.6g}{row.unit}{limit}"
        if row.ratio is not None:
            yield f"'{label} ratio'={row.ratio:.6g};{WARN};{CRIT}"


def document_of(checked: Checked) -> dict[str, Any]:
    """The same for ``--json``."""
    return {
        "schema": SCHEMA,
        "status": checked.status.name,
        "headline": _headline(checked),
        "requests": checked.requests,
        "rate_per_s": checked.rate_per_s,
        "most_per_s": checked.most_per_s,
        "window_s": checked.window_s,
        "against": checked.against,
        "rows": [{**asdict(row), "status": row.status.name} for row in checked.rows],
        "troubles": [asdict(trouble) for trouble in checked.troubles],
        "notes": list(checked.notes),
    }


def _plain(text: str) -> str:
    """One line, without the bar that begins performance data."""
    return " ".join(text.replace("|", "/").split())
