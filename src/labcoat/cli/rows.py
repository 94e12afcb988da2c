"""The commands, as rows: what ``labcoat --help`` says without importing any of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CommandRow:
    """One command: its name, the module that exports ``command``, and a one-line summary.

    ``failure``: the exit code of every failure of it, where that is not the error's own: for
    monitoring, what cannot be told is UNKNOWN, neither WARNING (1) nor CRITICAL (2).
    """

    name: str
    module: str
    summary: str
    failure: int | None = None


COMMANDS: tuple[CommandRow, ...] = (
    CommandRow("init", "labcoat.cli.init", "Look at a project and write its labcoat.toml."),
    CommandRow("up", "labcoat.cli.up", "Start the study's stack and keep it up until Ctrl-C."),
    CommandRow("bench", "labcoat.cli.bench", "Put honest load on a URL and tell what it endured."),
    CommandRow(
        "workload", "labcoat.cli.workload", "Draft the mix of requests; show what will be sent."
    ),
    CommandRow("doctor", "labcoat.cli.doctor", "Find what would spoil a measurement here."),
    CommandRow(
        "baseline", "labcoat.cli.baseline", "Measure the stack: noise, capacity, where time goes."
    ),
    CommandRow("try", "labcoat.cli.try_", "Ask one question: is it better with KNOB=LEVEL?"),
    CommandRow("tune", "labcoat.cli.tune", "Find the few settings that make it faster; prove it."),
    CommandRow(
        "replicate", "labcoat.cli.replicate", "Replay published claims here, one experiment each."
    ),
    CommandRow(
        "report", "labcoat.cli.report", "Tell what was found, as a page, text, markdown or JSON."
    ),
    CommandRow("diff", "labcoat.cli.diff", "Print the patch that the latest campaign hands over."),
    CommandRow("apply", "labcoat.cli.apply", "Put what was found into your own files."),
    CommandRow("rollback", "labcoat.cli.rollback", "Put your files back as they were."),
    CommandRow("history", "labcoat.cli.history", "List the states that your files were in."),
    CommandRow("knobs", "labcoat.cli.knobs", "List and explain the knobs: what, why, trade-off."),
    CommandRow(
        "check",
        "labcoat.cli.check",
        "Compare production with the tuned baseline.",
        failure=3,
    ),
    CommandRow(
        "watch",
        "labcoat.cli.watch",
        "Watch production: health checks, verified healing.",
        failure=3,
    ),
)
