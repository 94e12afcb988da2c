"""Verify, cooldown, rate, breaker, rolling: what stands around an action."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from labcoat.watch.model.guards import (
    COMPAT_GUARDS,
    LABCOAT_GUARDS,
    Breaker,
    Guards,
    Rate,
    Rolling,
    Verify,
)
from labcoat.watch.model.runbook import Semantics
from labcoat.watch.runbook import reading
from labcoat.watch.runbook.keys import Level
from labcoat.watch.runbook.report import Report
from labcoat.watch.runbook.tree import Entry, Leaf, Table

Made = TypeVar("Made")

_RATE = re.compile(r"\s*(\d+)\s*/\s*(\S+)\s*")
_SHARE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")


def guards(found: Table, semantics: Semantics, actions: tuple[str, ...], report: Report) -> Guards:
    """The guards of an action: those of labcoat mode unless it says otherwise.

    Compat takes the rolling limit alone; that the other keys mean nothing is told elsewhere.
    """
    if semantics is Semantics.COMPAT:
        rolling = rolling_of(found, COMPAT_GUARDS.rolling, report)
        return Guards(
            rolling=Rolling(max_ratio=rolling.max_ratio, max_count=rolling.max_count, canary=0)
        )
    base = LABCOAT_GUARDS
    cooldown = found.get("cooldown")
    cooldown_s = base.cooldown_s if cooldown is None else reading.duration(cooldown, report)
    return Guards(
        verify=switched(found, "verify", base.verify, verify_of, report),
        cooldown_s=cooldown_s or 0.0,
        rate=rate_of(found, base.rate, report),
        breaker=switched(found, "breaker", base.breaker, breaker_of, report),
        rolling=rolling_of(found, base.rolling, report),
        escalate=reading.names(found, "escalate", actions, report, "action"),
        manual=reading.truth(found, "manual", report),
    )


def switched(
    found: Table,
    key: str,
    base: Made | None,
    make: Callable[[Entry, Table, Report], Made | None],
    report: Report,
) -> Made | None:
    """A guard that is on, off (``false``), or told in a mapping."""
    entry = found.get(key)
    if entry is None:
        return base
    if isinstance(entry.value, Leaf) and isinstance(entry.value.value, bool):
        return base if entry.value.value else None
    if not isinstance(entry.value, Table):
        report.add(
            "E131",
            entry,
            f"{key} is {reading.kind_of(entry.value)}",
            f"write {key}: false, or a mapping",
        )
        return base
    return make(entry, entry.value, report)


def made(
    entry: Entry, kind: Callable[..., Made], values: dict[str, Any], report: Report
) -> Made | None:
    """A guard of values, unless they contradict each other."""
    if None in values.values():
        return None
    try:
        return kind(**values)
    except ValueError as error:
        report.add("E131", entry, f"{entry.key}: {error}")
        return None


def verify_of(entry: Entry, found: Table, report: Report) -> Verify | None:
    reading.unknown_keys(found, Level.VERIFY, report, place="verify")
    values: dict[str, Any] = {}
    for key, name in (("delay", "delay_s"), ("every", "every_s"), ("window", "window_s")):
        each = found.get(key)
        if each is not None:
            values[name] = reading.duration(each, report, code="E131")
    ok = found.get("ok")
    if ok is not None:
        values["ok"] = reading.integer(ok, report, least=1, code="E131")
    return made(entry, Verify, values, report)


def breaker_of(entry: Entry, found: Table, report: Report) -> Breaker | None:
    reading.unknown_keys(found, Level.BREAKER, report, place="breaker")
    values: dict[str, Any] = {}
    for key, least in (("failures", 1), ("trials", 0)):
        each = found.get(key)
        if each is not None:
            values[key] = reading.integer(each, report, least=least, code="E131")
    reset = found.get("reset")
    if reset is not None:
        values["reset_s"] = reading.duration(reset, report, code="E131")
    return made(entry, Breaker, values, report)


def rate_of(found: Table, base: Rate | None, report: Report) -> Rate | None:
    """``4/1h``: so many starts in such a time; ``false`` is unlimited."""
    entry = found.get("rate")
    if entry is None:
        return base
    leaf = entry.value
    if isinstance(leaf, Leaf) and leaf.value is False:
        return None
    rate = read_rate(leaf.text) if isinstance(leaf, Leaf) else None
    if rate is None:
        report.add("E131", entry, "rate is no number per time", "write rate: 6/1h")
    return rate


def read_rate(text: str) -> Rate | None:
    """``4/1h``, ``4/h`` or ``10/90s``; None for anything else."""
    written = _RATE.fullmatch(text)
    if written is None:
        return None
    unit = written[2] if written[2][0].isdigit() else f"1{written[2]}"
    period_s = reading.duration_of(unit)
    if not period_s or int(written[1]) < 1:
        return None
    return Rate(count=int(written[1]), period_s=period_s)


def rolling_of(found: Table, base: Rolling, report: Report) -> Rolling:
    """``max``: a share or a number; ``canary``: how many first."""
    entry = found.get("rolling")
    if entry is None:
        return base
    if not isinstance(entry.value, Table):
        report.add(
            "E131",
            entry,
            f"rolling is {reading.kind_of(entry.value)}",
            "write rolling: {max: 25%, canary: 1}",
        )
        return base
    reading.unknown_keys(entry.value, Level.ROLLING, report, place="rolling")
    values: dict[str, Any] = {"max_ratio": base.max_ratio, "canary": base.canary}
    most, canary = entry.value.get("max"), entry.value.get("canary")
    if canary is not None:
        values["canary"] = reading.integer(canary, report, code="E131")
    share = _SHARE.fullmatch(most.value.text) if most and isinstance(most.value, Leaf) else None
    if share is not None:
        values["max_ratio"] = float(share[1]) / 100
    elif most is not None:
        values["max_count"] = reading.integer(most, report, least=1, code="E131")
    return made(entry, Rolling, values, report) or base
