"""Every knob on the real programs: both ends of its domain start, and the process shows them.

nginx starts in no time, so each level has a boot of its own. The others share one boot per
position: all first ends, all second ends, and so on. Each row is asked for by its own test.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, cast

import psutil
import psycopg
import pytest

from labcoat.errors import RenderError
from labcoat.host.base import Launch, Process
from labcoat.host.local import LocalHost
from labcoat.host.sandbox import Sandbox
from labcoat.knobs import KNOBS, find
from labcoat.model.host import Facts
from labcoat.model.knob import Knob
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.study import ComponentSpec, Interface, Study
from labcoat.model.variant import Level, Variant
from labcoat.stack import environment, probe
from labcoat.stack.base import Wiring
from labcoat.stack.binaries import Located, locate
from labcoat.stack.cluster import start
from labcoat.stack.edit import composites
from labcoat.stack.nginx import Nginx
from labcoat.stack.rig import Rig, Standing
from labcoat.testing.knobs import ORIGINS, in_force, same
from labcoat.testing.stack import tiny_study


def small(facts: Facts) -> Facts:
    """This machine, but no larger than it need be to have two ends."""
    return replace(facts, cpus=min(facts.cpus, 2), ram_bytes=min(facts.ram_bytes, 2 * 1024**3))


FACTS = small(LocalHost().facts())


def of(component: str) -> list[Knob]:
    return [knob for knob in KNOBS if knob.component == component]


def rows(component: str) -> pytest.MarkDecorator:
    knobs = of(component)
    return pytest.mark.parametrize("knob", knobs, ids=[knob.name for knob in knobs])


def at(knobs: Sequence[Knob], position: int) -> Variant:
    """The variant in which each knob has that end of its domain; its last, if it has fewer."""
    ends = {knob.name: knob.domain.ends(FACTS) for knob in knobs}
    return Variant.of(
        {name: levels[min(position, len(levels) - 1)] for name, levels in ends.items()}
    )


class Boots:
    """One standing app server per position, each booted when it is first asked for."""

    def __init__(self, rig: Rig, knobs: Sequence[Knob]) -> None:
        self.rig = rig
        self.knobs = knobs
        self.said: dict[int, dict[str, Any]] = {}
        self.explained: dict[str, float] = {}

    def levels(self, knob: Knob) -> Iterator[tuple[Level, dict[str, Any]]]:
        """(the level that was given, what the process says of itself) for every end."""
        for position, level in enumerate(knob.domain.ends(FACTS)):
            if position not in self.said:
                standing = self.rig.boot("a", at(self.knobs, position))
                answer = probe.get(standing.layers[0].wiring.listen, "/", timeout_s=10.0)
                assert answer is not None
                assert answer.status == 200
                self.said[position] = json.loads(answer.body)
                process = psutil.Process(standing.layers[0].process.pid)
                self.said[position]["argv"] = process.cmdline()
                self.explained |= standing.explain()[standing.layers[0].name]
                self.rig.stop(standing)
            yield level, self.said[position]


class Asked(dict[str, float]):
    """Counters that remember by which names they were asked."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, name: str, default: float = 0.0) -> float:  # type: ignore[override]
        self.names.add(name)
        return default

    def __contains__(self, name: object) -> bool:
        self.names.add(str(name))
        return False


def assert_told(knobs: Sequence[Knob], told: Mapping[str, float]) -> None:
    """Every counter that a condition asks for is one that the standing component tells."""
    for knob in knobs:
        if knob.condition.counter is None or knob.condition.holds is None:
            continue
        asked = Asked()
        assert knob.condition.holds(asked)
        assert asked.names, knob.name
        assert {*asked.names, knob.condition.counter.partition(".")[2]} <= told.keys(), knob.name


