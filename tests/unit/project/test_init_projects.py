"""Small projects as people write them: what labcoat.toml follows, loaded by the study itself."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import pytest

from labcoat.cli.init import look, told
from labcoat.lab.study.study_file import read_study

FLASK = "from flask import Flask\n\napp = Flask(__name__)\n\n\n@app.route('/')\ndef home():\n    return 'hello'\n"
FASTAPI = "from fastapi import FastAPI\n\napp = FastAPI()\n\n\n@app.get('/items')\nasync def items():\n    return []\n"
MANAGE = """import os
import sys


def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
"""
WSGI = """import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")

application = get_wsgi_application()
"""
ASGI = WSGI.replace("wsgi", "asgi")
SETTINGS = """import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = os.environ["SECRET_KEY"]
DEBUG = False
WSGI_APPLICATION = "mysite.wsgi.application"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ.get("POSTGRES_DB", "mysite"),
        "USER": os.environ.get("POSTGRES_USER", "mysite"),
        "PASSWORD": os.environ.get("POSTGRES_PASSWORD", ""),
        "HOST": os.environ.get("POSTGRES_HOST", "localhost"),
        "PORT": os.environ.get("POSTGRES_PORT", "5432"),
    }
}
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
MEDIA_ROOT = BASE_DIR / "media"
"""
DJANGO = {
    "manage.py": MANAGE,
    "mysite/__init__.py": "",
    "mysite/wsgi.py": WSGI,
    "mysite/asgi.py": ASGI,
    "mysite/settings.py": SETTINGS,
}
NGINX = """events {}
http {
    include sites/*.conf;
    server {
        listen 8080;
        server_name admin.example.org;
        location / { proxy_pass http://127.0.0.1:9999; }
    }
}
"""
SITE = """upstream app {
    server unix:/run/app.sock;
}
server {
    listen 80;
    server_name shop.example.org;
    location /static/ { alias /srv/nowhere/static/; }
    location / { uwsgi_pass app; }
}
"""
UWSGI_INI = """[uwsgi]
chdir = /srv/app/src
module = shop.wsgi:application
socket = /run/app.sock
processes = 4
env = DJANGO_SETTINGS_MODULE=x
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A project, and the tables ``app`` and ``stack`` that its study file must hold.

    ``says``: parts of what is told besides; ``asks``: parts of what is asked.
    """

    name: str
    files: Mapping[str, str]
    app: Mapping[str, Any]
    stack: Mapping[str, Any]
    environment: Mapping[str, str] = field(default_factory=dict)
    path: str = "/"
    says: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()


CASES = (
    Case(
        name="flask, gunicorn in a Procfile",
        files={"app.py": FLASK, "Procfile": "web: gunicorn app:app -w 4 --threads=2 -b 0.0.0.0:$PORT\nworker: python w.py\n"},
        app={"wsgi": "app:app"},
        stack={"gunicorn": "Procfile"},
        says=("framework: Flask", "gunicorn starts with workers 4, threads 2  Procfile:1"),
    ),
    Case(
        name="flask, gunicorn with its file, in a Dockerfile in shell form",
        files={
            "src/shop/__init__.py": FLASK,
            "conf/gunicorn.conf.py": "import os\nbind = '0.0.0.0:8000'\nworkers = 3\n",
            "Dockerfile": "FROM python:3.12 AS base\nENV LOG_LEVEL=info WEB_CONCURRENCY=7\nFROM base\nWORKDIR /app/src\nCOPY . /app\nCMD exec gunicorn \\\n  -c /app/conf/gunicorn.conf.py shop:app\n",
        },
        app={"wsgi": "shop:app", "directory": "src"},
        stack={"gunicorn": "conf/gunicorn.conf.py"},
        says=("Dockerfile:6",),
    ),
    Case(
        name="variables instead of options: WEB_CONCURRENCY and GUNICORN_CMD_ARGS",
        files={
            "app.py": FLASK,
            "Dockerfile": 'FROM python:3.12\nENV WEB_CONCURRENCY=3 GUNICORN_CMD_ARGS="--keep-alive 5"\nENTRYPOINT ["tini", "--"]\nCMD ["gunicorn", "--access-logfile", "-", "--preload", "app"]\n',
        },
        app={"wsgi": "app:application", "env": {"WEB_CONCURRENCY": "3", "GUNICORN_CMD_ARGS": "--keep-alive 5"}},
        stack={"gunicorn": "Dockerfile"},
        says=("gunicorn starts with workers 3, keepalive 5, accesslog -, preload_app true  Dockerfile:4", "Dockerfile:2"),
    ),
    Case(
        name="an entrypoint script that ends in exec",
        files={
            "app.py": FLASK,
            "docker-entrypoint.sh": "#!/bin/sh\nset -e\necho starting gunicorn app:wrong\nexport A=b\nexec gunicorn --workers ${WORKERS:-5} app:app\n",
            "Dockerfile": 'FROM python\nENTRYPOINT ["/docker-entrypoint.sh"]\n',
        },
        app={"wsgi": "app:app"},
        stack={"gunicorn": "docker-entrypoint.sh"},
        says=("gunicorn starts with workers 5  docker-entrypoint.sh:5",),
    ),
    Case(
        name="fastapi, uvicorn in compose",
        files={
            "app/__init__.py": "",
            "app/main.py": FASTAPI,
            "compose.yaml": "services:\n  web:\n    build: .\n    command: uvicorn app.main:app --host 0.0.0.0 --port 80 --workers 2 --no-access-log\n    environment:\n      DATABASE_URL: postgresql+asyncpg://u:p@db/x\n  db:\n    image: postgres:16\n",
        },
        app={"asgi": "app.main:app", "env": {"DATABASE_URL": "postgresql+asyncpg://{database.location}"}},
        stack={"uvicorn": "compose.yaml", "postgres": True},
        path="/items",
        says=("workers 2, access-log false  compose.yaml:4",),
    ),
    Case(
        name="fastapi under gunicorn with uvicorn's workers, in a unit",
        files={
            "api.py": FASTAPI,
            "deploy/api.service": '[Service]\nWorkingDirectory=/srv/api\nEnvironment=MALLOC_ARENA_MAX=2 "SECRET_KEY=s3cret"\nExecStart=/srv/api/venv/bin/gunicorn api:app \\\n  -k uvicorn.workers.UvicornWorker --user www --workers 2\n',
        },
        app={"asgi": "api:app", "env": {"MALLOC_ARENA_MAX": "2"}},
        stack={"gunicorn": "deploy/api.service"},
        path="/items",
        says=("deploy/api.service:4", "gunicorn user is left out"),
    ),
    Case(
        name="starlette under granian, started by a task of pyproject",
        files={
            "main.py": "from starlette.applications import Starlette\napp = Starlette()\n",
            "pyproject.toml": '[project]\nname = "x"\ndependencies = ["starlette", "granian"]\n[tool.poe.tasks]\nserve = "granian --interface asgi --workers 2 --no-ws --port 8000 main:app"\n',
        },
        app={"asgi": "main:app"},
        stack={"granian": {"options": {"workers": 2, "ws": False}}},
        says=("pyproject.toml:5",),
    ),
    Case(
        name="wsgi under granian, python -m",
        files={"app.py": FLASK, "Procfile": "web: cd . && python -m granian --interface wsgi --blocking-threads 8 app:app\n"},
        app={"wsgi": "app:app"},
        stack={"granian": "Procfile"},
        says=("granian starts with blocking-threads 8  Procfile:1",),
    ),
    Case(
        name="django, uwsgi behind nginx with included sites",
        files={
            **{f"src/{name}": text.replace("mysite", "shop") for name, text in DJANGO.items() if "mysite" not in name},
            **{f"src/{name.replace('mysite', 'shop')}": text.replace("mysite", "shop") for name, text in DJANGO.items() if "mysite" in name},
            "nginx/nginx.conf": NGINX,
            "nginx/sites/shop.conf": SITE,
            "nginx/other.conf": "events {}\nhttp { server { location / { proxy_pass http://127.0.0.1:1234; } } }\n",
            "deploy/uwsgi.ini": UWSGI_INI,
        },
        environment={"SECRET_KEY": "x"},
        app={
            "wsgi": "shop.wsgi:application",
            "directory": "src",
            "env": {
                "POSTGRES_DB": "{database.name}", "POSTGRES_USER": "{database.user}", "POSTGRES_PASSWORD": "",
                "POSTGRES_HOST": "{database.host}", "POSTGRES_PORT": "{database.port}",
                "SECRET_KEY": "{env:SECRET_KEY}",
            },
            "seed": ["{python}", "manage.py", "migrate", "--noinput"],
        },
        stack={"nginx": "nginx/nginx.conf", "uwsgi": "deploy/uwsgi.ini", "postgres": True},
        says=(
            "nginx passes to the app at unix:/run/app.sock  nginx/sites/shop.conf:2",
            "nginx also passes to 127.0.0.1:9999  nginx/nginx.conf:7",
            "nginx server shop.example.org",
            "/srv/nowhere/static/, which is not on this machine",
            "static files for /static/: src/staticfiles",
        ),
    ),
    Case(
        name="django with a database URL, gunicorn from requirements",
        files={
            **DJANGO,
            "mysite/settings.py": "import dj_database_url\nDEBUG = True\nWSGI_APPLICATION = 'mysite.wsgi.application'\nDATABASES = {'default': dj_database_url.config(conn_max_age=600)}\n",
            "requirements.txt": "# pinned\ndjango==5.1\npsycopg[binary]>=3\ngunicorn==23.0\n",
        },
        app={
            "wsgi": "mysite.wsgi:application",
            "env": {"DATABASE_URL": "{database.url}"},
            "seed": ["{python}", "manage.py", "migrate", "--noinput"],
        },
        stack={"gunicorn": True, "postgres": True},
        says=("DEBUG = True", "mysite/settings.py:4"),
    ),
    Case(
        name="django with settings in parts, chosen by the container",
        files={
            "manage.py": MANAGE.replace("mysite.settings", "mysite.settings.local"),
            "mysite/__init__.py": "", "mysite/wsgi.py": WSGI, "mysite/settings/__init__.py": "",
            "mysite/settings/base.py": "WSGI_APPLICATION = 'mysite.wsgi.application'\nDATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'x'}}\n",
            "mysite/settings/local.py": "from .base import *\nDEBUG = True\n",
            "mysite/settings/production.py": "from .base import *\nimport environ\nenv = environ.Env()\nDATABASES = {'default': env.db('PRIMARY_DB')}\nALLOWED_HOSTS = env.list('HOSTS', default=['*'])\n",
            "requirements/base.txt": "psycopg2-binary\n",
            "Dockerfile": "FROM python\nENV DJANGO_SETTINGS_MODULE=mysite.settings.production\nCMD gunicorn mysite.wsgi\n",
        },
        app={
            "wsgi": "mysite.wsgi:application",
            "env": {"PRIMARY_DB": "{database.url}", "DJANGO_SETTINGS_MODULE": "mysite.settings.production"},
            "seed": ["{python}", "manage.py", "migrate", "--noinput"],
        },
        stack={"gunicorn": "Dockerfile", "postgres": True},
    ),
    Case(
        name="pyramid with a module that has called the factory, uwsgi by command line",
        files={
            "wsgi.py": "from pyramid.paster import get_app\napp = get_app('production.ini', 'main')\n",
            "production.ini": "[app:main]\nuse = egg:site\nsqlalchemy.url = postgresql://u:p@db/site\n[server:main]\nuse = egg:waitress#main\n",
            "Procfile": "web: uwsgi --http-socket :$PORT -M -p 4 --wsgi-file wsgi.py --callable app --disable-logging\n",
        },
        app={"wsgi": "wsgi:app"},
        stack={"uwsgi": "Procfile", "postgres": True},
        says=("production.ini:3", "no variable tells the app where it is", "waitress is not a server"),
    ),
    Case(
        name="bottle, uwsgi ini named by a unit, variables of uwsgi",
        files={
            "site.py": "import bottle\napplication = bottle.default_app()\n",
            "app.ini": "[uwsgi]\nwsgi-file = site.py\nhttp-socket = :8000\n",
            "site.service": "[Service]\nEnvironment=UWSGI_PROCESSES=3\nExecStart=/usr/bin/uwsgi --ini /srv/site/app.ini\n",
        },
        app={"wsgi": "site:application"},
        stack={"uwsgi": {"file": "site.service", "options": {"processes": 3}}},
        says=("framework: Bottle",),
    ),
    Case(
        name="any WSGI callable, gunicorn's file names it",
        files={
            "hello.py": "def app(environ, start_response):\n    return []\n",
            "gunicorn.conf.py": "wsgi_app = 'hello:app'\nworkers = 2\n",
        },
        app={"wsgi": "hello:app"},
        stack={"gunicorn": "gunicorn.conf.py"},
    ),
    Case(
        name="an app of a package that is installed",
        files={"Procfile": "web: gunicorn httpbin:app -k gevent\n"},
        app={"wsgi": "httpbin:app"},
        stack={"gunicorn": "Procfile"},
        says=("the module httpbin is not in this project",),
    ),
    Case(
        name="a factory that the module calls, uvicorn in the code",
        files={
            "pkg/__init__.py": "", "pkg/factory.py": "from fastapi import FastAPI\ndef create_app():\n    app = FastAPI()\n    return app\n",
            "pkg/asgi.py": "import uvicorn\nfrom .factory import create_app\napp = create_app()\nif __name__ == '__main__':\n    uvicorn.run('pkg.asgi:app', host='0.0.0.0', workers=3, reload=True)\n",
        },
        app={"asgi": "pkg.asgi:app"},
        stack={"uvicorn": {"options": {"workers": 3}}},
        says=("framework: FastAPI", "pkg/asgi.py:5"),
    ),
    Case(
        name="uvicorn --factory",
        files={"web.py": "from starlette.applications import Starlette\ndef make():\n    return Starlette()\n", "Procfile": "web: uvicorn --factory web:make\n"},
        app={"asgi": "web:make"},
        stack={"uvicorn": "Procfile"},
    ),
    Case(
        name="nginx to gunicorn by TCP, which nginx names",
        files={
            "app.py": FLASK,
            "nginx.conf": "events {}\nhttp {\n  upstream a { server app:8000; }\n  server { listen 80; location / { proxy_pass http://a; } location /x { proxy_pass http://other:1; } }\n}\n",
            "compose.yml": "services:\n  app:\n    command: [gunicorn, -b, ':8000', 'app:app']\n  nginx:\n    image: nginx\n",
        },
        app={"wsgi": "app:app"},
        stack={"nginx": "nginx.conf", "gunicorn": "compose.yml"},
        says=("nginx also passes to other:1  nginx.conf:4",),
    ),
    Case(
        name="postgresql.conf, alembic, a .env file whose secrets stay there",
        files={
            "app.py": "import os\n" + FLASK + "\nurl = os.environ['DATABASE_URL']\nlevel = os.getenv('LOG_LEVEL')\nkey = os.getenv('API_KEY')\n",
            ".env": "DATABASE_URL=postgres://me:hunter2@localhost/x\nLOG_LEVEL=warning\nAPI_KEY=hunter2\n",
            "alembic.ini": "[alembic]\nscript_location = alembic\n",
            "db/postgresql.conf": "shared_buffers = 128MB\n",
            "Procfile": "web: gunicorn app:app\n",
        },
        app={
            "wsgi": "app:app",
            "env": {"DATABASE_URL": "{database.url}"},
            "env_file": ".env",
            "seed": ["{python}", "-m", "alembic", "upgrade", "head"],
        },
        stack={"gunicorn": "Procfile", "postgres": "db/postgresql.conf"},
        says=("db/postgresql.conf:1",),
    ),
    Case(
        name="an interpreter of another name",
        files={"app.py": FLASK, "Procfile": "web: gunicorn app:app\n", "env/pyvenv.cfg": "home = /usr\n", "env/bin/python": "#!/bin/sh\n"},
        app={"wsgi": "app:app", "python": "env/bin/python"},
        stack={"gunicorn": "Procfile"},
    ),
)  # fmt: skip


def build(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if path.parent.name == "bin":
            path.chmod(0o755)
    return root


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_project_becomes_a_study(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SECRET_KEY", "WEB_CONCURRENCY", "GUNICORN_CMD_ARGS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in case.environment.items():
        monkeypatch.setenv(name, value)
    root = build(tmp_path / "shop", case.files)
    result = look(root, check=False, app=None, server=None)
    said = click.unstyle("\n".join(told(result, check=False)))
    tables = tomllib.loads((root / "labcoat.toml").read_text())
    assert tables["app"] == case.app, said
    assert tables["stack"] == case.stack, said
    assert tables["workload"] == {"requests": [{"path": case.path}]}
    assert [text for text in case.says if text not in said] == [], said
    assert result.is_whole, said
    study = read_study(root / "labcoat.toml")
    assert study.app.target == case.app.get("wsgi", case.app.get("asgi"))
    lines = (root / "labcoat.toml").read_text().splitlines()
    assert sum("=" in line for line in lines if not line.startswith("#")) <= 10
    assert "hunter2" not in said + "\n".join(lines)
    assert "s3cret" not in said + "\n".join(lines)
    again = look(root, check=False, app=None, server=None)
    assert (again.state, again.diff) == ("same", "")
