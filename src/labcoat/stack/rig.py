"""The rig: boots a study's stack in a sandbox, one standing stack per arm."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from labcoat.errors import Died, LabcoatError, NotReady, RenderError
from labcoat.host.base import Host, Launch
from labcoat.host.sandbox import Sandbox
from labcoat.model.host import Facts
from labcoat.model.load import Target
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.study import App, Study
from labcoat.model.variant import ORIGIN, Variant
from labcoat.stack import environment, probe
from labcoat.stack.app_pool import with_pool
from labcoat.stack.base import Component, Rendered, Wiring
from labcoat.stack.binaries import PROGRAMS, Located, app_python, locate
from labcoat.stack.blame import way_out_of
from labcoat.stack.cluster import Clusters, reachable, start
from labcoat.stack.companions import CACHES, POOLERS
from labcoat.stack.companions.base import Companion
from labcoat.stack.components import DATABASES, WEB, adopt
from labcoat.stack.limits import refuse_impossible
from labcoat.stack.postgres import DEFAULT_PORT, data_directory, placeholders, socket_name
from labcoat.stack.runtime import Runtime
from labcoat.stack.standing import Layer, Standing
from labcoat.stack.swap import swap, wanted
from labcoat.stack.syslog import Sink, sends

__all__ = ["Layer", "Rig", "Standing"]

_WEB = frozenset(component.name for component in WEB)
_DATABASES = frozenset(component.name for component in DATABASES)
_CACHES = frozenset(component.name for component in CACHES)
_POOLERS = frozenset(component.name for component in POOLERS)
_PYTHON = frozenset(program.name for program in PROGRAMS if program.is_python)
_POLL_S = 0.05
_TRY_S = 2.0
_HANGS_UP_S = 3.0


class Rig:
    """Boots stacks of one study; a context manager that leaves none of them standing.

    Adopts the user's files when it is made, so later changes of them do not count. Shared
    components (the database) start with the first boot and live as long as the rig; what an
    arm has of its own lives from ``boot`` to ``stop``.
    """

    def __init__(self, host: Host, sandbox: Sandbox, study: Study) -> None:
        self.host = host
        self.sandbox = sandbox
        self.study = study
        self.components = adopt(study)
        sandbox.hide(environment.secrets_of(study.app))
        self._specs = {spec.name: spec for spec in study.components}
        self._located: dict[str, Located] = {}
        self._facts: Facts | None = None
        self._paths: tuple[str, ...] | None = None
        self._shared: Layer | None = None
        self._sink: Sink | None = None
        self._standing: list[Standing] = []
        self._booted = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(keep_logs=isinstance(error, Exception))

    def boot(self, arm: str, variant: Variant = ORIGIN, *, own_database: bool = False) -> Standing:
        """A stack for an arm, back to front, serving when this returns.

        ``own_database``: the arm gets a cluster of its own, cloned from the same template; so it
        does whenever the variant sets a level of the database.
        Raises: RenderError (a file or a level is wrong), NotReady (it never served; with the
        component's or the app's last words), StackError (a program is missing), HostError.
        """
        if self._facts is None:
            self._facts = self.host.facts()
        refuse_impossible(self.components, variant, self._facts, self.study.app)
        components, rest = self._stack(variant)
        if rest is not variant:
            refuse_impossible(components, rest, self._facts, self.study.app)
        layers: list[Layer] = []
        try:
            standing = self._stand(arm, components, rest, layers, own_database=own_database)
            standing = replace(standing, variant=variant)
            self._await_app(standing)
        except BaseException as error:
            if isinstance(error, LabcoatError):
                environment.mask(error, self.study.app)
            # The logs stay: the sandbox keeps them for the reader when it goes.
            self._take_down(layers, keep_logs=True)
            raise
        self._standing.append(standing)
        return standing

    def stop(self, *standings: Standing) -> None:
        """Take down what each arm has of its own, front first; its folders go too.

        Arms go side by side: a server that takes a second to end should not cost two.
        """
        self._standing = [one for one in self._standing if one not in standings]
        with ThreadPoolExecutor(max_workers=max(1, len(standings))) as pool:
            for done in [
                pool.submit(self._take_down, list(reversed(each.layers))) for each in standings
            ]:
                done.result()

    def close(self, *, keep_logs: bool = False) -> None:
        """Take down every arm, then what they share. Idempotent.

        ``keep_logs``: leave the folders to the sandbox, which keeps their logs after an error.
        """
        while self._standing:
            standing = self._standing.pop()
            self._take_down(list(reversed(standing.layers)), keep_logs=keep_logs)
        shared, self._shared = self._shared, None
        if shared is not None:
            self._take_down([replace(shared, shared=False)], keep_logs=keep_logs)
        sink, self._sink = self._sink, None
        if sink is not None:
            self.sandbox.stop(sink.process)
            shutil.rmtree(sink.lines.parent, ignore_errors=True)

    def located(self, name: str) -> Located:
        """The program of a component. Raises: StackError."""
        if name not in self._located:
            named = self._specs[name].binary if name in self._specs else None
            self._located[name] = locate(name, app=self.study.app, host=self.host, named=named)
        return self._located[name]

    def _stack(self, variant: Variant) -> tuple[Mapping[str, Component], Variant]:
        """The components of a variant, and the levels that are still to be set in them."""
        if wanted(variant) is None:
            return self.components, variant
        swapped = swap(self.study, self.components, variant)
        return swapped.components, swapped.variant

    def _stand(
        self,
        arm: str,
        components: Mapping[str, Component],
        variant: Variant,
        layers: list[Layer],
        *,
        own_database: bool,
    ) -> Standing:
        """Start every layer, back to front; ``layers`` always holds what has started."""
        app = with_pool(self.study.app, variant)
        values = {"python": str(app.python)}
        app_env = None
        for name, component in reversed(tuple(components.items())):
            if name in _DATABASES:
                layer = self._database(arm, variant, own=own_database)
                values |= placeholders(layer.wiring.listen)
            elif isinstance(component, Companion):
                behind = layers[-1].wiring.listen if name in _POOLERS and layers else None
                layer = self._companion(arm, component, variant, upstream=behind)
                values |= component.placeholders(layer.wiring.listen)
            else:
                app_env = app_env or environment.filled(app, values)
                upstream = layers[-1].wiring.listen if name in _WEB else None
                layer = self._layer(
                    arm,
                    component,
                    variant,
                    upstream=upstream,
                    app=app,
                    app_env=app_env,
                    listen=self._listen(components, component),
                )
            layers.append(layer)
        front = layers[-1].wiring.listen
        return Standing(
            arm=arm,
            variant=variant,
            target=_target(front),
            layers=tuple(reversed(layers)),
            host=self.host,
            app_env=app_env or {},
        )

    def _layer(
        self,
        arm: str,
        component: Component,
        variant: Variant,
        *,
        upstream: Endpoint | None,
        app: App,
        app_env: Mapping[str, str],
        listen: Endpoint,
    ) -> Layer:
        name = component.name
        located = self.located(name)
        self._booted += 1
        directory = self.sandbox.directory(label := f"{arm}-{name}-{self._booted}")
        env = environment.base(self.study.app, directory)
        runtime, place = Runtime(), directory / "python"
        if name not in _WEB:
            runtime = Runtime.of(variant.levels("python"), server=name)
            env |= self._python_path(located)
            env = runtime.environment(env | dict(app_env), place)
        wiring = Wiring(
            directory=directory,
            listen=listen,
            upstream=upstream,
            binary=located.argv,
            app=app,
            env=env,
            user="root" if name in _WEB and os.geteuid() == 0 else None,
            spare=tuple(
                self.sandbox.endpoint(wish.speaks, unix=wish.path is not None, name="x")
                for wish in component.spare()
            ),
            build=located.build,
            syslog=self._syslog(component, variant),
        )
        for file, text in runtime.texts().items():
            self.sandbox.directory(f"{label}/{place.name}")
            self.sandbox.write(place / file, text)
        rendered = runtime.added(component.render(variant, wiring), place)
        cwd = directory if name in _WEB else self.study.app.directory
        return self._start(component, wiring, rendered, located, cwd=cwd)

    def _syslog(self, component: Component, variant: Variant) -> str | None:
        """Where its lines for syslog go; None for a component that has none."""
        if not sends(component, self._specs.get(component.name), variant):
            return None
        if self._sink is None:
            self._sink = Sink.open(self.sandbox)
        return self._sink.address

    def _listen(self, components: Mapping[str, Component], component: Component) -> Endpoint:
        """A place to listen, of the kind that the user's own files say.

        What is behind a web server listens as its own file says if it speaks the protocol that
        is passed to it, else as the web server's file says.
        """
        said = component.origin_endpoints()
        web = next((components[name] for name in components if name in _WEB), None)
        if component is web:
            kind = said[0] if said else Endpoint(speaks=Speaks.HTTP, port=80)
            return self.sandbox.endpoint(kind.speaks, unix=kind.path is not None, name="web")
        wanted = web.origin_upstream() if web is not None else None
        speaks = wanted.speaks if wanted is not None else Speaks.HTTP
        if speaks not in component.speaks:
            raise RenderError(
                f"nginx passes {speaks.value}, but {component.name} does not speak it",
                where=f"{self.study.file} [stack]",
                way_out="use proxy_pass in nginx.conf, or uwsgi as the app server",
            )
        if web is None and said and not any(place.speaks is speaks for place in said):
            raise RenderError(
                f"without nginx in front, {component.name} must speak HTTP",
                where=f"{self.study.file} [stack]",
                way_out="add http-socket = 127.0.0.1:8000 to the file, or nginx to the stack",
            )
        own = next((place for place in said if place.speaks is speaks), wanted)
        is_unix = own is not None and own.path is not None
        return self.sandbox.endpoint(speaks, unix=is_unix, name="app")

    def _database(self, arm: str, variant: Variant, *, own: bool) -> Layer:
        component = next(c for name, c in self.components.items() if name in _DATABASES)
        own = own or bool(variant.levels(component.name))
        if not own and self._shared is not None:
            return self._shared
        located = reachable(
            self.located(component.name), lambda: self.sandbox.directory("postgres")
        )
        self._booted += 1
        name = f"{arm if own else 'shared'}-{component.name}-{self._booted}"
        directory = self.sandbox.directory(name, unprivileged=True)
        wiring = Wiring(
            directory=directory,
            listen=self._place_of(component),
            upstream=None,
            binary=located.argv,
            app=self.study.app,
            env=environment.base(self.study.app, directory),
            build=located.build,
        )
        rendered = component.render(variant, wiring)
        self._clusters(located).clone(data_directory(wiring))
        layer = self._start(component, wiring, rendered, located, cwd=directory)
        if not own:
            layer = replace(layer, shared=True)
            self._shared = layer
        return layer

    def _companion(
        self, arm: str, component: Component, variant: Variant, *, upstream: Endpoint | None
    ) -> Layer:
        """A companion of the arm's own: what one arm writes there must not answer the other."""
        located = self.located(component.name)
        self._booted += 1
        name = f"{arm}-{component.name}-{self._booted}"
        directory = self.sandbox.directory(name, unprivileged=True)
        wiring = Wiring(
            directory=directory,
            listen=self._place_of(component),
            upstream=upstream,
            binary=located.argv,
            app=self.study.app,
            env=environment.base(self.study.app, directory),
            build=located.build,
        )
        rendered = component.render(variant, wiring)
        return self._start(component, wiring, rendered, located, cwd=directory)

    def _place_of(self, component: Component) -> Endpoint:
        """Where what is never root may listen, of the kind that the user's own file says."""
        kind = component.origin_endpoints()[0]
        if kind.path is None:
            return self.sandbox.endpoint(kind.speaks, unix=False, name=component.name)
        folder = self.sandbox.directory(f"d{self._booted}", unprivileged=True)
        is_postgres = kind.speaks is Speaks.POSTGRES
        name = socket_name(DEFAULT_PORT) if is_postgres else component.name
        return Endpoint(speaks=kind.speaks, path=folder / name)

    @contextlib.contextmanager
    def _beside_seed(self) -> Iterator[Mapping[str, str]]:
        """Caches for the steps of a seed, and what their placeholders mean.

        They go with what was written there: each arm's own begin empty.
        """
        values: dict[str, str] = {}
        layers: list[Layer] = []
        try:
            for name, component in self.components.items():
                if name in _CACHES and isinstance(component, Companion):
                    layers.append(self._companion("seed", component, ORIGIN, upstream=None))
                    values |= component.placeholders(layers[-1].wiring.listen)
            yield values
        finally:
            self._take_down(layers)

    def _clusters(self, located: Located) -> Clusters:
        return Clusters(
            host=self.host,
            sandbox=self.sandbox,
            located=located,
            app=self.study.app,
            cache=self.study.root / ".labcoat" / "cache",
            ready_timeout_s=self.study.ready_timeout_s,
            beside=self._beside_seed,
        )

    def _start(
        self,
        component: Component,
        wiring: Wiring,
        rendered: Rendered,
        located: Located,
        *,
        cwd: Path,
    ) -> Layer:
        for name, text in rendered.files.items():
            path = wiring.directory / name
            self.sandbox.write(path, text, unprivileged=rendered.unprivileged)
        env = {name: value for name, value in wiring.env.items() if name not in rendered.unset}
        wiring = replace(wiring, argv=rendered.argv, env=env)
        component.check(self.host, rendered, wiring)
        launch = Launch(
            name=component.name,
            argv=rendered.argv,
            cwd=cwd,
            log=wiring.directory / f"{component.name}.log",
            env=wiring.env,
            unprivileged=rendered.unprivileged,
            stop_signal=rendered.stop_signal,
        )
        try:
            process = start(
                self.sandbox,
                launch,
                ready=lambda process: component.ready(self.host, process, wiring),
                timeout_s=self.study.ready_timeout_s,
            )
        except NotReady as error:
            file = self._specs[component.name].file if component.name in self._specs else None
            if file is not None:  # what was refused may be the user's own line
                error.where = f"{file}, {error.where}"
            is_python = any(line.startswith("Traceback") for line in error.log)
            error.way_out = (
                way_out_of(error.log) if is_python else way_out_of(error.log, error.way_out or "")
            )
            raise
        return Layer(
            name=component.name,
            process=process,
            wiring=wiring,
            component=component,
            located=located,
            rewired=rendered.rewired,
        )

    def _python_path(self, located: Located) -> dict[str, str]:
        """The app's packages, for a server that is not of the app's own environment."""
        if located.folder == self.study.app.python.parent:
            return {}
        if self._paths is None:
            self._paths = self._packages()
        return {"PYTHONPATH": os.pathsep.join((str(self.study.app.directory), *self._paths))}

    def _packages(self) -> tuple[str, ...]:
        app = self.study.app
        app_python(app, self.host)
        code = (
            "import json, sys; print(json.dumps([p for p in sys.path if p.endswith('-packages')]))"
        )
        said = self.host.run((str(app.python), "-c", code), timeout_s=20.0, env={"PATH": ""})
        paths: list[str] = json.loads(said.stdout)
        return tuple(paths)

    def _await_app(self, standing: Standing) -> None:
        """Wait until the stack answers a request of the workload with less than 500.

        An app may be slow to answer at first; one that hangs up again and again (uWSGI
        closes the connection of an app that raises, and nginx says 502) is broken.
        Raises: NotReady with the last words of the layer that is to blame.
        """
        path = _first_path(self.study)
        deadline = time.monotonic() + self.study.ready_timeout_s
        front = standing.layers[0].wiring.listen
        not_refused_s = time.monotonic()
        while True:
            asked_s = time.monotonic()
            answer = probe.get(front, path, timeout_s=_TRY_S)
            if answer is None and time.monotonic() - asked_s > _TRY_S / 2:
                not_refused_s = time.monotonic()  # slow, and perhaps still loading
            try:
                self.sandbox.check()
            except Died as error:
                raise NotReady(
                    f"the stack never served: {error.what}",
                    where=error.where,
                    log=error.log,
                    way_out=way_out_of(error.log),
                ) from error
            if answer is not None and answer.status < 500:
                return
            is_broken = answer is not None and answer.status == 500
            is_broken |= time.monotonic() - not_refused_s > _HANGS_UP_S
            if is_broken or time.monotonic() >= deadline:
                raise self._unserved(standing, path, answer)
            time.sleep(_POLL_S)

    def _unserved(self, standing: Standing, path: str, answer: probe.Answer | None) -> NotReady:
        """Why the stack does not serve, with the app server's last words."""
        blamed = next(layer for layer in standing.layers if layer.name not in _WEB)
        what = (
            f"the app did not answer GET {path}"
            if answer is None
            else f"the app answers GET {path} with {answer.status}"
        )
        log: tuple[str, ...] = blamed.process.tail()
        with contextlib.suppress(OSError):
            for errors in sorted(blamed.wiring.directory.glob("*.log")):
                if errors != blamed.process.log and "access" not in errors.name:
                    log += tuple(errors.read_text(errors="replace").splitlines()[-20:])
        where = self.sandbox.log_of(blamed.process)
        return NotReady(what, where=f"{blamed.name}, {where}", log=log, way_out=way_out_of(log))

    def _take_down(self, layers: list[Layer], *, keep_logs: bool = False) -> None:
        """End layers, front first (the list is back to front), and remove their folders."""
        for layer in reversed(layers):
            if not layer.shared:
                self.sandbox.stop(layer.process)
                if not keep_logs:
                    shutil.rmtree(layer.wiring.directory, ignore_errors=True)


def _target(front: Endpoint) -> Target:
    if front.path is None:
        return Target(url=front.url)
    return Target(url=f"{front.speaks.value}://localhost", uds=str(front.path))


def _first_path(study: Study) -> str:
    """A path of the workload to ask for, its placeholders at their first value."""
    for request in study.workload.requests:
        if request.method == "GET":
            path = re.sub(r"\{(\d+)\.\.\d+\}", r"\1", request.path)
            path = re.sub(r"\{([^{}|]*)\|[^{}]*\}", r"\1", path)
            if "{" not in path:
                return path
    return "/"
