"""Command lines: found where people keep them, read as a shell reads them, changed in place."""

from __future__ import annotations

from pathlib import Path

import pytest

from labcoat.errors import RenderError
from labcoat.model.variant import Level
from labcoat.stack.edit.command import Command, find, is_command_file, parse
from labcoat.stack.servers.granian import GRAMMAR as GRANIAN
from labcoat.stack.servers.gunicorn import GRAMMAR as GUNICORN
from labcoat.stack.servers.uvicorn import GRAMMAR as UVICORN
from labcoat.stack.servers.uwsgi import GRAMMAR as UWSGI

UNIT = """\
[Unit]
Description=gunicorn daemon
After=network.target

[Service]
User=www-data
WorkingDirectory=/srv/shop
# the old one: /srv/shop/venv/bin/gunicorn -w 1 shop.wsgi
ExecStart=/srv/shop/venv/bin/gunicorn \\
          --access-logfile - \\
          --workers 3 \\
          --bind unix:/run/gunicorn.sock \\
          shop.wsgi:application
ExecReload=/bin/kill -s HUP $MAINPID
"""
DOCKERFILE = """\
FROM python:3.12-slim
RUN pip install gunicorn uvicorn
COPY . /app
CMD ["gunicorn", "--bind", "0.0.0.0:8000", "-w4", "--preload", "shop:app"]
"""
COMPOSE = """\
services:
  web:
    image: shop
    command: gunicorn shop:app -b 0.0.0.0:8000 --threads=2   # two
    ports: ["8000:8000"]
"""
SCRIPT = """\
#!/bin/sh
set -e
python manage.py migrate --noinput && \\
  exec gunicorn shop.wsgi:application --workers "${WEB_CONCURRENCY:-3}" --log-level info "$@"
echo gunicorn is gone
"""


@pytest.mark.parametrize(
    ("name", "text", "levels", "before", "after"),
    [
        ("shop.service", UNIT, {"workers": 5}, "--workers 3", "--workers 5"),
        ("shop.service", UNIT, {"threads": 2}, "shop.sock", "shop.sock"),
        ("Procfile", "web: gunicorn -w 2 shop:app\nworker: celery -A shop\n", {"workers": 4},
         "-w 2", "-w 4"),
        ("Procfile", "web: gunicorn shop:app --workers=2 # n\n", {"workers": 4}, "=2", "=4"),
        ("Procfile", "web: gunicorn -k gthread -w 2 shop:app", {"worker_class": "sync"},
         "-k gthread", "-k sync"),
        ("Dockerfile", DOCKERFILE, {"workers": 2}, '"-w4"', '"-w2"'),
        ("Dockerfile", DOCKERFILE, {"preload_app": False}, ', "--preload"', ""),
        ("Dockerfile", DOCKERFILE, {"threads": 8}, '"--preload"', '"--preload", "--threads", "8"'),
        ("docker-compose.yml", COMPOSE, {"threads": 4}, "--threads=2", "--threads=4"),
        ("start.sh", SCRIPT, {"workers": 9}, '"${WEB_CONCURRENCY:-3}"', "9"),
        ("start.sh", SCRIPT, {"preload_app": True}, "--log-level info",
         "--log-level info --preload"),
        ("run", 'sh -c "gunicorn shop:app -w 2"\r\n', {"workers": 3}, "-w 2", "-w 3"),
    ],
)  # fmt: skip
def test_a_level_changes_its_word_alone(
    name: str, text: str, levels: dict[str, Level], before: str, after: str
) -> None:
    command = find(text, GUNICORN, path=Path(name))
    assert command.assigned({}, {}) == text
    changed = command.assigned(levels, {"WEB_CONCURRENCY": "3"})
    if before == after:  # said nowhere: behind the last option
        assert changed == text.replace(
            "unix:/run/gunicorn.sock", "unix:/run/gunicorn.sock --threads 2"
        )
    else:
        assert changed == text.replace(before, after, 1)
    again = find(changed, GUNICORN, path=Path(name))
    assert again.assigned(levels, {}) == changed


