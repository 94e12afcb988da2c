"""The files of companions: read, edited in place, and never followed out of the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from labcoat.errors import RenderError, StackError
from labcoat.host.local import LocalHost
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.study import App, ComponentSpec, Interface
from labcoat.model.variant import ORIGIN, Level
from labcoat.stack.base import Wiring
from labcoat.stack.binaries import locate
from labcoat.stack.companions import COMPANIONS
from labcoat.stack.companions.memcached import Memcached
from labcoat.stack.companions.pgbouncer import PgBouncer
from labcoat.stack.companions.redis import Redis
from labcoat.stack.edit import memcached, redis

PATH = Path("/x/file")
APP = App(
    interface=Interface.WSGI, target="a:b", directory=Path("/x"), python=Path("/nowhere/bin/python")
)


@pytest.mark.parametrize(
    ("text", "level", "after"),
    [
        ("# a\nmaxmemory 64mb \r\nsave 60 1\r\n", "1gb", "# a\nmaxmemory 1gb \r\nsave 60 1\r\n"),
        ("maxmemory 1\nMAXMEMORY 2", "1gb", "maxmemory 1\nMAXMEMORY 1gb"),
        ("port 1", "1gb", "port 1\nmaxmemory 1gb\n"),
        ("maxmemory '1gb'\n", "1gb", "maxmemory '1gb'\n"),
        ("maxmemory\n", "1gb", "maxmemory 1gb\n"),
    ],
)
def test_a_level_of_redis_changes_its_line_alone(text: str, level: Level, after: str) -> None:
    edited = redis.assign(text, {"maxmemory": level}, path=PATH)
    assert edited == after
    assert redis.read(edited, "maxmemory", path=PATH) == level


@pytest.mark.parametrize(
    ("text", "level", "after"),
    [
        ("# a\n-m 64\n-t 2\n", 128, "# a\n-m 128\n-t 2\n"),
        ("-m64", 128, "-m128"),
        ("--memory-limit=64\n", 128, "--memory-limit=128\n"),
        ("-vv\n", 128, "-vv\n--memory-limit=128\n"),
        ("-m 128\n", 128, "-m 128\n"),
    ],
)
def test_a_level_of_memcached_changes_its_line_alone(text: str, level: Level, after: str) -> None:
    edited = memcached.assign(text, {"memory-limit": level}, path=PATH)
    assert edited == after
    assert memcached.levels_in(edited, path=PATH)["memory-limit"] == str(level)


@pytest.mark.parametrize(
    ("kind", "text", "what"),
    [
        (Redis, "port 1\ninclude /etc/redis/other.conf\n", "includes another file"),
        (PgBouncer, "[databases]\n%include /etc/x.ini\n[pgbouncer]\n", "includes another file"),
        (PgBouncer, "[databases]\n", r"no \[pgbouncer\] section"),
        (Memcached, "-m 64\nmemory 64\n", "not an option of memcached"),
        (Memcached, "-Z\n", "no certificates in the sandbox"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_its_place(
    tmp_path: Path, kind: type[Redis | PgBouncer | Memcached], text: str, what: str
) -> None:
    file = tmp_path / "file"
    file.write_text(text)
    with pytest.raises(RenderError, match=what) as caught:
        kind.adopt(ComponentSpec(name=kind.name, file=file), APP)
    assert str(file) in str(caught.value.where)
    assert caught.value.way_out


def test_the_password_of_redis_reaches_its_url_and_no_rewiring(tmp_path: Path) -> None:
    file = tmp_path / "redis.conf"
    file.write_text('requirepass "p@ss word"\nport 6379\nreplicaof 10.0.0.1 6379\n')
    component = Redis.adopt(ComponentSpec(name="redis", file=file), APP)
    listen = Endpoint(speaks=Speaks.REDIS, port=7000)
    url = component.placeholders(listen)["redis.url"]
    assert url == "redis://:p%40ss%20word@127.0.0.1:7000"
    wiring = Wiring(directory=tmp_path, listen=listen, upstream=None, binary=("r",), app=APP)
    rendered = component.render(ORIGIN, wiring)
    assert "ss word" not in repr(rendered.rewired)
    assert redis.read(rendered.files["redis.conf"], "replicaof", path=file) == "no one"


def test_the_password_of_a_database_does_not_reach_the_sandbox(tmp_path: Path) -> None:
    file = tmp_path / "pgbouncer.ini"
    file.write_text(
        "[databases]\n* = host=db password='hunter 22' pool_size=3\n[pgbouncer]\nauth_file = /a\n"
    )
    component = PgBouncer.adopt(ComponentSpec(name="pgbouncer", file=file), APP)
    wiring = Wiring(
        directory=tmp_path,
        listen=Endpoint(speaks=Speaks.POSTGRES, port=7000),
        upstream=Endpoint(speaks=Speaks.POSTGRES, port=7001),
        binary=("p",),
        app=APP,
    )
    rendered = component.render(ORIGIN, wiring)
    assert "hunter" not in repr(rendered)
    text = rendered.files["pgbouncer.ini"]
    assert "* = host=127.0.0.1 port=7001 dbname=labcoat user=labcoat pool_size=3\n" in text


@pytest.mark.parametrize(
    ("kind", "text", "other"),
    [
        (Redis, "port 1\n", "port 1\nmaxmemory 1\n"),
        (Memcached, "-m 64\n", "-m 65\n"),
        (PgBouncer, "[pgbouncer]\n", "[pgbouncer]\npool_mode = session\n"),
    ],
)
def test_a_changed_file_is_another_origin(
    tmp_path: Path, kind: type[Redis | PgBouncer | Memcached], text: str, other: str
) -> None:
    file = tmp_path / "file"
    said = set()
    for content in (text, other):
        file.write_text(content)
        said.add(repr(kind.adopt(ComponentSpec(name=kind.name, file=file), APP)))
    assert len(said) == 2  # what the origin's digest is made of


@pytest.mark.parametrize("kind", COMPANIONS)
def test_a_program_that_is_missing_names_its_package(
    kind: type[Redis | PgBouncer | Memcached],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("labcoat.stack.binaries.SYSTEM_FOLDERS", ())
    with pytest.raises(StackError, match=f"{kind.name} is missing") as caught:
        locate(kind.name, app=APP, host=LocalHost())
    assert f"apt install {kind.name}" in str(caught.value.way_out)
