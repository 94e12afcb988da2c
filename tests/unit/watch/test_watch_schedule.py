"""Slots: as APScheduler 3 has them, as cron has them, through shifts and jumps of clocks."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from labcoat.watch.model.moment import Moment
from labcoat.watch.model.schedule import EVERY_MINUTE, Cron
from labcoat.watch.schedule.fields import FIELDS, SPANS, CronMistake, from_fields, from_string
from labcoat.watch.schedule.slots import next_slot, slots
from labcoat.watch.schedule.spread import offset_s, period_s
from labcoat.watch.schedule.ticking import jump_s, plan, tick

START = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)


def first(cron: Cron, count: int, after: datetime = START) -> list[str]:
    return [slot.strftime("%a %d %b %H:%M:%S") for slot in islice(slots(cron, after), count)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* * * * *", ["Thu 01 Jan 12:01:00", "Thu 01 Jan 12:02:00"]),
        ("*/5 * * * *", ["Thu 01 Jan 12:05:00", "Thu 01 Jan 12:10:00"]),
        ("7,37 * * * *", ["Thu 01 Jan 12:07:00", "Thu 01 Jan 12:37:00"]),
        ("0 */2 * * *", ["Thu 01 Jan 14:00:00", "Thu 01 Jan 16:00:00"]),
        ("0 0 * * 0", ["Sun 04 Jan 00:00:00", "Sun 11 Jan 00:00:00"]),
        ("0 0 * * 7", ["Sun 04 Jan 00:00:00", "Sun 11 Jan 00:00:00"]),
        ("0 0 * * 1", ["Mon 05 Jan 00:00:00", "Mon 12 Jan 00:00:00"]),
        ("0 0 * * sat-sun", ["Sat 03 Jan 00:00:00", "Sun 04 Jan 00:00:00"]),
        ("0 0 13 * fri", ["Fri 02 Jan 00:00:00", "Fri 09 Jan 00:00:00", "Tue 13 Jan 00:00:00"]),
        ("0 0 */2 * fri", ["Fri 09 Jan 00:00:00", "Fri 23 Jan 00:00:00"]),
        ("0 0 1 feb *", ["Sun 01 Feb 00:00:00", "Mon 01 Feb 00:00:00"]),
        ("0 0 29 2 *", ["Tue 29 Feb 00:00:00", "Sun 29 Feb 00:00:00"]),
        ("10-20/5 1 * * *", ["Fri 02 Jan 01:10:00", "Fri 02 Jan 01:15:00", "Fri 02 Jan 01:20:00"]),
    ],
)
def test_cron_strings_are_read_as_cron_reads_them(text: str, expected: list[str]) -> None:
    cron = from_string(text, timezone="UTC")
    assert first(cron, len(expected)) == expected


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("* * * *", "4 of 5 fields"),
        ("", "0 of 5 fields"),
        ("60 * * * *", "'60' is no minute"),
        ("* 24 * * *", "'24' is no hour"),
        ("* * 0 * *", "'0' is no day"),
        ("* * * 13 *", "'13' is no month"),
        ("* * * * 8", "'8' is no day of week"),
        ("*/0 * * * *", "step 0"),
        ("*/90 * * * *", "step 90"),
        ("5,, * * * *", "an empty expression"),
        ("30-10 * * * *", "'30-10' in minute ends before it starts"),
        ("* * * * fri-mon", "'fri-mon' in day of week ends before it starts"),
        ("x * * * *", "'x' is no minute"),
        ("@daily * * * *", "'@daily' is no minute"),
    ],
)
def test_a_bad_cron_string_is_told_with_a_way_out(text: str, what: str) -> None:
    with pytest.raises(CronMistake) as caught:
        from_string(text)
    assert caught.value.what.startswith(what)
    assert caught.value.fix


def theirs(fields: dict[str, str], after: datetime, count: int) -> list[datetime]:
    trigger = CronTrigger(timezone="UTC", **{"second": "0", **fields})
    found: list[datetime] = []
    now = after + timedelta(microseconds=1)
    for _ in range(count):
        slot = trigger.get_next_fire_time(None, now)
        if slot is None:
            break
        found.append(slot)
        now = slot + timedelta(microseconds=1)
    return found


NUMERIC = {name: (SPANS[name].low, SPANS[name].high) for name in FIELDS}


@st.composite
def expressions(draw: st.DrawFn, name: str) -> str:
    low, high = NUMERIC[name]
    number = st.integers(low, high)
    a, b = sorted((draw(number), draw(number)))
    step = draw(st.integers(1, max(1, high - low)))
    kinds = ["*", f"*/{step}", str(a), f"{a}-{b}"]
    if step <= b - a:
        kinds.append(f"{a}-{b}/{step}")
    if name == "day":
        kinds += ["last", "1st mon", "2nd fri", "5th sun", "last tue"]
    if name == "day_of_week":
        kinds += ["mon", "tue-sat", "sun"]
    if name == "month":
        kinds += ["jan", "feb-nov"]
    return draw(st.sampled_from(kinds))


@st.composite
def schedules(draw: st.DrawFn) -> dict[str, str]:
    named = draw(st.sets(st.sampled_from(FIELDS), max_size=4))
    return {
        name: ",".join(draw(st.lists(expressions(name), min_size=1, max_size=2)))
        for name in sorted(named)
    }


@settings(deadline=None, max_examples=80)
@given(schedules(), st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)))  # noqa: DTZ001
def test_dicts_mean_what_apscheduler_makes_of_them(fields: dict[str, str], naive: datetime) -> None:
    after = naive.replace(tzinfo=UTC, microsecond=0)
    expected = theirs(fields, after, 4)
    assume(len(expected) == 4)
    cron = from_fields(fields, timezone="UTC")
    assert list(islice(slots(cron, after), 4)) == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"minute": "60"},
        {"minute": "*/0"},
        {"minute": "*/90"},
        {"hour": "5-2"},
        {"day": "0"},
        {"day": "6th mon"},
        {"day": "1st xyz"},
        {"month": "foo"},
        {"day_of_week": "7"},
        {"day_of_week": "fri-mon"},
        {"second": "1,,2"},
    ],
)
def test_what_apscheduler_refuses_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        CronTrigger(timezone="UTC", **fields)
    with pytest.raises(CronMistake):
        from_fields(fields)


def test_a_dict_without_second_is_due_at_second_0() -> None:
    assert from_fields({"minute": "*/10"}, timezone="UTC").seconds == (0,)
    assert from_fields({}, timezone="UTC").minutes == EVERY_MINUTE.minutes


def test_a_day_that_never_comes_has_no_slot() -> None:
    assert next_slot(from_string("0 0 31 2 *", timezone="UTC"), START) is None
    assert plan(from_string("0 0 30 feb *", timezone="UTC"), 0.0, START.timestamp()) is None


BERLIN = "Europe/Berlin"


def local(cron: Cron, after: str, count: int) -> list[str]:
    start = datetime.fromisoformat(after).replace(tzinfo=ZoneInfo(BERLIN))
    found = islice(slots(cron, start), count)
    return [slot.astimezone(ZoneInfo(BERLIN)).strftime("%d %H:%M %Z") for slot in found]


def test_a_daily_slot_in_the_gap_of_spring_is_due_at_its_end() -> None:
    daily = from_string("30 2 * * *", timezone=BERLIN)
    expected = ["28 02:30 CET", "29 03:00 CEST", "30 02:30 CEST"]
    assert local(daily, "2026-03-27T12:00", 3) == expected
    assert local(daily, "2026-03-29T01:59:59", 1) == ["29 03:00 CEST"]


def test_a_daily_slot_in_the_repeated_hour_of_autumn_is_due_once() -> None:
    daily = from_string("30 2 * * *", timezone=BERLIN)
    expected = ["24 02:30 CEST", "25 02:30 CEST", "26 02:30 CET"]
    assert local(daily, "2026-10-23T12:00", 3) == expected
    inside = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)  # 02:10 CET, the second time
    assert next_slot(daily, inside) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


def test_hourly_slots_go_on_through_both_shifts() -> None:
    often = from_string("*/30 * * * *", timezone=BERLIN)
    for day in (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)):
        found = list(islice(slots(often, day), 12))
        assert {later - sooner for sooner, later in pairwise(found)} == {timedelta(minutes=30)}


@settings(deadline=None, max_examples=60)
@given(schedules(), st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1)))  # noqa: DTZ001
def test_slots_increase_and_a_later_start_finds_the_same_ones(
    fields: dict[str, str], naive: datetime
) -> None:
    cron = from_fields(fields, timezone=BERLIN)
    after = naive.replace(tzinfo=UTC)
    found = list(islice(slots(cron, after), 5))
    assert all(sooner < later for sooner, later in pairwise([after, *found]))
    for sooner, later in pairwise(found):
        middle = sooner + (later - sooner) / 2
        assert next_slot(cron, middle) == later


def test_local_time_is_used_where_no_zone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        slot = next_slot(from_string("0 9 * * *"), START)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert slot == datetime(2026, 1, 2, 3, 30, tzinfo=UTC)


def test_spread_is_stable_and_within_a_quarter_of_the_period() -> None:
    every_20_s = from_fields({"second": "*/20"}, timezone="UTC")
    offsets = [offset_s(every_20_s, f"load@web{i}") for i in range(400)]
    assert offsets == [offset_s(every_20_s, f"load@web{i}") for i in range(400)]
    assert 0 <= min(offsets) < 0.5
    assert 4.5 < max(offsets) < 5.0
    assert max(offset_s(EVERY_MINUTE, f"x{i}") for i in range(400)) < 15.0
    assert offset_s(EVERY_MINUTE, "x", 0.0) == 0.0
    assert period_s(from_string("7,37 * * * *", timezone="UTC")) == 1800.0


def moment(wall_s: float, elapsed_s: float) -> Moment:
    return Moment(elapsed_s=elapsed_s, wall_s=wall_s, boot_id="b")


def test_time_that_passes_makes_each_round_once() -> None:
    cron, wall_s = from_string("* * * * *", timezone="UTC"), START.timestamp()
    planned = plan(cron, 7.0, wall_s)
    made = []
    before = moment(wall_s, 0.0)
    for step_s in range(1, 301):
        now = moment(wall_s + step_s, float(step_s))
        assert planned is not None
        ticked = tick(cron, 7.0, planned, before, now)
        if ticked.due is not None:
            made.append(step_s)
            assert ticked.skipped == 0
        planned, before = ticked.planned, now
    assert made == [37, 97, 157, 217, 277]


def test_a_clock_put_forward_makes_one_round_of_all_that_it_jumped_over() -> None:
    cron, wall_s = from_string("* * * * *", timezone="UTC"), START.timestamp()
    planned = plan(cron, 0.0, wall_s)
    assert planned is not None
    before, now = moment(wall_s, 0.0), moment(wall_s + 3601.0, 1.0)
    assert jump_s(before, now) == 3600.0
    ticked = tick(cron, 0.0, planned, before, now)
    assert ticked.due == planned
    assert ticked.skipped == 59
    assert ticked.planned is not None
    assert ticked.planned.slot_s > now.wall_s
    assert tick(cron, 0.0, ticked.planned, now, moment(now.wall_s + 1, 2.0)).due is None


def test_a_clock_put_back_plans_anew_and_makes_no_round_at_once() -> None:
    cron, wall_s = from_string("* * * * *", timezone="UTC"), START.timestamp()
    planned = plan(cron, 0.0, wall_s)
    assert planned is not None
    before, now = moment(wall_s, 0.0), moment(wall_s - 3599.0, 1.0)
    ticked = tick(cron, 0.0, planned, before, now)
    assert ticked.due is None
    assert ticked.planned is not None
    assert 0 < ticked.planned.slot_s - now.wall_s <= 60


def test_a_machine_that_slept_is_no_jump() -> None:
    before, now = moment(0.0, 0.0), moment(7200.0, 7200.0)
    assert jump_s(before, now) is None
    assert jump_s(before, Moment(elapsed_s=1.0, wall_s=9e9, boot_id="other")) is None
