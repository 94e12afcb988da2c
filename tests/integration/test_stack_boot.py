from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from labcoat.errors import Died, NotReady, RenderError, StackError
from labcoat.host.local import LocalHost
from labcoat.host.sandbox import Sandbox
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.study import App, ComponentSpec, Interface, Seed, Study
from labcoat.model.variant import Variant
from labcoat.stack import probe
from labcoat.stack.binaries import EMBEDDED, locate
from labcoat.stack.rig import Rig
from labcoat.testing.stack import tiny_study

HTTP_NGINX = """\
worker_processes 1;
events {{ worker_connections 64; }}
http {{
    include mime.types;
    server {{
        listen 8080;
        location / {{ {door}; }}
    }}
}}
"""
TCP, UNIX = "127.0.0.1:8000", "unix:/run/tiny/app.sock"
W, A = Interface.WSGI, Interface.ASGI


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    base = tmp_path / "b"
    with Sandbox.open(LocalHost(), base=base) as opened:
        yield opened
    assert left(base) == []


def left(base: Path) -> list[Path]:
    return list(base.iterdir()) if base.exists() else []


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def nginx(folder: Path, door: str) -> ComponentSpec:
    return ComponentSpec(
        name="nginx", file=write(folder / "nginx.conf", HTTP_NGINX.format(door=door))
    )


@pytest.mark.parametrize(
    ("server", "interface", "options"),
    [
        ("gunicorn", W, {}),
        ("gunicorn", W, {"threads": 4}),
        ("gunicorn", W, {"worker_class": "gevent"}),
        ("granian", W, {}),
        ("granian", A, {"workers": 2}),
        ("uvicorn", A, {}),
        ("uvicorn", A, {"workers": 2}),
        ("uwsgi", W, {"master": True, "processes": 2}),
    ],
)
@pytest.mark.parametrize("address", [TCP, UNIX])
def test_every_server_behind_nginx_over_either_kind(
    tmp_path: Path,
    sandbox: Sandbox,
    server: str,
    interface: Interface,
    options: dict[str, int],
    address: str,
) -> None:
    door = f"proxy_pass http://{address}"
    if server == "uwsgi":
        door = f"include uwsgi_params; uwsgi_pass {address}"
    spec = ComponentSpec(name=server, options=tuple(options.items()))
    study = tiny_study(tmp_path, (nginx(tmp_path, door), spec), interface=interface)
    with Rig(sandbox.host, sandbox, study) as rig:
        standing = rig.boot("a")
        behind = standing.layers[1].wiring.listen
        assert (behind.path is not None) == address.startswith("unix:")
        answer = probe.get(standing.layers[0].wiring.listen, "/", timeout_s=5.0)
        assert answer is not None
        assert (answer.status, answer.body) == (200, "hello")
        rig.stop(standing)
        assert not sandbox.host.answers(behind)


