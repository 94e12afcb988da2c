"""What every component owes, and a stack without processes.

``ComponentContract`` boots the component for real. ``SimulatedStack`` stands in for a Rig where
the lab is tested: its arms cost what the variant's levels say, on a clock that nobody waits for.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import psutil
import pytest

from labcoat.errors import Died, LabcoatError, RenderError
from labcoat.host.base import Host, Process
from labcoat.host.local import LocalHost
from labcoat.host.sandbox import Sandbox
from labcoat.model.host import TreeCounters
from labcoat.model.load import Target
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.study import App, ComponentSpec, Interface, Seed, Study
from labcoat.model.variant import ORIGIN, Level, Variant
from labcoat.model.workload import RequestTemplate, Workload
from labcoat.stack import probe
from labcoat.stack.base import Component, Edited, Rendered, Wiring
from labcoat.stack.binaries import Located
from labcoat.stack.components import adopt
from labcoat.stack.rig import Rig
from labcoat.stack.standing import Layer, Standing


@dataclass(slots=True, kw_only=True)
class SimulatedProcess:
    """A process that is only numbers: its CPU grows by what it is told to serve."""

    name: str
    pid: int
    log: Path
    cpu_s: float = 0.0
    ended: int | None = None

    def status(self) -> int | None:
        """None while it "lives"."""
        return self.ended

    def counters(self) -> TreeCounters:
        """What it has "used". Raises: Died once it was stopped."""
        if self.ended is not None:
            raise Died(f"{self.name} is gone", where=self.log, way_out="boot it again")
        return TreeCounters(
            at_ns=0,
            cpu_s=self.cpu_s,
            system_s=0.0,
            rss_bytes=50_000_000,
            pss_bytes=40_000_000,
            processes=1,
            threads=1,
            switches_voluntary=0,
            switches_involuntary=0,
        )

    def stop(self, *, grace_s: float = 5.0) -> None:
        """End it."""
        del grace_s
        self.ended = 0

    def tail(self, lines: int = 20) -> tuple[str, ...]:
        """It said nothing."""
        del lines
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedComponent:
    """A component that renders to nothing, and has no file."""

    name: ClassVar[str] = "simulated"
    speaks: ClassVar[tuple[Speaks, ...]] = (Speaks.HTTP,)
    options: tuple[tuple[str, Level], ...] = ()

    @classmethod
    def adopt(cls, spec: ComponentSpec, app: App, *, behind: tuple[Endpoint, ...] = ()) -> Self:
        """Itself, with the study's options."""
        del app, behind
        return cls(options=spec.options)

    def origin_endpoints(self) -> tuple[Endpoint, ...]:
        """Unsaid."""
        return ()

    def origin_upstream(self) -> Endpoint | None:
        """Unsaid."""
        return None

    def origin_level(self, directive: str) -> Level | None:
        """Unsaid."""
        del directive
        return None

    def spare(self) -> tuple[Endpoint, ...]:
        """None."""
        return ()

    def render(self, variant: Variant, wiring: Wiring) -> Rendered:
        """No files, and the levels as words."""
        levels = {**dict(self.options), **variant.levels(self.name)}
        words = tuple(f"{name}={levels[name]}" for name in sorted(levels))
        return Rendered(files={}, argv=(*wiring.binary, *words))

    def edited(self, variant: Variant) -> Edited:
        """Options alone."""
        said = dict(self.options)
        levels = variant.levels(self.name)
        options = {name: level for name, level in levels.items() if said.get(name) != level}
        return Edited(options=options, by_hand=tuple(f"{self.name}: {name}" for name in options))

    def check(self, host: Host, rendered: Rendered, wiring: Wiring) -> None:
        """Always well."""

    def ready(self, host: Host, process: Process, wiring: Wiring) -> bool:
        """At once."""
        del host, wiring
        return process.status() is None

    def counters(self, host: Host, process: Process, wiring: Wiring) -> Mapping[str, float]:
        """None."""
        del host, process, wiring
        return {}


