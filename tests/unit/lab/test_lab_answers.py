"""Same answers: what counts as a difference, and what an arm hears when it is asked."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from labcoat.lab.experiment.answers import (
    MANY,
    Comparison,
    Said,
    ask_all,
    compare_answers,
    each_route,
    judge_answers,
    said_of,
    unpacked,
)
from labcoat.lab.experiment.epoch import given_up
from labcoat.lab.trial.spoken import Spoken, spoken
from labcoat.lab.trial.workbench import Workbench
from labcoat.model.experiment import Arm
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.variant import Variant
from labcoat.model.workload import Capture, RequestTemplate, Source, Workload
from labcoat.stack.probe import Answer
from labcoat.stack.standing import Standing
from labcoat.testing.baseline import two_routes
from labcoat.testing.experiment import question
from labcoat.testing.host import FakeHost
from labcoat.testing.http import Received, Reply, Script, ScriptedServer, reply
from labcoat.testing.stack import SimulatedStack

HOME = Said(
    status=200,
    headers=(("content-type", "text/html"),),
    cookies=("session",),
    digest="aa",
    size=1000,
)
ASKED = (Spoken(route="home", method="GET", path="/", headers=(), body=b""),)


def judged(
    baseline: Sequence[Said], treatment: Sequence[Said], asked: Sequence[Spoken] = ASKED
) -> Comparison:
    """Each arm's answers to the same request, the first time and the second."""
    return judge_answers(
        asked,
        {Arm.BASELINE: [baseline[0]], Arm.TREATMENT: [treatment[0]]},
        {Arm.BASELINE: [baseline[1]], Arm.TREATMENT: [treatment[1]]},
    )


def location(value: str) -> Said:
    return replace(HOME, status=303, headers=(("location", value),))


OTHER = replace(HOME, digest="bb", size=900)
TOKENS = [replace(HOME, digest=each) for each in "1234"]


@pytest.mark.parametrize(
    ("baseline", "treatment", "differences", "unstable"),
    [
        ([HOME, HOME], [HOME, HOME], (), ()),
        ([HOME, HOME], [replace(HOME, status=500)] * 2, (("home", "status 500, not 200"),), ()),
        ([HOME, HOME], [Said(status=0)] * 2, (("home", "no answer, not status 200"),), ("",)),
        (
            [HOME, HOME],
            [replace(HOME, headers=())] * 2,
            (("home", "content-type None, not 'text/html'"),),
            (),
        ),
        (
            [HOME, HOME],
            [replace(HOME, cookies=())] * 2,
            (("home", "cookies none, not session"),),
            (),
        ),
        (
            [replace(HOME, cookies=())] * 2,
            [HOME, HOME],
            (("home", "cookies session, not none"),),
            (),
        ),
        ([HOME, HOME], [OTHER, OTHER], (("home", "another body (900 bytes, not 1000)"),), ()),
        # Only what differs both times is a difference: the second time it may have been warm.
        ([HOME, HOME], [replace(HOME, status=500), HOME], (), ()),
        ([HOME, HOME], [OTHER, HOME], (), ("home",)),
        # A body with a token in it: nobody says it twice, and its size is near enough.
        (TOKENS[:2], TOKENS[2:], (), ("home",)),
        # One arm that does not repeat itself is enough to let the body be.
        ([HOME, HOME], TOKENS[:2], (), ("home",)),
        # But not its status, and not twice the size or more.
        (
            TOKENS[:2],
            [replace(each, status=404) for each in TOKENS[2:]],
            (("home", "status 404, not 200"),),
            ("home",),
        ),
        (TOKENS[:2], [replace(each, size=2000) for each in TOKENS[2:]], (), ("home",)),
        (
            TOKENS[:2],
            [replace(each, size=2001) for each in TOKENS[2:]],
            (("home", "a body of 2001 bytes, not 1000"),),
            ("home",),
        ),
        (
            TOKENS[:2],
            [replace(each, size=499) for each in TOKENS[2:]],
            (("home", "a body of 499 bytes, not 1000"),),
            ("home",),
        ),
        # The id of a new row in a redirect is nobody's fault, the same redirect twice is.
        (
            [location("/order/1"), location("/order/3")],
            [location("/order/2"), location("/order/4")],
            (),
            ("home",),
        ),
        (
            [location("/order/1")] * 2,
            [location("/login")] * 2,
            (("home", "location '/login', not '/order/1'"),),
            (),
        ),
    ],
)
def test_what_differs_between_two_arms(
    baseline: Sequence[Said],
    treatment: Sequence[Said],
    differences: tuple[tuple[str, str], ...],
    unstable: tuple[str, ...],
) -> None:
    unstable = tuple(route for route in unstable if route)
    assert judged(baseline, treatment) == Comparison(
        compared=1, differences=differences, unstable=unstable
    )