@pytest.mark.parametrize(
    ("line", "grammar", "said"),
    [
        ("uvicorn shop:app --port 80 --no-access-log --workers 2", UVICORN,
         {"port": 80, "access-log": False, "workers": 2}),
        ("python -m uvicorn --factory shop:app", UVICORN, {"factory": True}),
        ("uv run granian --interface asgi shop:app --http1-keep-alive --backlog=64", GRANIAN,
         {"interface": "asgi", "http1-keep-alive": True, "backlog": 64}),
        ("gunicorn -b :80 -b unix:/x -e A=1 -t 30 --no-sendfile a:b", GUNICORN,
         {"bind": [":80", "unix:/x"], "raw_env": ["A=1"], "timeout": 30, "sendfile": False}),
        ("uwsgi --http :8000 -M -p 4 --module shop:app --enable-threads", UWSGI,
         {"http": [":8000"], "master": True, "processes": 4, "module": "shop:app",
          "enable-threads": True}),
        ("gunicorn --access-logformat '%(h)s \"%(r)s\"' a:b", GUNICORN,
         {"access_log_format": '%(h)s "%(r)s"'}),
    ],
)  # fmt: skip
def test_a_line_is_read_as_a_shell_reads_it(
    line: str, grammar: object, said: dict[str, object]
) -> None:
    assert isinstance(grammar, type(UVICORN))
    assert parse(line, grammar, where="here").settings({}) == said


def test_variables_are_filled_or_told() -> None:
    command = parse(
        "gunicorn -w $N -t ${T:-30} -b :$PORT --threads $(nproc) a:b", GUNICORN, where="x"
    )
    assert command.settings({"N": "4"}) == {"workers": 4, "timeout": 30}
    assert [one.setting for one in command.unfilled({"N": "4"})] == ["bind", "threads"]


def test_a_flag_is_turned_by_its_other_form() -> None:
    command = parse("uvicorn --no-access-log shop:app", UVICORN, where="here")
    assert command.assigned({"access-log": True}, {}) == "uvicorn --access-log shop:app"
    command = parse("uvicorn shop:app", UVICORN, where="here")
    assert command.assigned({"access-log": False}, {}) == "uvicorn --no-access-log shop:app"


@pytest.mark.parametrize(
    ("text", "what", "log"),
    [
        ("web: waitress-serve shop:app\n", "no line of the file starts gunicorn", ()),
        ("# web: gunicorn a:b\n", "no line of the file starts gunicorn", ()),
        ("web: gunicorn a:b\nadmin: gunicorn c:d\n", "several lines", ("Procfile:1", "Procfile:2")),
    ],
)
def test_what_is_not_one_command_is_told(text: str, what: str, log: tuple[str, ...]) -> None:
    with pytest.raises(RenderError, match=what) as caught:
        find(text, GUNICORN, path=Path("Procfile"))
    assert caught.value.log == log
    assert "labcoat.toml" in (caught.value.way_out or "")


def test_a_command_of_another_program_is_refused() -> None:
    with pytest.raises(RenderError, match="does not start gunicorn"):
        parse("waitress-serve shop:app", GUNICORN, where="[stack] gunicorn command")


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("Procfile", True), ("shop.service", True), ("Dockerfile", True), ("start.sh", True),
        ("compose.yaml", True), ("docker-compose.prod.yml", True), ("gunicorn.conf.py", False),
        ("uwsgi.ini", False), ("uwsgi.yaml", False), ("uwsgi.json", False), ("uwsgi.xml", False),
    ],
)  # fmt: skip
def test_a_file_of_settings_is_none_of_commands(name: str, holds: bool) -> None:
    assert is_command_file(Path(name)) is holds


def test_words_keep_their_places() -> None:
    command: Command = find(SCRIPT, GUNICORN, path=Path("start.sh"))
    assert command.place == "start.sh:4"
    assert [word.text for word in command.rest] == ["shop.wsgi:application", "$@"]
    assert SCRIPT[command.program.start : command.program.end] == "gunicorn"