@contextmanager
def boots(folder: Path, name: str, knobs: Sequence[Knob], app: str, text: str) -> Iterator[Boots]:
    file = folder / {"uwsgi": "uwsgi.ini", "gunicorn": "gunicorn.conf.py"}.get(name, "none")
    file.write_text(text)
    spec = ComponentSpec(name=name, file=file if text else None)
    is_asgi = "async def app" in app
    interface = Interface.ASGI if is_asgi else Interface.WSGI
    study = tiny_study(folder, (spec,), source=app, interface=interface)
    with (
        Sandbox.open(LocalHost(), base=folder / "b") as sandbox,
        Rig(sandbox.host, sandbox, study) as rig,
    ):
        yield Boots(rig, knobs)


UWSGI_APP = """\
import json, uwsgi
def app(environ, start_response):
    start_response("200 OK", [])
    words = {k: (v.decode() if isinstance(v, bytes) else v) for k, v in uwsgi.opt.items()}
    return [json.dumps(words).encode()]
"""


@pytest.fixture(scope="module")
def uwsgi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Boots]:
    folder = tmp_path_factory.mktemp("uwsgi")
    with boots(folder, "uwsgi", of("uwsgi"), UWSGI_APP, ORIGINS["uwsgi"]) as booted:
        yield booted


@rows("uwsgi")
def test_uwsgi_starts_with_both_ends_and_says_so(knob: Knob, uwsgi: Boots) -> None:
    composite = composites.INI.get(knob.directive)
    for level, said in uwsgi.levels(knob):
        parts = ((knob.directive, level),) if composite is None else composite.parts(level)
        for name, wanted in parts:
            # Each row has its say in one boot: an option's own level wins over a composite's.
            if name == "req-logger":  # the sandbox has a daemon of its own
                assert re.fullmatch(r"rsyslog:127\.0\.0\.1:\d+,uwsgi", said[name])
            elif composite is None or said[name] != "false":
                assert same(said[name], wanted if wanted is not True else "true")


def test_uwsgi_tells_what_conditions_ask_for(uwsgi: Boots) -> None:
    list(uwsgi.levels(find("uwsgi.processes")))
    assert_told(of("uwsgi"), uwsgi.explained)


GUNICORN_APP = """\
import json
SETTINGS = {}
def app(environ, start_response):
    start_response("200 OK", [])
    return [json.dumps(SETTINGS, default=str).encode()]
"""
GUNICORN_FILE = """\
bind = "127.0.0.1:8000"
def post_worker_init(worker):
    import tiny
    tiny.SETTINGS.update((name, one.get()) for name, one in worker.cfg.settings.items())
    tiny.SETTINGS["defaults"] = {name: one.default for name, one in worker.cfg.settings.items()}
"""


@pytest.fixture(scope="module")
def gunicorn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Boots]:
    folder = tmp_path_factory.mktemp("gunicorn")
    with boots(folder, "gunicorn", of("gunicorn"), GUNICORN_APP, GUNICORN_FILE) as booted:
        yield booted


@rows("gunicorn")
def test_gunicorn_starts_with_both_ends_and_says_so(knob: Knob, gunicorn: Boots) -> None:
    version = gunicorn.rig.located("gunicorn").version
    for level, said in gunicorn.levels(knob):
        assert said[knob.directive] == level
        assert said["defaults"][knob.directive] == knob.default_for(version)


def test_gunicorn_tells_what_conditions_ask_for(gunicorn: Boots) -> None:
    list(gunicorn.levels(find("gunicorn.workers")))
    assert_told(of("gunicorn"), gunicorn.explained)


def assert_asked(knob: Knob, level: Level, argv: Sequence[str]) -> None:
    """The running process was started with the level."""
    if isinstance(level, bool):
        assert f"--{'' if level else 'no-'}{knob.directive}" in argv
    else:
        assert argv[argv.index(f"--{knob.directive}") + 1] == str(level)


GRANIAN_APP = """\
import json, threading
def app(environ, start_response):
    start_response("200 OK", [])
    return [json.dumps({"threads": threading.active_count()}).encode()]
"""


