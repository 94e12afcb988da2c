from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from labcoat.errors import RenderError
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.study import App, ComponentSpec, Interface
from labcoat.model.variant import ORIGIN, Level, Variant
from labcoat.stack.base import Component, Rendered, Wiring
from labcoat.stack.postgres import Postgres, dsn, placeholders
from labcoat.stack.servers import SERVERS
from labcoat.stack.servers.granian import Granian
from labcoat.stack.servers.gunicorn import Gunicorn
from labcoat.stack.servers.uvicorn import Uvicorn
from labcoat.stack.servers.uwsgi import Uwsgi

BOX = Path("/box/app")
HTTP = Endpoint(speaks=Speaks.HTTP, port=9001)
HTTP_SOCKET = Endpoint(speaks=Speaks.HTTP, path=Path("/box/s/app"))
UWSGI = Endpoint(speaks=Speaks.UWSGI, path=Path("/box/s/app"))
DB = Endpoint(speaks=Speaks.POSTGRES, path=Path("/box/d/.s.PGSQL.5432"))
DB_PORT = Endpoint(speaks=Speaks.POSTGRES, port=5999)


def app(folder: Path, interface: Interface = Interface.WSGI) -> App:
    return App(
        interface=interface,
        target="shop:app",
        directory=folder,
        python=Path("/usr/bin/python3"),
        env=(("DATABASE_URL", "{database.url}"), ("SECRET", "hush")),
    )


Build = Callable[..., tuple[Component, Rendered]]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    def built(
        kind: type[Component],
        text: str | None = None,
        *,
        listen: Endpoint = HTTP,
        variant: Variant = ORIGIN,
        options: Mapping[str, Level] | None = None,
        interface: Interface = Interface.WSGI,
        binary: str | None = None,
    ) -> tuple[Component, Rendered]:
        names = {
            "uwsgi": "uwsgi.ini",
            "gunicorn": "gunicorn.conf.py",
            "postgres": "postgresql.conf",
        }
        file = None
        if text is not None:
            file = tmp_path / names.get(kind.name, "file")
            file.write_text(text)
        spec = ComponentSpec(name=kind.name, file=file, options=tuple((options or {}).items()))
        component = kind.adopt(spec, app(tmp_path, interface))
        wiring = Wiring(
            directory=BOX,
            listen=listen,
            upstream=None,
            binary=(binary or f"/usr/bin/{kind.name}",),
            app=app(tmp_path, interface),
            spare=tuple(
                Endpoint(speaks=w.speaks, path=Path("/box/s/x")) for w in component.spare()
            ),
        )
        return component, component.render(variant, wiring)

    return built


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("socket = /run/shop.sock", "socket = /box/s/app"),
        ("uwsgi-socket = :3031", "uwsgi-socket = /box/s/app"),
        ("daemonize = /var/log/uwsgi.log", "# daemonize: the sandbox holds the process"),
        ("uid = www-data", "# uid: the sandbox belongs to whoever starts it"),
        ("pidfile = /run/uwsgi.pid", "pidfile = /box/app/pidfile.pid"),
        ("logto = /var/log/uwsgi.log", "logto = /box/app/logto.log"),
        ("stats = :9191", "stats = /box/s/x"),
        ("logger = file:/var/log/x.log", "logger = file:/box/app/x.log"),
        ("req-logger = named file:logfile=/var/log/r.log,maxsize=9", "req-logger = named file:logfile=/box/app/r.log,maxsize=9"),
        ("logger = rsyslog:10.0.0.1:514,shop", "# logger: logs stay in the sandbox"),
        ("logger = stdio", "logger = stdio"),
        ("home = /nowhere/venv", "# home: no such folder here; the app's own interpreter is used"),
        ("env = SECRET=prod", "# env: SECRET comes from labcoat.toml"),
        ("env = OTHER=1", "env = OTHER=1"),
        ("chmod-socket = 660", "chmod-socket = 660"),
        ("wsgi-file = %(module).py", "wsgi-file = %(module).py"),
        ("procname = %n-%%", "procname = %n-%%"),
    ],
)  # fmt: skip
def test_uwsgi_rewires_one_line(build: Build, line: str, after: str) -> None:
    _, rendered = build(Uwsgi, f"[uwsgi]\n{line}\n# end\n", listen=UWSGI)
    assert rendered.files["uwsgi.ini"].splitlines()[1] == after
    assert "hush" not in str(rendered)


