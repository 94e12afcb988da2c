"""The commands of the watch, as rows."""

from __future__ import annotations

from labcoat.cli.rows import CommandRow

COMMANDS: tuple[CommandRow, ...] = (
    CommandRow("init", "labcoat.cli.watch.init", "Write a commented example site to begin with."),
    CommandRow("check", "labcoat.cli.watch.check", "Find what is wrong with runbooks, and where."),
    CommandRow("run", "labcoat.cli.watch.run", "Watch: checks on schedule, actions as written."),
    CommandRow("once", "labcoat.cli.watch.once", "Make one round of everything; change nothing."),
    CommandRow("status", "labcoat.cli.watch.status", "Tell how everything is."),
    CommandRow("history", "labcoat.cli.watch.history", "Tell what was decided and done."),
    CommandRow("ack", "labcoat.cli.watch.ack", "Hide an advice, silence an escalation."),
    CommandRow("apply", "labcoat.cli.watch.apply", "Do what is advised, after checking again."),
    CommandRow("pause", "labcoat.cli.watch.pause", "Begin no action on some targets for a while."),
    CommandRow("resume", "labcoat.cli.watch.resume", "End a pause."),
    CommandRow("reset", "labcoat.cli.watch.reset", "Close a breaker that failed cures opened."),
    CommandRow("trust", "labcoat.cli.watch.trust", "Show a host's key, and trust it."),
    CommandRow("export", "labcoat.cli.watch.export", "Give everything to Prometheus."),
    CommandRow("explain", "labcoat.cli.watch.explain", "Tell when a runbook is due and would act."),
)