@pytest.fixture(scope="module")
def granian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Boots]:
    folder = tmp_path_factory.mktemp("granian")
    with boots(folder, "granian", of("granian"), GRANIAN_APP, "") as booted:
        yield booted


@rows("granian")
def test_granian_starts_with_both_ends(knob: Knob, granian: Boots) -> None:
    for level, said in granian.levels(knob):
        assert_asked(knob, level, said["argv"])


# Uvicorn's workers are children of the process that was started, unless there is but one.
UVICORN_APP = """\
import asyncio, json, logging, os, sys
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    protocols = {"h11": "uvicorn.protocols.http.h11_impl" in sys.modules,
                 "httptools": "uvicorn.protocols.http.httptools_impl" in sys.modules}
    said = {"loop": loop, "http": [name for name, is_there in protocols.items() if is_there],
            "access-log": logging.getLogger("uvicorn.access").hasHandlers()}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})
"""


@pytest.fixture(scope="module")
def uvicorn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Boots]:
    folder = tmp_path_factory.mktemp("uvicorn")
    with boots(folder, "uvicorn", of("uvicorn"), UVICORN_APP, "") as booted:
        yield booted


@rows("uvicorn")
def test_uvicorn_starts_with_both_ends_and_says_so(knob: Knob, uvicorn: Boots) -> None:
    for level, said in uvicorn.levels(knob):
        assert_asked(knob, level, said["argv"])
        if level != "auto" and knob.directive in {"loop", "http"}:
            assert level in said[knob.directive]
        if knob.directive == "access-log":
            assert said["access-log"] is level


PYTHON_APP = """\
import gc, json, os, sys
def app(environ, start_response):
    start_response("200 OK", [])
    said = dict(os.environ, **{
        "gc.threshold": gc.get_threshold()[0], "gc.freeze": gc.get_freeze_count() > 0,
        "flags": [sys.flags.optimize, sys.flags.dev_mode]})
    return [json.dumps(said).encode()]
"""


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Boots]:
    folder = tmp_path_factory.mktemp("python")
    with boots(folder, "gunicorn", of("python"), PYTHON_APP, "preload_app = True\n") as booted:
        yield booted


@rows("python")
def test_the_interpreter_starts_with_both_ends_and_says_so(knob: Knob, interpreter: Boots) -> None:
    for level, said in interpreter.levels(knob):
        is_variable = isinstance(level, bool) and knob.directive.isupper()
        wanted = ("1" if level else "") if is_variable else str(level)
        assert str(said[knob.directive]) == wanted


def test_the_collector_starts_as_the_row_says() -> None:
    code = "import gc, platform; print(gc.get_threshold()[0], platform.python_version())"
    done = LocalHost().run((sys.executable, "-c", code), timeout_s=20.0, env={})
    threshold, version = done.stdout.split()
    assert find("python.gc.threshold").default_for(version) == int(threshold)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Standing]]:
    """One stack with a cluster per position; all are cloned from one template."""
    folder = tmp_path_factory.mktemp("postgres")
    knobs = of("postgres")
    most = max(len(knob.domain.ends(FACTS)) for knob in knobs)
    stack = (ComponentSpec(name="gunicorn"), ComponentSpec(name="postgres"))
    study = tiny_study(folder, stack, env={"DATABASE_URL": "{database.url}"})
    with (
        Sandbox.open(LocalHost(), base=folder / "b") as sandbox,
        Rig(sandbox.host, sandbox, study) as rig,
    ):
        yield [rig.boot(f"a{position}", at(knobs, position)) for position in range(most)]


