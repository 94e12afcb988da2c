"""Bound requests: the bytes on the wire, and their order."""

from __future__ import annotations

from itertools import islice

import pytest

from labcoat.errors import UsageError
from labcoat.load.binding import bind
from labcoat.load.dialler import split
from labcoat.model.load import Target
from labcoat.model.workload import RequestTemplate, Workload

TARGET = Target(url="http://shop.test:8080")


def first(*requests: RequestTemplate, keep_alive: bool = True) -> bytes:
    bound = bind(Workload(requests=requests), TARGET, seed=1, keep_alive=keep_alive)
    return next(bound)[0]


def test_a_plain_get() -> None:
    assert first(RequestTemplate(path="/a?b=c", name="a")) == (
        b"GET /a?b=c HTTP/1.1\r\nHost: shop.test:8080\r\nUser-Agent: labcoat\r\n"
        b"Accept: */*\r\nAccept-Encoding: gzip\r\n\r\n"
    )


def test_the_users_headers_replace_ours() -> None:
    wire = first(
        RequestTemplate(
            path="/",
            name="a",
            headers=(("accept-encoding", "identity"), ("HOST", "other"), ("X-A", "1")),
        ),
        keep_alive=False,
    )
    assert wire == (
        b"GET / HTTP/1.1\r\nUser-Agent: labcoat\r\nAccept: */*\r\nConnection: close\r\n"
        b"accept-encoding: identity\r\nHOST: other\r\nX-A: 1\r\n\r\n"
    )


def test_a_body_has_its_length_in_bytes() -> None:
    wire = first(RequestTemplate(path="/", name="a", method="post", body="é"))
    assert wire.startswith(b"POST / HTTP/1.1\r\n")
    assert wire.endswith(b"Content-Length: 2\r\n\r\n\xc3\xa9")


def test_a_post_without_a_body_says_so() -> None:
    assert first(RequestTemplate(path="/", name="a", method="POST")).endswith(
        b"Content-Length: 0\r\n\r\n"
    )


@pytest.mark.parametrize(
    "request_",
    [
        RequestTemplate(path="/", name="a", method="GE T"),
        RequestTemplate(path="/", name="a", method=""),
        RequestTemplate(path="/", name="a", headers=(("X A", "1"),)),
        RequestTemplate(path="/", name="a", headers=(("X-A", "1\r\nX-B: 2"),)),
        RequestTemplate(path="/", name="a", headers=(("X-A", "é"),)),
        RequestTemplate(path="/", name="a", headers=(("Content-Length", "1"),)),
        RequestTemplate(path="/", name="a", headers=(("transfer-encoding", "chunked"),)),
    ],
)
def test_what_would_break_the_framing_is_refused(request_: RequestTemplate) -> None:
    with pytest.raises(UsageError):
        first(request_)


def test_a_path_cannot_break_the_request_line() -> None:
    assert first(RequestTemplate(path="/a b\r\nX: y", name="a")).startswith(
        b"GET /a%20b%0D%0AX:%20y HTTP/1.1\r\n"
    )


def test_the_mix_follows_weights_and_seed() -> None:
    workload = Workload(
        requests=(
            RequestTemplate(path="/a", name="a", weight=3.0),
            RequestTemplate(path="/b/{1..9}", name="b", weight=1.0),
        )
    )
    drawn = [list(islice(bind(workload, TARGET, seed=s), 4000)) for s in (1, 1, 2)]
    assert [wire for wire, _ in drawn[0]] == [wire for wire, _ in drawn[1]]
    assert [wire for wire, _ in drawn[0]] != [wire for wire, _ in drawn[2]]
    of_a = sum(route.index == 0 for _, route in drawn[0])
    assert of_a / 4000 == pytest.approx(0.75, abs=0.03)
    assert all((b"/b/" in wire) == (route.index == 1) for wire, route in drawn[0])


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://a", ("http", "a", 80)),
        ("https://a/x", ("https", "a", 443)),
        ("http://[::1]:81", ("http", "::1", 81)),
    ],
)
def test_split(url: str, expected: tuple[str, str, int]) -> None:
    assert split(url) == expected


@pytest.mark.parametrize("url", ["", "a", "a:80", "ftp://a", "http://", "http://a:x", "http://a:99999", "http://me:secret@a"])  # fmt: skip
def test_not_a_url(url: str) -> None:
    with pytest.raises(UsageError) as refused:
        split(url)
    assert "secret" not in str(refused.value)


def test_the_mix_is_a_shuffled_deck_and_not_a_throw_of_dice() -> None:
    workload = Workload(
        requests=(
            RequestTemplate(path="/", name="usual", weight=99.5),
            RequestTemplate(path="/feed", name="rare", weight=0.5),
        )
    )
    counts = []
    for seed in range(40):
        bound = islice(bind(workload, Target(url="http://127.0.0.1"), seed=seed), 128 * 16)
        counts.append(sum(route.index == 1 for _, route in bound))
    # 10.24 are due; dice would scatter by 3.2.
    assert set(counts) <= {9, 10, 11, 12}
