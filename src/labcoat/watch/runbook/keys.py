"""What may stand in a runbook, one row each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """Where a key stands."""

    RUNBOOK = "runbook"
    CHECK = "check"
    ACTION = "action"
    ROLLBACK = "rollback"
    VERIFY = "verify"
    BREAKER = "breaker"
    ROLLING = "rolling"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key. ``automatron``: it is Automatron's own. ``corrected``: it means nothing without
    ``semantics: labcoat``.
    """

    level: Level
    name: str
    value: str
    default: str
    meaning: str
    automatron: bool = False
    corrected: bool = False


def _runbook(name: str, value: str, default: str, meaning: str, *, own: bool = False) -> Key:
    return Key(
        level=Level.RUNBOOK,
        name=name,
        value=value,
        default=default,
        meaning=meaning,
        automatron=own,
    )


def _body(level: Level, place: str, folder: str, timeout: str) -> tuple[Key, ...]:
    """What checks, actions and rollbacks share."""
    rows = (
        ("execute_from", place, "required", "where it runs", True),
        ("type", "`cmd` or `plugin`", "required", "what it is", True),
        ("cmd", "text", "required for `cmd`", "a command for `/bin/sh -c`", True),
        (
            "plugin",
            "path",
            "required for `plugin`",
            f"a file below `<plugin_path>/{folder}/`",
            True,
        ),
        ("args", "text", "empty", "the plugin's arguments, as one shell text", True),
        ("credentials", "name", "`default`", "which credentials of config.yml", True),
        ("timeout", "duration", timeout, "after which it is ended", False),
        ("become", "`sudo`", "none", "run it by `sudo -n`", False),
        ("pty", "yes or no", "no", "with a terminal, as Fabric 1 had it", False),
    )
    return tuple(
        Key(level=level, name=name, value=value, default=default, meaning=meaning, automatron=own)
        for name, value, default, meaning, own in rows
    )


def _action(
    name: str, value: str, default: str, meaning: str, *, own: bool = False, corrected: bool = True
) -> Key:
    return Key(
        level=Level.ACTION,
        name=name,
        value=value,
        default=default,
        meaning=meaning,
        automatron=own,
        corrected=corrected and not own,
    )


def _guard(level: Level, name: str, value: str, default: str, meaning: str) -> Key:
    return Key(
        level=level, name=name, value=value, default=default, meaning=meaning, corrected=True
    )


_HOST = Key(
    level=Level.ACTION,
    name="host",
    value="name",
    default="required for `execute_from: host`",
    meaning="the host that it runs on",
    automatron=True,
)

KEYS = (
    _runbook("name", "text", "required", "what people call it", own=True),
    _runbook("schedule", "cron string or fields", "every minute", "when it is due", own=True),
    _runbook("checks", "name → check", "required", "in the order of the file", own=True),
    _runbook("actions", "name → action", "none", "without them it only watches", own=True),
    _runbook("semantics", "`compat` or `labcoat`", "of the site, else `compat`", "how to decide"),
    _runbook("mode", "`advise` or `act`", "of the site", "whether decisions are carried out"),
    _runbook("timezone", "IANA name", "local time", "of the schedule"),
    _runbook("spread", "duration", "min(period / 4, 15 s)", "how far slots are spread; 0: exact"),
    _runbook("group", "name", "the glob of init.yml", "whose rolling limit counts"),
    *_body(Level.CHECK, "`target` or `remote`", "checks", "30 s"),
    *_body(Level.ACTION, "`target`, `host` or `remote`", "actions", "300 s"),
    _HOST,
    _action("trigger", "number", "required", "consecutive results that call for it", own=True),
    _action("frequency", "duration", "required", "least time between two of it", own=True),
    _action("call_on", "list of statuses", "required", "which results call for it", own=True),
    _action("run_once", "yes or no", "no", "once per incident (compat: once ever)", own=True),
    _action("checks", "list of checks", "all", "whose streaks count"),
    _action("match", "`any` or `all`", "`any`; `all` with OK in call_on", "over which of them"),
    _action("on_recovery", "yes or no", "no", "with `call_on: [OK]`: once per recovery"),
    _action("after", "action", "none", "only once that one failed to cure this incident"),
    _action("verify", "table, or false", "on", "how a cure is shown"),
    _action("rollback", "table", "none", "what takes a failed action back"),
    _action("cooldown", "duration", "300 s", "pause after an attempt, doubled per failure"),
    _action("rate", "number/duration", "6/1h", "starts of this action on one target"),
    _action("breaker", "table, or false", "on", "when to cease trying"),
    _action(
        "rolling", "table", "max 25 %, canary 1", "how many of a group at once", corrected=False
    ),
    _action("escalate", "list of actions", "none", "whom to tell when it does not help"),
    _action("manual", "yes or no", "no", "only by an escalation or by `watch apply`"),
    *_body(Level.ROLLBACK, "`target`, `host` or `remote`", "actions", "300 s"),
    Key(
        level=Level.ROLLBACK,
        name="host",
        value="name",
        default="required for `execute_from: host`",
        meaning="the host that it runs on",
    ),
    _guard(
        Level.VERIFY, "delay", "duration", "10 s", "from the end of the action to the first round"
    ),
    _guard(Level.VERIFY, "every", "duration", "10 s", "between two rounds"),
    _guard(Level.VERIFY, "ok", "number", "2", "consecutive all-OK rounds that show a cure"),
    _guard(
        Level.VERIFY, "window", "duration", "120 s", "from the end of the action to the verdict"
    ),
    _guard(Level.BREAKER, "failures", "number", "3", "in a row, that open it"),
    _guard(Level.BREAKER, "reset", "duration", "30 m", "until one trial is let through"),
    _guard(Level.BREAKER, "trials", "number", "2", "that may fail before it waits for somebody"),
    _guard(Level.ROLLING, "max", "share or number", "25 %", "targets of the group at once"),
    _guard(Level.ROLLING, "canary", "number", "1", "cured alone before the others"),
)


def names_at(level: Level) -> tuple[str, ...]:
    """The keys that are known at a level."""
    return tuple(key.name for key in KEYS if key.level is level)
