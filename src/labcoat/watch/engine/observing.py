"""One round made: every check of a runbook on a target, in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from labcoat.watch.engine.clock import WatchClock
from labcoat.watch.engine.executing import Executor
from labcoat.watch.engine.targets import Target
from labcoat.watch.model.rounds import UNREACHABLE, Result, Round
from labcoat.watch.model.runbook import Check, Place, Runbook
from labcoat.watch.model.status import Status
from labcoat.watch.reach.base import Answer, Fault

TOLD = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What one check said. ``text``: its first line, without perfdata, for people.
    ``output``: all of standard output, for perfdata.
    """

    check: str
    text: str
    output: str
    elapsed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """A round with what its checks said. ``answers``: whether the target did, None if no
    check asked it.
    """

    round: Round
    said: tuple[Said, ...]
    answers: bool | None


async def observe(
    executor: Executor,
    runbook: Runbook,
    target: Target,
    clock: WatchClock,
    *,
    on_start: Callable[[], None] | None = None,
) -> Observation:
    """Make a round. Once a target did not answer, its other checks do not ask it again."""
    results: list[Result] = []
    said: list[Said] = []
    gone: Answer | None = None
    answered = False
    for check in runbook.checks:
        asks_target = check.body.place is Place.TARGET
        if asks_target and gone is not None:
            answer = gone
        else:
            answer = await executor.execute(check.body, target, folder="checks", on_start=on_start)
            on_start = None
        if asks_target:
            if answer.fault is not None and answer.fault.is_unreachable:
                gone = answer
            else:
                answered = True
        results.append(judged(check, answer))
        said.append(
            Said(
                check=check.name,
                text=first_line(answer),
                output=answer.stdout if answer.fault is None else "",
                elapsed_s=answer.elapsed_s,
            )
        )
    round_ = Round(
        elapsed_s=clock.now().elapsed_s, results=tuple(results), unreachable=gone is not None
    )
    answers = None if gone is None and not answered else gone is None
    return Observation(round=round_, said=tuple(said), answers=answers)


def judged(check: Check, answer: Answer) -> Result:
    """The status of an answer: exit 0, 1, 2 as the plugins mean them, else UNKNOWN."""
    if answer.exit_status is not None:
        return Result(check.name, Status.of_exit(answer.exit_status))
    assert answer.fault is not None
    plain = answer.fault in (Fault.UNREACHABLE, Fault.BUSY)
    return Result(check.name, Status.UNKNOWN, UNREACHABLE if plain else answer.fault.value)


def first_line(answer: Answer) -> str:
    """What a person wants to read of an answer."""
    if answer.fault is not None:
        return answer.detail[:TOLD]
    for stream in (answer.stdout, answer.stderr):
        for line in stream.splitlines():
            text = line.partition("|")[0].strip()
            if text:
                return text[:TOLD]
    return ""
