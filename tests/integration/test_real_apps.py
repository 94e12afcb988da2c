"""Apps of other people, from PyPI, as their users would deploy them: up, asked, handed over.

Their environment is made once a session, by pip, beside the tests' own; LABCOAT_REAL_APPS names
one that is there already.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from labcoat.cli.init import look
from labcoat.host.local import LocalHost
from labcoat.host.sandbox import Sandbox
from labcoat.lab.handover.digests import digests_of
from labcoat.lab.handover.patch import tuned_files
from labcoat.lab.study.study_file import read_study
from labcoat.load.generator import Generator
from labcoat.load.summary import summarise
from labcoat.model.load import ClosedLoop, Window
from labcoat.model.study import Study
from labcoat.model.variant import Level, Variant
from labcoat.stack import probe
from labcoat.stack.rig import Rig

PACKAGES = (
    "httpbin==0.10.4", "django==5.2.*", "fastapi", "uvicorn", "granian", "gunicorn",
    "kinto[postgresql]==26.*", "psycopg[binary]", "psycopg2-binary", "pyuwsgi",
)  # fmt: skip

pytestmark = pytest.mark.timeout(1200)  # what pip and imports take is not what is asked here


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the apps and their servers, and nothing of labcoat."""
    if "LABCOAT_REAL_APPS" in os.environ:
        return Path(os.environ["LABCOAT_REAL_APPS"])
    folder = tmp_path_factory.mktemp("apps") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "pip"), "install", "-q", "--no-compile"]
    subprocess.run([*pip, *PACKAGES], check=True)
    return folder


@pytest.fixture
def project(tmp_path: Path, environment: Path) -> Path:
    """A project's folder, with the environment where labcoat looks for it."""
    (tmp_path / ".venv").symlink_to(environment)
    return tmp_path


def study_of(project: Path, text: str, **files: str) -> Study:
    """The study of a labcoat.toml of ten lines at most, and the files beside it."""
    assert len(text.strip().splitlines()) <= 10
    for name, content in {"labcoat.toml": text, **files}.items():
        (project / name.replace("__", ".")).write_text(content, encoding="utf-8")
    return read_study(project / "labcoat.toml")


def up(study: Study, variant: Variant, *, users: int = 4) -> str:
    """Everything that was rewired, once both the origin and a variant were asked everything."""
    host, told = LocalHost(), ""
    with Sandbox.open(host) as sandbox, Rig(host, sandbox, study) as rig, Generator() as generator:
        for each in (Variant.of({}), variant):
            standing = rig.boot("a", each)
            told += "\n".join(standing.rewired)
            front = standing.layers[0].wiring.listen
            for request in (each for each in study.workload.requests if each.method == "GET"):
                answer = probe.get(front, request.path.replace("{1..9}", "3"), timeout_s=20.0)
                assert answer is not None
                assert request.expect.accepts(answer.status), (request, answer)
                assert (request.expect.contains or "") in answer.body
            measured = generator.load(
                standing.target,
                study.workload,
                ClosedLoop(users=users),
                Window(measure_s=2.0),
                seed=1,
                timeout_s=study.request_timeout_s,
            )
            told_by = summarise(measured)
            assert told_by.requests > 0
            assert told_by.errors == 0, told_by
            rig.stop(standing)
    return told


def handed_over(study: Study, levels: dict[str, Level]) -> dict[str, tuple[str, str]]:
    """File -> (line before, line after), from a patch that ``patch`` takes."""
    tuned = tuned_files(study, Variant.of(levels), digests_of(study))
    taken = subprocess.run(
        ["patch", "-p1", "--dry-run"], input=tuned.patch, cwd=study.root, text=True, check=True,
        capture_output=True,
    )  # fmt: skip
    assert "fuzz" not in taken.stdout
    changes = {}
    for file in tuned.files:
        rows = list(
            zip(file.before.decode().split("\n"), file.after.decode().split("\n"), strict=True)
        )
        ((before, after),) = [row for row in rows if row[0] != row[1]]
        changes[file.name] = (before, after)
    return changes


