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
