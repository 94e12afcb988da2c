"""Access logs: every line of every format reads back; the mix, secrets, bad input."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labcoat.errors import UsageError
from labcoat.lab.study.study_file import read_workload
from labcoat.workload import access_log
from labcoat.workload.access_log import read_logs
from labcoat.workload.draft import Draft
from labcoat.workload.log_format import KNOWN, LogFormat, from_nginx_conf, given_format
from labcoat.workload.routes import SLOT, Router, split
from labcoat.workload.toml import workload_text

JSON = '{"at":"$time_iso8601","r":"$request","s":$status,"a":"$remote_addr","t":"$request_time"}'
ODD = (
    "$remote_addr\t$http_x_forwarded_for [$msec] $request_method|$request_uri|$status"
    " up=$upstream_response_time"
)
FORMATS = [
    *((text, False) for text in KNOWN.values()),
    (JSON, True),
    (ODD, False),
    ('$status "$request" ${http_user_agent}', False),
]
VALUES = {
    "remote_ident": st.just("-"),
    "remote_user": st.sampled_from(["-", "jo ann", "x"]),
    "host": st.just("shop.test"),
    "server_port": st.just("443"),
    "body_bytes_sent": st.integers(0, 10**9).map(str),
    "http_referer": st.sampled_from(["-", "http://a/b?c=d"]),
    "http_user_agent": st.text(
        st.characters(min_codepoint=32, exclude_characters='"\\\x7f\x85\u2028\u2029', exclude_categories=["Cs", "Cc"]),
        max_size=20,
    ),
    "http_x_forwarded_for": st.sampled_from(["-", "10.0.0.1, 10.0.0.2"]),
    "upstream_response_time": st.sampled_from(["-", "0.001", "0.001, 0.002 : 0.003"]),
    "request_time": st.just("0.004"),
}  # fmt: skip
TARGETS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"|\\ '), max_size=30
).map("/".__add__)


@st.composite
def lines(draw: st.DrawFn) -> tuple[str, bool, str, dict[str, str]]:
    text, is_json = draw(st.sampled_from(FORMATS))
    held = {
        "remote_addr": draw(st.sampled_from(["10.0.0.1", "::1"])),
        "request_method": draw(st.sampled_from(["GET", "POST", "HEAD"])),
        "request_uri": draw(TARGETS),
        "status": str(draw(st.integers(100, 599))),
        "time_local": "24/Nov/2026:23:14:15 +0100",
        "time_iso8601": "2026-11-24T23:14:15+01:00",
        "msec": "1795558455.123",
    }
    held["request"] = f"{held['request_method']} {held['request_uri']} HTTP/1.1"
    line = re.sub(
        r"\$\{?(\w+)\}?",
        lambda name: held[name[1]] if name[1] in held else draw(VALUES[name[1]]),
        text,
    )
    return text, is_json, line, held


@settings(deadline=None)
@given(given_=lines())
def test_any_line_of_any_format_reads_back(
    given_: tuple[str, bool, str, dict[str, str]],
) -> None:
    text, is_json, line, held = given_
    read = LogFormat.of(text, is_json=is_json)
    (found,) = read.pattern.findall(f"{line}\n".encode())
    row = dict(zip(read.fields, (each.decode() for each in found), strict=True))
    assert row["method"] == held["request_method"]
    assert row["target"] == held["request_uri"]
    assert row["status"] == held["status"]
    if "client" in row:
        assert row["client"] == held["remote_addr"]
    if "time" in row:
        assert row["time"] in (held["time_local"], held["time_iso8601"], held["msec"])
    assert read.loose.fullmatch(line.encode())


def entry(
    target: str,
    *,
    method: str = "GET",
    status: int = 200,
    second: int = 0,
    client: str = "10.0.0.1",
) -> str:
    at = f"24/Nov/2026:{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d} +0000"
    return f'{client} - - [{at}] "{method} {target} HTTP/1.1" {status} 12 "-" "curl/8"\n'


Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(*rows: str, name: str = "access.log") -> str:
        file = tmp_path / name
        file.write_bytes("".join(rows).encode())
        return str(file)

    return written


def read(*files: str, **more: object) -> Draft:
    given: dict[str, object] = {"bodies": {}, "folder": "values", "most_routes": 60, **more}
    return read_logs(files, given.pop("log_format", None), **given)  # type: ignore[arg-type]


def paths(draft: Draft) -> dict[str, float]:
    return {request.path: request.weight for request in draft.requests}


def test_the_mix_is_what_was_answered_well(write: Write) -> None:
    log = write(
        entry("/") * 5,
        entry("/", status=304) * 2,
        entry("/missing", status=404),
        entry("/moved", status=302) * 2,
        entry("/cart", method="POST") * 3,
        entry("/style.css") * 2,
    )
    draft = read(log)
    assert paths(draft) == {"/": 7.0, "/style.css": 2.0}
    assert [(each.route, each.count) for each in draft.left_out] == [("POST /cart", 3)]
    statuses = draft.facts["statuses"]
    assert statuses == {"2xx": 10 / 15, "304": 2 / 15, "3xx": 2 / 15, "4xx": 1 / 15}
    assert draft.facts["static_ratio"] == 2 / 12


def test_ids_become_a_range_or_a_sample(write: Write) -> None:
    rng = Random(1)
    even = [entry(f"/product/{rng.randint(1, 500)}") for _ in range(3000)]
    skewed = [entry(f"/user/{int(rng.paretovariate(0.8))}") for _ in range(3000)]
    pair = [entry(f"/d/{rng.randint(1, 9)}?page={rng.randint(1, 3)}&sort=up") for _ in range(400)]
    draft = read(write(*even, *skewed, *pair))
    assert paths(draft) == {
        "/product/{1..500}": 3000.0,
        "/user/{file:values/user.txt}": 3000.0,
        "/d/{file:values/d.txt}&sort=up": 400.0,
    }
    users = draft.values["values/user.txt"]
    assert len(users) == 1000
    assert users.count("1") > 400  # popular values stay popular
    assert set(draft.values["values/d.txt"]) == {
        f"{d}?page={p}" for d in range(1, 10) for p in (1, 2, 3)
    }


def test_slugs_are_set_apart_and_popular_words_are_not(write: Write) -> None:
    slugs = [entry(f"/blog/on-{a}{b}") for a in "abcdefgh" for b in "abcdefgh"]
    draft = read(write(*slugs, *[entry("/blog/archive")] * 60, *[entry("/about")] * 3))
    assert paths(draft) == {
        "/blog/{file:values/blog.txt}": 64.0,
        "/blog/archive": 60.0,
        "/about": 3.0,
    }
    assert set(draft.values["values/blog.txt"]) == {
        f"on-{a}{b}" for a in "abcdefgh" for b in "abcdefgh"
    }


SECRETS = [
    "/a?token=hello", "/a?api_key=1", "/a?X-Amz-Signature=1", "/a?sessionId=1", "/a?PHPSESSID=1",
    "/a?user_password=1", "/a?q=eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "/a?%74oken=hello",
    "/a?x=9f86d081884c7d659a2feaa0c55ad015", "/a?9f86d081884c7d659a2feaa0c55ad015",
]  # fmt: skip


@pytest.mark.parametrize("target", SECRETS)
def test_secrets_are_dropped_and_told_by_name(write: Write, target: str) -> None:
    draft = read(write(entry(target) * 4))
    assert paths(draft) == {"/a": 4.0}
    assert [count for _, count in draft.dropped] == [4]
    value = target.rpartition("=")[2].rpartition("?")[2]
    assert value not in workload_text(draft).replace("hello", "") or value == "1"
    assert "hello" not in workload_text(draft)


@pytest.mark.parametrize(
    "target",
    ["/a?keyword=shoes", "/a?q=introduction-to-python-3", "/a?author=jo", "/a?monkey=1",
     "/a?id=123e4567-e89b-42d3-a456-426614174000", "/a?design=1"],
)  # fmt: skip
def test_what_is_no_secret_is_kept(write: Write, target: str) -> None:
    draft = read(write(entry(target)))
    assert (draft.dropped, paths(draft)) == ((), {target: 1.0})


def test_a_token_in_a_path_is_left_out(write: Write) -> None:
    draft = read(write(entry("/reset/9f86d081884c7d659a2feaa0c55ad015"), entry("/")))
    assert [each.route for each in draft.left_out] == ["GET /reset/…"]
    assert "9f86d0" not in workload_text(draft)


def test_bodies_that_the_user_gives(write: Write, tmp_path: Path) -> None:
    body = tmp_path / "cart.txt"
    body.write_text("product={1..40}")
    log = write(entry("/cart", method="POST", status=204) * 3)
    (request,) = read(log, bodies={"POST /cart": str(body)}).requests
    assert (request.method, request.body) == ("POST", "product={1..40}")
    with pytest.raises(UsageError, match="no request of the log is 'POST /chart'"):
        read(log, bodies={"POST /chart": str(body)})


def test_a_packed_log_and_the_rest_of_a_rotated_one(write: Write, tmp_path: Path) -> None:
    plain = write(entry("/a") * 3)
    packed = tmp_path / "access.log.1.gz"
    packed.write_bytes(gzip.compress(entry("/a").encode() * 2 + entry("/b").rstrip("\n").encode()))
    assert paths(read(str(packed), plain)) == {"/a": 5.0, "/b": 1.0}
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(UsageError, match="cannot be read to its end"):
        read(str(packed))


def test_small_chunks_change_nothing(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    log = write(*[entry(f"/{word}", second=n) for n in range(50) for word in "abc"])
    whole = read(log)
    monkeypatch.setattr(access_log, "CHUNK", 37)
    assert read(log) == whole


WRONG = '2026-11-24 GET /a?token=hello 200 "x" 9f86d081884c7d659a2feaa0c55ad015\n'


def test_another_format_shows_the_first_line_and_what_was_tried(write: Write) -> None:
    with pytest.raises(UsageError) as caught:
        read(write(WRONG * 3, entry("/")))
    said = caught.value
    assert said.what == "the log has none of the known formats"
    assert said.where is not None
    assert said.where.endswith("access.log, line 1")
    assert said.log[0] == '2026-11-24 GET /a?token=••• 200 "x" •••'
    assert said.log[1:] == tuple(f"tried {name}: {text}" for name, text in KNOWN.items())


def test_a_format_that_stops_fitting_names_the_line(write: Write) -> None:
    log = write(entry("/") * 200, WRONG, entry("/"), WRONG * 30)
    with pytest.raises(UsageError) as caught:
        read(log)
    assert caught.value.what == "31 of 232 lines do not have the format combined"
    assert caught.value.where == f"{log}, line 201"
    assert caught.value.log[1] == f"tried {KNOWN['combined']}"


def test_a_few_odd_lines_are_told_and_no_more(write: Write) -> None:
    scan = '1.2.3.4 - - [24/Nov/2026:00:00:00 +0000] "\\x16\\x03\\x01" 400 0 "-" "-"\n'
    log = write(entry("/") * 200, scan * 2, entry("/")[:30] + "\n", "\n")
    draft = read(log)
    assert draft.facts["lines"] == 203
    assert draft.notes[0].startswith("2 lines hold no HTTP request")
    assert draft.notes[1] == f"1 lines do not parse, the first is line 203 of {log}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the log is empty"),
        (b"\n\n", "the log is empty"),
        (entry("/", status=500).encode(), "nothing of the log can be sent"),
        (b"\x00\x01\xff" * 50, "the log has none of the known formats"),
        (b"\x1f\x8bnot gzip\n", "cannot be read to its end"),
    ],
)
def test_what_is_no_log_is_said(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "log").write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read(str(tmp_path / "log"))


def test_no_log_at_all(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read(str(tmp_path / "absent.log"))


def test_arrivals_users_and_bursts(write: Write) -> None:
    rng = Random(3)
    steady = [
        entry("/", second=s, client=f"10.0.0.{n}") for s in range(0, 3600, 10) for n in range(3)
    ]
    facts = read(write(*steady)).facts
    arrivals, clients = facts["arrivals"], facts["clients"]
    assert isinstance(arrivals, dict)
    assert isinstance(clients, dict)
    assert arrivals["rate_per_s"] == pytest.approx(0.3, rel=0.01)
    assert arrivals["index_of_dispersion"] == pytest.approx(2.7, rel=0.02)  # 3 at once, then none
    assert arrivals["requests_by_hour_of_day"][0] == 1080
    assert (clients["clients"], clients["visits"], clients["think_s"]) == (3, 3, 10)
    assert clients["users_at_once"] == pytest.approx(3.0, rel=0.01)
    seconds = sorted(rng.uniform(0, 3600) for _ in range(20_000))
    poisson = read(write(*[entry("/", second=int(s)) for s in seconds])).facts["arrivals"]
    assert isinstance(poisson, dict)
    assert poisson["index_of_dispersion"] == pytest.approx(1.0, abs=0.15)


def test_a_draft_is_a_workload_that_the_study_reads(write: Write, tmp_path: Path) -> None:
    odd = ["/{x}?a=%7B&b", "/\\xC3\\xA9", "/a'b?c=d'", "/p//q/", "http://shop.test/abs", "/é"]
    rng = Random(2)
    slugs = [
        entry(f"/{{z}}/p-{rng.randint(1, 99)}.html?q={'ab'[rng.randint(0, 1)]}") for _ in range(99)
    ]
    draft = read(write(*map(entry, odd), *slugs))
    (tmp_path / "values").mkdir()
    for name, rows in draft.values.items():
        (tmp_path / name).write_text("".join(f"{row}\n" for row in rows))
    file = tmp_path / "workload.toml"
    file.write_text(workload_text(draft))
    workload, users = read_workload(file)
    assert users == 32
    assert [each.path for each in workload.requests] == [each.path for each in draft.requests]
    assert {"/{{x}}?a=%7B&b", "/%C3%A9", "/a'b?c=d'", "/p//q/", "/abs", "/é"} <= set(paths(draft))


def test_rare_routes_are_told(write: Write) -> None:
    draft = read(write(entry("/a") * 3, entry("/b") * 2, entry("/c")), most_routes=1)
    assert paths(draft) == {"/a": 3.0}
    assert [(each.route, each.count) for each in draft.left_out] == [("2 rare routes", 3)]


@pytest.mark.slow
def test_memory_is_bounded_whatever_is_asked() -> None:
    router = Router()
    rng = Random(5)
    for n in range(30_000):
        word = "".join(rng.choice("abcdefghij") for _ in range(8))
        router.add("GET", f"/{word}/x/{word[:3]}?{word[:2]}=1", 200, 1)
        assert len(router.tallies) <= 4001
        del n
    assert sum(tally.count for tally in router.tallies.values()) == 30_000
    assert all(len(tally.sample) <= 1000 for tally in router.tallies.values())


@pytest.mark.parametrize(
    ("target", "parts", "names"),
    [
        ("/product/7", ("product", SLOT), ()),
        ("/img/department-7.png", ("img", f"department-{SLOT}.png"), ()),
        ("/api/v1/x2", ("api", "v1", "x2"), ()),
        ("/app.3f2a9c1b.js", (f"app.{SLOT}.js",), ()),
        ("/o/123e4567-e89b-42d3-a456-426614174000", ("o", SLOT), ()),
        ("/?a=1&b&&c=", ("",), ("a=", "b", "c=")),
    ],
)
def test_shapes(target: str, parts: tuple[str, ...], names: tuple[str, ...]) -> None:
    assert split("GET", target)[0] == ("GET", parts, names)


NGINX = """
http {
  log_format main '$remote_addr [$time_local] '
                  '"$request" $status';
  log_format json escape=json '{"r":"$request","s":$status}';
  include more.conf;
  server { access_log /var/log/a.log main; }
}
"""


def test_a_format_of_the_users_nginx_conf(tmp_path: Path) -> None:
    conf = tmp_path / "nginx.conf"
    conf.write_text(NGINX)
    (tmp_path / "more.conf").write_text("log_format third '$status $request_method $uri';\n")
    assert from_nginx_conf(conf, None)[0] == "main"
    assert from_nginx_conf(conf, "third")[1].fields == ("status", "method", "target")
    assert from_nginx_conf(conf, "json")[1].pattern.findall(
        b'{"r":"GET /a\\"b HTTP/1.1","s":200}\n'
    )
    assert from_nginx_conf(conf, "combined")[1].text == KNOWN["combined"]
    with pytest.raises(UsageError, match="there is no log_format other"):
        from_nginx_conf(conf, "other")
    (tmp_path / "more.conf").write_text("access_log /b json;\n")
    with pytest.raises(UsageError, match="several formats of logs: main, json"):
        from_nginx_conf(conf, None)
    with pytest.raises(UsageError, match="no such file"):
        from_nginx_conf(tmp_path / "absent.conf", None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("$remote_addr $status", "does not hold the request's method and target"),
        ('"$request" $remote_addr', "does not hold the request's status"),
        ("$request$status", "two variables of the log's format touch"),
        ("mine", "no such format: mine"),
    ],
)
def test_formats_that_cannot_be_read_with(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        given_format(text)