def test_a_route_is_told_of_once() -> None:
    bad = replace(HOME, status=500)
    found = judge_answers(
        [*ASKED, *ASKED, replace(ASKED[0], route="buy")],
        {Arm.BASELINE: [HOME] * 3, Arm.TREATMENT: [bad] * 3},
        {Arm.BASELINE: [HOME] * 3, Arm.TREATMENT: [bad] * 3},
    )
    assert found.compared == 3
    assert found.differences == (("home", "status 500, not 200"), ("buy", "status 500, not 200"))


def test_headers_that_a_trade_off_names_are_taken_as_they_come_and_nothing_else() -> None:
    plain = replace(HOME, headers=(("content-type", "text/plain"),))
    for treatment, differences in [
        (plain, ()),
        (replace(plain, digest="bb", size=900), (("home", "another body (900 bytes, not 1000)"),)),
        (replace(plain, status=404), (("home", "status 404, not 200"),)),
    ]:
        found = judge_answers(
            ASKED,
            {Arm.BASELINE: [HOME], Arm.TREATMENT: [treatment]},
            given_up=frozenset({"content-type"}),
        )
        assert found.differences == differences


def test_a_question_gives_up_what_its_changes_name() -> None:
    static = {"nginx.location.static": "/srv/static/"}
    assert given_up(question()) == frozenset()
    assert given_up(question({"uwsgi.processes": 2, **static})) == {
        "cache-control",
        "content-type",
    }
    both = replace(question(static), baseline=Variant.of(static))
    assert given_up(both) == frozenset()


def answer(
    content: bytes = b"hello", headers: Sequence[tuple[str, str]] = (), status: int = 200
) -> Answer:
    return Answer(status=status, headers=tuple(headers), content=content)


def test_the_arms_own_address_is_replaced() -> None:
    one, other = (
        said_of(
            answer(
                f"see http://{own}/a".encode(), [("Location", f"http://{own}/b"), ("Date", own)]
            ),
            own=own,
        )
        for own in ("127.0.0.1:1001", "127.0.0.1:20002")
    )
    assert one == other
    assert one.headers == (("location", "http://HOST/b"),)
    assert one.size == len("see http://HOST/a")


@pytest.mark.parametrize(
    ("packing", "packed"), [("gzip", gzip.compress(b"hello")), ("deflate", zlib.compress(b"hello"))]
)
def test_a_body_is_compared_unpacked(packing: str, packed: bytes) -> None:
    assert said_of(answer(packed, [("Content-Encoding", packing)]), own="x") == said_of(
        answer(), own="x"
    )
    assert unpacked(b"not packed", packing) == b"not packed"
    assert unpacked(packed[:-6], packing) == packed[:-6]
    assert unpacked(b"hello", "br") == b"hello"


def test_what_is_to_be_normalised_is_taken_out() -> None:
    patterns = (r'token="\w+"', r"\d+ ms")
    one = said_of(answer(b'<a token="1f" in 12 ms>'), own="x", normalise=patterns)
    other = said_of(answer(b'<a token="2e" in 7 ms>'), own="x", normalise=patterns)
    assert one == other
    assert one.size == len("<a  in >")
    assert one != said_of(answer(b'<b token="2e" in 7 ms>'), own="x", normalise=patterns)