def test_two_arms_side_by_side_share_the_database_and_nothing_else(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    stack = (ComponentSpec(name="gunicorn"), ComponentSpec(name="postgres"))
    study = tiny_study(tmp_path, stack, env={"DATABASE_URL": "{database.url}"})
    with Rig(sandbox.host, sandbox, study) as rig:
        one, other = rig.boot("a"), rig.boot("b", Variant.of({"gunicorn.threads": 2}))
        assert [layer.shared for layer in one.layers] == [False, True]
        assert one.layers[1].process is other.layers[1].process
        assert one.layers[0].process.pid != other.layers[0].process.pid
        assert one.target != other.target
        rig.stop(one)
        other.check()
        assert probe.get(other.layers[0].wiring.listen, "/", timeout_s=5.0) is not None
        own = rig.boot("a", Variant.of({"postgres.work_mem": "8MB"}))
        assert own.layers[1].process is not other.layers[1].process
        with psycopg.connect(own.app_env["DATABASE_URL"]) as connection:
            assert connection.execute("show work_mem").fetchone() == ("8MB",)
        with psycopg.connect(other.app_env["DATABASE_URL"]) as connection:
            assert connection.execute("show work_mem").fetchone() == ("4MB",)


SEED = """\
import os, sys, psycopg
print("seeding", file=sys.stderr)
with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    connection.execute("create table thing (n int)")
    connection.execute("insert into thing select generate_series(1, 1000)")
with open(os.environ["SEED_LOG"], "a") as log:
    log.write("seeded\\n")
"""


def seeded_study(folder: Path, log: Path, *, file: str | None = None) -> Study:
    write(folder / "seed.py", SEED)
    conf = write(folder / "postgresql.conf", file) if file is not None else None
    return tiny_study(
        folder,
        (ComponentSpec(name="gunicorn"), ComponentSpec(name="postgres", file=conf)),
        env={"DATABASE_URL": "{database.url}", "SEED_LOG": str(log)},
        seed=(("{python}", "seed.py"),),
    )


@pytest.mark.parametrize("file", [None, "listen_addresses = 'localhost'\nport = 5433\n"])
def test_the_database_is_seeded_once_and_each_rig_gets_a_fresh_clone(
    tmp_path: Path, file: str | None
) -> None:
    app, log = tmp_path / "app", tmp_path / "seed.log"
    app.mkdir()
    study = seeded_study(app, log, file=file)
    host = LocalHost()
    for _ in range(2):
        with Sandbox.open(host, base=tmp_path / "b") as sandbox, Rig(host, sandbox, study) as rig:
            url = rig.boot("a").app_env["DATABASE_URL"]
            assert ("127.0.0.1" in url) == (file is not None)
            with psycopg.connect(url) as connection:
                assert connection.execute("select count(*) from thing").fetchone() == (1000,)
                connection.execute("delete from thing")
    assert log.read_text() == "seeded\n"
    write(app / "seed.py", SEED.replace("1000", "2000"))
    with (
        Sandbox.open(host, base=tmp_path / "b") as sandbox,
        Rig(host, sandbox, study) as rig,
        psycopg.connect(rig.boot("a").app_env["DATABASE_URL"]) as connection,
    ):
        assert connection.execute("select count(*) from thing").fetchone() == (2000,)
    assert log.read_text() == "seeded\nseeded\n"


def test_what_one_arm_writes_never_reaches_the_other(tmp_path: Path, sandbox: Sandbox) -> None:
    app = tmp_path / "app"
    app.mkdir()
    study = seeded_study(app, tmp_path / "seed.log")
    with Rig(sandbox.host, sandbox, study) as rig:
        arms = [rig.boot(arm, own_database=True) for arm in ("a", "b")]
        urls = [arm.app_env["DATABASE_URL"] for arm in arms]
        with psycopg.connect(urls[0], autocommit=True) as one, psycopg.connect(urls[1]) as other:
            one.execute("delete from thing where n > 10")
            one.execute("create table left_behind ()")
            assert one.execute("select count(*) from thing").fetchone() == (10,)
            assert other.execute("select count(*) from thing").fetchone() == (1000,)
            assert other.execute("select to_regclass('left_behind')").fetchone() == (None,)
        rig.stop(*arms)
        with psycopg.connect(rig.boot("a", own_database=True).app_env["DATABASE_URL"]) as later:
            assert later.execute("select count(*) from thing").fetchone() == (1000,)
    assert (tmp_path / "seed.log").read_text() == "seeded\n"


DUMP = """\
create table item (n int, name text);
ALTER TABLE item OWNER TO shopkeeper;
insert into item select n, 'item ' || n from generate_series(1, 25) as n;
GRANT SELECT ON TABLE item TO "read only";
"""


def test_a_database_is_filled_by_dumps_and_commands_in_order(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    plain = tiny_study(
        tmp_path,
        (ComponentSpec(name="gunicorn"), ComponentSpec(name="postgres")),
        seed=(write(tmp_path / "dump.sql", DUMP),),
        env={"DATABASE_URL": "{database.url}"},
    )
    with Rig(sandbox.host, sandbox, plain) as rig:
        standing = rig.boot("a")
        database = next(layer for layer in standing.layers if layer.name == "postgres")
        folder = database.located.folder
        url = standing.app_env["DATABASE_URL"]
        kinds = {"c": "custom.dump", "t": "archive.tar", "d": "folder.dir"}
        for kind, name in kinds.items():
            argv = [str(folder / "pg_dump"), f"-F{kind}", "-f", str(tmp_path / name), url]
            subprocess.run(argv, check=True)
    count = (
        "import os, psycopg; c = psycopg.connect(os.environ['DATABASE_URL'], autocommit=True);"
        "c.execute('insert into item select n + 100 from item limit {n}')"
    )
    for name in kinds.values():
        steps: tuple[Seed, ...] = (
            tmp_path / name,
            ("{python}", "-c", count.replace("{n}", "5")),
            write(tmp_path / "more.sql", "delete from item where n = 1;"),
        )
        study = replace(plain, app=replace(plain.app, seed=steps))
        with (
            Rig(sandbox.host, sandbox, study) as rig,
            psycopg.connect(rig.boot("a").app_env["DATABASE_URL"]) as connection,
        ):
            assert connection.execute("select count(*) from item").fetchone() == (29,)
    broken = write(tmp_path / "more.sql", "select 1;\nselect nothing from nowhere;\n")
    study = replace(plain, app=replace(plain.app, seed=(broken,)))
    with Rig(sandbox.host, sandbox, study) as rig, pytest.raises(StackError) as caught:
        rig.boot("a")
    assert any("more.sql:2" in line and "nowhere" in line for line in caught.value.log)


def test_a_seed_that_fails_leaves_no_template_and_tells_no_secret(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    write(tmp_path / "seed.py", "import os\nraise SystemExit('no: ' + os.environ['TOKEN'])\n")
    study = tiny_study(
        tmp_path,
        (ComponentSpec(name="gunicorn"), ComponentSpec(name="postgres")),
        env={"TOKEN": "hunter22"},
        seed=(("{python}", "seed.py"),),
    )
    with Rig(sandbox.host, sandbox, study) as rig, pytest.raises(StackError) as caught:
        rig.boot("a")
    assert caught.value.log[-1] == "no: ***"
    assert list((tmp_path / ".labcoat" / "cache").iterdir()) == []


APP_BREAKS = {
    "does not import": "import nothing_like_this\n",
    "raises at import": "raise RuntimeError('nothing_like_this')\n",
    "needs a missing variable": "import os\nos.environ['nothing_like_this']\n",
    "answers 500": (
        "def app(environ, start_response):\n    raise RuntimeError('nothing_like_this ' + KEY)\n"
        "import os\nKEY = os.environ['KEY']\n"
    ),
}


@pytest.mark.parametrize("server", ["uwsgi", "gunicorn", "granian", "uvicorn"])
@pytest.mark.parametrize("how", list(APP_BREAKS))
def test_a_broken_app_is_told_with_its_own_traceback_and_without_its_secrets(
    tmp_path: Path, sandbox: Sandbox, server: str, how: str
) -> None:
    source = APP_BREAKS[how]
    study = tiny_study(
        tmp_path, (ComponentSpec(name=server),), source=source, env={"KEY": "hunter22"}
    )
    with Rig(sandbox.host, sandbox, study) as rig, pytest.raises((NotReady, RenderError)) as caught:
        rig.boot("a")
    said = "\n".join(caught.value.log)
    assert "nothing_like_this" in said
    assert "hunter22" not in str(caught.value)
    assert caught.value.where
    assert caught.value.way_out
    assert sandbox.processes == []


@pytest.mark.parametrize(
    ("name", "file", "text", "said"),
    [
        ("nginx", "nginx.conf", HTTP_NGINX.format(door="proxy_pass http://x:1; sendfail on"), "nginx.conf:7"),
        ("gunicorn", "gunicorn.conf.py", "workers = 'many'\n", "Invalid value for workers"),
        ("uwsgi", "uwsgi.ini", "[uwsgi]\nstrict = true\nno-such-option = 1\n", "no-such-option"),
        ("postgres", "postgresql.conf", "max_connections = 10\nshard_buffers = 1GB\n", "shard_buffers"),
    ],
)  # fmt: skip
def test_what_a_component_refuses_is_told_in_its_own_words(
    tmp_path: Path, sandbox: Sandbox, name: str, file: str, text: str, said: str
) -> None:
    spec = ComponentSpec(name=name, file=write(tmp_path / file, text))
    server = ComponentSpec(name="gunicorn")
    stack = {"nginx": (spec, server), "postgres": (server, spec)}.get(name, (spec,))
    with (
        Rig(sandbox.host, sandbox, tiny_study(tmp_path, stack)) as rig,
        pytest.raises(StackError) as caught,
    ):
        rig.boot("a")
    assert said in "\n".join(caught.value.log)
    assert str(caught.value.where).startswith(str(tmp_path / file)) or name == "uwsgi"


class CrowdedSandbox(Sandbox):
    """A sandbox in which somebody else is quicker: each port is taken once it was given."""

    def endpoint(self, speaks: Speaks, *, unix: bool, name: str) -> Endpoint:
        given = super().endpoint(speaks, unix=unix, name=name)
        if name == "web":
            taken = socket.create_server((given.host, given.port))
            self.others = taken
        return given


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    stack = (nginx(tmp_path, "proxy_pass http://x:1"), ComponentSpec(name="gunicorn"))
    study = tiny_study(tmp_path, stack)
    with (
        CrowdedSandbox.open(LocalHost(), base=tmp_path / "b") as sandbox,
        Rig(sandbox.host, sandbox, study) as rig,
    ):
        with pytest.raises(StackError) as caught:
            rig.boot("a")
        assert isinstance(sandbox, CrowdedSandbox)
        sandbox.others.close()
        assert sandbox.processes == []
    assert "in use" in "\n".join(caught.value.log)


def test_a_component_that_dies_is_told_with_its_last_words(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    study = tiny_study(tmp_path, (ComponentSpec(name="gunicorn"),))
    with Rig(sandbox.host, sandbox, study) as rig:
        standing = rig.boot("a")
        os.kill(standing.layers[0].process.pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while standing.layers[0].process.status() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        with pytest.raises(Died) as caught:
            standing.check()
    assert any("Listening at" in line for line in caught.value.log)


def an_app(python: Path, folder: Path) -> App:
    return App(interface=Interface.WSGI, target="a:b", directory=folder, python=python)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'nginx version: nginx/1.4.6' >&2", "1.4.6 is too old"),
        ("exit 3", "does not tell its version"),
    ],
)
def test_a_program_that_is_too_old_or_broken_is_told(
    tmp_path: Path, script: str, said: str
) -> None:
    program = write(tmp_path / "nginx", f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    app = an_app(Path(sys.executable), tmp_path)
    with pytest.raises(StackError) as caught:
        locate("nginx", app=app, host=LocalHost(), named=program)
    assert said in caught.value.log[0]
    assert "pip install" in (caught.value.way_out or "")


def test_the_programs_beside_the_app_come_first(tmp_path: Path) -> None:
    program = write(tmp_path / "gunicorn", "#!/bin/sh\necho 'gunicorn (version 99.0)'\n")
    program.chmod(0o755)
    app = an_app(tmp_path / "python", tmp_path)
    located = locate("gunicorn", app=app, host=LocalHost())
    assert (located.version, located.source, located.argv) == ("99.0", "app", (str(program),))


def test_postgres_needs_its_siblings(tmp_path: Path) -> None:
    program = write(tmp_path / "postgres", "#!/bin/sh\n")
    program.chmod(0o755)
    with pytest.raises(StackError) as caught:
        locate("postgres", app=an_app(tmp_path / "p", tmp_path), host=LocalHost(), named=program)
    assert "no initdb and no psql beside it" in caught.value.log[0]


def test_nothing_is_written_outside_the_sandbox_and_labcoats_own_folder(tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    door = "include uwsgi_params; uwsgi_pass unix:/run/x.sock"
    write(app / "seed.py", "import tiny\n")
    ini = write(
        app / "uwsgi.ini", "[uwsgi]\nmaster = true\nsocket = /run/x.sock\nlogto = /var/log/x.log\n"
    )
    stack = (
        nginx(app, door),
        ComponentSpec(name="uwsgi", file=ini),
        ComponentSpec(name="postgres"),
    )
    study = tiny_study(app, stack, seed=(("{python}", "seed.py"),))
    watched = [app, Path.home(), Path("/run"), Path("/var/log"), Path("/tmp")]
    shallow = {folder: _listing(folder) for folder in watched}
    host = LocalHost()
    base = tmp_path / "b"
    with Sandbox.open(host, base=base) as sandbox, Rig(host, sandbox, study) as rig:
        rig.boot("a")
        assert _listing(app) - shallow[app] == {".labcoat"}
        assert not list(app.rglob("__pycache__"))
    for folder in watched[1:]:
        mine = {name for name in _listing(folder) - shallow[folder] if _is_ours(folder / name)}
        assert mine == set()
    assert left(base) == []


def _listing(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _is_ours(path: Path) -> bool:
    """Others use these folders too: ours would bear one of these names."""
    words = ("nginx", "uwsgi", "gunicorn", "postgres", "PGSQL", "x.sock", "x.log", "tiny")
    return any(word in path.name for word in words)


UP = "from labcoat.cli import main; import sys; sys.exit(main())"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    tiny_study(tmp_path, ())
    write(
        tmp_path / "labcoat.toml",
        'name = "tiny"\n[app]\nwsgi = "tiny:app"\n[stack]\ngunicorn = true\n'
        '[workload]\nusers = 2\nrequests = [ { path = "/" } ]\n',
    )
    return tmp_path


def up(project: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", UP, "up", *words],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "LABCOAT_SANDBOXES": str(project / "b")},
    )


def document_of(running: subprocess.Popen[str]) -> dict[str, object]:
    assert running.stdout is not None
    text = ""
    while not text.endswith("\n}\n"):
        line = running.stdout.readline()
        assert line, running.communicate()[1]
        text += line
    document: dict[str, object] = json.loads(text)
    return document


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_stands_until_it_is_told_to_go(project: Path, number: signal.Signals) -> None:
    running = up(project, "--json")
    document = document_of(running)
    components = document["components"]
    assert isinstance(components, list)
    assert [c["name"] for c in components] == ["gunicorn"]
    assert str(document["url"]).startswith("http://127.0.0.1:")
    assert Path(str(document["sandbox"])).is_dir()
    running.send_signal(number)
    running.communicate(timeout=30)
    assert running.returncode == 0
    assert left(project / "b") == []


def test_up_ends_when_a_component_dies(project: Path) -> None:
    running = up(project, "--json")
    components = document_of(running)["components"]
    assert isinstance(components, list)
    os.kill(components[0]["pid"], signal.SIGKILL)
    _, errors = running.communicate(timeout=30)
    assert running.returncode == 1
    assert "gunicorn died" in errors
    kept = next(word for word in errors.split() if word.endswith("gunicorn.log"))
    assert "Listening at" in Path(kept).read_text()
    assert left(project / "b") == []


def test_up_follows_the_logs(project: Path) -> None:
    running = up(project, "--logs")
    assert running.stdout is not None
    line = ""
    while "Listening at" not in line:
        line = running.stdout.readline()
        assert line
    assert line.startswith("gunicorn |")
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=30)
    assert running.returncode == 0


BOOT_ALL = """\
import json, os, sys
sys.path.insert(0, sys.argv[2])
from dataclasses import replace
from pathlib import Path
from labcoat.host.local import LocalHost
from labcoat.host.sandbox import Sandbox
from labcoat.stack.rig import Rig
from labcoat.model.study import ComponentSpec
from labcoat.testing.stack import tiny_study
folder = Path(sys.argv[1])
(folder / "nginx.conf").write_text(
    "user www-data; events {} http { server { listen 80; location / { proxy_pass http://x:1; } } }")
stack = (ComponentSpec(name="nginx", file=folder / "nginx.conf"), ComponentSpec(name="gunicorn"),
         ComponentSpec(name="postgres"))
study = tiny_study(folder, stack, env={"DATABASE_URL": "{database.url}"})
with Sandbox.open(LocalHost(), base=folder / "b") as sandbox, Rig(sandbox.host, sandbox, study) as rig:
    standing = rig.boot("a")
    uids = {layer.name: os.stat(f"/proc/{layer.process.pid}").st_uid for layer in standing.layers}
print(json.dumps(uids))
"""
# An ordinary user who may read where this Python lies (a home of root's, perhaps), and no more.
ORDINARY = (
    "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
    "--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search",
    "--bounding-set=-all,+dac_read_search",
)  # fmt: skip


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may pass, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="labcoat-open-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("who", ["root", "ordinary"] if os.geteuid() == 0 else ["ordinary"])
def test_root_and_an_ordinary_user_both_boot_everything(open_folder: Path, who: str) -> None:
    source = str(Path(__file__).parents[2] / "src")
    drop = ORDINARY if who == "ordinary" and os.geteuid() == 0 else ()
    if drop:
        os.chown(open_folder, 65534, 65534)
    done = subprocess.run(
        [*drop, sys.executable, "-B", "-c", BOOT_ALL, str(open_folder), source],
        capture_output=True, text=True, timeout=120, check=False, cwd="/",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    uids = json.loads(done.stdout)
    assert uids["postgres"] != 0
    assert (uids["nginx"] == 0) == (who == "root")
    assert left(open_folder / "b") == []


def test_postgres_below_a_closed_home_is_started_all_the_same(
    tmp_path: Path, open_folder: Path
) -> None:
    program = EMBEDDED["postgres"]()[0]
    package = program.parents[2]
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    for folder in (program.parents[1], package.with_name(f"{package.name}.libs")):
        shutil.copytree(folder, home / folder.relative_to(package.parent), symlinks=True)
    binary = home / program.relative_to(package.parent)
    database = ComponentSpec(name="postgres", binary=binary)
    study = tiny_study(tmp_path, (ComponentSpec(name="gunicorn"), database))
    host = LocalHost()
    with Sandbox.open(host, base=open_folder) as sandbox, Rig(host, sandbox, study) as rig:
        standing = rig.boot("a")
        assert standing.layers[1].located.source == "study"
        assert standing.explain()["postgres"]["backends"] >= 1
