"""What ``diff``, ``apply``, ``rollback`` and ``history`` have in common: the journal, the words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from labcoat.journal import Journal
from labcoat.knobs import KNOBS
from labcoat.lab.handover.applying import Applied, RolledBack, read_tuned
from labcoat.lab.handover.states import FIRST, History
from labcoat.lab.handover.tuned import Tuned, journal_file, nothing_tuned
from labcoat.model.domain import spelled
from labcoat.model.knob import ApplyCost
from labcoat.model.study import Study
from labcoat.model.variant import Variant
from labcoat.stack.limits import OTHERS
from labcoat.stack.servers import SERVERS

_SERVERS = frozenset(component.name for component in SERVERS)
_COSTS = {knob.name: knob.cost for knob in KNOBS}


@contextmanager
def open_journal(root: Path) -> Iterator[Journal | None]:
    """The project's journal; None if there is none yet, and none is made."""
    file = journal_file(root)
    if not file.exists():
        yield None
        return
    with Journal.open(file) as journal:
        yield journal


@contextmanager
def open_tuned(study: Study) -> Iterator[tuple[Journal, Tuned]]:
    """The journal, and the latest finished campaign. Raises: JournalError if there is none."""
    with open_journal(study.root) as journal:
        if journal is None:
            raise nothing_tuned(study)
        yield journal, read_tuned(journal, study)


def applied_text(study: Study, tuned: Tuned, found: Applied, *, dry: bool) -> str:
    """What an apply did, for a terminal."""
    lines = [f"labcoat apply · {study.name} · {levels_text(tuned.variant) or 'no level changes'}"]
    if found.files:
        would = "would become " if dry else ""
        total = sum(file.lines for file in found.files)
        what = f"state {found.state.number}" if found.state is not None else "another state"
        lines.append(
            f"{would}{what}: {_count(total, 'line')} in {_count(len(found.files), 'file')}"
        )
        width = max(len(file.path) for file in found.files)
        lines += [f"  {file.path:<{width}}  {_count(file.lines, 'line')}" for file in found.files]
    elif found.state is not None:
        lines.append(f"nothing to change: applied already, as state {found.state.number}")
    elif tuned.variant.assignment:
        lines.append("nothing to change: your files hold these levels")
    else:
        lines.append(f"nothing to change: {tuned.sentence}")
    if found.by_hand:
        lines += ["by hand:", *(f"  {words}" for words in found.by_hand)]
    if found.is_new:
        lines.append(f"{_restarts(study, tuned.variant)}; labcoat rollback goes back")
    return "\n".join((*lines, ""))


def rolled_back_text(found: RolledBack) -> str:
    """What a rollback did, for a terminal."""
    if found.holds == found.held:
        return f"nothing to change: state {found.holds} holds{_first(found.holds)}\n"
    lines = [
        f"state {found.held} → state {found.holds}{_first(found.holds)}",
        *(f"  {path}" for path in found.files),
        "nothing was restarted; labcoat history lists the states",
    ]
    return "\n".join((*lines, ""))


def history_text(history: History, edited: Sequence[str]) -> str:
    """The states, one line each, for a terminal; ``*`` marks the one that holds."""
    if not history.states:
        return "state 0 * your files as they are: nothing was applied yet\n"
    mark = {history.holds: "*"}
    lines = [f"state {FIRST:<3} {mark.get(FIRST, ' ')} before the first apply"]
    for state in history.states:
        at = state.at.astimezone().strftime("%Y-%m-%d %H:%M")
        on = "" if state.parent == state.number - 1 else f"  (on state {state.parent})"
        what = f"{at}  {levels_text(state.variant)}{on}"
        lines.append(f"state {state.number:<3} {mark.get(state.number, ' ')} {what}")
    lines += [f"edited since: {path}" for path in edited]
    return "\n".join((*lines, ""))


def levels_text(variant: Variant) -> str:
    """``uwsgi.processes=4, nginx.gzip=on``."""
    return ", ".join(f"{knob}={spelled(level)}" for knob, level in variant.assignment)


def _restarts(study: Study, variant: Variant) -> str:
    """What makes the new levels work: ``reload nginx, restart uwsgi``, front to back."""
    costs: dict[str, ApplyCost] = {}
    for spec in study.components:
        own = {spec.name, *OTHERS} if spec.name in _SERVERS else {spec.name}
        asked = [
            _COSTS.get(knob, ApplyCost.RESTART)
            for knob, _ in variant.assignment
            if knob.partition(".")[0] in own
        ]
        if asked:
            costs[spec.name] = max(asked)
    words = ", ".join(f"{cost.name.lower()} {name}" for name, cost in costs.items())
    return f"nothing was restarted: {words} for it to work"


def _first(number: int) -> str:
    return ", before the first apply" if number == FIRST else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