def test_httpbin_under_gunicorn(project: Path) -> None:
    study = study_of(
        project,
        """\
[app]
wsgi = "httpbin:app"
[stack]
gunicorn = "Procfile"
[workload]
requests = [{ path = "/get?n={1..9}", expect = { contains = "args" } }, { path = "/uuid" }]
""",
        Procfile="web: gunicorn httpbin:app -b 0.0.0.0:$PORT --workers 1 -k gthread # ours\n",
    )
    told = up(study, Variant.of({"gunicorn.threads": 4, "gunicorn.workers": 2}))
    assert "Procfile:1: bind -> '127.0.0.1:" in told
    assert handed_over(study, {"gunicorn.workers": 3}) == {
        "Procfile": (
            "web: gunicorn httpbin:app -b 0.0.0.0:$PORT --workers 1 -k gthread # ours",
            "web: gunicorn httpbin:app -b 0.0.0.0:$PORT --workers 3 -k gthread # ours",
        )
    }


SETTINGS = """
import os

SECRET_KEY = os.environ["SECRET_KEY"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"],
        "NAME": os.environ["PGDATABASE"], "USER": os.environ["PGUSER"],
    }
}
SESSION_ENGINE = "django.contrib.sessions.backends.db"
"""


def test_django_with_admin_sessions_and_postgres_under_gunicorn(
    project: Path, environment: Path
) -> None:
    subprocess.run(
        [environment / "bin" / "django-admin", "startproject", "shop", str(project)], check=True
    )
    with (project / "shop" / "settings.py").open("a") as settings:
        settings.write(SETTINGS)
    text = """\
[app]
wsgi = "shop.wsgi:application"
env = { PGHOST = "{database.host}", PGPORT = "{database.port}", PGDATABASE = "{database.name}", PGUSER = "{database.user}" }
env_file = ".env"
seed = ["python manage.py migrate --noinput", "python manage.py loaddata users.json"]
[stack]
gunicorn = { command = "gunicorn -c gunicorn.conf.py shop.wsgi" }
postgres = true
workload.requests = [{ path = "/admin/login/", expect = { contains = "csrfmiddlewaretoken" } }]
"""
    text = text.replace("workload.requests", "[workload]\nrequests")
    user = {"username": "ada", "password": "!", "email": "ada@example.org"}
    study = study_of(
        project,
        text,
        __env='SECRET_KEY="do not tell anybody"\n',
        users__json=json.dumps([{"model": "auth.user", "pk": 1, "fields": user}]),
        gunicorn__conf__py=(
            "import multiprocessing\nimport os\n\n"
            "workers = multiprocessing.cpu_count() * 2 + 1  # as the docs say\n"
            "timeout = int(os.environ.get('TIMEOUT', 30))\n"
            "accesslog = '/var/log/gunicorn/access.log'\n"
        ),
    )
    told = up(study, Variant.of({"gunicorn.workers": 2}))
    assert "gunicorn.conf.py:6: accesslog -> " in told
    assert "do not tell" not in told
    assert handed_over(study, {"gunicorn.workers": 2}) == {
        "gunicorn.conf.py": (
            "workers = multiprocessing.cpu_count() * 2 + 1  # as the docs say",
            "workers = 2  # as the docs say",
        )
    }


FASTAPI = """\
from fastapi import FastAPI

app = FastAPI()


@app.get("/items/{item}")
async def read(item: int) -> dict[str, int]:
    return {"item": item}
"""


@pytest.mark.parametrize(
    ("server", "command"),
    [
        ("uvicorn", "uvicorn main:app --host 0.0.0.0 --port 8000 --workers 1 --no-access-log"),
        ("granian", "granian --interface asgi --port 8000 --workers 1 --no-access-log main:app"),
    ],
)
def test_fastapi_under_uvicorn_and_granian(project: Path, server: str, command: str) -> None:
    line = f"{server} = {{ command = '{command}' }}"
    study = study_of(
        project,
        f"""\
[app]
asgi = "main:app"
[stack]
{line}  # as in production
[workload]
requests = [{{ path = "/items/{{1..9}}", expect = {{ contains = "item" }} }}]
""",
        main__py=FASTAPI,
    )
    told = up(study, Variant.of({f"{server}.workers": 2}))
    assert f"[stack] {server} command: listens on 127.0.0.1:" in told
    assert handed_over(study, {f"{server}.workers": 2}) == {
        "labcoat.toml": (
            f"{line}  # as in production",
            f"{line}  # as in production".replace("--workers 1", "--workers 2"),
        )
    }


