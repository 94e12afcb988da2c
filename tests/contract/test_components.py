from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.study import ComponentSpec, Interface, Study
from labcoat.model.variant import Variant
from labcoat.stack.components import COMPONENTS
from labcoat.testing.stack import (
    ComponentContract,
    SimulatedComponent,
    assert_edits_agree,
    tiny_study,
)

NGINX = """\
worker_processes 1;
events { worker_connections 64; }
http {
    upstream app { server 127.0.0.1:8000; }
    server {
        listen 8080;
        location / { proxy_pass http://app; }
    }
}
"""


class TestNginx(ComponentContract):
    name = "nginx"
    passes_to: ClassVar[Endpoint | None] = Endpoint(speaks=Speaks.HTTP, path=Path("/x/app"))

    def study(self, folder: Path) -> Study:
        file = folder / "nginx.conf"
        file.write_text(NGINX)
        stack = (ComponentSpec(name="nginx", file=file), ComponentSpec(name="gunicorn"))
        return tiny_study(folder, stack)

    def nonsense(self) -> Variant:
        return Variant.of({"nginx.gzip": "perhaps"})


class TestUwsgi(ComponentContract):
    name = "uwsgi"

    def study(self, folder: Path) -> Study:
        file = folder / "uwsgi.ini"
        file.write_text("[uwsgi]\nmaster = true\nprocesses = 1\nhttp-socket = :8000\n")
        return tiny_study(folder, (ComponentSpec(name="uwsgi", file=file),))

    def nonsense(self) -> Variant:
        return Variant.of({"uwsgi.listen": 1_000_000})


class TestGunicorn(ComponentContract):
    name = "gunicorn"

    def study(self, folder: Path) -> Study:
        file = folder / "gunicorn.conf.py"
        file.write_text("workers = 1\nbind = '127.0.0.1:8000'\n")
        return tiny_study(folder, (ComponentSpec(name="gunicorn", file=file),))

    def nonsense(self) -> Variant:
        return Variant.of({"gunicorn.workers": "many"})


class TestGranian(ComponentContract):
    name = "granian"

    def study(self, folder: Path) -> Study:
        return tiny_study(folder, (ComponentSpec(name="granian"),))

    def nonsense(self) -> Variant:
        return Variant.of({"granian.no-such-option": 1})


class TestUvicorn(ComponentContract):
    name = "uvicorn"

    def study(self, folder: Path) -> Study:
        return tiny_study(folder, (ComponentSpec(name="uvicorn"),), interface=Interface.ASGI)

    def nonsense(self) -> Variant:
        return Variant.of({"uvicorn.no-such-option": 1})


class TestPostgres(ComponentContract):
    name = "postgres"
    listens: ClassVar[Endpoint] = Endpoint(speaks=Speaks.POSTGRES, port=12345)

    def study(self, folder: Path) -> Study:
        file = folder / "postgresql.conf"
        file.write_text("max_connections = 20\nshared_buffers = 16MB\n")
        stack = (ComponentSpec(name="gunicorn"), ComponentSpec(name="postgres", file=file))
        return tiny_study(folder, stack)

    def nonsense(self) -> Variant:
        return Variant.of({"postgres.shared_buffers": "plenty"})


class TestRedis(ComponentContract):
    name = "redis"
    listens: ClassVar[Endpoint] = Endpoint(speaks=Speaks.REDIS, port=12345)

    def study(self, folder: Path) -> Study:
        file = folder / "redis.conf"
        file.write_text(
            "# ours\nbind 0.0.0.0\nport 6379\nmaxclients 50\ndaemonize yes\n"
            'requirepass "a b"\nsave 60 1\nreplicaof 10.0.0.1 6379\n'
        )
        stack = (ComponentSpec(name="gunicorn"), ComponentSpec(name="redis", file=file))
        return tiny_study(folder, stack, env={"REDIS_URL": "{redis.url}/1"})

    def nonsense(self) -> Variant:
        return Variant.of({"redis.maxmemory": "plenty"})


class TestMemcached(ComponentContract):
    name = "memcached"
    listens: ClassVar[Endpoint] = Endpoint(speaks=Speaks.MEMCACHED, port=12345)

    def study(self, folder: Path) -> Study:
        file = folder / "memcached.conf"
        file.write_text("-d\nlogfile /var/log/memcached.log\n-m 16\n-p 11211\n-u memcache\n-t 1\n")
        stack = (ComponentSpec(name="gunicorn"), ComponentSpec(name="memcached", file=file))
        return tiny_study(folder, stack, env={"CACHE": "{memcached.address}"})

    def nonsense(self) -> Variant:
        return Variant.of({"memcached.threads": "many"})


class TestPgBouncer(ComponentContract):
    name = "pgbouncer"
    listens: ClassVar[Endpoint] = Endpoint(speaks=Speaks.POSTGRES, port=12345)
    passes_to: ClassVar[Endpoint | None] = Endpoint(speaks=Speaks.POSTGRES, port=12346)

    def study(self, folder: Path) -> Study:
        file = folder / "pgbouncer.ini"
        file.write_text(
            "[databases]\nshop = host=10.0.0.1 dbname=shop password='x y' pool_size=3\n\n"
            "[pgbouncer]\nlisten_addr = *\nlisten_port = 6432\nauth_type = md5\n"
            "auth_file = /etc/pgbouncer/userlist.txt\nlogfile = /var/log/pgbouncer.log\n"
            "pool_mode = transaction\ndefault_pool_size = 5\n"
        )
        names = ("gunicorn", "pgbouncer", "postgres")
        return tiny_study(
            folder,
            tuple(ComponentSpec(name=n, file=file if n == "pgbouncer" else None) for n in names),
            env={"DATABASE_URL": "{database.url}"},
        )

    def nonsense(self) -> Variant:
        return Variant.of({"pgbouncer.pool_mode": "sometimes"})


def test_every_component_has_a_contract() -> None:
    covered = {suite.name for suite in ComponentContract.__subclasses__()}
    assert {component.name for component in COMPONENTS} <= covered


def test_the_fake_renders_purely(tmp_path: Path) -> None:
    suite = TestGranian()
    wiring = suite.wiring(tmp_path)
    variant = Variant.of({"simulated.b": 2, "simulated.a": 1})
    rendered = SimulatedComponent().render(variant, wiring)
    assert rendered == SimulatedComponent().render(variant, wiring)
    assert rendered.argv[-2:] == ("a=1", "b=2")


def test_the_fake_is_edited_as_the_real_ones_are(tmp_path: Path) -> None:
    wiring = TestGranian().wiring(tmp_path)

    def adopted(spec: ComponentSpec) -> SimulatedComponent:
        return SimulatedComponent.adopt(spec, wiring.app)

    assert_edits_agree(adopted, ComponentSpec(name="simulated"), wiring)
