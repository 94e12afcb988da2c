from __future__ import annotations

from pathlib import Path

import crossplane
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcoat.errors import RenderError
from labcoat.model.variant import Level
from labcoat.stack.edit import nginx, nginx_tree

PATH = Path("/etc/nginx/nginx.conf")
FILE = """\
user www-data;   # who
worker_processes auto;
events { worker_connections 768; }
http {
\tsendfile on;
\tlog_format x '$remote_addr "$request"' "a\\"b";
\taccess_log /var/log/a.log;
\tupstream app {
\t\tserver unix:/run/a.sock;
\t}
\tserver {
\t\tlisten 80 default_server;
\t\tlisten 443 ssl backlog=64;
\t\tlocation ~ \\.(png|jpg)$ { gzip off; }
\t\tlocation / { proxy_set_header Host $host; proxy_pass http://app; }
\t}
}
"""


@pytest.mark.parametrize(
    ("knob", "level", "before", "after"),
    [
        ("worker_processes", 4, "worker_processes auto;", "worker_processes 4;"),
        ("worker_connections", 1024, "worker_connections 768;", "worker_connections 1024;"),
        ("multi_accept", True, "worker_connections 768; }", "worker_connections 768; multi_accept on; }"),
        ("sendfile", False, "sendfile on;", "sendfile off;"),
        ("worker_rlimit_nofile", 4096, "user www-data;", "worker_rlimit_nofile 4096;\nuser www-data;"),
        ("gzip", True, "\t}\n}\n", "\t}\n\tgzip on;\n}\n"),
        ("upstream.keepalive", 32, "a.sock;\n", "a.sock;\n\t\tkeepalive 32;\n"),
        ("access_log.buffer", "64k", "a.log;", "a.log combined buffer=64k;"),
        ("access_log.syslog", "127.0.0.1:514", "/var/log/a.log;", "syslog:server=127.0.0.1:514,tag=nginx;"),
        ("proxy_set_header.Host", "x", "Host $host;", "Host x;"),
        ("listen.reuseport", True, "80 default_server;\n\t\tlisten 443 ssl backlog=64;",
         "80 default_server reuseport;\n\t\tlisten 443 ssl backlog=64 reuseport;"),
        ("listen.backlog", 128, "80 default_server;\n\t\tlisten 443 ssl backlog=64;",
         "80 default_server backlog=128;\n\t\tlisten 443 ssl backlog=128;"),
    ],
)  # fmt: skip
def test_one_level_changes_one_place(knob: str, level: Level, before: str, after: str) -> None:
    assert FILE.count(before) == 1
    edited = nginx.assign(FILE, {knob: level}, path=PATH)
    assert edited == FILE.replace(before, after)
    assert nginx.assign(edited, {knob: level}, path=PATH) == edited


@pytest.mark.parametrize(
    ("knob", "level"),
    [
        ("worker_processes", "auto"),
        ("sendfile", True),
        ("worker_connections", 768),
        ("listen.reuseport", False),
        ("proxy_set_header.host", "$host"),
    ],
)
def test_a_level_that_is_there_changes_no_byte(knob: str, level: Level) -> None:
    assert nginx.assign(FILE, {knob: level}, path=PATH) == FILE


@pytest.mark.parametrize(
    ("knob", "level"),
    [
        ("worker_processes", "auto"),
        ("access_log", "/var/log/a.log"),
        ("listen.backlog", "64"),
        ("listen.reuseport", None),
        ("upstream.keepalive", None),
        ("proxy_set_header.Host", "$host"),
    ],
)
def test_levels_are_read_at_their_widest_place(knob: str, level: str | None) -> None:
    assert nginx.read(FILE, knob, path=PATH) == level


def test_a_flag_is_taken_away_with_its_space() -> None:
    text = "http { server { listen 80 reuseport backlog=9; } }"
    wanted = "http { server { listen 80 backlog=9; } }"
    assert nginx.assign(text, {"listen.reuseport": False}, path=PATH) == wanted


def test_an_exception_in_a_location_stays_the_users() -> None:
    edited = nginx.assign(FILE, {"gzip": True}, path=PATH)
    assert "location ~ \\.(png|jpg)$ { gzip off; }" in edited


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("events {\n", 1, 'not closed by "}"'),
        ("events {}\n}\n", 2, 'unexpected "}"'),
        ("user x\n", 1, 'a ";" is missing'),
        ("a b;\nc 'd;\n", 2, "a quote is not closed"),
        ("\n;\n", 2, 'unexpected ";"'),
    ],
)
def test_what_does_not_parse_is_told_with_its_line(text: str, line: int, what: str) -> None:
    with pytest.raises(RenderError) as caught:
        nginx_tree.parse(text, path=PATH)
    assert what in caught.value.what
    assert caught.value.where == f"{PATH}:{line}"


