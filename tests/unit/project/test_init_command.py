"""``labcoat init`` as a command: what it writes, what it asks, and what it never does."""

from __future__ import annotations

import json
import os
import subprocess
import time
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from labcoat.cli.door import answer
from labcoat.project.survey import gather

FLASK = "from flask import Flask\napp = Flask(__name__)\n"
PROCFILE = "web: gunicorn app:app -w 2\n"
PLAIN = {"app.py": FLASK, "Procfile": PROCFILE}

Project = Callable[[Mapping[str, str | bytes]], Path]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    for name in ("FLASK_APP", "SECRET_KEY", "WEB_CONCURRENCY"):
        monkeypatch.delenv(name, raising=False)

    def build(files: Mapping[str, str | bytes]) -> Path:
        for name, content in files.items():
            path = tmp_path / "project" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        folder = tmp_path / "project"
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        return folder

    return build


def states(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def document(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, dict[str, Any]]:
    code = answer(["init", *argv, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return code, found


def test_check_writes_nothing(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    folder = project(PLAIN)
    before = states(folder)
    assert answer(["init", "--check"]) == 0
    printed = capsys.readouterr().out
    assert "labcoat.toml would be:" in printed
    assert 'wsgi = "app:app"  # Procfile:1, app.py:2' in printed
    assert states(folder) == before


def test_the_file_is_written_once(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    folder = project(PLAIN)
    code, first = document(capsys)
    assert (code, first["state"], first["is_written"], first["is_whole"]) == (0, "new", True, True)
    assert (folder / "labcoat.toml").read_text() == first["text"]
    before = states(folder)
    code, second = document(capsys)
    assert (code, second["state"], second["is_written"]) == (0, "same", False)
    assert states(folder) == before


def test_a_file_that_is_there_is_never_changed(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = (
        "# mine\n[app]\nwsgi = 'old:app' # was\nenv = { LOG = 'x' }\n"
        "[stack.uwsgi.options]\nprocesses = 3\n[workload]\nrequests = [{ path = '/mine' }]\n"
        "[study]\nmargin = 0.05\n"
    )
    folder = project({**PLAIN, "labcoat.toml": mine})
    code, found = document(capsys)
    assert (code, found["state"], found["is_written"]) == (0, "changed", False)
    assert (folder / "labcoat.toml").read_text() == mine
    after = tomllib.loads(found["text"])
    assert after["app"] == {"wsgi": "app:app", "env": {"LOG": "x"}}
    assert set(after["stack"]) == {"gunicorn"}
    assert after["workload"] == {"requests": [{"path": "/mine"}]}
    assert after["study"] == {"margin": 0.05}
    assert "-wsgi = 'old:app' # was\n+wsgi = \"app:app\" # was\n" in found["diff"]
    assert "# mine" in found["text"]
    assert answer(["init"]) == 0
    assert "is yours and stays as it is" in capsys.readouterr().out


def test_the_diff_is_a_patch(
    project: Project, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = project({**PLAIN, "labcoat.toml": "[app]\nwsgi = 'a:b'"})
    _, found = document(capsys)
    subprocess.run(
        ["patch", "-p1", "--posix", "-s"], cwd=folder, input=found["diff"].encode(), check=True
    )
    assert tomllib.loads((folder / "labcoat.toml").read_text()) == tomllib.loads(found["text"])


def test_options_and_programs_of_the_user_stay(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = (
        "[app]\nwsgi = 'app:app'\n[stack]\n"
        "gunicorn = { file = 'Procfile', options = { workers = 9, threads = 2 }, binary = 'sh' }\n"
        "[workload]\nrequests = [{ path = '/' }]\n"
    )
    project({**PLAIN, "labcoat.toml": mine})
    assert document(capsys)[1]["diff"] == ""


# What is ambiguous or missing.

DJANGO = {
    "manage.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site_.settings')\n",
    "site_/__init__.py": "",
    "site_/settings.py": "WSGI_APPLICATION = 'site_.wsgi.application'\n",
    "site_/wsgi.py": "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n",
}
ASKED: list[tuple[str, dict[str, str], str, str, tuple[str, ...]]] = [
    (
        "two candidates",
        {"a.py": FLASK, "b.py": FLASK, "Procfile": "web: gunicorn -w 2\n"},
        "which is the app? The code has several: a:app (a.py:2), b:app (b.py:2)",
        '# wsgi = "b:app"  # b.py:2',
        ("--app", "b:app"),
    ),
    (
        "two servers",
        {"app.py": FLASK, "Procfile": PROCFILE, "Dockerfile": "FROM x\nCMD granian app:app\n"},
        "several: gunicorn (Procfile:1), granian (Dockerfile:2)",
        "# granian = true  # Dockerfile:2",
        ("--server", "gunicorn"),
    ),
    (
        "no server",
        {"app.py": FLASK},
        "which server serves production? The project names none",
        "# gunicorn = true  # its own defaults",
        ("--server", "uwsgi"),
    ),
    (
        "Django's development server",
        {**DJANGO, "Procfile": "web: python manage.py runserver 0.0.0.0:$PORT\n"},
        "manage.py runserver (Procfile:1) is for development",
        "# gunicorn = true  # its own defaults",
        ("--server", "gunicorn"),
    ),
    (
        "Flask's development server",
        {"app.py": FLASK, "Dockerfile": 'FROM x\nCMD ["flask", "--app", "app:app", "run"]\n'},
        "flask run (Dockerfile:2) is for development",
        "# gunicorn = true  # its own defaults",
        ("--server", "gunicorn"),
    ),
    (
        "app.run()",
        {"app.py": FLASK + "if __name__ == '__main__':\n    app.run()\n", "start.sh": "python app.py\nflask --version\n"},
        "python app.py (app.run()) (start.sh:1) is for development",
        "# gunicorn = true  # its own defaults",
        ("--server", "granian"),
    ),
    (
        "a server that labcoat lacks",
        {"app.py": FLASK, "Procfile": "web: waitress-serve --port 80 app:app\n"},
        "waitress-serve (Procfile:1) is not one that labcoat starts",
        "# gunicorn = true  # its own defaults",
        ("--server", "gunicorn"),
    ),
    (
        "a factory",
        {"app.py": "from flask import Flask\ndef create_app():\n    return Flask('x')\n",
         "wsgi2.py": "", "Procfile": "web: gunicorn 'app:create_app()'\n"},
        "create_app (Procfile:1) is a factory",
        "write wsgi.py: from app import create_app; app = create_app()",
        ("--app", "wsgi2:app"),
    ),
    (
        "several main files of nginx",
        {**PLAIN, "a.conf": "http { server { location / { proxy_pass http://x:1; } } }",
         "b.conf": "http { server { location / { proxy_pass http://x:2; } } }"},
        "which nginx.conf is deployed? Several lead to the app: a.conf:1, b.conf:1",
        '# nginx = "a.conf"  # a.conf:1',
        (),
    ),
    (
        "a required variable that is not set",
        {"app.py": "import os\nos.environ['SECRET_KEY']\n" + FLASK, "Procfile": PROCFILE},
        "what is SECRET_KEY (app.py:2)?",
        'SECRET_KEY = "{env:SECRET_KEY}"',
        (),
    ),
]  # fmt: skip


@pytest.mark.parametrize("row", ASKED, ids=[row[0] for row in ASKED])
def test_what_is_open_is_asked_and_not_guessed(
    row: tuple[str, dict[str, str], str, str, tuple[str, ...]],
    project: Project,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, files, what, written, flags = row
    folder = project(files)
    code = answer(["init"])
    printed = capsys.readouterr().out
    assert code == 2, printed
    assert what in printed
    assert "please fill in" in printed
    assert written in printed + (folder / "labcoat.toml").read_text()
    assert "please fill in" in (folder / "labcoat.toml").read_text()
    if flags:
        (folder / "labcoat.toml").unlink()
        assert answer(["init", *flags]) == 0, capsys.readouterr().out


def test_what_the_user_has_filled_in_is_not_asked_again(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = (
        "[app]\nwsgi = 'b:app'\n[stack]\ngranian = true\n[workload]\nrequests = [{ path = '/' }]\n"
    )
    project({"a.py": FLASK, "b.py": FLASK, "labcoat.toml": mine})
    code, found = document(capsys)
    assert (code, found["state"], found["gaps"]) == (0, "same", [])


def test_the_development_server_is_warned_about_beside_a_real_one(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project(
        {**DJANGO, "Procfile": "web: gunicorn site_.wsgi\n",
         "compose.yaml": "services:\n  web:\n    command: python manage.py runserver\n"}
    )  # fmt: skip
    assert answer(["init"]) == 0
    assert (
        "compose.yaml:3: manage.py runserver is a development server: it is never measured as"
        " production" in capsys.readouterr().out
    )


# Bad input.

BAD: list[tuple[str, dict[str, str | bytes], int, str]] = [
    ("an empty folder", {}, 2, "there is no WSGI or ASGI app here: the folder is empty"),
    ("no app", {"README.txt": "x", "main.py": "print(1)\n"}, 2, "there is no WSGI or ASGI app here: 2 files were looked at"),
    ("TOML that is broken", {**PLAIN, "pyproject.toml": "[project\nname = 1\n"}, 0, "pyproject.toml:1: is not TOML"),
    ("YAML that is broken", {**PLAIN, "compose.yaml": "services:\n  web: [\n  - {\n"}, 0, "compose.yaml:3: is not YAML"),
    ("YAML with a tag", {**PLAIN, "compose.yaml": "services: !!python/object/apply:os.system [x]\n"}, 0, "wrote labcoat.toml"),
    ("YAML with itself inside", {**PLAIN, "compose.yaml": "services: &a\n  <<: *a\n  web: {command: 'x'}\n"}, 0, "wrote labcoat.toml"),
    ("nginx that is broken", {**PLAIN, "nginx.conf": "events {}\nhttp {\n  server {\n"}, 0, 'nginx.conf:3: nginx.conf does not parse: "server" is not closed by "}"'),
    ("nginx that includes itself", {**PLAIN, "nginx.conf": "http {\n include nginx.conf;\n}"}, 0, "nginx.conf:2: "),
    ("Python that is broken", {**PLAIN, "wsgi.py": "app = Flask(\n"}, 0, "wsgi.py:1: is not Python: '(' was never closed"),
    ("Python with a null", {**PLAIN, "wsgi.py": b"app = 1\n\0"}, 0, "wsgi.py: is not Python"),
    ("not UTF-8", {**PLAIN, "Dockerfile": b"FROM x\nCMD \xe9\n"}, 0, "Dockerfile:2: was not read: it is not UTF-8 text"),
    ("a quote that is not closed", {"app.py": FLASK, "Procfile": "web: gunicorn 'app:app\n"}, 2, "Procfile:1: is no command line: No closing quotation"),
    ("an ini that is broken", {**PLAIN, "site.ini": "[app:main]\nno value here\n"}, 0, "site.ini:2: "),
    ("a section that is not closed", {**PLAIN, "uwsgi.ini": "[uwsgi]\nmaster = true\n[broken\n"}, 0, "uwsgi.ini:3: not a section"),
    ("uwsgi in JSON that is broken", {**PLAIN, "uwsgi.json": '{"uwsgi": {'}, 0, "uwsgi.json"),
    ("a study file that is broken", {**PLAIN, "labcoat.toml": "[app\n"}, 2, "the study file is not valid TOML"),
    ("a study file of another shape", {**PLAIN, "labcoat.toml": "app = 3\n"}, 2, "not whole yet"),
    ("deep nesting", {**PLAIN, "app2.py": "app = " + "(" * 5000 + ")" * 5000}, 0, "app2.py:1: is not Python"),
    ("a large file", {**PLAIN, "Dockerfile": "#" * 600_000}, 0, "Dockerfile: was not read: larger than 512 KiB"),
]  # fmt: skip


@pytest.mark.parametrize("row", BAD, ids=[row[0] for row in BAD])
def test_bad_input_is_a_clear_message(
    row: tuple[str, dict[str, str | bytes], int, str],
    project: Project,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, files, expected, says = row
    project(files)
    code = answer(["init"])
    said = capsys.readouterr()
    assert says in said.out + said.err
    assert code == expected, said.out + said.err
    assert "defect" not in said.err


def test_what_cannot_be_read_is_told(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    folder = project(PLAIN)
    (folder / "nginx.conf").symlink_to("nowhere")
    (folder / "pyproject.toml").mkdir()
    os.mkfifo(folder / "requirements.txt")
    (folder / "loop").symlink_to(folder)
    assert answer(["init"]) == 0
    assert "nginx.conf: cannot be read: No such file or directory" in capsys.readouterr().out


def test_a_folder_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert answer(["init", str(tmp_path / "no")]) == 2
    assert "there is no such folder" in capsys.readouterr().err


def test_nothing_of_the_user_is_executed(project: Project) -> None:
    trap = "import pathlib\npathlib.Path('executed').touch()\n"
    folder = project(
        {"app.py": trap + FLASK, "gunicorn.conf.py": trap + "workers = 2\n", "setup.py": trap,
         "manage.py": trap + DJANGO["manage.py"], "start.sh": "touch executed\ngunicorn app:app\n"}
    )  # fmt: skip
    assert answer(["init"]) == 0
    assert not (folder / "executed").exists()


@pytest.mark.slow
def test_ten_thousand_files_cost_little_more_than_their_names(project: Project) -> None:
    """Against the least that any look at a tree costs: its names, and its Python files' bytes."""
    folder = project(PLAIN)
    for package in (folder / f"package{number}" for number in range(100)):
        package.mkdir()
        for number in range(100):
            says = (
                "import os\nx = os.environ.get('X')\n" if number < 5 else "def f():\n    return 1\n"
            )
            (package / f"module{number}.py").write_text(says * 10)
    for name in ("node_modules", ".git", "venv/lib"):
        (folder / name).mkdir(parents=True)
        for index in range(500):
            (folder / name / f"nginx{index}.conf").write_text("http {" * 100)
    (folder / "venv" / "pyvenv.cfg").touch()
    ratios = []
    survey = gather(folder)
    for _ in range(2):
        started = time.perf_counter()
        for root, _, found in os.walk(folder):
            for file in found:
                Path(root, file).read_bytes()
        walked = time.perf_counter()
        survey = gather(folder)
        ratios.append((time.perf_counter() - walked) / (walked - started))
    assert len(survey.folder.files) == 10_002
    assert len(survey.folder.modules) == 501
    assert min(ratios) < 12