WSGI = """\
import configparser

import kinto

config = configparser.ConfigParser(interpolation=None)
config.read("kinto.ini")
application = kinto.main(config.items("DEFAULT"), **dict(config.items("app:main")))
"""
UWSGI = """\
uwsgi:
    socket: /run/uwsgi/kinto.sock   # nginx
    chdir: /srv/kinto
    uid: kinto
    master: true
    processes: 1
    enable-threads: true
    buffer-size: 32768
    logto: /var/log/uwsgi/kinto.log
"""
NGINX = """\
user www-data;
pid /run/nginx.pid;
events { worker_connections 512; }
http {
    include /etc/nginx/mime.types;
    upstream kinto { server unix:/run/uwsgi/kinto.sock; server unix:/run/uwsgi/other.sock backup; }
    server { listen 80; server_name kinto.example.com; return 301 https://$host$request_uri; }
    server {
        listen 443 ssl;
        server_name kinto.example.com;
        ssl_certificate /etc/letsencrypt/live/kinto.example.com/fullchain.pem;
        ssl_certificate_key /etc/letsencrypt/live/kinto.example.com/privkey.pem;
        location / { include uwsgi_params; uwsgi_pass kinto; }
    }
}
"""


def test_kinto_with_postgres_under_uwsgi_behind_nginx(project: Path, environment: Path) -> None:
    subprocess.run(
        [
            environment / "bin" / "kinto", "init", "-q", "--ini", str(project / "kinto.ini"),
            "--backend", "postgresql", "--cache-backend", "postgresql",
        ],
        check=True,
    )  # fmt: skip
    study = study_of(
        project,
        """\
[app]
wsgi = "wsgi:application"
env = { KINTO_STORAGE_URL = "{database.url}", KINTO_CACHE_URL = "{database.url}", KINTO_PERMISSION_URL = "{database.url}" }
seed = "kinto migrate --ini kinto.ini"
[stack]
nginx = "nginx.conf"
uwsgi = "uwsgi.yaml"
postgres = true
[workload]
requests = [{ path = "/v1/", expect = { contains = "kinto" } }, { method = "POST", path = "/v1/accounts", body = '{{"data": {{"id": "{uuid}", "password": "pw"}}}}', headers = { Content-Type = "application/json" }, expect = { status = 201 } }]
""",
        wsgi__py=WSGI,
        uwsgi__yaml=UWSGI,
        nginx__conf=NGINX,
    )
    # One user: accounts that are made at the same instant are a conflict to kinto.
    told = up(study, Variant.of({"uwsgi.processes": 2, "nginx.worker_processes": 1}), users=1)
    assert "uwsgi.yaml:2: socket /run/uwsgi/kinto.sock -> " in told
    assert "nginx.conf:11: ssl_certificate /etc/letsencrypt/" in told
    assert handed_over(study, {"uwsgi.processes": 2}) == {
        "uwsgi.yaml": ("    processes: 1", "    processes: 2")
    }


OF_ENVIRONMENT = """
import os

ALLOWED_HOSTS = ["*"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ["DB_HOST"], "PORT": os.environ["DB_PORT"],
        "NAME": os.environ["DB_NAME"], "USER": os.environ["DB_USER"],
    }
}
"""


def test_init_writes_the_study_of_httpbin_and_of_a_new_django_project(
    project: Path, environment: Path
) -> None:
    """What ``labcoat init`` writes is up and answers; only the first page is the user's."""
    start = [str(environment / "bin" / "django-admin"), "startproject", "mysite", str(project)]
    subprocess.run(start, check=True)
    with (project / "mysite" / "settings.py").open("a") as settings:
        settings.write(OF_ENVIRONMENT)
    procfile = project / "Procfile"
    for command, page in (
        ("gunicorn mysite.wsgi --workers 1", "/admin/login/"),
        ("gunicorn httpbin:app -w 1 -k gthread", "/get"),
    ):
        procfile.write_text(f"web: {command}\n")
        found = look(project, check=False, app=None, server=None)
        assert found.is_whole, found.mistakes
        file = project / "labcoat.toml"
        assert 'gunicorn = "Procfile"' in file.read_text()
        file.write_text(file.read_text().replace('path = "/"', f'path = "{page}"'))
        up(read_study(file), Variant.of({"gunicorn.workers": 2}))
        file.unlink()
