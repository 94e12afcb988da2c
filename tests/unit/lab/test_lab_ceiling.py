"""What a call costs: weighted by the mix, asked with the bytes that the generator sends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labcoat.lab.baseline.ceiling import CALLS, call_cost, calls_of
from labcoat.model.workload import RequestTemplate, Workload
from labcoat.testing.baseline import two_routes

RESULTS = [
    {"calls": {"home": 90, "feed": 1}, "cpu_s": {"home": 0.09, "feed": 0.1}, "wall_s": {"home": 0.18, "feed": 0.2}, "refused": 1},
    {"calls": {"home": 110}, "cpu_s": {"home": 0.11}, "wall_s": {"home": 0.22}, "refused": 2},
]  # fmt: skip


def test_a_rare_and_heavy_route_weighs_its_nominal_share() -> None:
    # home 1 ms, feed 100 ms; by share 0.9 and 0.1, though only 1 call of 201 was a feed.
    cost = call_cost(RESULTS, {"home": 0.9, "feed": 0.1}, database_cpu_s=0.402)
    assert cost.app_cpu_s == pytest.approx(0.9 * 0.001 + 0.1 * 0.1)
    assert cost.wall_s == pytest.approx(0.9 * 0.002 + 0.1 * 0.2)
    assert cost.database_cpu_s == pytest.approx(0.002)
    assert cost.cpu_s == pytest.approx(0.0129)
    assert (cost.calls, cost.refused, cost.routes["home"].calls) == (201, 3, 200)


def test_a_route_that_never_came_up_leaves_its_share_to_the_others() -> None:
    cost = call_cost(RESULTS, {"home": 0.5, "feed": 0.3, "unseen": 0.2}, database_cpu_s=0.0)
    assert "unseen" not in cost.routes
    assert cost.app_cpu_s == pytest.approx((0.5 * 0.001 + 0.3 * 0.1) / 0.8)


def test_calls_are_the_requests_that_the_generator_would_send() -> None:
    study = replace(
        two_routes(),
        workload=Workload(
            requests=(
                RequestTemplate(path="/item/{7|7}?q=a%20b", name="item", weight=3.0),
                RequestTemplate(
                    path="/buy",
                    name="buy",
                    method="POST",
                    body="näme=1",
                    headers=(("X-Shop", "a: b"),),
                ),
            )
        ),
    )
    calls = calls_of(study, seed=5)
    assert len(calls) == CALLS
    assert calls == calls_of(study, seed=5)
    assert calls != calls_of(study, seed=6)
    shares = [call["route"] for call in calls].count("item") / CALLS
    assert shares == pytest.approx(0.75, abs=0.06)
    item = next(call for call in calls if call["route"] == "item")
    buy = next(call for call in calls if call["route"] == "buy")
    assert (item["method"], item["path"], item["body"]) == ("GET", "/item/7?q=a%20b", "")
    assert (buy["method"], buy["path"], buy["body"]) == ("POST", "/buy", "näme=1")
    headers = dict(buy["headers"])
    assert headers["Host"].startswith("127.0.0.1")
    assert (headers["X-Shop"], headers["Content-Length"]) == ("a: b", "7")