@dataclass(slots=True, kw_only=True)
class SimulatedStack:
    """A rig whose arms need ``cpu_s`` per request, times the factor of each of their levels.

    ``factors``: (knob, level) -> factor on the CPU of a request; 0.8 makes the app 25 % faster.
    ``shares``: component -> its share of a request's CPU, front to back; they add up to 1.
    """

    study: Study
    host: Host
    cpu_s: float = 0.002
    factors: Mapping[tuple[str, Level], float] = field(default_factory=dict)
    shares: Mapping[str, float] = field(
        default_factory=lambda: {"nginx": 0.1, "uwsgi": 0.8, "postgres": 0.1}
    )
    standing: dict[str, Standing] = field(default_factory=dict)
    boots: int = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def boot(self, arm: str, variant: Variant = ORIGIN, *, own_database: bool = False) -> Standing:
        """An arm, at once; its URL tells it apart from every other boot."""
        del own_database
        self.boots += 1
        target = Target(url=f"http://127.0.0.1:{20000 + self.boots}")
        layers = tuple(self._layer(arm, name) for name in self.shares)
        standing = Standing(
            arm=arm, variant=variant, target=target, layers=layers, host=self.host, app_env={}
        )
        self.standing[target.url] = standing
        return standing

    def request_cpu_s(self, target: Target) -> float:
        """CPU seconds that one request costs the arm behind a target."""
        cost = self.cpu_s
        for pair in self.standing[target.url].variant.assignment:
            cost *= self.factors.get(pair, 1.0)
        return cost

    def serve(self, target: Target, requests: int) -> None:
        """Charge the layers for requests that a simulated load has put on."""
        total = requests * self.request_cpu_s(target)
        for layer in self.standing[target.url].layers:
            if isinstance(layer.process, SimulatedProcess):
                layer.process.cpu_s += total * self.shares[layer.name]

    def stop(self, *standings: Standing) -> None:
        """End arms."""
        for standing in standings:
            for layer in standing.layers:
                layer.process.stop()
            del self.standing[standing.target.url]

    def close(self) -> None:
        """End every arm."""
        for standing in tuple(self.standing.values()):
            self.stop(standing)

    def _layer(self, arm: str, name: str) -> Layer:
        folder = Path("/nowhere") / f"{arm}-{name}-{self.boots}"
        log = folder / f"{name}.log"
        located = Located(name=name, argv=(name,), version="0", source="simulated")
        return Layer(
            name=name,
            process=SimulatedProcess(name=name, pid=1000 + self.boots, log=log),
            wiring=Wiring(
                directory=folder,
                listen=Endpoint(speaks=Speaks.HTTP, port=20000 + self.boots),
                upstream=None,
                binary=located.argv,
                app=self.study.app,
            ),
            component=SimulatedComponent(),
            located=located,
            rewired=(),
        )


WSGI = """\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]
"""

ASGI = """\
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})
"""


def tiny_study(
    folder: Path,
    components: tuple[ComponentSpec, ...],
    *,
    interface: Interface = Interface.WSGI,
    source: str | None = None,
    env: Mapping[str, str] | None = None,
    seed: tuple[Seed, ...] = (),
) -> Study:
    """A study of an app in one file, ``tiny.py`` in ``folder``, that answers "hello"."""
    text = source if source is not None else (WSGI if interface is Interface.WSGI else ASGI)
    (folder / "tiny.py").write_text(text, encoding="utf-8")
    app = App(
        interface=interface,
        target="tiny:app",
        directory=folder,
        python=Path(sys.executable),
        env=tuple((env or {}).items()),
        seed=seed,
    )
    return Study(
        name="tiny",
        file=folder / "labcoat.toml",
        root=folder,
        app=app,
        components=components,
        workload=Workload(requests=(RequestTemplate(path="/", name="hello"),)),
    )


def assert_edits_agree(
    adopted: Callable[[ComponentSpec], Component], spec: ComponentSpec, wiring: Wiring
) -> None:
    """Files edited for a variant and adopted anew render as the variant did.

    ``adopted``: the component of a spec. Its files are written over, and put back.
    """
    component = adopted(spec)
    for level in (2, 3):
        variant = Variant.of({f"{component.name}.{EDITED[component.name]}": level})
        edited = component.edited(variant)
        assert edited == component.edited(variant)
        assert bool(edited.options) is bool(edited.by_hand)
        changed = [file for file in edited.files if file.after != file.before]
        assert changed or edited.options, "the level is nowhere"
        for file in changed:
            file.path.write_bytes(file.after.encode())
        options = tuple({**dict(spec.options), **edited.options}.items())
        again = adopted(replace(spec, options=options))
        assert again.render(ORIGIN, wiring) == component.render(variant, wiring)
        assert again.edited(variant).options == {}
        assert all(file.after == file.before for file in again.edited(variant).files)
        for file in changed:
            file.path.write_bytes(file.before.encode())


EDITED: Mapping[str, str] = {
    "nginx": "worker_processes",
    "uwsgi": "threads",
    "gunicorn": "threads",
    "granian": "workers",
    "uvicorn": "workers",
    "postgres": "max_worker_processes",
    "redis": "maxclients",
    "memcached": "threads",
    "pgbouncer": "default_pool_size",
    "simulated": "anything",
}
"""A directive of each component that takes a whole number, to edit its files with."""


