"""The whole report of a campaign, in the order in which it is read."""

from __future__ import annotations

from labcoat.model.tune import TuneFinding
from labcoat.report.paper import Paper, Section
from labcoat.report.plots import PLOTS
from labcoat.report.trials import Background
from labcoat.report.tune import machine, rest, summary, trust

OUTCOMES = {
    "improved": ("✓ CONFIRMED", "improved"),
    "nothing to change": ("– NOTHING TO CHANGE", "not_better"),
    "not confirmed": ("~ NOT CONFIRMED", "inconclusive"),
    "interrupted": ("! INTERRUPTED", "invalid"),
    "guardrail": ("✗ A GUARDRAIL BROKE", "regressed"),
}
"""An outcome in a few words, and the verdict whose colour they have."""


def tune_paper(found: TuneFinding, background: Background) -> Paper:
    """Every part, plots where they belong; the same input, the same paper."""
    outcome, tone = OUTCOMES.get(found.outcome, (found.outcome.upper(), "invalid"))
    return Paper(
        title=f"labcoat tune: {found.study}",
        made=found.at,
        outcome=outcome,
        tone=tone,
        sections=(
            summary.summary(found),
            summary.change(found),
            _drawn("ladder", "The ladder of gains", found, is_core=True),
            _drawn("effects", "Every effect that was measured", found, is_core=True),
            _drawn("time", "Where the time goes, and how far it is to the ceiling", found),
            _drawn("latency", "Latency", found),
            _drawn("concurrency", "Throughput against concurrency", found),
            rest.rest(found),
            rest.guardrails(found),
            trust.trust(found, background),
            machine.machine(found, background),
            machine.reproduce(found, background),
            machine.trials(found, background),
        ),
        linked=frozenset(each.id for each in background.experiments),
    )


def _drawn(name: str, title: str, found: TuneFinding, *, is_core: bool = False) -> Section:
    """A section that consists of its plots."""
    parts = tuple(plot.draw(found) for plot in PLOTS if plot.section == name)
    return Section(name=name, title=title, parts=parts, is_core=is_core)