@rows("postgres")
def test_postgres_starts_with_both_ends_and_shows_them(
    knob: Knob, database: list[Standing]
) -> None:
    for level, standing in zip(knob.domain.ends(FACTS), database, strict=False):
        with psycopg.connect(standing.app_env["DATABASE_URL"]) as connection:
            row = connection.execute(
                "select current_setting(%s), current_setting('server_version_num')::int / 10000",
                (knob.directive,),
            ).fetchone()
        assert row is not None
        shown, version = row
        if (knob.name, level) == ("postgres.wal_buffers", "-1"):
            assert shown.endswith(("kB", "MB"))  # Postgres shows what it chose
        elif knob.name == "postgres.wal_compression":
            assert shown == ("pglz" if level and version >= 15 else "on" if level else "off")
        elif isinstance(level, float):
            assert float(shown) == level
        else:
            assert same(shown, level)


def test_postgres_tells_what_conditions_ask_for(database: list[Standing]) -> None:
    assert_told(of("postgres"), database[0].explain()["postgres"])


UNITS = {"8kB": 8192, "kB": 1024, "MB": 1024**2, "ms": 1, "s": 1000}
COUNTED = {"kB": 1024, "MB": 1024**2, "GB": 1024**3, "ms": 1, "s": 1000, "min": 60_000}


def counted(level: Level | None) -> object:
    """A level as a number of bytes or milliseconds where it has a unit, else as it is."""
    found = re.fullmatch(r"(\d+)([A-Za-z]+)", str(level))
    return int(found[1]) * COUNTED[found[2]] if found and found[2] in COUNTED else level


@rows("postgres")
def test_postgres_does_what_the_row_says_when_nothing_is_said(
    knob: Knob, database: list[Standing]
) -> None:
    with psycopg.connect(database[0].app_env["DATABASE_URL"]) as connection:
        row = connection.execute(
            "select boot_val, unit, current_setting('server_version') from pg_settings"
            " where name = %s",
            (knob.directive,),
        ).fetchone()
    assert row is not None
    built_in, unit, version = row
    default = knob.default_for(version.split()[0])
    if isinstance(default, int | float) and not isinstance(default, bool):
        assert float(built_in) == default
    elif unit is not None and built_in != "-1":
        assert int(built_in) * UNITS[unit] == counted(default)
    else:
        assert same(built_in or None, default)


class Web:
    """nginx alone, booted in the sandbox with a variant."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.study: Study = tiny_study(folder, (ComponentSpec(name="gunicorn"),))
        self.located: Located = locate("nginx", app=self.study.app, host=sandbox.host)
        self.count = 0

    @contextmanager
    def boot(self, levels: dict[str, Level]) -> Iterator[tuple[Endpoint, str]]:
        """(where it listens, the rendered file). Raises: RenderError."""
        self.count += 1
        file = self.folder / "nginx.conf"
        file.write_text(ORIGINS["nginx"])
        (self.folder / "static").mkdir(exist_ok=True)
        component = Nginx.adopt(ComponentSpec(name="nginx", file=file), self.study.app)
        directory = self.sandbox.directory(f"nginx-{self.count}")
        wiring = Wiring(
            directory=directory,
            listen=self.sandbox.endpoint(Speaks.HTTP, unix=False, name="web"),
            upstream=Endpoint(speaks=Speaks.HTTP, port=9),
            binary=self.located.argv,
            app=self.study.app,
            env=environment.base(self.study.app, directory),
            spare=(self.sandbox.endpoint(Speaks.HTTP, unix=True, name="x"),),
            build=self.located.build,
            syslog="127.0.0.1:9",
        )
        rendered = component.render(Variant.of(levels), wiring)
        for name, text in rendered.files.items():
            self.sandbox.write(directory / name, text)
        component.check(self.sandbox.host, rendered, wiring)
        launch = Launch(
            name="nginx",
            argv=rendered.argv,
            cwd=directory,
            log=directory / "nginx.log",
            env=wiring.env,
        )
        with ExitStack() as stack:
            process = start(
                self.sandbox,
                launch,
                ready=lambda process: component.ready(self.sandbox.host, process, wiring),
                timeout_s=10.0,
            )
            stack.callback(self.sandbox.stop, process)
            yield wiring.listen, rendered.files["nginx.conf"]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("nginx")
    with Sandbox.open(LocalHost(), base=folder / "b") as sandbox:
        yield Web(folder, sandbox)


@rows("nginx")
def test_nginx_starts_with_both_ends_and_serves(knob: Knob, web: Web) -> None:
    lacks = knob.lacks(web.located.version, web.located.build)
    for level in knob.domain.ends(FACTS):
        if lacks is not None:
            with pytest.raises(RenderError) as caught, web.boot({knob.name: level}):
                pass
            assert "unknown directive" in "".join(caught.value.log)
            continue
        with web.boot({knob.name: level}) as (listen, file):
            present = in_force(knob, file)
            if knob.directive.endswith("_cache.valid"):  # the sandbox moves the cache's folder
                assert f"_cache_valid 200 {level};" in file
            elif knob.directive == "access_log.syslog":  # nor is the daemon the user's
                assert present == "127.0.0.1:9"
            else:
                assert same(present, level) or (present is None and level is False)
            answer = probe.get(listen, "/", timeout_s=10.0)
            assert answer is not None
            assert answer.status == 200


# The example in nginx' own manual; not every build has the module.
STATUS = """\
Active connections: 291
server accepts handled requests
 16630948 16630948 31070465