def test_uwsgi_placeholders_for_the_files_own_folder_are_written_out(
    build: Build, tmp_path: Path
) -> None:
    _, rendered = build(Uwsgi, "[uwsgi]\nchdir = %d\npythonpath = %dlib\n", listen=UWSGI)
    lines = rendered.files["uwsgi.ini"].splitlines()
    assert lines[1:3] == [f"chdir = {tmp_path}/", f"pythonpath = {tmp_path}/lib"]


def test_uwsgi_keeps_one_door_of_the_kind_that_is_asked(build: Build) -> None:
    text = "[uwsgi]\nsocket = /run/a.sock\nhttp-socket = :8000\nhttp-socket = :8001\n"
    component, rendered = build(Uwsgi, text, listen=HTTP)
    assert rendered.files["uwsgi.ini"].splitlines()[1:4] == [
        "# socket: the sandbox needs one door",
        "http-socket = 127.0.0.1:9001",
        "# http-socket: the sandbox needs one door",
    ]
    assert [place.address for place in component.origin_endpoints()] == [
        "unix:/run/a.sock", "127.0.0.1:8000", "127.0.0.1:8001",
    ]  # fmt: skip


def test_uwsgi_without_a_file_is_told_what_it_needs(build: Build) -> None:
    _, rendered = build(Uwsgi, listen=HTTP_SOCKET, variant=Variant.of({"uwsgi.processes": 2}))
    text = rendered.files["uwsgi.ini"]
    assert text.startswith("[uwsgi]\nprocesses = 2\n")
    assert "http-socket = /box/s/app\nmodule = shop:app\nneed-app = true\n" in text
    assert rendered.stop_signal == signal.SIGINT


def test_uwsgi_stats_are_asked_for_only_where_a_master_serves_them(build: Build) -> None:
    with_master = build(Uwsgi, "[uwsgi]\nmaster = true\n", listen=UWSGI)[1].files["uwsgi.ini"]
    without = build(Uwsgi, "[uwsgi]\nprocesses = 1\n", listen=UWSGI)[1].files["uwsgi.ini"]
    assert "stats = /box/s/x" in with_master
    assert "stats" not in without


@pytest.mark.parametrize("key", ["emperor", "py-autoreload", "ini", "include", "attach-daemon"])
def test_uwsgi_refuses_what_cannot_be_measured(build: Build, key: str) -> None:
    with pytest.raises(RenderError, match=f"uwsgi {key} is refused") as caught:
        build(Uwsgi, f"[uwsgi]\n\n{key} = x\n")
    assert (caught.value.where or "").endswith("uwsgi.ini:3")