class ComponentContract(ABC):
    """Subclass it as ``Test...``, give ``study`` and ``nonsense``, and pytest collects the rest."""

    name: ClassVar[str]
    listens: ClassVar[Endpoint] = Endpoint(speaks=Speaks.HTTP, port=12345)
    passes_to: ClassVar[Endpoint | None] = None

    @abstractmethod
    def study(self, folder: Path) -> Study:
        """A study with the component in it, its files below ``folder``."""

    @abstractmethod
    def nonsense(self) -> Variant:
        """Levels that the component itself must refuse."""

    def component(self, folder: Path) -> Component:
        return adopt(self.study(folder))[self.name]

    def spec(self, folder: Path) -> ComponentSpec:
        return next(each for each in self.study(folder).components if each.name == self.name)

    def wiring(self, folder: Path) -> Wiring:
        return Wiring(
            directory=folder / "sandbox",
            listen=self.listens,
            upstream=self.passes_to,
            binary=(f"/usr/bin/{self.name}",),
            app=self.study(folder).app,
            spare=tuple(
                replace(self.listens, path=Path(f"/x/{number}"), port=0)
                for number, _ in enumerate(self.component(folder).spare())
            ),
        )

    def test_it_is_known_by_its_name(self, tmp_path: Path) -> None:
        assert self.component(tmp_path).name == self.name

    def test_rendering_is_pure(self, tmp_path: Path) -> None:
        wiring = self.wiring(tmp_path)
        first = self.component(tmp_path).render(ORIGIN, wiring)
        assert self.component(tmp_path).render(ORIGIN, wiring) == first
        assert not wiring.directory.exists()

    def test_files_stay_in_the_sandbox(self, tmp_path: Path) -> None:
        rendered = self.component(tmp_path).render(ORIGIN, self.wiring(tmp_path))
        for name in rendered.files:
            assert Path(name).parts == (name,)

    def test_files_in_which_no_level_changes_keep_their_bytes(self, tmp_path: Path) -> None:
        edited = self.component(tmp_path).edited(ORIGIN)
        assert (edited.options, edited.by_hand, edited.runtime) == ({}, (), ())
        spec = self.spec(tmp_path)
        assert len(edited.files) == (spec.file is not None)
        for file in edited.files:
            assert file.before.encode() == file.after.encode() == file.path.read_bytes()

    def test_edited_files_render_as_the_variant_does(self, tmp_path: Path) -> None:
        study, spec, wiring = self.study(tmp_path), self.spec(tmp_path), self.wiring(tmp_path)

        def adopted(changed: ComponentSpec) -> Component:
            others = [changed if each.name == self.name else each for each in study.components]
            return adopt(replace(study, components=tuple(others)))[self.name]

        assert_edits_agree(adopted, spec, wiring)
        if self.name != "nginx":  # which has no options
            bare = replace(spec, file=None)
            assert_edits_agree(adopted, bare, wiring)
            said = replace(bare, options=((EDITED[self.name], 1),))
            assert_edits_agree(adopted, said, wiring)

    def test_it_serves_and_stops_and_leaves_no_orphan(self, tmp_path: Path) -> None:
        base = tmp_path / "boxes"
        before = _own_processes()
        host = LocalHost()
        with (
            Sandbox.open(host, base=base) as sandbox,
            Rig(host, sandbox, self.study(tmp_path)) as rig,
        ):
            standing = rig.boot("a")
            layer = next(layer for layer in standing.layers if layer.name == self.name)
            answer = probe.get(standing.layers[0].wiring.listen, "/", timeout_s=5.0)
            assert answer is not None
            assert (answer.status, answer.body) == (200, "hello")
            assert layer.component.ready(host, layer.process, layer.wiring)
            assert standing.counters()[self.name].processes >= 1
            assert all(isinstance(v, float) for v in standing.explain()[self.name].values())
            endpoints = [each.wiring.listen for each in standing.layers]
        assert not [endpoint for endpoint in endpoints if host.answers(endpoint)]
        assert _own_processes() <= before
        assert not base.exists() or list(base.iterdir()) == []

    def test_it_refuses_nonsense(self, tmp_path: Path) -> None:
        host = LocalHost()
        base = tmp_path / "boxes"
        with (
            Sandbox.open(host, base=base) as sandbox,
            Rig(host, sandbox, self.study(tmp_path)) as rig,
        ):
            with pytest.raises(LabcoatError) as caught:
                rig.boot("a", self.nonsense())
            assert caught.value.where
            assert caught.value.way_out
            assert isinstance(caught.value, RenderError) or caught.value.log


def _own_processes() -> set[int]:
    """Every living descendant of this process."""
    return {
        child.pid
        for child in psutil.Process().children(recursive=True)
        if child.status() != psutil.STATUS_ZOMBIE
    }
