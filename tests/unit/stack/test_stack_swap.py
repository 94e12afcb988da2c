"""Another app server in place of the user's: what it is told, and what nginx says to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from labcoat.errors import RenderError
from labcoat.model.study import ComponentSpec, Interface, Study
from labcoat.model.variant import Level, Variant
from labcoat.stack.components import adopt
from labcoat.stack.edits import edited
from labcoat.stack.nginx import Nginx
from labcoat.stack.swap import Swapped, carried, obstacle, swap
from labcoat.testing.stack import tiny_study

NGINX = """\
events {}
http {
    uwsgi_read_timeout 9s;
    upstream app { server unix:/run/app/uwsgi.sock; }
    server {
        listen 80;
        location / {
            # ours
            uwsgi_param QUERY_STRING $query_string;
            proxy_set_header Host $host;
            uwsgi_pass app;
        }
        location /api { uwsgi_pass uwsgi://app; }
    }
}
"""
UWSGI = "[uwsgi]\nsocket = /run/app/uwsgi.sock\n"


def study_of(folder: Path, name: str, text: str = "", nginx: str = NGINX) -> Study:
    files = {"uwsgi": "uwsgi.ini", "gunicorn": "gunicorn.conf.py"}
    (folder / "nginx.conf").write_text(nginx)
    (folder / files[name]).write_text(text)
    stack = (
        ComponentSpec(name="nginx", file=folder / "nginx.conf"),
        ComponentSpec(name=name, file=folder / files[name]),
    )
    return tiny_study(folder, stack)


def swapped(study: Study, new: str, **levels: Level) -> Swapped:
    old = study.components[-1].name
    said = {f"{old}.{name.replace('_', '-')}": level for name, level in levels.items()}
    return swap(study, adopt(study), Variant.of({"stack.server": new, **said}))


@pytest.mark.parametrize(
    ("old", "text", "new", "options"),
    [
        ("uwsgi", "[uwsgi]\n", "gunicorn", {"workers": 1, "threads": 1, "accesslog": "-"}),
        ("uwsgi", "[uwsgi]\nworkers = 3\nthreads = 2\nlisten = 200\ndisable-logging = true\n", "gunicorn",
         {"workers": 3, "threads": 2, "backlog": 200}),
        ("uwsgi", "[uwsgi]\nprocesses = 3\nlisten = 64\n", "granian",
         {"workers": 3, "blocking-threads": 1, "backlog": 128, "access-log": True}),
        ("gunicorn", "workers = 3\nthreads = 4\nworker_class = 'gthread'\nbacklog = 64\n", "uwsgi",
         {"master": True, "processes": 3, "threads": 4, "listen": 64, "disable-logging": True}),
        ("gunicorn", "accesslog = '/var/log/a.log'\n", "uwsgi",
         {"master": True, "processes": 1, "threads": 1}),
    ],
)  # fmt: skip
def test_the_new_server_is_told_what_both_have(
    tmp_path: Path, old: str, text: str, new: str, options: dict[str, Level]
) -> None:
    nginx = NGINX if old == "uwsgi" else NGINX.replace("uwsgi_pass app", "proxy_pass http://app")
    nginx = nginx if old == "uwsgi" else nginx.replace("uwsgi_pass uwsgi:", "proxy_pass http:")
    assert swapped(study_of(tmp_path, old, text, nginx), new).options == options


def test_levels_of_the_old_server_go_over_and_the_rest_stays(tmp_path: Path) -> None:
    study = study_of(tmp_path, "uwsgi", UWSGI)
    levels = {
        "uwsgi.processes": 4,
        "uwsgi.cheaper": 1,
        "nginx.gzip": True,
        "python.gc.threshold": 9,
    }
    found = swap(study, adopt(study), Variant.of({"stack.server": "gunicorn", **levels}))
    assert found.options["workers"] == 4
    assert found.variant == Variant.of({"python.gc.threshold": 9})
    assert list(found.components) == ["nginx", "gunicorn"]
    assert found.components["nginx"].origin_level("gzip") == "on"
    assert "uwsgi.processes" in carried("uwsgi")
    assert "uwsgi.cheaper" not in carried("uwsgi")


def test_nginx_speaks_http_to_the_same_address(tmp_path: Path) -> None:
    found = swapped(study_of(tmp_path, "uwsgi", UWSGI), "gunicorn")
    nginx = found.components["nginx"]
    assert isinstance(nginx, Nginx)
    text = nginx.adopted.texts[tmp_path / "nginx.conf"]
    headers = "".join(
        f"            proxy_set_header {header};\n"
        for header in (
            "X-Forwarded-For $proxy_add_x_forwarded_for",
            "X-Forwarded-Proto $scheme",
            "X-Real-IP $remote_addr",
        )
    )
    assert text == NGINX.replace("uwsgi_read_timeout", "proxy_read_timeout").replace(
        "uwsgi_pass app;\n", f"proxy_pass http://app;\n{headers}"
    ).replace(
        "uwsgi_pass uwsgi://app; }",
        "proxy_pass http://app; proxy_set_header Host $http_host;"
        " proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
        " proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Real-IP $remote_addr; }",
    )
    upstream = nginx.origin_upstream()
    assert upstream is not None
    assert upstream.address == "unix:/run/app/uwsgi.sock"
    assert found.listens == upstream


def test_another_uwsgi_server_keeps_its_protocol_so_nothing_is_swapped(tmp_path: Path) -> None:
    other = NGINX.replace("location /api { uwsgi_pass uwsgi://app", "location /x { uwsgi_pass h:1")
    with pytest.raises(RenderError, match="another uWSGI server") as caught:
        swapped(study_of(tmp_path, "uwsgi", UWSGI, other), "gunicorn")
    assert str(caught.value.where).startswith(str(tmp_path / "nginx.conf:13"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("worker_class = 'gevent'\n", "workers of class gevent"),
        ("import os\nworkers = os.cpu_count()\n", "gunicorn.workers is computed"),
        ("# workers = 4\n", None),
    ],
)
def test_what_no_other_server_can_be_told_is_said(
    tmp_path: Path, text: str, why: str | None
) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(text)
    spec = ComponentSpec(name="gunicorn", file=tmp_path / "gunicorn.conf.py")
    study = tiny_study(tmp_path, (spec,))
    found = obstacle(study, adopt(study))
    assert found == why if why is None else why in (found or "")
    if why is not None:
        with pytest.raises(RenderError, match=why):
            swap(study, adopt(study), Variant.of({"stack.server": "uwsgi"}))


def test_an_asgi_app_keeps_its_server(tmp_path: Path) -> None:
    study = tiny_study(tmp_path, (ComponentSpec(name="uvicorn"),), interface=Interface.ASGI)
    assert "ASGI" in (obstacle(study, adopt(study)) or "")
    wsgi = replace(study, app=replace(study.app, interface=Interface.WSGI))
    assert "uvicorn" in (obstacle(wsgi, adopt(wsgi)) or "")


def test_a_new_file_nginx_and_the_words_are_handed_over(tmp_path: Path) -> None:
    study = study_of(tmp_path, "uwsgi", UWSGI)
    levels: dict[str, Level] = {
        "stack.server": "gunicorn", "uwsgi.processes": 2, "python.gc.threshold": 9,
    }  # fmt: skip
    found = edited(study, Variant.of(levels))
    texts = {file.path.name: file.after for file in found.changed}
    assert list(texts) == ["nginx.conf", "gunicorn.conf.py"]
    assert texts["gunicorn.conf.py"] == (
        "# what uwsgi.ini says of processes, threads, queue, log and address, for gunicorn\n"
        "bind = 'unix:/run/app/uwsgi.sock'\nworkers = 2\nthreads = 1\naccesslog = '-'\n"
        "\nimport gc\ngc.set_threshold(9)\n"
    )
    assert [file.path.name for file in found.files if file.is_new] == ["gunicorn.conf.py"]
    assert found.by_hand == (
        "stack.server: stop uwsgi, and start instead: gunicorn -c gunicorn.conf.py tiny:app",
        "stack.server: whatever else uwsgi.ini says (user, environment, hooks, limits) has to be"
        " said to gunicorn by you",
        'labcoat.toml: gunicorn with "gunicorn.conf.py" instead of uwsgi under [stack], where the'
        " next campaign starts",
    )


def test_a_file_of_the_users_is_not_written_over(tmp_path: Path) -> None:
    study = study_of(tmp_path, "uwsgi", UWSGI)
    (tmp_path / "gunicorn.conf.py").write_text("workers = 9\n")
    variant = Variant.of({"stack.server": "gunicorn"})
    (new,) = (file for file in edited(study, variant).changed if file.is_new)
    assert new.path.name == "tuned-gunicorn.conf.py"
    new.path.write_text(new.after)
    (again,) = (file for file in edited(study, variant).files if file.is_new)
    assert (again.path, again.before) == (new.path, new.after)
    new.path.write_text("else\n")
    with pytest.raises(RenderError, match="a file already"):
        edited(study, variant)


def test_granian_is_started_by_a_command_and_uwsgi_by_a_file(tmp_path: Path) -> None:
    study = study_of(tmp_path, "uwsgi", UWSGI)
    found = edited(study, Variant.of({"stack.server": "granian"}))
    assert [file.path.name for file in found.changed] == ["nginx.conf"]
    assert found.by_hand[0] == (
        "stack.server: stop uwsgi, and start instead: granian --interface wsgi"
        " --uds /run/app/uwsgi.sock --workers 1 --blocking-threads 1 --access-log tiny:app"
    )
    nginx = "events {}\nhttp { server { location / { proxy_pass http://127.0.0.1:8000; } } }\n"
    study = study_of(tmp_path, "gunicorn", "bind = '127.0.0.1:8000'\nworkers = 2\n", nginx)
    (tmp_path / "uwsgi.ini").unlink()
    found = edited(study, Variant.of({"stack.server": "uwsgi"}))
    (new,) = found.changed
    assert new.after.splitlines()[2:] == [
        "module = tiny:app", "need-app = true", "http-socket = 127.0.0.1:8000", "master = true",
        "processes = 2", "threads = 1", "disable-logging = true",
    ]  # fmt: skip
