"""The live view: what the lab is doing now, on standard error.

On a terminal one line moves; elsewhere each phase leaves one plain line, so that a CI
log reads well. Nothing here is needed for a result.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, assert_never

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.text import Text

from labcoat.lab.trial.events import (
    Asked,
    BlockJudged,
    BlockVoided,
    CampaignBegun,
    ComponentUp,
    CourseTold,
    Event,
    PhaseFinished,
    PhaseStarted,
    SliceMeasured,
    StepTaken,
    WarmingUp,
)
from labcoat.lab.trial.question import Question
from labcoat.model.domain import spelled
from labcoat.model.stats import Decision, Verdict
from labcoat.report.experiment import MARKS, VERDICTS
from labcoat.report.format import clock, effect, evidence, rate, seconds
from labcoat.report.tune.opening import opening

_STYLES = {
    Verdict.IMPROVED: "green",
    Verdict.REGRESSED: "red",
    Verdict.EQUIVALENT: "cyan",
    Verdict.NOT_BETTER: "yellow",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.INVALID: "bold red",
}


class LiveView:
    """Listens to the lab's events and shows them; a context manager."""

    def __init__(self, *, total_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._console = Console(file=sys.stderr, highlight=False)
        self._spinner = Spinner("dots")
        self._live = (
            Live(self, console=self._console, refresh_per_second=8, transient=True)
            if self._console.is_terminal
            else None
        )
        self._now = now
        self._started = now()
        self._total_s = total_s
        self._phase = ""
        self._doing = ""
        self._phase_started = self._started
        self._due = math.inf  # when the phase should end; between phases nothing is late

    def __rich__(self) -> Spinner:
        """The moving line, with the time as it is when it is drawn.

        The whole is expected to last as long as planned, and longer by what its phases took
        more: nobody reads of four minutes in the fifth.
        """
        now = self._now()
        elapsed_s, total_s = now - self._started, self._total_s + max(0.0, now - self._due)
        total = clock(max(elapsed_s, total_s))
        line = f"{clock(elapsed_s)} of about {total} · {self._phase} · {self._doing}"
        self._spinner.update(text=Text(line, overflow="ellipsis", no_wrap=True))
        return self._spinner

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        match event:
            case PhaseStarted():
                self._phase, self._phase_started = event.name, self._now()
                self._due = self._phase_started + event.expected_s
                self._doing = f"about {clock(event.expected_s)} min"
            case PhaseFinished():
                now = self._now()
                took = now - self._phase_started
                if math.isfinite(self._due):
                    self._total_s += now - self._due
                self._due = math.inf
                self._line(f"[green]✓[/] {event.name:<10} {event.summary}  [dim]{took:.0f} s[/]")
            case ComponentUp() | WarmingUp():
                self._doing = _standing_up(event)
            case SliceMeasured():
                self._doing = (
                    f"slice {event.done}/{event.total} · {rate(event.throughput_per_s)} req/s"
                    f" · p99 {seconds(event.latency_p99_s)} · steal {event.steal_ratio:.0%}"
                )
            case BlockVoided():
                self._line(f"[yellow]![/] block {event.index} void: {escape(event.reason)}")
            case Asked():
                self._asked(event)
            case BlockJudged():
                self._judged(event)
            case CampaignBegun() | StepTaken() | CourseTold():
                self._campaign(event)
            case _:
                assert_never(event)

    def _asked(self, event: Asked) -> None:
        self._phase, self._phase_started = label(event.question), self._now()
        if event.blocks:
            self._line(f"  {escape(self._phase)} goes on after {_blocks(event.blocks)}")

    def _campaign(self, event: CampaignBegun | StepTaken | CourseTold) -> None:
        if isinstance(event, CampaignBegun):
            for line in opening(event.objective, event.budget_s, event.before):
                self._line(escape(line))
            return
        if isinstance(event, CourseTold):
            gain = f" · {100 * event.gain_ratio:+.0f} % so far" if event.gain_ratio else ""
            self._doing = f"{event.doing}{gain}"
            return
        levels = ", ".join(f"{knob}={spelled(level)}" for knob, level in event.levels)
        gain = f"{100 * event.gain_ratio:+.0f} % so far"
        self._line(f"  [green]accepted[/] {escape(levels)}: the new baseline, {gain}")

    def _judged(self, event: BlockJudged) -> None:
        """What is known now moves on the line; a verdict stays."""
        found = event.effect
        known = "" if found is None else effect(found.point, found.low, found.high)
        count = _blocks(event.blocks)
        verdict = event.decision.verdict
        if verdict is None:
            parts = [label(event.question), known, count + stake(event.decision)]
            self._phase = " · ".join(part for part in parts if part)
            if self._live is None:
                self._line(f"  {escape(self._phase)}")
            return
        took = clock(self._now() - self._phase_started)
        mark, style = MARKS[verdict.value], _STYLES[verdict]
        self._line(
            f"[{style}]{mark}[/] {escape(label(event.question))}  {escape(known)}  {count}"
            f"  [dim]{took}[/]  [{style}]{VERDICTS[verdict.value]}[/]"
        )

    def _line(self, markup: str) -> None:
        self._console.print(markup, soft_wrap=True)


def _standing_up(event: ComponentUp | WarmingUp) -> str:
    if isinstance(event, ComponentUp):
        return f"{event.name} {event.version} is up (arm {event.arm})"
    return f"arm {event.arm} warms up, {event.spent_s:.0f} s so far"


def _blocks(number: int) -> str:
    return f"{number} block{'' if number == 1 else 's'}"


def label(question: Question) -> str:
    """A question in few words."""
    if question.kind == "removal":
        return f"with {_changed(question)}, or without it"
    if question.kind == "confirmation":
        return "confirmation"
    what = _changed(question) or "A/A"
    return f"{what}, {question.rule.objective.title}" if question.kind == "guard" else what


def _changed(question: Question) -> str:
    return " and ".join(
        f"without {knob}" if level is None else f"{knob}={spelled(level)}"
        for knob, level in question.changes
    )


def stake(decision: Decision) -> str:
    """The stronger of both sides' evidence, and what it needs."""
    found = decision.evidence
    if found is None:
        return ""
    side = "+" if found.better >= found.worse else "-"
    value = math.exp(min(max(found.better, found.worse), 700.0))
    return f" · E{side} {evidence(value)} / {math.exp(found.needed):.0f}"