def test_uwsgi_serves_no_asgi(build: Build) -> None:
    with pytest.raises(RenderError, match="not ASGI"):
        build(Uwsgi, interface=Interface.ASGI)


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("bind = '127.0.0.1:8000'", "bind = '127.0.0.1:9001'"),
        ("bind = ['a:1', 'b:2']", "bind = '127.0.0.1:9001'"),
        ("pidfile = '/run/g.pid'", "pidfile = '/box/app/gunicorn.pid'"),
        ("accesslog = '/var/log/a.log'", "accesslog = '/box/app/accesslog.log'"),
        ("accesslog = '-'", "accesslog = '-'"),
        ("accesslog = None", "accesslog = None"),
        ("user = 'www-data'", "user = None"),
        ("syslog = True", "syslog = False"),
        ("chdir = '/nowhere/at/all'", "chdir = {folder!r}"),
        ("workers = 1 + 1", "workers = 1 + 1"),
        ("raw_env = ['X=1']", "raw_env = ['X=1']"),
        ("here = __file__", "here = {file!r}"),
        ("é = 'x\u2028ü', __file__", "é = 'x\u2028ü', {file!r}"),
    ],
)
def test_gunicorn_rewires_one_line(build: Build, tmp_path: Path, line: str, after: str) -> None:
    _, rendered = build(Gunicorn, f"# first\n{line}\n")
    file = tmp_path / "gunicorn.conf.py"
    wanted = after.format(folder=str(tmp_path), file=str(file)) if "{" in after else after
    assert rendered.files["gunicorn.conf.py"].split("\n")[1] == wanted


def test_gunicorn_what_an_if_says_is_overruled_at_the_end(build: Build) -> None:
    _, rendered = build(Gunicorn, "import os\nif os.environ:\n    accesslog = '/var/a'\n")
    end = rendered.files["gunicorn.conf.py"].splitlines()[-2:]
    assert end == ["bind = '127.0.0.1:9001'", "accesslog = '/box/app/accesslog.log'"]


def test_gunicorn_levels_and_options(build: Build) -> None:
    component, rendered = build(
        Gunicorn,
        "workers = 1\n",
        options={"worker-class": "gthread"},
        variant=Variant.of({"gunicorn.workers": 4}),
    )
    text = rendered.files["gunicorn.conf.py"]
    assert text.startswith("workers = 4\nworker_class = 'gthread'\n")
    assert component.origin_level("workers") == 1
    assert component.origin_level("worker_class") == "gthread"
    assert rendered.argv[-1] == "shop:app"


def test_gunicorn_wsgi_app_of_the_file_is_kept(build: Build) -> None:
    _, rendered = build(Gunicorn, "wsgi_app = 'other:app'\n")
    assert rendered.argv[-1] == str(BOX / "gunicorn.conf.py")


@pytest.mark.parametrize(
    ("text", "endpoints"),
    [
        ("", []),
        ("bind = 'unix:/run/g.sock'", ["unix:/run/g.sock"]),
        ("bind = '0.0.0.0'", ["0.0.0.0:8000"]),
        ("bind = [':80', '[::1]:81']", ["127.0.0.1:80", "[::1]:81"]),
        ("import os\nbind = os.environ['B']", []),
    ],
)
def test_gunicorn_says_where_it_listens(build: Build, text: str, endpoints: list[str]) -> None:
    component, _ = build(Gunicorn, text)
    assert [place.address for place in component.origin_endpoints()] == endpoints


@pytest.mark.parametrize("name", ["reload", "daemon"])
def test_gunicorn_refuses_what_cannot_be_measured(build: Build, name: str) -> None:
    with pytest.raises(RenderError, match=f"gunicorn {name} = True is refused") as caught:
        build(Gunicorn, f"workers = 2\n{name} = True\n")
    assert (caught.value.where or "").endswith("gunicorn.conf.py:2")
    with pytest.raises(RenderError, match="is refused"):
        build(Gunicorn, options={name: True})


@pytest.mark.parametrize("kind", [Granian, Uvicorn])
def test_options_become_words(build: Build, kind: type[Component]) -> None:
    component, rendered = build(
        kind,
        options={"workers": 1, "access_log": False, "factory": True, "port": 8000},
        variant=Variant.of({f"{kind.name}.workers": 3, f"{kind.name}.backlog": 512}),
        listen=HTTP_SOCKET,
        interface=Interface.ASGI,
    )
    words = " ".join(rendered.argv)
    assert "--workers 3 --no-access-log --factory --backlog 512" in words
    assert "--uds /box/s/app" in words
    assert "--port" not in words
    assert rendered.argv[-1] == "shop:app"
    assert rendered.rewired == (
        f"[stack] {kind.name}: listens on unix:/box/s/app (was 127.0.0.1:8000)",
    )
    assert component.origin_level("workers") == 1


