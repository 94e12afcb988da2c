"""What runs where: the part that checks, actions and rollbacks share."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from labcoat.watch.model.runbook import Body, Place, Plugin, Shell
from labcoat.watch.runbook import reading
from labcoat.watch.runbook.keys import Level
from labcoat.watch.runbook.report import Report
from labcoat.watch.runbook.tree import Table

TIMEOUTS_S = {Level.CHECK: 30.0, Level.ACTION: 300.0, Level.ROLLBACK: 300.0}
_SECRET = re.compile(
    r"""(?ix) (?: --?(?:api[-_]?key|key|token|pass(?:word|wd)?|secret|auth[-_]?token)
                  | \b(?:api[-_]?key|token|password|secret)(?==) )
        [=\s]+ ['"]? (?! [-$/~.‹'"] ) [^\s'"]{6,}"""
)


def body(found: Table, level: Level, report: Report) -> Body | None:
    """A body; None where something is wrong with it, which is then reported."""
    before = len(report.findings)
    place = place_of(found, level, report)
    what = what_of(found, report)
    timeout_s = TIMEOUTS_S[level]
    entry = found.get("timeout")
    if entry is not None:
        timeout_s = reading.duration(entry, report) or 0.0
        if timeout_s == 0:
            report.add("E113", entry, "a timeout of 0 ends everything at once", "write timeout: 30")
    host = reading.text(found, "host", report, required=place is Place.HOST)
    credentials = reading.text(found, "credentials", report)
    become = becomes(found, report)
    pty = reading.truth(found, "pty", report)
    failed = any(finding.is_error for finding in report.findings[before:])
    if failed or place is None or what is None:
        return None
    return Body(
        place=place,
        what=what,
        timeout_s=timeout_s,
        host=host if place is Place.HOST else None,
        credentials=credentials or "default",
        become=become,
        pty=pty,
    )


def place_of(found: Table, level: Level, report: Report) -> Place | None:
    """Where it runs, by substring as Automatron has it: target, then host, then remote."""
    written = reading.text(found, "execute_from", report, required=True)
    if written is None:
        return None
    places = [Place.TARGET, Place.REMOTE] if level is Level.CHECK else list(Place)
    entry = found.get("execute_from")
    assert entry is not None
    for place in places:
        if place.value in written:
            if written != place.value:
                report.add(
                    "W202",
                    entry,
                    f"execute_from {written!r} is read as {place.value}",
                    f"write execute_from: {place.value}",
                )
            return place
    known = ", ".join(place.value for place in places)
    report.add(
        "E110", entry, f"execute_from {written!r} is none of {known}", f"write one of {known}"
    )
    return None


def what_of(found: Table, report: Report) -> Shell | Plugin | None:
    """A plugin where type contains "plugin", else a command."""
    written = reading.text(found, "type", report, required=True)
    if written is None:
        return None
    meant = "plugin" if "plugin" in written else "cmd"
    if written != meant:
        entry = found.get("type")
        assert entry is not None
        report.add("W202", entry, f"type {written!r} is read as {meant}", f"write type: {meant}")
    return plugin_of(found, report) if meant == "plugin" else shell_of(found, report)


def shell_of(found: Table, report: Report) -> Shell | None:
    cmd = reading.text(found, "cmd", report, required=True)
    if cmd is None:
        return None
    tell_secret(found, "cmd", cmd, report)
    return Shell(cmd)


def plugin_of(found: Table, report: Report) -> Plugin | None:
    """A plugin's path, which stays within its folder, and its arguments."""
    path = reading.text(found, "plugin", report, required=True)
    args = reading.text(found, "args", report)
    entry = found.get("plugin")
    if path is None or entry is None:
        return None
    if found.get("args") is None:
        report.add("W208", entry, f"plugin {path} has no args")
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts:
        report.add("E108", entry, f"plugin {path} leaves the plugins' folder")
        return None
    if args:
        tell_secret(found, "args", args, report)
    return Plugin(path, args or "")


def tell_secret(found: Table, key: str, text: str, report: Report) -> None:
    """W231 for what looks like a secret; the value itself is not told."""
    entry = found.get(key)
    if entry is not None and _SECRET.search(text):
        report.add("W231", entry, f"{key} seems to hold a secret")


def becomes(found: Table, report: Report) -> bool:
    """Whether by sudo: the only way there is."""
    entry = found.get("become")
    if entry is None:
        return False
    if reading.text(found, "become", report) == "sudo":
        return True
    report.add("E113", entry, "become knows only sudo", "write become: sudo, or leave it out")
    return False
