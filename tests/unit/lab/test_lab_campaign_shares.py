"""Shares and bounds: against hand calculation, and never too small."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcoat.lab.baseline.findings import compose
from labcoat.lab.campaign.shares import CACHED, MODEST, Shares, shares_in, shares_of
from labcoat.model.knob import Relief
from labcoat.testing.baseline import gathered, reading, two_routes
from labcoat.testing.campaign import a_knob

SHARES = Shares(
    layers={"nginx": 0.001, "uwsgi": 0.008, "postgres": 0.001},
    server="uwsgi",
    app_s=0.005,
    front=frozenset({"nginx"}),
    free_s=0.002,
)
OWN_S = 0.008 - 0.85 * 0.005


@pytest.mark.parametrize(
    ("knob", "reliefs", "bound"),
    [
        ("nginx.x", (Relief.LAYER,), 1 / 9),  # of all layers: no worker waits for it
        ("postgres.x", (Relief.LAYER,), 1 / 8),  # of what holds a worker
        ("uwsgi.x", (Relief.LAYER,), OWN_S / (0.009 - OWN_S)),
        ("python.x", (Relief.LAYER,), OWN_S / (0.009 - OWN_S)),
        ("stack.x", (Relief.LAYER,), OWN_S / (0.009 - OWN_S)),
        ("uwsgi.x", (Relief.APP,), 8.0),
        ("uwsgi.x", (Relief.WAITING,), 0.2),
        ("nginx.x", (Relief.LAYER, Relief.WAITING), (1 + 1 / 9) * 1.2 - 1),
        ("nginx.x", (Relief.ALL,), math.inf),
        ("granian.x", (Relief.LAYER,), 0.0),
    ],
)
def test_a_bound_is_amdahls(knob: str, reliefs: tuple[Relief, ...], bound: float) -> None:
    assert SHARES.bound(a_knob(knob, relieves=reliefs)) == pytest.approx(bound)


def test_a_server_that_is_all_app_still_has_a_cost_of_its_own() -> None:
    """A tenth at the least: that the app takes it all may be a mistake of the probe."""
    shares = replace(SHARES, app_s=0.02)
    assert shares.bound(a_knob("uwsgi.x", relieves=(Relief.LAYER,))) == pytest.approx(
        0.0008 / (0.009 - 0.0008)
    )


@pytest.mark.parametrize("relief", [Relief.LAYER, Relief.APP, Relief.WAITING])
def test_a_stack_of_nothing_but_one_part_has_no_bound(relief: Relief) -> None:
    shares = replace(SHARES, layers={"uwsgi": 0.0}, free_s=0.001)
    assert shares.bound(a_knob("uwsgi.x", relieves=(relief,))) == math.inf


seconds = st.floats(1e-6, 1.0)


@given(nginx=seconds, server=seconds, database=seconds, free=seconds, app=st.floats(0, 1))
def test_a_bound_is_never_below_what_a_part_that_vanishes_would_give(
    nginx: float, server: float, database: float, free: float, app: float
) -> None:
    """Whether the cores are the limit (all layers) or the workers (what holds one)."""
    app_s = app * server
    shares = replace(
        SHARES,
        layers={"nginx": nginx, "uwsgi": server, "postgres": database},
        app_s=app_s,
        free_s=free,
    )
    whole, held = nginx + server + database, server + database
    vanishing = {
        ("nginx.x", Relief.LAYER): [(nginx, whole)],
        ("postgres.x", Relief.LAYER): [(database, whole), (database, held)],
        ("uwsgi.x", Relief.LAYER): [(server - app_s, whole), (server - app_s, held)],
        ("uwsgi.x", Relief.APP): [(app_s, whole), (app_s, held)],
        ("uwsgi.x", Relief.WAITING): [(free, whole + free)],
    }
    for (name, relief), parts in vanishing.items():
        knob = a_knob(name, relieves=(relief,))
        for part, of in parts:
            assert shares.bound(knob) >= part / (of - part) * (1 - 1e-9)
        assert 0 <= shares.hope(knob) <= shares.bound(knob)


def test_what_is_hoped_is_half_of_what_waits_and_modest_of_what_is_saved() -> None:
    assert SHARES.hope(a_knob("uwsgi.x", relieves=(Relief.WAITING,))) == pytest.approx(0.1)
    assert SHARES.hope(a_knob("uwsgi.x", relieves=(Relief.APP,))) == pytest.approx(MODEST)
    assert SHARES.hope(a_knob("nginx.x", relieves=(Relief.LAYER,))) == pytest.approx(1 / 18)
    assert SHARES.hope(a_knob("nginx.x", relieves=(Relief.ALL,))) == pytest.approx(CACHED)


def test_the_shares_of_a_baseline_are_those_of_its_account() -> None:
    """1,000 requests in 10 s of 2 cores: the stack 12 s, the generator 0.5, the rest is free."""
    found = compose(two_routes(), "study-1", gathered(), at="", elapsed_s=0.0)
    shares = shares_of(found, server="uwsgi")
    assert shares.layers == pytest.approx({"nginx": 0.001, "uwsgi": 0.008, "postgres": 0.003})
    assert shares.front == {"nginx"}
    assert shares.app_s == 0.006
    assert shares.free_s == pytest.approx((20 - 12 - 0.5) / 1000)


def test_the_shares_of_an_arm_are_those_of_its_slices() -> None:
    """Two slices of a second of 2 cores: 1.2 s of the stack, 0.05 s of the generator in each."""
    shares = shares_in([reading(per_s=100.0)] * 2, server="uwsgi", app_s=0.006)
    assert shares.layers == pytest.approx({"nginx": 0.001, "uwsgi": 0.008, "postgres": 0.003})
    assert shares.free_s == pytest.approx((2 - 1.2 - 0.05) / 100)
    taken = shares_in([reading()], server="old", played_by="uwsgi", app_s=0.0)
    assert list(taken.layers) == ["nginx", "old", "postgres"]
    assert taken.front == {"nginx"}
    assert shares_in([reading()], server="none", app_s=0.0).front == frozenset()