@pytest.mark.parametrize("kind", [Granian, Uvicorn])
def test_options_that_cannot_be_measured_are_refused(build: Build, kind: type[Component]) -> None:
    with pytest.raises(RenderError, match="--reload is refused"):
        build(kind, options={"reload": True})
    with pytest.raises(RenderError, match="starts"):
        build(kind, "workers = 2\n")


def test_options_that_the_sandbox_settles_are_refused(build: Build) -> None:
    with pytest.raises(RenderError, match="set by the sandbox"):
        build(Granian, options={"interface": "rsgi"})
    with pytest.raises(RenderError, match="set by the sandbox"):
        build(Uvicorn, options={"app_dir": "/x"})


def test_every_server_is_told_where_to_listen(build: Build) -> None:
    for kind in SERVERS:
        _, rendered = build(kind, listen=HTTP)
        said = " ".join((*rendered.argv, *rendered.files.values()))
        assert "127.0.0.1:9001" in said or "--host 127.0.0.1 --port 9001" in said


POSTGRES = """\
data_directory = '/var/lib/postgresql/15/main'
hba_file = '/etc/postgresql/15/main/pg_hba.conf'
listen_addresses = '*'
ssl = on
lc_messages = 'de_DE.UTF-8'
shared_buffers = 64MB
include_dir = 'conf.d'
include = 'extra.conf'
include_if_exists = 'none.conf'
"""


def test_postgres_is_overruled_on_its_command_line(build: Build, tmp_path: Path) -> None:
    (tmp_path / "extra.conf").write_text("work_mem = 8MB\n")
    component, rendered = build(
        Postgres, POSTGRES, listen=DB, variant=Variant.of({"postgres.shared_buffers": "1GB"})
    )
    words = " ".join(rendered.argv)
    for said in (
        "-D /box/app/data",
        "-c config_file=/box/app/postgresql.conf",
        "-c data_directory=/box/app/data",
        "-c hba_file=/box/app/pg_hba.conf",
        "-c listen_addresses= ",
        "-c unix_socket_directories=/box/d",
        "-c ssl=off",
        "-c lc_messages=C",
    ):
        assert said in f"{words} "
    lines = rendered.files["postgresql.conf"].splitlines()
    assert lines[5] == "shared_buffers = 1GB"
    assert lines[6] == "# include_dir: no such file on this machine"
    assert lines[7] == f"include = {tmp_path}/extra.conf"
    assert lines[:5] == POSTGRES.splitlines()[:5]
    assert rendered.unprivileged
    assert rendered.stop_signal == signal.SIGINT
    assert component.origin_endpoints()[0].path is None


def test_postgres_without_a_file_listens_on_its_socket(build: Build) -> None:
    component, rendered = build(Postgres, listen=DB)
    assert component.origin_endpoints()[0].path == Path("/tmp/.s.PGSQL.5432")
    assert rendered.files["postgresql.conf"] == ""


def test_postgres_over_tcp(build: Build) -> None:
    _, rendered = build(Postgres, POSTGRES, listen=DB_PORT)
    words = " ".join(rendered.argv)
    assert "-c listen_addresses=127.0.0.1 -c port=5999" in words


@pytest.mark.parametrize(
    ("place", "url"),
    [
        (DB, "postgresql://labcoat@/labcoat?host=/box/d&port=5432"),
        (DB_PORT, "postgresql://labcoat@127.0.0.1:5999/labcoat"),
    ],
)
def test_the_url_of_the_database(place: Endpoint, url: str) -> None:
    assert dsn(place) == url
    assert placeholders(place)["database.url"] == url
    assert "postgresql://" + placeholders(place)["database.location"] == url