def test_cookies_count_by_name() -> None:
    said = said_of(
        answer(headers=[("Set-Cookie", "b=2; Path=/"), ("set-cookie", " a =1"), ("Server", "x")]),
        own="x",
    )
    assert (said.cookies, said.headers) == (("a", "b"), ())


def standing_at(server: ScriptedServer) -> Standing:
    """A simulated arm whose front is this server."""
    simulated = SimulatedStack(study=two_routes(), host=FakeHost()).boot("a")
    front = simulated.layers[0]
    port = urlsplit(server.target.url).port
    assert port is not None
    listen = Endpoint(speaks=Speaks.HTTP, port=port)
    front = replace(front, wiring=replace(front.wiring, listen=listen))
    return replace(simulated, target=server.target, layers=(front, *simulated.layers[1:]))


MIX = Workload(
    requests=(
        RequestTemplate(path="/{1..9}", name="page", headers=(("X-Mine", "yes"),)),
        RequestTemplate(path="/buy", name="buy", method="POST", body="item={1..9}"),
    )
)


def shop(received: Received) -> Reply:
    seen = received.headers.get("cookie")
    if seen is None:
        return reply(b"welcome", headers="Set-Cookie: sid=7; HttpOnly\r\n")
    if received.method == "POST":
        return reply(b"", status=303, headers="Location: /thanks\r\n")
    return reply(b"again " + seen.encode())


def test_an_arm_is_asked_as_one_user_who_keeps_its_cookies() -> None:
    asked = tuple(spoken(MIX, seed=1, count=6))
    with ScriptedServer(shop) as server:
        said = ask_all(standing_at(server), asked, MIX, timeout_s=5.0)
    assert [one.headers.get("cookie") for one in server.requests] == [None] + ["sid=7"] * 5
    assert [(one.method, one.path) for one in server.requests] == [
        (one.method, one.path) for one in asked
    ]
    assert {one.headers.get("x-mine") for one in server.requests if one.method == "GET"} == {"yes"}
    assert all(one.body.startswith(b"item=") for one in server.requests if one.method == "POST")
    assert said[0].cookies == ("sid",)
    redirects = [one for one in said[1:] if one.status == 303]
    assert {one.headers for one in redirects} == {(("location", "/thanks"),)}


def test_each_route_is_asked_once_whatever_its_weight_and_the_seed() -> None:
    mix = replace(MIX, requests=(replace(MIX.requests[0], weight=1000.0), MIX.requests[1]))
    for seed in range(20):
        assert [one.route for one in each_route(mix, seed=seed)] == ["page", "buy"]


def test_of_a_very_long_mix_a_sample_is_asked_each_once() -> None:
    routes = tuple(RequestTemplate(path=f"/{index}", name=f"r{index}") for index in range(200))
    asked = [one.route for one in each_route(replace(MIX, requests=routes), seed=3)]
    assert len(set(asked)) == len(asked) == MANY
    assert asked == [one.route for one in each_route(replace(MIX, requests=routes), seed=3)]


def test_an_arm_is_asked_as_a_user_who_is_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "p w")
    token = Capture(name="token", source=Source.JSON, expression="/t")
    form = RequestTemplate(path="/login", name="form", captures=(token,))
    login = RequestTemplate(
        path="/login", name="login", method="POST",
        body="t={captured:token}&n={user}&p={env:SHOP_PASSWORD}",
    )  # fmt: skip
    page = RequestTemplate(path="/account?t={captured:token}", name="page")
    mix = Workload(requests=(page,), setup=(form, login))
    packed = gzip.compress(b'{"t": "a+b"}')

    def guarded(received: Received) -> Reply:
        if received.path == "/login" and received.method == "GET":
            return reply(packed, headers="Content-Encoding: gzip\r\n")
        if received.path == "/login":
            return reply(headers="Set-Cookie: session=1\r\n")
        return reply(received.headers.get("cookie", "nobody").encode())

    with ScriptedServer(guarded) as server:
        asked = tuple(each_route(mix, seed=1))
        (said,) = ask_all(standing_at(server), asked, mix, timeout_s=5.0)
    assert [request.path for request in server.requests] == ["/login", "/login", "/account?t=a%2Bb"]
    assert server.requests[1].body == b"t=a%2Bb&n=1&p=p w"
    assert server.requests[2].headers["cookie"] == "session=1"
    assert said.status == 200


