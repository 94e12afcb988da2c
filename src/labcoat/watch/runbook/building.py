"""Checks, actions, runbooks, out of a tree with its source lines."""

from __future__ import annotations

from dataclasses import dataclass, replace

from labcoat.watch.model.runbook import (
    Action,
    Body,
    Check,
    Match,
    Mode,
    Runbook,
    Semantics,
)
from labcoat.watch.model.status import Status
from labcoat.watch.runbook import reading, timing
from labcoat.watch.runbook.bodies import body
from labcoat.watch.runbook.guarding import guards
from labcoat.watch.runbook.keys import KEYS, Level
from labcoat.watch.runbook.report import Report, guess
from labcoat.watch.runbook.tree import Entry, Items, Leaf, Node, Table

_CORRECTED = {key.name for key in KEYS if key.level is Level.ACTION and key.corrected}
_WORDS = ", ".join(status.name for status in Status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a runbook comes from: what it cannot know of itself."""

    path: str
    file: str
    sha256: str
    glob: str


def build(root: Node | None, origin: Origin, default: Semantics, report: Report) -> Runbook | None:
    """The runbook; None where anything in it is wrong. Every mistake is reported, not one."""
    if not isinstance(root, Table):
        place = root if root is not None else Leaf(1, 1, None, "", plain=True)
        report.add(
            "E112", place, "a runbook is a mapping", "write name:, schedule:, checks:, actions:"
        )
        return None
    reading.unknown_keys(root, Level.RUNBOOK, report, place="runbook")
    name = reading.text(root, "name", report, required=True)
    semantics = reading.word(root, "semantics", Semantics, report) or default
    checks = checks_of(root, report)
    actions = actions_of(root, semantics, checks, report)
    group = reading.text(root, "group", report)
    runbook_ = Runbook(
        path=origin.path,
        file=origin.file,
        name=name or "",
        sha256=origin.sha256,
        checks=checks,
        actions=actions,
        schedule=timing.schedule(root, report),
        semantics=semantics,
        mode=reading.word(root, "mode", Mode, report),
        group=group or origin.glob,
        spread_s=timing.spread(root, report),
    )
    return None if report.has_errors else runbook_


def checks_of(root: Table, report: Report) -> tuple[Check, ...]:
    """The checks, in the order of the file."""
    entry = root.get("checks")
    if entry is None:
        report.add("E112", root, "checks is missing", "write checks: with at least one check")
        return ()
    found = reading.table(entry, report)
    if found is None:
        return ()
    if not found.entries:
        report.add("E112", entry, "checks is empty", "write at least one check")
    made: list[Check] = []
    for each in found.entries:
        inner = reading.table(each, report)
        if inner is None:
            continue
        reading.unknown_keys(inner, Level.CHECK, report, place="check")
        body_ = body(inner, Level.CHECK, report)
        if body_ is not None:
            made.append(Check(name=each.key, body=body_, line=each.line))
    return tuple(made)


def actions_of(
    root: Table, semantics: Semantics, checks: tuple[Check, ...], report: Report
) -> tuple[Action, ...]:
    """The actions, in the order of the file."""
    entry = root.get("actions")
    if entry is None or (isinstance(entry.value, Leaf) and entry.value.value is None):
        report.add("W213", entry or root, "there are no actions: it only watches")
        return ()
    found = reading.table(entry, report)
    if found is None:
        return ()
    names = tuple(each.key for each in found.entries)
    made = (action_of(each, semantics, checks, names, report) for each in found.entries)
    return tuple(action for action in made if action is not None)


def action_of(
    entry: Entry,
    semantics: Semantics,
    checks: tuple[Check, ...],
    names: tuple[str, ...],
    report: Report,
) -> Action | None:
    """One action; None where it is wrong, which is then reported."""
    found = reading.table(entry, report)
    if found is None:
        return None
    before = len(report.findings)
    reading.unknown_keys(found, Level.ACTION, report, place="action")
    body_ = body(found, Level.ACTION, report)
    trigger, frequency_s = required(found, report)
    call_on = call_on_of(found, report)
    run_once = reading.truth(found, "run_once", report)
    guards_ = guards(found, semantics, names, report)
    failed = any(finding.is_error for finding in report.findings[before:])
    if failed or body_ is None or trigger is None or frequency_s is None:
        return None
    action = Action(
        name=entry.key,
        body=body_,
        trigger=trigger,
        frequency_s=frequency_s,
        call_on=call_on,
        run_once=run_once,
        guards=guards_,
        line=entry.line,
    )
    if semantics is Semantics.COMPAT:
        tell_without_effect(found, report)
        return action
    return corrected(action, found, checks, names, report)


def required(found: Table, report: Report) -> tuple[int | None, float | None]:
    """Trigger and frequency."""
    trigger, frequency = found.get("trigger"), found.get("frequency")
    for key, entry in (("trigger", trigger), ("frequency", frequency)):
        if entry is None:
            report.add("E112", found, f"{key} is missing", f"write {key}:")
    return (
        None if trigger is None else reading.integer(trigger, report),
        None if frequency is None else reading.duration(frequency, report),
    )


def call_on_of(found: Table, report: Report) -> frozenset[Status]:
    """The statuses that call for an action."""
    entry = found.get("call_on")
    if entry is None:
        report.add("E112", found, "call_on is missing", f"write call_on: with some of {_WORDS}")
        return frozenset()
    nodes = entry.value.items if isinstance(entry.value, Items) else (entry.value,)
    if not isinstance(entry.value, Items) and isinstance(entry.value, Leaf):
        report.add(
            "W207", entry, "call_on is no list", f"write call_on: [{entry.value.text.upper()}]"
        )
    read = {status for node in nodes if (status := status_of(node, entry, report)) is not None}
    if not nodes:
        report.add("E111", entry, "call_on is empty: the action would never run")
    return frozenset(read)


def status_of(node: Node, entry: Entry, report: Report) -> Status | None:
    """One status by its word."""
    written = node.text if isinstance(node, Leaf) else reading.kind_of(node)
    if written.upper() not in Status.__members__:
        close = guess(written, [name.lower() for name in Status.__members__])
        hint = f'; did you mean "{close.upper()}"?' if close else ""
        report.add("E111", node, f"call_on holds {written}, which is no status{hint}")
        return None
    if written != written.upper():
        report.add(
            "W207", entry, f"call_on holds {written} in other letters", f"write {written.upper()}"
        )
    return Status[written.upper()]


def tell_without_effect(found: Table, report: Report) -> None:
    """W222 for keys of labcoat mode in a compat runbook."""
    for entry in found.entries:
        if entry.key in _CORRECTED:
            report.add("W222", entry, f"{entry.key} has no effect without semantics: labcoat")


def corrected(
    action: Action,
    found: Table,
    checks: tuple[Check, ...],
    names: tuple[str, ...],
    report: Report,
) -> Action | None:
    """The action with what labcoat mode adds."""
    before = len(report.findings)
    has_ok = Status.OK in action.call_on
    match = reading.word(found, "match", Match, report)
    on_recovery = reading.truth(found, "on_recovery", report)
    after = found.get("after")
    others = tuple(name for name in names if name != action.name)
    rollback = rollback_of(found, action, report)
    if on_recovery and action.call_on != {Status.OK}:
        report.add(
            "E113",
            found.get("on_recovery") or found,
            "on_recovery needs call_on: [OK]",
            "write call_on: [OK]",
        )
    if has_ok and action.run_once:
        report.add("W223", found.get("run_once") or found, "run_once on OK fires at every OK round")
    made = replace(
        action,
        checks=reading.names(found, "checks", [check.name for check in checks], report, "check"),
        match=match or (Match.ALL if has_ok else Match.ANY),
        on_recovery=on_recovery,
        after=None
        if after is None
        else reading.known_name(after.value, after, others, report, "other action"),
        rollback=rollback,
    )
    failed = any(finding.is_error for finding in report.findings[before:])
    return None if failed else made


def rollback_of(found: Table, action: Action, report: Report) -> Body | None:
    """What takes the action back; only a verification can call for it."""
    entry = found.get("rollback")
    if entry is None:
        return None
    inner = reading.table(entry, report)
    if inner is None:
        return None
    if action.guards.verify is None:
        report.add(
            "E131", entry, "a rollback without verify is never called for", "leave verify on"
        )
    reading.unknown_keys(inner, Level.ROLLBACK, report, place="rollback")
    return body(inner, Level.ROLLBACK, report)
