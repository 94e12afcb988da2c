"""Users that log in: a real Flask app with a CSRF token, behind a real server of WSGI."""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import flask
import pytest

from labcoat.errors import LoadError
from labcoat.load import Generator, judge, summarise
from labcoat.model.load import ClosedLoop, OpenLoop, Outcome, Target, Window
from labcoat.model.workload import Capture, Expectation, RequestTemplate, Source, Workload

SHORT = Window(measure_s=0.4)


@dataclass
class Shop:
    """What the app saw, and what it does."""

    target: Target = field(default_factory=lambda: Target(url=""))
    logins: Counter[str] = field(default_factory=Counter)
    buyers: set[str] = field(default_factory=set)
    refused: int = 0
    shows_token: bool = True
    fails_once: bool = False


def app_of(shop: Shop) -> flask.Flask:
    app = flask.Flask("shop")
    app.secret_key = "not a secret"
    lock = threading.Lock()

    @app.get("/login")
    def form() -> str:
        token = flask.session["csrf"] = secrets.token_urlsafe(9) + "+/="
        return f'<form><input name="csrf" value="{token}"></form>'

    @app.post("/login")
    def login() -> Any:
        with lock:
            if shop.fails_once:
                shop.fails_once = False
                flask.abort(503)
        if flask.request.form["csrf"] != flask.session.get("csrf"):
            flask.abort(400)
        if flask.request.form["password"] != "pass word":
            return "no such user"
        flask.session["user"] = flask.request.form["name"]
        with lock:
            shop.logins[flask.session["user"]] += 1
        return flask.redirect("/account", 303)

    @app.get("/account")
    def account() -> Any:
        if "user" not in flask.session:
            with lock:
                shop.refused += 1
            return flask.redirect("/login")
        token = flask.session["next"] = secrets.token_hex(8)
        shown = token if shop.shows_token else ""
        return flask.jsonify({"user": flask.session["user"], "form": {"token": shown}})

    @app.post("/buy")
    def buy() -> Any:
        if flask.request.json["token"] != flask.session.get("next"):
            with lock:
                shop.refused += 1
            flask.abort(403)
        with lock:
            shop.buyers.add(flask.session["user"])
        return "", 204

    return app


class Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        del args


class Threaded(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # a connection that is open and silent must not hold the others up
    request_queue_size = 128


@pytest.fixture
def shop() -> Iterator[Shop]:
    found = Shop()
    with Threaded(("127.0.0.1", 0), Quiet) as server:
        server.set_app(app_of(found))
        found.target = Target(url=f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


LOGIN_FORM = RequestTemplate(
    path="/login",
    name="login form",
    captures=(Capture(name="csrf", source=Source.REGEX, expression='name="csrf" value="([^"]+)"'),),
)
LOGIN = RequestTemplate(
    path="/login",
    name="login",
    method="POST",
    body="csrf={captured:csrf}&name=user-{user}&password={env:SHOP_PASSWORD}",
    expect=Expectation(statuses=(303,)),
)
ACCOUNT = RequestTemplate(
    path="/account",
    name="account",
    expect=Expectation(statuses=(200,), contains="user-"),
    captures=(Capture(name="token", source=Source.JSON, expression="/form/token"),),
)
BUY = RequestTemplate(
    path="/buy",
    name="buy",
    method="POST",
    headers=(("Content-Type", "application/json"),),
    body='{{"token": "{captured:token}"}}',
    expect=Expectation(statuses=(204,)),
)
USERS = Workload(requests=(ACCOUNT, BUY), setup=(LOGIN_FORM, LOGIN, ACCOUNT))


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "pass word")


def test_each_user_logs_in_once_and_goes_on_with_what_it_captured(shop: Shop) -> None:
    with Generator() as generator:
        first = generator.load(shop.target, USERS, ClosedLoop(users=4), SHORT, seed=1)
        second = generator.load(shop.target, USERS, ClosedLoop(users=6), SHORT, seed=2)
        third = generator.load(
            shop.target, USERS, OpenLoop(rate_per_s=60, connections=5), SHORT, seed=3
        )
    for measured in (first, second, third):
        summary = summarise(measured)
        assert set(summary.outcomes) <= {Outcome.OK, Outcome.UNFINISHED}, summary.outcomes
        assert all(route.outcomes[Outcome.OK] > 0 for route in summary.routes)
        assert measured.routes == ("account", "buy")  # the set-up is no part of a slice
    assert shop.logins == {f"user-{number}": 1 for number in range(1, 7)}
    assert shop.buyers == set(shop.logins)
    assert shop.refused == 0
    assert first.notes[0].startswith("4 users were set up in ")
    assert second.notes[0].startswith("2 users were set up in ")
    assert third.notes == ()


def test_users_are_set_up_again_once_the_target_was_forgotten(shop: Shop) -> None:
    with Generator() as generator:
        for _ in range(2):
            generator.load(shop.target, USERS, ClosedLoop(users=2), SHORT, seed=1)
            generator.forget(shop.target)
    assert shop.logins == {"user-1": 2, "user-2": 2}


def test_a_login_that_fails_by_chance_is_tried_again(shop: Shop) -> None:
    shop.fails_once = True
    with Generator() as generator:
        measured = generator.load(shop.target, USERS, ClosedLoop(users=3), SHORT, seed=1)
    assert summarise(measured).errors == 0
    assert sum(shop.logins.values()) == 3


def test_a_login_that_fails_is_told_with_its_step(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "wrong-password")
    with Generator() as generator, pytest.raises(LoadError) as caught:
        generator.load(shop.target, USERS, ClosedLoop(users=2), SHORT, seed=1)
    assert caught.value.what == "user 1 cannot be set up: wrong status, status 200"
    assert caught.value.where == "step 'login' (POST /login)"
    assert "wrong-password" not in str(caught.value)


def test_a_set_up_that_does_not_hold_its_value_is_told(shop: Shop) -> None:
    shop.shows_token = False
    with Generator() as generator, pytest.raises(LoadError) as caught:
        generator.load(shop.target, USERS, ClosedLoop(users=1), SHORT, seed=1)
    assert "does not hold what it is to give (token), status 200" in caught.value.what


def test_a_capture_that_fails_in_the_mix_is_an_error_of_its_request(shop: Shop) -> None:
    setup = (LOGIN_FORM, LOGIN)
    mix = replace(USERS, requests=(ACCOUNT,), setup=setup)
    shop.shows_token = False
    with Generator() as generator:
        measured = generator.load(shop.target, mix, ClosedLoop(users=2), SHORT, seed=1)
    summary = summarise(measured)
    assert set(summary.outcomes) <= {Outcome.NOT_CAPTURED, Outcome.UNFINISHED}
    assert summary.throughput_per_s == 0
    verdict = judge(measured)
    (row,) = [row for row in verdict.rows if row.name == "captures"]
    assert (row.passed, row.voids, verdict.is_honest) == (False, True, False)
    count = summary.outcomes[Outcome.NOT_CAPTURED]
    assert row.explanation == f"answers lacked what was to be captured: {count} of account"