@pytest.mark.parametrize("knob", ["upstream.keepalive", "listen.backlog", "gzip"])
def test_no_place_is_told(knob: str) -> None:
    with pytest.raises(RenderError, match="no place for nginx"):
        nginx.assign("events {}\n", {knob: 1}, path=PATH)


WORDS = st.text(alphabet="abcxyz019_./:$=-", min_size=1, max_size=8)
QUOTED = st.text(alphabet="ab c;{}#", max_size=6).map(lambda text: f'"{text}"')
NAMES = st.sampled_from(["alpha", "beta", "gamma_x", "worker_processes", "server_name"])
SPACES = st.sampled_from([" ", "\n", "\t ", "  # note; { }\n"])


@st.composite
def directives(draw: st.DrawFn, depth: int = 2) -> str:
    lines = []
    for _ in range(draw(st.integers(0, 3))):
        gap = draw(SPACES)
        words = gap.join([draw(NAMES), *draw(st.lists(st.one_of(WORDS, QUOTED), max_size=3))])
        if depth and draw(st.booleans()):
            lines.append(f"{words} {{{draw(SPACES)}{draw(directives(depth=depth - 1))}}}")
        else:
            lines.append(words + ";")
    return draw(SPACES).join(lines) + draw(SPACES)


def shape(tree: tuple[nginx_tree.Directive, ...]) -> list[object]:
    return [(d.name, list(d.words), d.line, shape(d.children), d.body is not None) for d in tree]


def oracle(parsed: list[dict[str, object]]) -> list[object]:
    return [
        (d["directive"], d["args"], d["line"], oracle(d.get("block", [])), "block" in d)  # type: ignore[arg-type]
        for d in parsed
        if d["directive"] != "#"
    ]


@given(directives())
def test_the_tree_is_the_one_that_crossplane_sees(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path_factory.mktemp("oracle") / "nginx.conf"
    file.write_text(text)
    payload = crossplane.parse(str(file), check_ctx=False, check_args=False, single=True)
    assert payload["status"] == "ok"
    assert shape(nginx_tree.parse(text, path=PATH)) == oracle(payload["config"][0]["parsed"])


@given(directives(), st.integers(1, 64))
def test_assigning_twice_is_assigning_once(text: str, level: int) -> None:
    once = nginx.assign(text, {"worker_processes": level}, path=PATH)
    assert nginx.read(once, "worker_processes", path=PATH) == str(level)
    assert nginx.assign(once, {"worker_processes": level}, path=PATH) == once


@pytest.mark.parametrize(
    ("before", "level", "after"),
    [
        ("access_log a.log;", "64k flush=1s", "access_log a.log combined buffer=64k flush=1s;"),
        ("access_log a.log x buffer=8k;", "64k flush=1s", "access_log a.log x buffer=64k flush=1s;"),
        ("access_log a.log x flush=5s buffer=8k if=$y;", "64k flush=1s", "access_log a.log x flush=1s buffer=64k if=$y;"),
        ("access_log a.log x buffer=64k flush=1s;", "64k flush=1s", "access_log a.log x buffer=64k flush=1s;"),
        ("access_log a.log x buffer=64k flush=1s;", False, "access_log a.log x;"),
    ],
)  # fmt: skip
def test_a_parameter_and_its_rider_are_set_and_go_together(
    before: str, level: Level, after: str
) -> None:
    def http(line: str) -> str:
        return f"http {{ {line} }}"

    edited = nginx.assign(http(before), {"access_log.buffer": level}, path=PATH)
    assert edited == http(after)
    read = nginx.read(edited, "access_log.buffer", path=PATH)
    assert read == (level if level is not False else None)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("access_log a.log;", "access_log syslog:server=[::1]:514,tag=nginx;"),
        ("access_log a.log main if=$x;", "access_log syslog:server=[::1]:514,tag=nginx main if=$x;"),
        ("access_log a.log main gzip buffer=8k flush=1s;", "access_log syslog:server=[::1]:514,tag=nginx main;"),
        ("access_log off; access_log b;", "access_log off; access_log syslog:server=[::1]:514,tag=nginx;"),
        ("access_log syslog:server=[::1]:514,nohostname x;", "access_log syslog:server=[::1]:514,nohostname x;"),
    ],
)  # fmt: skip
def test_a_log_is_sent_instead_of_written(before: str, after: str) -> None:
    def http(line: str) -> str:
        return f"http {{\n{line}\n}}\n"

    edited = nginx.assign(http(before), {"access_log.syslog": "[::1]:514"}, path=PATH)
    assert edited == http(after)
    assert nginx.read(edited, "access_log.syslog", path=PATH) == "[::1]:514"
    assert nginx.read(http("access_log a.log;"), "access_log.syslog", path=PATH) is None
