"""The commands, as rows: what ``labcoat --help`` says without importing any of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CommandRow:
    """One command: its name, the module that exports ``command``, and a one-line summary."""

    name: str
    module: str
    summary: str


COMMANDS: tuple[CommandRow, ...] = (
    CommandRow("up", "labcoat.cli.up", "Start the study's stack and keep it up until Ctrl-C."),
    CommandRow("bench", "labcoat.cli.bench", "Put honest load on a URL and tell what it endured."),
    CommandRow("doctor", "labcoat.cli.doctor", "Find what would spoil a measurement here."),
    CommandRow(
        "baseline", "labcoat.cli.baseline", "Measure the stack: noise, capacity, where time goes."
    ),
    CommandRow("try", "labcoat.cli.try_", "Ask one question: is it better with KNOB=LEVEL?"),
    CommandRow(
        "report", "labcoat.cli.report", "Tell what was found, as a page, text, markdown or JSON."
    ),
    CommandRow("knobs", "labcoat.cli.knobs", "List and explain the knobs: what, why, trade-off."),
)