def test_a_workload_without_cookies_sends_none() -> None:
    mix = replace(MIX, cookies=False)
    with ScriptedServer(shop) as server:
        said = ask_all(standing_at(server), tuple(spoken(mix, seed=1, count=3)), mix, timeout_s=5.0)
    assert [one.headers.get("cookie") for one in server.requests] == [None] * 3
    assert {one.size for one in said} == {len("welcome")}


def test_who_hangs_up_gave_no_answer() -> None:
    with ScriptedServer(lambda _: Reply(raw=(), resets=True)) as server:
        (said,) = ask_all(standing_at(server), ASKED, MIX, timeout_s=5.0)
    assert said == Said(status=0)


def counted(received: Received, numbers: list[int]) -> Reply:
    numbers.append(len(numbers))
    return reply(f"visitor {len(numbers):05}".encode())


@pytest.mark.parametrize(
    ("treatment", "times", "found"),
    [
        (lambda _: reply(), 1, Comparison(compared=2)),
        (
            lambda _: reply(status=500),
            6,
            Comparison(
                compared=2,
                differences=(("home", "status 500, not 200"), ("buy", "status 500, not 200")),
            ),
        ),
    ],
)
def test_both_arms_are_asked_the_same_and_again_where_they_differ(
    lab: Workbench, treatment: Script, times: int, found: Comparison
) -> None:
    with ScriptedServer() as one, ScriptedServer(treatment) as other:
        arms = {Arm.BASELINE: standing_at(one), Arm.TREATMENT: standing_at(other)}
        compared = compare_answers(lab, arms, seed=1)
    routes = sorted(compared.differences)
    assert (compared.compared, routes) == (found.compared, sorted(found.differences))
    for server in (one, other):
        assert sorted(each.path for each in server.requests) == ["/"] * times + ["/buy"] * times


def test_a_body_that_is_never_the_same_is_told_of_and_not_held_against_the_knob(
    lab: Workbench,
) -> None:
    numbers: list[int] = []
    with (
        ScriptedServer(lambda received: counted(received, numbers)) as one,
        ScriptedServer(lambda received: counted(received, numbers)) as other,
    ):
        arms = {Arm.BASELINE: standing_at(one), Arm.TREATMENT: standing_at(other)}
        compared = compare_answers(lab, arms, seed=1)
    assert compared.differences == ()
    assert sorted(compared.unstable) == ["buy", "home"]


def test_one_of_two_answers_drawn_at_random_is_not_held_against_the_knob(lab: Workbench) -> None:
    # Each arm says the same twice, by chance, and the other arm something else.
    banners = {"one": iter("aaab" * 20), "other": iter("bbab" * 20)}
    home = two_routes().workload.requests[:1]
    object.__setattr__(lab, "study", replace(lab.study, workload=Workload(requests=home)))
    with (
        ScriptedServer(lambda _: reply(next(banners["one"]).encode())) as one,
        ScriptedServer(lambda _: reply(next(banners["other"]).encode())) as other,
    ):
        arms = {Arm.BASELINE: standing_at(one), Arm.TREATMENT: standing_at(other)}
        compared = compare_answers(lab, arms, seed=1)
    assert compared == Comparison(compared=1, unstable=("home",))


@pytest.fixture
def lab() -> Workbench:
    """Only its study is asked."""
    bench: Workbench = object.__new__(Workbench)
    object.__setattr__(bench, "study", two_routes())
    return bench