Reading: 6 Writing: 179 Waiting: 106
"""


class Status(BaseHTTPRequestHandler):
    """Says what stub_status says."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(STATUS)))
        self.end_headers()
        self.wfile.write(STATUS.encode())

    def log_message(self, *_: object) -> None:
        pass


def test_nginx_tells_what_conditions_ask_for(tmp_path: Path) -> None:
    file = tmp_path / "nginx.conf"
    file.write_text(ORIGINS["nginx"])
    study = tiny_study(tmp_path, (ComponentSpec(name="nginx", file=file),))
    component = Nginx.adopt(study.components[0], study.app)
    with HTTPServer(("127.0.0.1", 0), Status) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        place = Endpoint(speaks=Speaks.HTTP, port=server.server_port)
        wiring = Wiring(
            directory=tmp_path,
            listen=place,
            upstream=None,
            binary=("nginx",),
            app=study.app,
            spare=(place,),
            build="--with-http_stub_status_module",
        )
        told = component.counters(LocalHost(), cast("Process", None), wiring)
        server.shutdown()
    assert_told(of("nginx"), told)


def heads(listen: Endpoint, *lines: str) -> tuple[dict[str, str], int, float]:
    """(headers, bytes of the body, seconds) of one answer on a connection of its own."""
    started = time.monotonic()
    with socket.create_connection((listen.host, listen.port), timeout=10) as connection:
        connection.sendall("\r\n".join(("GET / HTTP/1.1", "Host: x", *lines, "", "")).encode())
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    pairs = (line.split(": ", 1) for line in head.decode().splitlines()[1:])
    return {name.lower(): value for name, value in pairs}, len(body), time.monotonic() - started


CLOSE = "Connection: close"


def test_nginx_does_what_the_knob_says(web: Web) -> None:
    zipped = ("Accept-Encoding: gzip", CLOSE)
    with web.boot({}) as (listen, _):
        headers, plain, origin_s = heads(listen, *zipped)
        assert "content-encoding" not in headers
        assert headers["server"].startswith("nginx/")
    with web.boot({"nginx.gzip": True, "nginx.gzip_types": "text/plain"}) as (listen, _):
        headers, size, _ = heads(listen, *zipped)
        assert headers["content-encoding"] == "gzip"
        assert size < plain / 5
    with web.boot({"nginx.server_tokens": False}) as (listen, _):
        assert heads(listen, CLOSE)[0]["server"] == "nginx"
    with web.boot({"nginx.limit_rate": "2k"}) as (listen, _):
        assert heads(listen, CLOSE)[2] > origin_s + 0.5
    with web.boot({"nginx.keepalive_requests": 1}) as (listen, _):
        assert heads(listen)[0]["connection"] == "close"
