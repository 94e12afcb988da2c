"""Carrying out what an attempt intends, at most once, and finding out what became of it.

The order of things: the place is prepared (token, boot id), INTENT is committed, SENT is
committed, and only then is the wrapper handed over. Whatever breaks afterwards is settled
by asking the place, never by sending again:

    recovery's own ``ln`` succeeds    never started, and barred from now on
    .rc<N>                            done, with status N
    the mark alone, same boot         it may still be at work: wait to its timeout
    the mark alone, another boot      done, the machine went down under it
    gone, read-only, unreachable      in doubt
"""

from __future__ import annotations

from dataclasses import dataclass

from labcoat.watch.engine.clock import WatchClock
from labcoat.watch.engine.executing import Executor
from labcoat.watch.engine.targets import Target
from labcoat.watch.heal.events import Exited, Lost, NeverStarted
from labcoat.watch.model.runbook import Body
from labcoat.watch.reach.base import Answer, Fault, Mark, Order
from labcoat.watch.reach.script import PREPARE, inquires

PREPARE_TIMEOUT_S = 30.0
ASKING_EVERY_S = 5.0
SLACK_S = 5.0  # beyond an action's own timeout, until its silence is an interruption

Settled = Exited | Lost | NeverStarted


class Unprepared(Exception):
    """The place of an action cannot be prepared; the message says why. Stays in the room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What must be known of something that was sent, to settle it later. ``boot_id``: of
    the place, when it was prepared. ``sent_s``: elapsed, on the watch's own clock.
    """

    attempt_id: str
    marker: str
    body: Body
    target: Target
    boot_id: str
    sent_s: float


async def prepare(executor: Executor, body: Body, target: Target) -> str:
    """Make the token; the boot id of the place. Raises: Unprepared."""
    try:
        reach = executor.reach(body, target)
    except LookupError as error:
        raise Unprepared(str(error.args[0])) from error
    answer = await reach.execute(Order(command=PREPARE, timeout_s=PREPARE_TIMEOUT_S))
    if answer.exit_status is None:
        raise Unprepared(answer.detail)
    words = answer.stdout.split()
    if not words:
        raise Unprepared(f"no token can be made there: {answer.stderr.strip()[:200]}")
    return words[-1]


def settled_at_once(sent: Sent, answer: Answer) -> Settled | None:
    """What an answer says by itself; None: the place must be asked."""
    if answer.fault is not None and answer.fault.never_began:
        return NeverStarted(sent.attempt_id)
    if answer.mark is Mark.TAKEN and answer.exit_status is not None:
        return Exited(sent.attempt_id, answer.exit_status)
    if answer.mark is Mark.TAKEN and answer.fault in (Fault.TIMEOUT, Fault.SIGNAL, Fault.FLOOD):
        assert answer.fault is not None
        return Exited(sent.attempt_id, None, answer.detail or answer.fault.value)
    if answer.mark is Mark.FAILED:
        return Lost(sent.attempt_id, "the token is gone, or its folder cannot be written")
    if answer.exit_status is not None and answer.mark is Mark.FREE:
        return Exited(sent.attempt_id, answer.exit_status)  # no such plugin here: nothing sent
    return None


async def settle(executor: Executor, clock: WatchClock, sent: Sent) -> Settled:
    """Ask the place until it says what became of what was sent, or the time is over."""
    deadline = sent.sent_s + sent.body.timeout_s + SLACK_S
    while True:
        found = await _ask(executor, sent)
        if not isinstance(found, str):
            return found
        left_s = deadline - clock.now().elapsed_s
        if left_s <= 0:
            if found == "alone":
                return Exited(sent.attempt_id, None, "interrupted")
            return Lost(sent.attempt_id, found)
        await clock.sleep(min(ASKING_EVERY_S, left_s))


async def _ask(  # noqa: PLR0911 - as above
    executor: Executor, sent: Sent
) -> Settled | str:
    """One question: the answer, or why there is none yet."""
    try:
        reach = executor.reach(sent.body, sent.target)
    except LookupError as error:
        return Lost(sent.attempt_id, str(error.args[0]))
    order = Order(command=inquires(sent.marker), timeout_s=PREPARE_TIMEOUT_S)
    answer = await reach.execute(order)
    if answer.exit_status is None:
        return f"the place does not answer: {answer.detail}"
    match answer.stdout.split():
        case ["barred", *_]:
            return NeverStarted(sent.attempt_id)
        case ["rc", status, *_]:
            return Exited(sent.attempt_id, int(status))
        case ["alone", boot_id] if boot_id != sent.boot_id:
            return Exited(sent.attempt_id, None, "rebooted")
        case ["alone", *_]:
            return "alone"
        case _:
            return Lost(sent.attempt_id, "the token is gone, or its folder cannot be written")
