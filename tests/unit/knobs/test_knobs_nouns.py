from __future__ import annotations

from dataclasses import replace

import pytest

from labcoat.knobs import KNOBS, find
from labcoat.model.domain import (
    Limit,
    Number,
    OneOf,
    Phrase,
    Quantity,
    Switch,
    WholeNumber,
    spelled,
)
from labcoat.model.knob import Domain
from labcoat.model.variant import Level
from labcoat.testing.knobs import LARGE, SMALL

CPUS = Limit("the CPUs", lambda facts: facts.cpus)
SIZES = {"k": 1024, "m": 1024**2}
PHRASE = Phrase(pattern=r"\d+ \d+k", examples=("8 4k",), form="NUMBER SIZE", words=("off",))


@pytest.mark.parametrize(
    ("domain", "text", "level", "is_legal"),
    [
        (WholeNumber(low=1, high=CPUS), " 1 ", 1, True),
        (WholeNumber(low=1, high=CPUS), "2", 2, False),
        (WholeNumber(low=-1, high=1), "-1", -1, True),
        (WholeNumber(low=1, high=2, words=("auto",)), "auto", "auto", True),
        (Number(low=1.0, high=2.0), "1.5", 1.5, True),
        (Number(low=1.0, high=2.0), "3", 3.0, False),
        (Switch(), "Yes", True, True),
        (Switch(), "off", False, True),
        (OneOf(("a", True)), "on", True, True),
        (OneOf(("a", True)), "a", "a", True),
        (Quantity(units=SIZES, low=1024, high=4096), "4 k", "4k", True),
        (Quantity(units=SIZES, low=1024, high=4096), "1m", "1m", False),
        (Quantity(units=SIZES, low=1024, high=4096, words=("0",)), "0", "0", True),
        (PHRASE, "8  16k", "8 16k", True),
        (PHRASE, "off", "off", True),
    ],
)
def test_a_text_becomes_a_level(domain: Domain, text: str, level: Level, is_legal: bool) -> None:
    parsed = domain.parse(text)
    assert (parsed, type(parsed)) == (level, type(level))
    assert domain.admits(parsed, SMALL) is is_legal


@pytest.mark.parametrize(
    ("domain", "text"),
    [
        (WholeNumber(low=1, high=9), "1.5"),
        (Number(low=1.0, high=9.0), "-1"),
        (Switch(), "2"),
        (OneOf(("a",)), "b"),
        (Quantity(units=SIZES, low=0, high=9), "5K"),
        (Quantity(units=SIZES, low=0, high=9), "k"),
        (PHRASE, "8"),
    ],
)
def test_what_is_written_otherwise_is_refused(domain: Domain, text: str) -> None:
    with pytest.raises(ValueError, match=repr(text)):
        domain.parse(text)


@pytest.mark.parametrize(
    ("domain", "level"),
    [
        (WholeNumber(low=0, high=9), True),
        (WholeNumber(low=0, high=9), 1.0),
        (WholeNumber(low=0, high=9), "auto"),
        (Number(low=0.0, high=9.0), True),
        (Number(low=0.0, high=9.0), "1"),
        (Switch(), 1),
        (OneOf((True,)), 1),
        (Quantity(units=SIZES, low=0, high=9999), 4096),
        (Quantity(units=SIZES, low=0, high=9999), "4kB"),
        (PHRASE, 8),
        (PHRASE, "8"),
    ],
)
def test_a_level_of_another_kind_is_not_legal(domain: Domain, level: Level) -> None:
    assert not domain.admits(level, SMALL)


@pytest.mark.parametrize(
    ("domain", "anywhere", "here"),
    [
        (WholeNumber(low=1, high=CPUS), "1 to the CPUs", "1 to 64"),
        (WholeNumber(low=1, high=2, words=("auto",)), "1 to 2, or auto", "1 to 2, or auto"),
        (Number(low=1.0, high=2.5), "1.0 to 2.5", "1.0 to 2.5"),
        (Switch(), "on or off", "on or off"),
        (OneOf(("a", "b", "c")), "a, b or c", "a, b or c"),
        (OneOf(("a",)), "a", "a"),
        (Quantity(units=SIZES, low=0, high=1536 * 1024), "0k to 1536k", "0k to 1536k"),
        (PHRASE, "NUMBER SIZE (8 4k), or off", "NUMBER SIZE (8 4k), or off"),
    ],
)
def test_a_domain_is_told_in_words(domain: Domain, anywhere: str, here: str) -> None:
    assert domain.describe() == anywhere
    assert domain.describe(LARGE) == here


def test_levels_are_told_as_people_write_them() -> None:
    assert [spelled(level) for level in (None, True, False, 4, 1.5, "4k")] == [
        "unset", "on", "off", "4", "1.5", "4k",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "version", "level"),
    [
        ("nginx.keepalive_requests", "1.18.0", 100),
        ("nginx.keepalive_requests", "1.19.10", 1000),
        ("nginx.keepalive_requests", "1.22.1", 1000),
        ("nginx.upstream.keepalive", "1.29.6", None),
        ("uwsgi.enable-threads", "2.0.30", True),
        ("python.gc.threshold", "3.12.4", 700),
        ("postgres.checkpoint_completion_target", "13.4", 0.5),
    ],
)
def test_the_default_depends_on_the_version(name: str, version: str, level: Level | None) -> None:
    assert find(name).default_for(version) == level


def test_a_binary_that_lacks_a_knob_says_why() -> None:
    knob = find("nginx.http2")
    assert knob.lacks("1.22.1", "--with-http_v2_module") == "nginx 1.22.1 is older than 1.25.1"
    assert knob.lacks("1.26.0", "") == "this nginx is built without --with-http_v2_module"
    assert knob.lacks("1.26.0", "x --with-http_v2_module y") is None
    assert all(replace(knob, needs="", needs_build="").lacks("0.1", "") is None for knob in KNOBS)


CONDITIONS = {
    "nginx.worker_connections": ({"accepts": 9, "handled": 8}, {"accepts": 9, "handled": 9}),
    "nginx.listen.reuseport": ({"accepts": 9, "requests": 9}, {"accepts": 9, "requests": 90}),
    "nginx.proxy_buffers": ({"proxy_passes": 1}, {"proxy_passes": 0}),
    "nginx.sendfile": ({"file_places": 1}, {"file_places": 0}),
    "uwsgi.processes": ({"busy": 2, "slots": 2}, {"busy": 1, "slots": 2, "listen_queue": 0}),
    "uwsgi.threads": ({"listen_queue": 3, "busy": 0, "slots": 1}, {"busy": 0, "slots": 1}),
    "uwsgi.listen": ({"listen_queue_errors": 1}, {"listen_queue_errors": 0}),
    "uwsgi.thunder-lock": ({"processes": 2}, {"processes": 1}),
    "gunicorn.reuse_port": ({"processes": 2}, {"processes": 1}),
    "postgres.shared_buffers": ({"blocks_read": 5}, {"blocks_read": 0}),
    "postgres.work_mem": ({"temp_files": 1}, {"temp_files": 0}),
    "postgres.synchronous_commit": (
        {"rows_written": 9, "commits": 900},
        {"rows_written": 9, "commits": 10_000},
    ),
    "postgres.wal_buffers": ({"wal_buffers_full": 1}, {"wal_buffers_full": 0}),
}


@pytest.mark.parametrize("name", list(CONDITIONS))
def test_a_condition_is_asked_of_the_components_counters(name: str) -> None:
    holds = find(name).condition.holds
    assert holds is not None
    seen, unseen = CONDITIONS[name]
    assert (holds(seen), holds(unseen)) == (True, False)
