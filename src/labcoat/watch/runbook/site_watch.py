"""The section ``watch:`` of config.yml, which Automatron ignores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from labcoat.watch.heal.site import SITE_RATE, Maintenance, Quiet
from labcoat.watch.model.guards import Rate
from labcoat.watch.model.runbook import Mode, Semantics
from labcoat.watch.runbook import reading, timing, tree
from labcoat.watch.runbook.guarding import rate_of
from labcoat.watch.runbook.report import Report, guess

KEYS = (
    "mode",
    "modes",
    "semantics",
    "spread",
    "rate",
    "maintenance",
    "sentinels",
    "journal",
    "port",
    "known_hosts",
    "discovery",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What the section says.

    ``modes``: by glob of targets. ``journal`` None: the usual place. ``ssh_config``,
    ``dns``, ``command``, ``local``: further sources of targets; ``every_s``: how often they
    are asked.
    """

    mode: Mode = Mode.ADVISE
    modes: tuple[tuple[str, Mode], ...] = ()
    semantics: Semantics = Semantics.COMPAT
    spread_s: float | None = None
    rate: Rate | None = SITE_RATE
    maintenance: tuple[Maintenance, ...] = ()
    sentinels: tuple[str, ...] = ()
    journal: str | None = None
    port: int | None = None
    known_hosts: Path | None = None
    ssh_config: Path | None = None
    dns: tuple[str, ...] = ()
    command: str | None = None
    local: tuple[str, ...] = ()
    every_s: float = 300.0


def watched(root: tree.Table, folder: Path, report: Report) -> Watched:
    """The section of a configuration; everything as by default where it is missing."""
    entry = root.get("watch")
    found = None if entry is None else reading.table(entry, report)
    if found is None:
        return Watched()
    for each in found.entries:
        if each.key not in KEYS:
            close = guess(each.key, KEYS)
            hint = f'; did you mean "{close}"?' if close else ""
            report.add(
                "W210", each, f"unknown key {each.key} in watch{hint}", f"known: {', '.join(KEYS)}"
            )
    port = found.get("port")
    known = reading.text(found, "known_hosts", report)
    spread = found.get("spread")
    discovery = found.get("discovery")
    sources = None if discovery is None else reading.table(discovery, report)
    ssh_config = None if sources is None else reading.text(sources, "ssh_config", report)
    every = None if sources is None else sources.get("every")
    return Watched(
        mode=reading.word(found, "mode", Mode, report) or Mode.ADVISE,
        modes=tuple(modes(found, report)),
        semantics=reading.word(found, "semantics", Semantics, report) or Semantics.COMPAT,
        spread_s=None if spread is None else reading.duration(spread, report),
        rate=rate_of(found, SITE_RATE, report),
        maintenance=tuple(windows(found, report)),
        sentinels=texts(found, "sentinels", report),
        journal=reading.text(found, "journal", report),
        port=None if port is None else reading.integer(port, report, least=1),
        known_hosts=None if known is None else folder / Path(known).expanduser(),
        ssh_config=None if ssh_config is None else folder / Path(ssh_config).expanduser(),
        dns=texts(sources, "dns", report),
        command=None if sources is None else reading.text(sources, "command", report),
        local=texts(sources, "local", report),
        every_s=(None if every is None else reading.duration(every, report)) or 300.0,
    )


def texts(found: tree.Table | None, key: str, report: Report) -> tuple[str, ...]:
    """A list of texts; one alone will do."""
    entry = None if found is None else found.get(key)
    if entry is None:
        return ()
    nodes = entry.value.items if isinstance(entry.value, tree.Items) else (entry.value,)
    read = tuple(node.text for node in nodes if isinstance(node, tree.Leaf) and node.value)
    if len(read) < len(nodes):
        report.add("E113", entry, f"{key} is no list of texts", f"write {key}: [one, other]")
    return read


def modes(found: tree.Table, report: Report) -> Iterator[tuple[str, Mode]]:
    """``modes: {'web*': act}``."""
    entry = found.get("modes")
    table = None if entry is None else reading.table(entry, report)
    for each in table.entries if table is not None else ():
        mode = reading.word(table, each.key, Mode, report) if table is not None else None
        if mode is not None:
            yield each.key, mode


def windows(found: tree.Table, report: Report) -> Iterator[Maintenance]:
    """``maintenance: [{targets: 'db*', quiet: no-act, from: …, until: …}]``."""
    entry = found.get("maintenance")
    if entry is None:
        return
    nodes = entry.value.items if isinstance(entry.value, tree.Items) else (entry.value,)
    for node in nodes:
        if not isinstance(node, tree.Table):
            report.add(
                "E113",
                entry,
                "a maintenance window is a mapping",
                "write {targets: 'db*', from: …, until: …}",
            )
            continue
        window = window_of(node, report)
        if window is not None:
            yield window


def window_of(found: tree.Table, report: Report) -> Maintenance | None:
    """One window: an interval, or a schedule with a duration."""
    before = len(report.findings)
    glob = reading.text(found, "targets", report) or "*"
    quiet = reading.word(found, "quiet", Quiet, report) or Quiet.NO_ACT
    duration = found.get("duration")
    duration_s = None if duration is None else reading.duration(duration, report)
    cron = timing.schedule(found, report) if found.get("schedule") is not None else None
    starts_s, ends_s = instant(found, "from", report), instant(found, "until", report)
    if any(finding.is_error for finding in report.findings[before:]):
        return None
    try:
        return Maintenance(
            glob=glob,
            quiet=quiet,
            starts_s=starts_s,
            ends_s=ends_s,
            cron=cron,
            duration_s=duration_s or 0.0,
        )
    except ValueError as error:
        report.add("E113", found, str(error), "write from: and until:, or schedule: and duration:")
        return None


def instant(found: tree.Table, key: str, report: Report) -> float | None:
    """A point in time as ISO 8601 has it; without an offset, local time. Wall seconds."""
    entry = found.get(key)
    if entry is None:
        return None
    text = entry.value.text if isinstance(entry.value, tree.Leaf) else ""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        report.add("E113", entry, f"{key} is no point in time", "write 2026-12-24T18:00:00+01:00")
        return None
