"""Composites on the real stack: one level, several directives, and what comes of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from labcoat.errors import RenderError
from labcoat.host.local import LocalHost
from labcoat.host.sandbox import Sandbox
from labcoat.model.study import ComponentSpec
from labcoat.model.variant import Level, Variant
from labcoat.stack import probe
from labcoat.stack.rig import Rig, Standing
from labcoat.testing.stack import tiny_study

NGINX = """\
events {}
http {
    access_log /var/log/nginx/access.log;
    proxy_http_version 1.0;
    upstream app { server 127.0.0.1:8000; }
    server {
        listen 8080;
        location / {
            proxy_set_header Host $host;
            proxy_set_header Connection close;
            proxy_pass http://app;
        }
    }
}
"""
# HTTP/1.0 and close are what nginx did before 1.29.7 when nothing was said.
GUNICORN = "bind = '127.0.0.1:8000'\nworker_class = 'gthread'\nkeepalive = 60\n"
APP = """\
seen = []
def app(environ, start_response):
    seen.append(environ["REMOTE_PORT"])
    status = "500 Broken" if environ["PATH_INFO"] == "/broken" else "200 OK"
    start_response(status, [])
    return [f"{len(seen)} {len(set(seen))}".encode()]
"""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("composites")
    (folder / "nginx.conf").write_text(NGINX)
    (folder / "gunicorn.conf.py").write_text(GUNICORN)
    (folder / "static").mkdir()
    (folder / "static" / "a.css").write_text("a{}")
    stack = (
        ComponentSpec(name="nginx", file=folder / "nginx.conf"),
        ComponentSpec(name="gunicorn", file=folder / "gunicorn.conf.py"),
    )
    with (
        Sandbox.open(LocalHost(), base=folder / "b") as sandbox,
        Rig(sandbox.host, sandbox, tiny_study(folder, stack, source=APP)) as rig,
    ):
        yield rig


@contextmanager
def standing(rig: Rig, **levels: Level) -> Iterator[Standing]:
    stack = rig.boot("a", Variant.of({f"nginx.{k}": v for k, v in levels.items()}))
    try:
        yield stack
    finally:
        rig.stop(stack)


def said(stack: Standing, path: str) -> list[int]:
    """(requests that met the app, connections that they came over), as the app counts them."""
    answer = probe.get(stack.layers[0].wiring.listen, path, timeout_s=10.0)
    assert answer is not None
    assert answer.status == 200
    return [int(word) for word in answer.body.split()]


def test_a_short_cache_answers_the_same_get_once(rig: Rig) -> None:
    with standing(rig) as stack:
        assert said(stack, "/a") != said(stack, "/a")
    with standing(rig, **{"proxy_cache.valid": "1m"}) as stack:
        first = said(stack, "/a")
        assert [said(stack, "/a") for _ in range(3)] == [first] * 3
        assert said(stack, "/b")[0] == first[0] + 1


def test_connections_to_the_app_are_used_again(rig: Rig) -> None:
    with standing(rig) as stack:
        requests, connections = [said(stack, "/") for _ in range(5)][-1]
        assert connections == requests
    with standing(rig, **{"proxy_pass.keepalive": 4}) as stack:
        (before, old), *_, (after, new) = [said(stack, "/") for _ in range(5)]
        assert (after - before, new - old) == (4, 0)


def test_failures_alone_are_logged(rig: Rig) -> None:
    with standing(rig, **{"access_log.if": "errors"}) as stack:
        said(stack, "/")
        probe.get(stack.layers[0].wiring.listen, "/broken", timeout_s=10.0)
        log = stack.layers[0].wiring.directory / "access.log"
        deadline = time.monotonic() + 5
        while not log.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [" 500 " in line for line in log.read_text().splitlines()] == [True]


def lines_of(rig: Rig, *wanted: str) -> str:
    """What the sandbox's syslog daemon has received, once all of these words are in it."""
    assert rig._sink is not None
    deadline = time.monotonic() + 5
    while True:
        text = rig._sink.lines.read_text()
        if all(word in text for word in wanted) or time.monotonic() > deadline:
            return text
        time.sleep(0.05)


def test_lines_are_sent_over_udp(rig: Rig) -> None:
    with standing(rig, **{"access_log.syslog": "127.0.0.1:514"}) as stack:
        said(stack, "/sent")
        assert " nginx: " in lines_of(rig, "GET /sent")
        assert not list(stack.layers[0].wiring.directory.glob("*access*"))
        (note,) = [note for note in stack.rewired if "syslog" in note]
        assert note.startswith(str(rig.study.root / "nginx.conf:3: access_log syslog:server=127.0"))


def test_uwsgi_sends_the_lines_of_requests_and_they_outlive_no_rig(tmp_path: Path) -> None:
    study = tiny_study(tmp_path, (ComponentSpec(name="uwsgi", options=(("master", True),)),))
    with Sandbox.open(LocalHost(), base=tmp_path / "b") as sandbox:
        with Rig(sandbox.host, sandbox, study) as rig:
            rig.stop(rig.boot("a"))
            assert not list(sandbox.root.glob("syslog")), "nobody sends lines"
            levels = {"uwsgi.req-logger": "rsyslog:127.0.0.1:514,shop"}
            stack = rig.boot("a", Variant.of(levels))
            answer = probe.get(stack.layers[0].wiring.listen, "/udp", timeout_s=10.0)
            assert answer is not None
            assert "shop: " in lines_of(rig, "GET /udp")
            assert rig._sink is not None
            process = rig._sink.process
        assert process.status() is not None
        assert not list(sandbox.root.glob("syslog"))


def test_nginx_serves_the_apps_folder(rig: Rig) -> None:
    with standing(rig, **{"location.static": "{app.folder}/static/"}) as stack:
        listen = stack.layers[0].wiring.listen
        answer = probe.get(listen, "/static/a.css", timeout_s=10.0)
        assert answer is not None
        assert (answer.status, answer.body) == (200, "a{}")
        missing = probe.get(listen, "/static/../tiny.py", timeout_s=10.0)
        assert missing is None or "seen" not in missing.body


def test_a_folder_that_is_not_there_is_told(rig: Rig) -> None:
    variant = Variant.of({"nginx.location.static": "{app.folder}/assets/"})
    with pytest.raises(RenderError, match="no such folder") as caught:
        rig.boot("a", variant)
    assert str(caught.value.where).endswith(f"{Path('assets')}/")
