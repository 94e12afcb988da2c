"""Captures: what is found in an answer, and what becomes of it in later requests."""

from __future__ import annotations

import json
from itertools import islice
from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labcoat.errors import UsageError
from labcoat.load import captures
from labcoat.load.binding import bind, bind_setup
from labcoat.model.load import Target
from labcoat.model.workload import Capture, RequestTemplate, Source, Workload

TARGET = Target(url="http://shop.test")
HEADERS = [
    ("Content-Type", "text/html"),
    ("X-CSRF", "one"),
    ("x-csrf", "two"),
    ("Set-Cookie", "csrftoken=abc; Path=/"),
    ("Set-Cookie", "other=1"),
]
PAGE = '<input name="csrf" value="t/+=1"> {"no": "json"}'
DOCUMENT = json.dumps({"a/b": {"~": [{"id": 7}, True, None, ""]}, "x": 1.5})


@pytest.mark.parametrize(
    ("source", "expression", "body", "found"),
    [
        ("regex", 'name="csrf" value="([^"]+)"', PAGE, "t/+=1"),
        ("regex", "csrf", PAGE, "csrf"),
        ("regex", "nothing", PAGE, None),
        ("regex", "(x)?<input", PAGE, None),
        ("json", "/a~1b/~0/0/id", DOCUMENT, "7"),
        ("json", "/a~1b/~0/1", DOCUMENT, "true"),
        ("json", "/x", DOCUMENT, "1.5"),
        ("json", "/a~1b/~0/2", DOCUMENT, None),
        ("json", "/a~1b/~0/3", DOCUMENT, None),
        ("json", "/a~1b/~0/9", DOCUMENT, None),
        ("json", "/a~1b/~0/x", DOCUMENT, None),
        ("json", "/x/y", DOCUMENT, None),
        ("json", "/x", PAGE, None),
        ("header", "X-csrf", "", "two"),
        ("header", "X-Absent", "", None),
        ("cookie", "csrftoken", "", "abc"),
        ("cookie", "absent", "", None),
    ],
)
def test_what_is_found(source: str, expression: str, body: str, found: str | None) -> None:
    assert captures.find(source, expression, headers=HEADERS, body=lambda: body) == found


@pytest.mark.parametrize("value", ["a\r\nX: 1", "a\0b"])
def test_a_value_that_would_break_out_of_its_header_is_refused(value: str) -> None:
    body = json.dumps({"t": value})
    assert captures.find("json", "/t", headers=(), body=lambda: body) is None


def test_the_body_is_not_read_for_a_header() -> None:
    def body() -> str:
        raise AssertionError("read")

    assert captures.find("header", "X-CSRF", headers=HEADERS, body=body) == "two"


def wire_of(request: RequestTemplate, **values: str) -> bytes:
    step = RequestTemplate(
        path="/",
        name="step",
        captures=(Capture(name="t", source=Source.HEADER, expression="X"),),
    )
    workload = Workload(requests=(request,), setup=(step,))
    wire, route = next(bind(workload, TARGET, seed=1))
    assert route.has_gaps
    return captures.fill_wire(wire, values)


@settings(deadline=None)
@given(value=st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"])))
def test_a_form_gives_back_what_was_filled_in(value: str) -> None:
    wire = wire_of(
        RequestTemplate(path="/", name="a", method="POST", body="x=1&t={captured:t}"), t=value
    )
    head, _, body = wire.partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[-1] == b"Content-Length: %d" % len(body)
    assert parse_qs(body.decode(), keep_blank_values=True) == {"x": ["1"], "t": [value]}


@settings(deadline=None)
@given(value=st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"])))
def test_json_gives_back_what_was_filled_in(value: str) -> None:
    request = RequestTemplate(
        path="/", name="a", method="PUT",
        headers=(("content-type", "application/json; charset=utf-8"),),
        body='{{"t": "{captured:t}"}}',
    )  # fmt: skip
    body = wire_of(request, t=value).partition(b"\r\n\r\n")[2]
    assert json.loads(body) == {"t": value}


def test_a_path_and_a_header_are_filled_each_in_its_own_way() -> None:
    request = RequestTemplate(
        path="/a/{captured:t}?u={user}", name="a", headers=(("X-CSRF", "{captured:t}"),)
    )
    assert wire_of(request, t="a/b&c", user="3") == (
        b"GET /a/a%2Fb%26c?u=3 HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: labcoat\r\n"
        b"Accept: */*\r\nAccept-Encoding: gzip\r\nX-CSRF: a/b&c\r\n\r\n"
    )


def test_a_request_without_gaps_is_never_touched() -> None:
    workload = Workload(requests=(RequestTemplate(path="/{1..9}", name="a"),))
    assert not any(route.has_gaps for _, route in islice(bind(workload, TARGET, seed=1), 9))


def test_a_value_that_nobody_captured_is_refused() -> None:
    taking = Capture(name="t", source=Source.HEADER, expression="X")
    late = RequestTemplate(path="/", name="late", captures=(taking,))
    early = RequestTemplate(path="/{captured:t}", name="early")
    for workload in (
        Workload(requests=(early, late)),  # the mix has no order
        Workload(requests=(late,), setup=(early, late)),
    ):
        with pytest.raises(UsageError, match="captured 't'") as caught:
            next(bind(workload, TARGET, seed=1))
        assert caught.value.where == "request early"


def test_each_user_has_steps_of_its_own() -> None:
    step = RequestTemplate(path="/login/{1..1000000}", name="login")
    workload = Workload(requests=(step,), setup=(step,))
    wires = [bind_setup(workload, TARGET, user=user)[0][0] for user in (1, 2, 1)]
    assert wires[0] == wires[2] != wires[1]


def test_a_variable_is_filled_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "{s}")
    workload = Workload(requests=(RequestTemplate(path="/?{env:SHOP_KEY}", name="a"),))
    assert next(bind(workload, TARGET, seed=1))[0].startswith(b"GET /?%7Bs%7D HTTP/1.1\r\n")
