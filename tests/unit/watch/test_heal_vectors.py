"""The state machine of healing: the breaker's vector, verdicts, limits, freezes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labcoat.errors import JournalError
from labcoat.watch.decide.deciding import concluded, decide, ended, started
from labcoat.watch.decide.standing import FRESH
from labcoat.watch.heal import stored
from labcoat.watch.heal.advice import advice_id
from labcoat.watch.heal.events import (
    Acknowledged,
    Contact,
    Event,
    Examined,
    Exited,
    Flapping,
    Lost,
    NeverStarted,
    NotRecorded,
    Paused,
    Recorded,
    Reset,
    Resumed,
    Sentinels,
    Tick,
)
from labcoat.watch.heal.intents import (
    Advise,
    Alert,
    Conclude,
    Escalate,
    Examine,
    Execute,
    Hold,
    Intent,
    Record,
)
from labcoat.watch.heal.maintenance import quiet_now
from labcoat.watch.heal.site import Maintenance, Quiet, Site
from labcoat.watch.heal.state import (
    EMPTY,
    BreakerState,
    Cause,
    Fires,
    HealState,
    LaneKey,
    Pause,
    Phase,
    Restored,
)
from labcoat.watch.heal.step import step, wake_s
from labcoat.watch.model.flapping import Flap, change_ratio, observed
from labcoat.watch.model.guards import LABCOAT_GUARDS, Guards, Rate, Rolling
from labcoat.watch.model.moment import Moment
from labcoat.watch.model.outcome import Outcome
from labcoat.watch.model.rounds import Result, Round
from labcoat.watch.model.runbook import (
    Action,
    Body,
    Check,
    Mode,
    Place,
    Runbook,
    Semantics,
    Shell,
)
from labcoat.watch.model.status import Status
from labcoat.watch.schedule.fields import from_string

O, W, C, U = Status.OK, Status.WARNING, Status.CRITICAL, Status.UNKNOWN  # noqa: E741
ALL_OK: Mapping[str, Status] = {"http": O, "rss": O}
ACT = Site(mode=Mode.ACT)
EPOCH_S = 1_800_000_000.0


def body(place: Place = Place.TARGET, cmd: str = "true", host: str | None = None) -> Body:
    return Body(place=place, what=Shell(cmd), timeout_s=300.0, host=host)


def action(name: str = "cure", guards: Guards = LABCOAT_GUARDS, **changes: object) -> Action:
    plain = Action(
        name=name, body=body(), trigger=2, frequency_s=0.0, call_on=frozenset({W, C, U}),
        guards=guards,
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


def runbook(
    *actions: Action, semantics: Semantics = Semantics.LABCOAT, group: str = "web*"
) -> Runbook:
    checks = tuple(Check(name=name, body=body()) for name in ("http", "rss"))
    return Runbook(
        path="r.yml", file="r.yml", name="r", sha256="s", checks=checks, actions=actions,
        semantics=semantics, group=group,
    )  # fmt: skip


@dataclass
class Story:
    """A site that is told of events; answers to Record come at once unless ``mute``."""

    site: Site = ACT
    state: HealState = EMPTY
    now_s: float = 0.0
    intents: list[Intent] = field(default_factory=list)
    mute: bool = False
    drawn: int = 0

    def tell(self, event: Event) -> list[Intent]:
        moment = Moment(elapsed_s=self.now_s, wall_s=EPOCH_S + self.now_s)
        stepped = step(self.site, self.state, event, moment)
        self.state = stepped.state
        told = list(stepped.intents)
        for intent in stepped.intents:
            if isinstance(intent, Record) and not self.mute:
                told += self.tell(Recorded(intent.attempt.id, intent.phase))
        self.intents += stepped.intents
        return told

    def fire(
        self, book: Runbook, target: str = "web1", name: str | None = None,
        before: Mapping[str, Status] | None = None, cause: Cause = Cause.DECISION,
        flapping: tuple[str, ...] = (),
    ) -> list[Intent]:  # fmt: skip
        self.drawn += 1
        fires = Fires(
            attempt_id=f"a{self.drawn}", runbook=book, target=target,
            action=name or book.actions[0].name, cause=cause,
            before={"http": C, "rss": O} if before is None else before, flapping=flapping,
        )  # fmt: skip
        return self.tell(fires)

    def at(self, now_s: float) -> list[Intent]:
        """Time goes on to this moment, with a Tick wherever one is needed."""
        told: list[Intent] = []
        while (due_s := wake_s(self.state)) is not None and due_s <= now_s:
            self.now_s = max(self.now_s, due_s)
            told += self.tell(Tick())
        self.now_s = now_s
        return told + self.tell(Tick())

    def cured(self, id_: str) -> list[Intent]:
        told = self.tell(Exited(id_, 0))
        for _ in range(2):
            self.at(self.now_s + 10)
            told += self.tell(Examined(id_, ALL_OK))
        return told


def only(kind: type, intents: list[Intent]) -> list[Intent]:
    return [intent for intent in intents if isinstance(intent, kind)]


def guards_held(intents: list[Intent]) -> list[str]:
    return [intent.guard for intent in intents if isinstance(intent, Hold)]


def outcomes(intents: list[Intent]) -> list[Outcome]:
    return [intent.outcome for intent in intents if isinstance(intent, Conclude)]


def test_breaker_vector() -> None:
    """C for ever, t2 f0, rounds of 60 s, 5 s runs: rounds 2, 10, 23; OPEN at 1445 s."""
    book = runbook(action())
    story, standing = Story(), FRESH
    results = (Result("http", C), Result("rss", O))
    starts, opened_s, running = [], None, None
    for second in range(2000):
        now_s = float(second)
        told = story.at(now_s)
        if running is not None and now_s == running[1]:
            told += story.tell(Exited(running[0], 1))
            standing = ended(standing, book.actions[0], now_s, 1)
            running = None
        for intent in told:
            if isinstance(intent, Examine):
                story.tell(Examined(intent.attempt.id, {"http": C, "rss": O}))
            if isinstance(intent, Conclude):
                standing = concluded(standing, intent.attempt.action, intent.outcome)
            if isinstance(intent, Escalate):
                opened_s = now_s
        if second % 60 == 0:
            judged = decide(book, standing, Round(elapsed_s=now_s, results=results))
            standing = judged.standing
            for _ in judged.fired:
                for intent in only(Execute, story.fire(book)):
                    assert isinstance(intent, Execute)
                    standing = started(standing, book.actions[0], now_s)
                    starts.append(second // 60 + 1)
                    running = (intent.attempt.id, now_s + 5)
    assert starts == [2, 10, 23]
    assert opened_s == 1445.0
    lane = story.state.lane(LaneKey("r.yml", "web1", "cure"))
    assert lane.breaker is BreakerState.OPEN
    assert lane.retry_s == 1445.0 + 1800.0


def fail_once(story: Story, book: Runbook) -> list[Intent]:
    told = story.fire(book)
    (execute,) = only(Execute, told)
    assert isinstance(execute, Execute)
    told += story.tell(Exited(execute.attempt.id, 1))
    return told + story.at(story.now_s + 120)


def test_an_open_breaker_lets_two_trials_through_and_then_waits_for_somebody() -> None:
    story, book = Story(), runbook(action())
    key = LaneKey("r.yml", "web1", "cure")
    for _ in range(3):
        fail_once(story, book)
        story.at(story.now_s + 1200)
    assert story.state.lane(key).breaker is BreakerState.OPEN
    assert guards_held(story.fire(book)) == ["breaker"]
    for expected in (BreakerState.OPEN, BreakerState.MANUAL):
        story.at(story.now_s + 1800)
        assert only(Escalate, fail_once(story, book))
        assert story.state.lane(key).breaker is expected
    story.at(story.now_s + 1e6)
    assert guards_held(story.fire(book)) == ["breaker"]
    story.tell(Reset("r.yml", "web1", "cure"))
    assert only(Execute, story.fire(book))


def test_a_cured_trial_closes_the_breaker() -> None:
    story, book = Story(), runbook(action())
    for _ in range(3):
        fail_once(story, book)
        story.at(story.now_s + 1200)
    story.at(story.now_s + 1800)
    (execute,) = only(Execute, story.fire(book))
    assert isinstance(execute, Execute)
    assert execute.attempt.is_trial
    assert outcomes(story.cured(execute.attempt.id)) == [Outcome.CURED]
    lane = story.state.lane(execute.attempt.key)
    assert (lane.breaker, lane.failures, lane.trials) == (BreakerState.CLOSED, 0, 0)
    assert story.state.escalations == {}


def test_nothing_is_executed_before_intent_and_sent_are_committed() -> None:
    story, book = Story(mute=True), runbook(action())
    (record,) = story.fire(book)
    assert isinstance(record, Record)
    assert record.phase is record.attempt.phase is Phase.INTENT
    assert story.tell(Recorded("a1", Phase.SENT)) == []
    (record,) = story.tell(Recorded("a1", Phase.INTENT))
    assert isinstance(record, Record)
    assert record.phase is Phase.SENT
    assert story.tell(Recorded("a1", Phase.INTENT)) == []
    (execute,) = story.tell(Recorded("a1", Phase.SENT))
    assert isinstance(execute, Execute)
    assert execute.marker == "a1"
    assert story.tell(Recorded("a1", Phase.SENT)) == []


@pytest.mark.parametrize("phases", [(), (Phase.INTENT,)])
def test_what_the_journal_cannot_commit_is_given_up(phases: tuple[Phase, ...]) -> None:
    story, book = Story(mute=True), runbook(action())
    story.fire(book)
    for phase in phases:
        story.tell(Recorded("a1", phase))
    assert outcomes(story.tell(NotRecorded("a1"))) == [Outcome.NEVER_STARTED]
    assert story.state.attempts == {}
    assert isinstance(story.fire(book)[0], Record)  # the lane is free, and no cooldown holds


def test_a_journal_that_fails_after_sent_loses_no_attempt() -> None:
    story, book = Story(), runbook(action())
    story.fire(book)
    assert story.tell(NotRecorded("a1")) == []
    assert outcomes(story.cured("a1")) == [Outcome.CURED]


def test_a_cure_needs_consecutive_ok_rounds_whatever_the_exit_code() -> None:
    story, book = Story(), runbook(action())
    story.fire(book)
    story.tell(Exited("a1", 1))
    ill = {"http": C, "rss": O}
    for statuses, expected in ((ALL_OK, []), (ill, []), (ALL_OK, []), (ALL_OK, [Outcome.CURED])):
        assert [type(i) for i in story.at(story.now_s + 10)] == [Examine]
        assert outcomes(story.tell(Examined("a1", statuses))) == expected


def test_not_cured_at_the_end_of_the_window() -> None:
    story, book = Story(), runbook(action())
    story.fire(book)
    story.tell(Exited("a1", 0))
    assert outcomes(story.at(119.9)) == []
    assert outcomes(story.at(120.0)) == [Outcome.NOT_CURED]


def test_harm_is_a_check_that_was_ok_and_is_not_in_two_rounds() -> None:
    story, book = Story(), runbook(action())
    story.fire(book)
    story.tell(Exited("a1", 0))
    worse = {"http": C, "rss": W}
    story.at(10)
    assert outcomes(story.tell(Examined("a1", worse))) == []
    story.at(20)
    assert outcomes(story.tell(Examined("a1", worse))) == [Outcome.HARMED]


def with_rollback() -> Runbook:
    return runbook(
        action(rollback=body(cmd="back"), guards=replace(LABCOAT_GUARDS, escalate=("page",)))
    )


def test_a_rollback_follows_the_same_protocol_and_is_verified() -> None:
    story, book = Story(), with_rollback()
    story.fire(book)
    story.tell(Exited("a1", 0))
    told = story.at(120)
    phases = [record.phase for record in told if isinstance(record, Record)]
    assert phases == [Phase.ROLLBACK_INTENT, Phase.ROLLBACK_SENT]
    (execute,) = only(Execute, told)
    assert isinstance(execute, Execute)
    assert (execute.marker, execute.body) == ("a1.rollback", body(cmd="back"))
    story.tell(Exited("a1", 0))
    for _ in range(2):
        assert only(Examine, story.at(story.now_s + 10))
        told = story.tell(Examined("a1", {"http": C, "rss": O}))  # no worse than before
    (end,) = only(Conclude, told)
    assert isinstance(end, Conclude)
    assert (end.outcome, end.attempt.restored) == (Outcome.NOT_CURED, Restored.RESTORED)
    assert only(Escalate, told) == []


def test_a_rollback_that_restores_nothing_escalates() -> None:
    story, book = Story(), with_rollback()
    story.fire(book)
    story.tell(Exited("a1", 0))
    story.at(120)
    story.tell(Exited("a1", 0))
    told = story.at(240)
    (escalate,) = only(Escalate, told)
    assert isinstance(escalate, Escalate)
    assert (escalate.actions, escalate.reason) == (("page",), "the rollback failed")


@pytest.mark.parametrize("event", [NotRecorded("a1"), NeverStarted("a1"), Lost("a1", "gone")])
def test_a_rollback_that_cannot_be_made_escalates(event: Event) -> None:
    story, book = Story(), with_rollback()
    story.fire(book)
    story.tell(Exited("a1", 0))
    story.at(120)
    told = story.tell(event)
    (end,) = only(Conclude, told)
    assert isinstance(end, Conclude)
    assert end.attempt.restored is Restored.NOT_RESTORED
    assert only(Escalate, told)


def test_indoubt_counts_as_a_failure_and_escalates() -> None:
    story, book = Story(), runbook(action())
    story.fire(book)
    told = story.tell(Lost("a1", "token gone"))
    assert outcomes(told) == [Outcome.INDOUBT]
    assert only(Escalate, told)
    assert story.state.lane(LaneKey("r.yml", "web1", "cure")).failures == 1


def test_never_started_leaves_no_trace_in_the_lane() -> None:
    story, book = Story(), runbook(action())
    story.fire(book)
    assert outcomes(story.tell(NeverStarted("a1"))) == [Outcome.NEVER_STARTED]
    assert only(Execute, story.fire(book))


def test_cooldown_doubles_up_to_its_cap_and_a_cure_resets_it() -> None:
    book = runbook(action(guards=replace(LABCOAT_GUARDS, breaker=None, rate=None)))
    story, rests = Story(), []
    for _ in range(6):
        fail_once(story, book)
        lane = story.state.lane(LaneKey("r.yml", "web1", "cure"))
        assert lane.resting_until_s is not None
        rests.append(lane.resting_until_s - story.now_s)
        assert guards_held(story.fire(book)) == ["cooldown"]
        story.at(lane.resting_until_s)
    assert rests == [300, 600, 1200, 2400, 3600, 3600]
    (execute,) = only(Execute, story.fire(book))
    assert isinstance(execute, Execute)
    story.cured(execute.attempt.id)
    lane = story.state.lane(execute.attempt.key)
    assert lane.resting_until_s == story.now_s + 300


def cure_at_once(story: Story, book: Runbook, target: str) -> list[str]:
    told = story.fire(book, target)
    for intent in only(Execute, told):
        assert isinstance(intent, Execute)
        story.cured(intent.attempt.id)
    return guards_held(told)


def test_rates_of_a_lane_and_of_the_site() -> None:
    free = replace(LABCOAT_GUARDS, cooldown_s=0.0, rate=Rate(count=2, period_s=3600.0))
    book = runbook(action(guards=free))
    story = Story(site=replace(ACT, rate=Rate(count=3, period_s=3600.0)))
    assert [cure_at_once(story, book, "web1") for _ in range(3)] == [[], [], ["rate"]]
    assert [cure_at_once(story, book, "web2") for _ in range(2)] == [[], ["rate"]]
    story.at(3600.0)
    assert cure_at_once(story, book, "web2") == []


def test_a_canary_goes_alone_and_opens_the_way() -> None:
    book = runbook(action())
    story = Story(site=replace(ACT, group_sizes={"web*": 8}))
    assert only(Execute, story.fire(book, "web1"))
    assert guards_held(story.fire(book, "web2")) == ["canary"]
    story.cured("a1")
    assert only(Execute, story.fire(book, "web2"))
    assert only(Execute, story.fire(book, "web3"))
    assert guards_held(story.fire(book, "web4")) == ["rolling"]  # 25 % of 8
    story.cured("a3")
    assert only(Execute, story.fire(book, "web4"))


def test_a_canary_that_is_not_cured_stops_its_group() -> None:
    book = runbook(action(guards=replace(LABCOAT_GUARDS, escalate=("page",))))
    story = Story(site=replace(ACT, group_sizes={"web*": 8}))
    told = fail_once(story, book)
    (escalate,) = only(Escalate, told)
    assert isinstance(escalate, Escalate)
    assert escalate.actions == ("page",)
    assert guards_held(story.fire(book, "web2")) == ["canary"]
    story.at(story.now_s + 1800)
    assert only(Execute, story.fire(book, "web2"))


@pytest.mark.parametrize(
    ("rolling", "size", "allowed"),
    [
        (Rolling(), 1, 1), (Rolling(), 3, 1), (Rolling(), 8, 2), (Rolling(), 100, 25),
        (Rolling(max_ratio=1.0), 7, 7), (Rolling(max_count=3), 100, 3),
    ],
)  # fmt: skip
def test_how_many_of_a_group_at_once(rolling: Rolling, size: int, allowed: int) -> None:
    assert rolling.allowed(size) == allowed


def test_one_action_at_a_time_per_target_and_per_host() -> None:
    on_lb = action("drain", body=body(Place.HOST, host="lb1"))
    book = runbook(action(), action("other"), on_lb, group="one")
    story = Story()
    story.fire(book, "web1", "cure")
    assert guards_held(story.fire(book, "web1", "other")) == ["busy"]
    wide = Story(site=replace(ACT, group_sizes={"one": 1000}))
    free = replace(on_lb, guards=replace(LABCOAT_GUARDS, rolling=Rolling(canary=0)))
    book = runbook(free, group="one")
    assert only(Execute, wide.fire(book, "web1"))
    assert guards_held(wide.fire(book, "web2")) == ["busy"]


def test_actions_of_compat_wait_for_each_other_and_are_all_made() -> None:
    plain = Guards()
    book = runbook(action("first", plain), action("second", plain), semantics=Semantics.COMPAT)
    story = Story()
    assert only(Execute, story.fire(book, name="first"))
    assert guards_held(story.fire(book, name="second")) == ["busy"]
    told = story.tell(Exited("a1", 1))
    assert outcomes(told) == [Outcome.FAILED]
    (execute,) = only(Execute, told)
    assert isinstance(execute, Execute)
    assert execute.attempt.key.action == "second"
    assert outcomes(story.tell(Exited("a2", 0))) == [Outcome.SUCCEEDED]
    assert only(Execute, story.fire(book, name="first"))  # no cooldown in compat


def test_advice_has_a_stable_id_and_can_be_hidden_and_applied() -> None:
    story, book = Story(site=Site()), runbook(action())
    (advise,) = story.fire(book)
    assert isinstance(advise, Advise)
    assert advise.id == advice_id("r.yml", "cure", "web1", body())
    assert not advise.hidden
    assert story.fire(book) == [advise]
    story.tell(Acknowledged(advise.id))
    assert story.fire(book) == [replace(advise, hidden=True)]
    assert only(Execute, story.fire(book, cause=Cause.ASKED))


def test_ids_of_advice_are_pinned_over_versions() -> None:
    assert advice_id("r.yml", "cure", "web1", body()) == "adv-e3f5ef7558"
    assert advice_id("r.yml", "cure", "web1", body(cmd="false")) != "adv-e3f5ef7558"


@pytest.mark.parametrize(
    ("site", "book_mode", "target", "expected"),
    [
        (Site(), None, "web1", Mode.ADVISE),
        (Site(), Mode.ACT, "web1", Mode.ACT),
        (ACT, Mode.ADVISE, "web1", Mode.ADVISE),
        (Site(modes=(("web*", Mode.ACT),)), None, "web1", Mode.ACT),
        (Site(modes=(("web*", Mode.ACT),)), None, "db1", Mode.ADVISE),
        (Site(mode=Mode.ACT, forced=Mode.ADVISE), Mode.ACT, "web1", Mode.ADVISE),
    ],
)
def test_modes(site: Site, book_mode: Mode | None, target: str, expected: Mode) -> None:
    assert site.mode_of(replace(runbook(), mode=book_mode), target) is expected


def test_pauses_hold_until_they_end() -> None:
    story, book = Story(), runbook(action())
    story.tell(Paused(Pause(glob="web*", until_wall_s=EPOCH_S + 100, reason="move", who="ann")))
    assert guards_held(story.fire(book, "web1")) == ["pause"]
    assert cure_at_once(story, book, "db1") == []
    story.tell(Resumed("web*"))
    assert cure_at_once(story, book, "web1") == []
    story.tell(Paused(Pause(glob="*", until_wall_s=EPOCH_S + 100, reason="move", who="ann")))
    assert guards_held(story.fire(book, "web2")) == ["pause"]
    story.at(100)
    assert only(Execute, story.fire(book, "web2"))


def test_maintenance_by_interval_and_by_cron() -> None:
    interval = Maintenance(glob="web*", starts_s=EPOCH_S, ends_s=EPOCH_S + 60)
    # EPOCH_S is 2027-01-15 08:00:00 UTC, a Friday.
    weekly = Maintenance(
        glob="db*", quiet=Quiet.NO_CHECK, duration_s=3600.0,
        cron=from_string("30 7 * * fri", timezone="UTC"),
    )  # fmt: skip
    site = replace(ACT, maintenance=(interval, weekly))
    assert quiet_now(site, "web1", EPOCH_S) is Quiet.NO_ACT
    assert quiet_now(site, "web1", EPOCH_S + 60) is None
    assert quiet_now(site, "db1", EPOCH_S) is Quiet.NO_CHECK
    assert quiet_now(site, "db1", EPOCH_S - 1800) is Quiet.NO_CHECK
    assert quiet_now(site, "db1", EPOCH_S - 1801) is None
    assert quiet_now(site, "db1", EPOCH_S + 1800) is None
    assert quiet_now(site, "lb1", EPOCH_S) is None
    story, book = Story(site=site), runbook(action())
    assert guards_held(story.fire(book, "web1")) == ["maintenance"]


def lose(story: Story, *names: str) -> list[Intent]:
    return [intent for name in names for intent in story.tell(Contact(name, answers=False))]


def test_a_partition_freezes_actions_and_alerts_once() -> None:
    story, book = Story(site=replace(ACT, targets=10)), runbook(action())
    assert lose(story, "w1", "w2") == []
    (alert,) = lose(story, "w3", "w4")
    assert isinstance(alert, Alert)
    assert alert.kind == "partition"
    assert guards_held(story.fire(book, "web1")) == ["partition"]
    assert story.tell(Contact("w1", answers=True)) == []
    (alert,) = story.tell(Contact("w2", answers=True))
    assert isinstance(alert, Alert)
    assert alert.kind == "partition-over"
    assert only(Execute, story.fire(book, "web1"))


def test_targets_lost_one_by_one_over_time_are_no_partition() -> None:
    story = Story(site=replace(ACT, targets=10))
    for index in range(5):
        assert lose(story, f"w{index}") == []
        story.now_s += 61


def test_two_targets_are_never_a_partition_but_the_sentinels_are() -> None:
    story = Story(site=replace(ACT, targets=2))
    assert lose(story, "w1", "w2") == []
    assert only(Alert, story.tell(Sentinels(answer=False)))
    assert only(Alert, story.tell(Sentinels(answer=True)))


def test_a_partition_gives_up_what_was_not_sent() -> None:
    story, book = Story(mute=True), runbook(action())
    story.fire(book)
    story.tell(Sentinels(answer=False))
    assert outcomes(story.tell(Recorded("a1", Phase.INTENT))) == [Outcome.NEVER_STARTED]


def test_no_verdict_is_given_during_a_partition_and_the_window_begins_anew() -> None:
    story, book = Story(), runbook(action())
    story.fire(book)
    story.tell(Exited("a1", 0))
    story.tell(Sentinels(answer=False))
    assert story.at(500) == []
    assert story.tell(Examined("a1", {"http": U, "rss": U})) == []
    story.tell(Sentinels(answer=True))
    assert outcomes(story.at(619.0)) == []
    assert outcomes(story.at(620.0)) == [Outcome.NOT_CURED]


def test_escalations_are_told_hourly_until_somebody_acknowledges() -> None:
    book = runbook(
        action(guards=replace(LABCOAT_GUARDS, escalate=("page",))),
        action("page", Guards(manual=True)),
    )
    story = Story()
    story.fire(book)
    (escalate,) = only(Escalate, story.tell(Lost("a1", "gone")))
    assert isinstance(escalate, Escalate)
    assert story.at(3599) == []
    assert story.at(3600) == [escalate]
    assert story.at(7200) == [escalate]
    story.tell(Acknowledged(escalate.id))
    assert story.at(20_000) == []


def test_an_escalation_acts_even_while_everything_holds() -> None:
    page = action("page", replace(LABCOAT_GUARDS, manual=True), body=body(Place.REMOTE))
    book = runbook(action(), page)
    story = Story(site=replace(ACT, rate=Rate(count=1, period_s=3600)))
    story.fire(book)
    story.tell(Sentinels(answer=False))
    told = story.fire(book, name="page", cause=Cause.ESCALATION)
    (execute,) = only(Execute, told)
    assert isinstance(execute, Execute)
    assert outcomes(story.tell(Exited(execute.attempt.id, 1))) == [Outcome.FAILED]
    assert story.state.lane(execute.attempt.key).resting_until_s is None


@pytest.mark.parametrize(
    ("word", "percent"),
    [("O" * 20 + "C", 6.0), ("O" * 21, 0.0), ("OOOOC" * 4 + "O", 41.0), ("OC" * 10 + "O", 100.0)],
)
def test_flapping_numbers(word: str, percent: float) -> None:
    statuses = tuple({"O": O, "C": C}[letter] for letter in word)
    assert round(100 * change_ratio(statuses), 0) == percent


def test_flapping_starts_above_20_percent_and_stops_below_5() -> None:
    flap, turned = Flap(), []
    for index in range(80):
        before = flap.is_flapping
        flap = observed(flap, C if index < 40 and index % 4 == 0 else O)
        if flap.is_flapping is not before:
            turned.append((index, round(change_ratio(flap.statuses), 3)))
    (started_at, start), (stopped_at, stop) = turned
    assert started_at < 40 < stopped_at
    assert start > 0.20
    assert stop < 0.05


def test_actions_wait_while_a_check_flaps_and_people_are_told() -> None:
    book = runbook(action(guards=replace(LABCOAT_GUARDS, escalate=("page",))))
    story = Story()
    assert guards_held(story.fire(book, flapping=("http",))) == ["flapping"]
    told = story.tell(Flapping(book, "web1", ("http",)))
    assert [type(intent) for intent in told] == [Escalate]
    assert story.tell(Flapping(book, "web1", ())) == []


def test_an_attempt_without_verification_is_judged_by_its_exit_code() -> None:
    book = runbook(action(guards=replace(LABCOAT_GUARDS, verify=None)))
    story = Story()
    story.fire(book)
    assert outcomes(story.tell(Exited("a1", 0))) == [Outcome.SUCCEEDED]


Step = Callable[[Story, Runbook], None]
AN_ID = st.integers(1, 12).map(lambda n: f"a{n}")
EVENTS = st.one_of(
    st.builds(Recorded, AN_ID, st.sampled_from(Phase)),
    st.builds(Exited, AN_ID, st.sampled_from([0, 1, None])),
    st.builds(Lost, AN_ID, st.just("gone")),
    st.builds(NeverStarted, AN_ID),
    st.builds(NotRecorded, AN_ID),
    st.builds(Examined, AN_ID, st.fixed_dictionaries({"http": st.sampled_from(Status), "rss": st.sampled_from(Status)})),
    st.just(Tick()),
    st.builds(Contact, st.sampled_from(["w1", "w2", "w3", "w4"]), st.booleans()),
    st.builds(Sentinels, st.booleans()),
    st.builds(Reset, st.just("r.yml"), st.sampled_from(["web1", "web2"]), st.just("cure")),
)  # fmt: skip
MOVES = st.lists(
    st.tuples(
        st.sampled_from([0.0, 1.0, 10.0, 60.0, 400.0, 2000.0]),
        st.one_of(EVENTS, st.sampled_from(["web1", "web2", "web3"])),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=60)
@given(MOVES, st.booleans())
def test_whatever_happens_nothing_is_executed_twice_nor_unrecorded(
    moves: list[tuple[float, Event | str]], rolls_back: bool
) -> None:
    book = with_rollback() if rolls_back else runbook(action())
    story = Story(site=replace(ACT, targets=4, group_sizes={"web*": 3}), mute=True)
    executed: list[str] = []
    concluded_ids: list[str] = []
    committed: set[tuple[str, Phase]] = set()
    for pause_s, move in moves:
        story.now_s += pause_s
        if isinstance(move, Recorded):
            committed.add((move.attempt_id, move.phase))
        told = story.fire(book, move) if isinstance(move, str) else story.tell(move)
        for intent in told:
            if isinstance(intent, Execute):
                rolling = intent.marker.endswith(".rollback")
                needed = (
                    (Phase.ROLLBACK_INTENT, Phase.ROLLBACK_SENT)
                    if rolling
                    else (Phase.INTENT, Phase.SENT)
                )
                assert all((intent.attempt.id, phase) in committed for phase in needed)
                executed.append(intent.marker)
            if isinstance(intent, Conclude):
                concluded_ids.append(intent.attempt.id)
        busy = [attempt.key.target for attempt in story.state.attempts.values()]
        assert len(busy) == len(set(busy))
        for id_, attempt in story.state.attempts.items():
            assert story.state.lane(attempt.key).attempt == id_
    assert len(executed) == len(set(executed))
    assert len(concluded_ids) == len(set(concluded_ids))


def test_everything_remembered_survives_a_document_and_a_change_of_clock() -> None:
    story, book = Story(site=replace(ACT, targets=10, group_sizes={"web*": 8})), with_rollback()
    story.now_s = 50.0
    story.fire(book)
    story.tell(Exited("a1", 1))
    story.at(170.0)
    story.tell(NeverStarted("a1"))
    story.fire(runbook(action(), group="other"), "db1")
    story.tell(Paused(Pause(glob="x", until_wall_s=9e9, reason="move", who="ann")))
    lose(story, "w1")
    kept = json.loads(json.dumps(stored.to_document(story.state)))
    assert stored.from_document(kept) == story.state
    assert stored.shifted(stored.shifted(story.state, 100.0), -100.0) == story.state
    moved = stored.shifted(story.state, 1000.0)
    lane = moved.lane(LaneKey("r.yml", "web1", "cure"))
    assert lane.resting_until_s == 170.0 + 300.0 + 1000.0


def test_a_state_that_cannot_be_read_is_told() -> None:
    with pytest.raises(JournalError, match="HealState"):
        stored.from_document({"lanes": [["x", {}]]})
