"""What stands beside the app: each arm has its own, and placeholders lead there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labcoat.host.local import LocalHost
from labcoat.host.sandbox import Sandbox
from labcoat.model.study import ComponentSpec
from labcoat.stack import probe
from labcoat.stack.rig import Rig
from labcoat.testing.stack import tiny_study

# Counts in both caches, over the wire, and asks the database.
APP = """
import json, os, socket
import psycopg

def ask(host, port, line):
    family = socket.AF_INET if int(port) else socket.AF_UNIX
    with socket.socket(family) as one:
        one.connect((host, int(port)) if int(port) else host)
        one.sendall(line.encode() + b"\\r\\n")
        return one.recv(1000).decode().strip()

E = os.environ

def app(environ, start_response):
    memcached = E["MEMCACHED"], E["MEMCACHED_PORT"]
    ask(*memcached, "add hits 0 0 1\\r\\n0")
    with psycopg.connect(E["DATABASE_URL"]) as db:
        said = {
            "redis": ask(E["REDIS"], E["REDIS_PORT"], "INCR hits"),
            "memcached": ask(*memcached, "incr hits 1"),
            "database": "shop" in E["DATABASE_URL"],
            "seeded": db.execute("select count(*) from seeded").fetchone()[0],
            "url": E["REDIS_URL"],
        }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(said).encode()]
"""
SEED = """
import os, psycopg
from tiny import ask
assert ask(os.environ["REDIS"], os.environ["REDIS_PORT"], "INCR hits") == ":1"
psycopg.connect(os.environ["DATABASE_URL"], autocommit=True).execute("create table seeded ()")
"""


@pytest.mark.parametrize("is_unix", [False, True])
def test_each_arm_has_caches_of_its_own_and_the_database_through_the_pooler(
    tmp_path: Path, *, is_unix: bool
) -> None:
    (tmp_path / "seed.py").write_text(SEED)
    redis, pgbouncer = tmp_path / "redis.conf", tmp_path / "pgbouncer.ini"
    redis.write_text("port 0\nunixsocket /run/redis.sock\n" if is_unix else "port 6379\n")
    pgbouncer.write_text(
        "[databases]\nshop = host=db.example.com\n[pgbouncer]\n"
        + ("" if is_unix else "listen_addr = 127.0.0.1\n")
    )
    study = tiny_study(
        tmp_path,
        (
            ComponentSpec(name="gunicorn"),
            ComponentSpec(name="redis", file=redis),
            ComponentSpec(
                name="memcached",
                options=(("unix-socket", "/run/m.sock"),) if is_unix else (("m", 16),),
            ),
            ComponentSpec(name="pgbouncer", file=pgbouncer),
            ComponentSpec(name="postgres"),
        ),
        source=APP,
        env={
            "DATABASE_URL": "{database.url}",
            "MEMCACHED": "{memcached.host}",
            "MEMCACHED_PORT": "{memcached.port}",
            "REDIS": "{redis.host}",
            "REDIS_PORT": "{redis.port}",
            "REDIS_URL": "{redis.url}",
        },
        seed=(("{python}", "seed.py"),),
    )
    host = LocalHost()
    with (
        Sandbox.open(host, base=tmp_path / "boxes") as sandbox,
        Rig(host, sandbox, study) as rig,
    ):
        first, second = rig.boot("a"), rig.boot("b")
        for standing in (first, second):
            # Booting asks once, so this is the arm's second hit: no other arm's, no seed's.
            answer = probe.get(standing.layers[0].wiring.listen, "/", timeout_s=5.0)
            assert answer is not None
            said = json.loads(answer.body)
            assert said.pop("url").startswith("unix:///" if is_unix else "redis://127.0.0.1:")
            assert said == {"redis": ":2", "memcached": "2", "database": True, "seeded": 0}
            told = standing.explain()
            assert told["redis"]["total_commands_processed"] >= 2
            assert told["memcached"]["get_hits"] == 0
            assert told["pgbouncer"]["total_query_count"] >= 2
        pids = {layer.name: layer.process.pid for layer in first.layers}
        others = {layer.name: layer.process.pid for layer in second.layers}
        same = {name for name in pids if pids[name] == others[name]}
        assert same == {"postgres"}
        rig.stop(first)
        assert not any(host.answers(one.wiring.listen) for one in first.layers if not one.shared)
        assert all(host.answers(one.wiring.listen) for one in second.layers)
