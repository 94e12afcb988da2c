"""What a user can do wrong, done wrong: one clear message, the right exit code, nothing left.

Every case is a real ``labcoat`` with its own study and its own folder for sandboxes. With
``--json`` the error stands on standard error for people and on standard output as the one
document, so that each case proves both.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from labcoat.journal import Journal
from labcoat.testing.http import Received, Reply, ScriptedServer, reply

LABCOAT = Path(sys.executable).with_name("labcoat")
HELLO = """
def app(environ, start):
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]
"""
APP = '[app]\nwsgi = "app:app"\n'
STACK = "[stack]\ngunicorn = true\n"
WORKLOAD = '[workload]\nusers = 2\nrequests = [{ path = "/" }]\n'
SETTINGS = "[study]\nready_timeout_s = 5\n"
STUDY = APP + STACK + WORKLOAD + SETTINGS


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One mistake: the study's files, how labcoat is called, and what it must say.

    In ``says`` and ``where``, ``{study}`` stands for the study's folder.
    """

    name: str
    study: str | None = STUDY
    files: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ("up",)
    env: Mapping[str, str] = field(default_factory=dict)
    code: int = 1
    kind: str
    says: tuple[str, ...]
    where: str
    way_out: str = ""


def stack(lines: str, *, app: str = APP) -> str:
    """The plain study with other components."""
    return f"{app}[stack]\n{lines}\n{WORKLOAD}{SETTINGS}"


STUDY_FILE_CASES = (
    Case(
        name="an unknown key",
        study="[ap]\n" + STUDY,
        code=2,
        kind="UsageError",
        says=('did you mean "app"?', "line 1 "),
        where="{study}/labcoat.toml",
    ),
    Case(
        name="several mistakes at once",
        study=STUDY.replace("users = 2", 'users = "two"\ncokies = true').replace(
            "ready_timeout_s = 5", "ready_timeout_s = -1"
        ),
        code=2,
        kind="UsageError",
        says=(
            "3 mistakes in the study file",
            "line 6  ",
            "line 7  ",
            "line 10 ",
            'did you mean "cookies"?',
        ),
        where="{study}/labcoat.toml",
    ),
    Case(
        name="no TOML",
        study="[app\n",
        code=2,
        kind="UsageError",
        says=("the study file is not valid TOML",),
        where="{study}/labcoat.toml, line 1",
    ),
    Case(
        name="no study file",
        study=None,
        code=2,
        kind="UsageError",
        says=("there is no labcoat.toml here",),
        where="{study}",
        way_out="--study FILE",
    ),
    Case(
        name="a study file that is not there",
        arguments=("up", "--study", "nowhere.toml"),
        code=2,
        kind="UsageError",
        says=("there is no such study file",),
        where="{study}/nowhere.toml",
    ),
    Case(
        name="a config file that is not there",
        study=stack('nginx = "deploy/nginx.conf"\ngunicorn = true'),
        code=2,
        kind="UsageError",
        says=("line 4  stack.nginx", "there is no file {study}/deploy/nginx.conf"),
        where="{study}/labcoat.toml",
    ),
    Case(
        name="a variable that is not set",
        study=STUDY.replace(APP, APP + 'env = { KEY = "{env:NOT_SET_ANYWHERE}" }\n'),
        code=2,
        kind="UsageError",
        says=("line 3  app.env.KEY", "the variable NOT_SET_ANYWHERE is not set here"),
        where="{study}/labcoat.toml",
    ),
    Case(
        name="a binary that is not there",
        study=stack('gunicorn = { binary = "bin/gunicorn" }'),
        code=2,
        kind="UsageError",
        says=("line 4  stack.gunicorn.binary", "there is no program bin/gunicorn at {study}"),
        where="{study}/labcoat.toml",
    ),
    Case(
        name="a binary that is not executable",
        study=stack('gunicorn = { binary = "./app.py" }'),
        code=2,
        kind="UsageError",
        says=("line 4  stack.gunicorn.binary", "{study}/app.py is not executable"),
        where="{study}/labcoat.toml",
    ),
    Case(
        name="an unknown flag",
        arguments=("up", "--jsn"),
        code=2,
        kind="UsageError",
        says=("No such option", "--json"),
        where="labcoat up",
        way_out="labcoat up --help",
    ),
)

COMPONENT_CASES = (
    Case(
        name="nginx -t refuses",
        study=stack('nginx = "nginx.conf"\ngunicorn = true'),
        files={
            "nginx.conf": "events {}\nhttp {\n  server {\n    listen 80;\n"
            "    lisen 81;\n    location / { proxy_pass http://127.0.0.1:8000; }\n"
            "  }\n}\n"
        },
        kind="RenderError",
        says=('unknown directive "lisen"', "{study}/nginx.conf:5"),
        where="{study}/nginx.conf",
    ),
    Case(
        name="nginx.conf does not parse",
        study=stack('nginx = "nginx.conf"\ngunicorn = true'),
        files={"nginx.conf": "events {}\nhttp {\n  server {\n    listen 80;\n"},
        kind="RenderError",
        says=("nginx",),
        where="{study}/nginx.conf",
    ),
    Case(
        name="uwsgi.ini does not parse",
        study=stack('uwsgi = "uwsgi.ini"'),
        files={"uwsgi.ini": "[uwsgi]\nhttp-socket = :8000\n[uwsgi\n"},
        kind="RenderError",
        says=("uwsgi",),
        where="{study}/uwsgi.ini:3",
    ),
    Case(
        name="uwsgi refuses an option",
        study=stack('uwsgi = "uwsgi.ini"'),
        files={"uwsgi.ini": "[uwsgi]\nstrict = true\nhttp-socket = :8000\nproceses = 2\n"},
        kind="NotReady",
        says=("unknown config directive: proceses",),
        where="{study}/uwsgi.ini, log: {study}/.labcoat/logs/",
    ),
    Case(
        name="gunicorn.conf.py does not parse",
        study=stack('gunicorn = "gunicorn.conf.py"'),
        files={"gunicorn.conf.py": "workers = 1\nthreads = = 2\n"},
        kind="RenderError",
        says=("invalid syntax",),
        where="{study}/gunicorn.conf.py:2",
    ),
    Case(
        name="gunicorn refuses a value",
        study=stack('gunicorn = "gunicorn.conf.py"'),
        files={"gunicorn.conf.py": "workers = 1\nthreads = 'many'\n"},
        kind="RenderError",
        says=("threads",),
        where="{study}/gunicorn.conf.py",
    ),
    Case(
        name="postgres refuses a value",
        study=stack('gunicorn = true\npostgres = "postgresql.conf"'),
        files={"postgresql.conf": "max_connections = 20\nwork_mem = plenty\n"},
        kind="RenderError",
        says=("work_mem", "plenty"),
        where="{study}/postgresql.conf",
    ),
    Case(
        name="a seed command that fails",
        study=stack(
            "gunicorn = true\npostgres = true",
            app=APP + 'seed = ["{python}", "-c", "raise SystemExit(\'no rows\')"]\n',
        ),
        kind="StackError",
        says=("the seed ended with status 1", "no rows"),
        where="[app] seed",
    ),
    Case(
        name="an interpreter that is none",
        study=STUDY.replace(APP, APP + 'python = "/bin/false"\n'),
        kind="StackError",
        says=("the app's interpreter does not start",),
        where="/bin/false",
        way_out="[app] python",
    ),
    Case(
        name="a binary that is something else",
        study=stack('gunicorn = { binary = "/bin/true" }'),
        kind="StackError",
        says=("/bin/true (study): does not tell its version",),
        where="[stack] gunicorn",
    ),
    Case(
        name="a binary that is too old",
        study=stack('nginx = { binary = "bin/nginx", file = "nginx.conf" }\ngunicorn = true'),
        files={
            "bin/nginx": "#!/bin/sh\necho 'nginx version: nginx/0.8.1' >&2\n",
            "nginx.conf": "events {}\nhttp { server { listen 80; "
            "location / { proxy_pass http://127.0.0.1:8000; } } }\n",
        },
        kind="StackError",
        says=("{study}/bin/nginx", "version 0.8.1 is too old, 1.18 is needed"),
        where="[stack] nginx",
    ),
)

APP_CASES = (
    Case(
        name="an app that is not there",
        study=STUDY.replace("app:app", "application:app"),
        kind="NotReady",
        says=("No module named 'application'",),
        where="in {study}",
    ),
    Case(
        name="an app without that callable",
        study=STUDY.replace("app:app", "app:wsgi"),
        kind="NotReady",
        says=("wsgi",),
        where="in {study}",
    ),
    Case(
        name="an app that raises at import",
        files={"app.py": "raise RuntimeError('no such luck')\n"},
        kind="NotReady",
        says=("RuntimeError: no such luck", 'app.py", line 1'),
        where="in {study}",
    ),
    Case(
        name="an app that raises at import under uwsgi",
        study=stack("uwsgi = true"),
        files={"app.py": "raise RuntimeError('no such luck')\n"},
        kind="NotReady",
        says=("RuntimeError: no such luck", 'app.py", line 1'),
        where=".labcoat/logs/",
    ),
    Case(
        name="an app that wants a variable",
        files={"app.py": "import os\nKEY = os.environ['SECRET_KEY']\n" + HELLO},
        kind="NotReady",
        says=("SECRET_KEY",),
        where="in {study}",
        way_out="give the app the variable SECRET_KEY",
    ),
    Case(
        name="an app that wants a variable under uwsgi",
        study=stack("uwsgi = true"),
        files={"app.py": "import os\nKEY = os.environ['SECRET_KEY']\n" + HELLO},
        kind="NotReady",
        says=("SECRET_KEY",),
        where=".labcoat/logs/",
        way_out="give the app the variable SECRET_KEY",
    ),
    Case(
        name="an app that answers 500",
        files={"app.py": HELLO.replace("    start", "    raise ValueError('oops')\n    start", 1)},
        kind="NotReady",
        says=("the app answers GET / with 500", "ValueError: oops"),
        where=".labcoat/logs/",
    ),
)

BENCH_CASES = (
    Case(
        name="nothing listens",
        arguments=("bench", "http://127.0.0.1:1/"),
        study=None,
        kind="LoadError",
        says=("cannot connect: Connection refused",),
        where="http://127.0.0.1:1",
        way_out="",
    ),
    Case(
        name="no such host",
        arguments=("bench", "http://nowhere.invalid/"),
        study=None,
        kind="LoadError",
        says=("nowhere.invalid",),
        where="http://nowhere.invalid",
    ),
    Case(
        name="another scheme",
        arguments=("bench", "ftp://127.0.0.1/"),
        study=None,
        code=2,
        kind="UsageError",
        says=("the scheme is ftp",),
        where="ftp://127.0.0.1/",
    ),
    Case(
        name="no port",
        arguments=("bench", "http://127.0.0.1:99999/"),
        study=None,
        code=2,
        kind="UsageError",
        says=("99999",),
        where="http://127.0.0.1:99999/",
    ),
    Case(
        name="no users",
        arguments=("bench", "http://127.0.0.1:1/", "-c", "0"),
        study=None,
        code=2,
        kind="UsageError",
        says=("0 is not in the range",),
        where="labcoat bench",
        way_out="labcoat bench --help",
    ),
    Case(
        name="no time",
        arguments=("bench", "http://127.0.0.1:1/", "-d", "0"),
        study=None,
        code=2,
        kind="UsageError",
        says=("0.0 is not in the range",),
        where="labcoat bench",
        way_out="labcoat bench --help",
    ),
    Case(
        name="conflicting flags",
        arguments=("bench", "http://127.0.0.1:1/", "--poisson"),
        study=None,
        code=2,
        kind="UsageError",
        says=("--poisson needs a rate",),
        where="labcoat bench",
        way_out="add --rate N",
    ),
)

CASES = STUDY_FILE_CASES + COMPONENT_CASES + APP_CASES + BENCH_CASES


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one case happens."""

    study: Path
    boxes: Path

    def env(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return {**os.environ, "LABCOAT_SANDBOXES": str(self.boxes), **(more or {})}

    def labcoat(
        self, *arguments: str, env: Mapping[str, str] | None = None, before: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*before, LABCOAT, *arguments],
            cwd=self.study, env=self.env(env), capture_output=True, text=True, check=False,
            timeout=25,
        )  # fmt: skip

    def write(self, name: str, text: str) -> None:
        path = self.study / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if name.startswith("bin/"):
            path.chmod(0o755)

    def listing(self) -> set[str]:
        return {
            str(path.relative_to(self.study))
            for path in self.study.rglob("*")
            if ".labcoat" not in path.relative_to(self.study).parts
        }

    def is_quiet(self) -> bool:
        """Whether nothing lives there any more, and the sandboxes are gone."""
        gone = not self.boxes.exists() or not any(self.boxes.iterdir())
        return gone and not orphans(self.boxes)

    def assert_clean(self, before: set[str]) -> None:
        """No process, no sandbox, no file of ours beside .labcoat."""
        assert orphans(self.boxes) == []
        assert not self.boxes.exists() or list(self.boxes.iterdir()) == []
        assert self.listing() == before


def orphans(boxes: Path) -> list[str]:
    """The processes that have to do with a folder: by argv, environment, cwd or open files."""
    found = []
    marker = os.fsencode(boxes)
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            words = (process / "cmdline").read_bytes()
            told = words + (process / "environ").read_bytes()
            links = [process / "cwd", *(process / "fd").iterdir()]
            told += b"\0".join(os.fsencode(link.readlink()) for link in links)
        except OSError:
            continue  # it ended, or it is a zombie or a kernel's thread
        if marker in told:
            found.append(f"{process.name} {words!r}")
    return found


@pytest.fixture
def place(tmp_path: Path) -> Place:
    study = tmp_path / "study"
    study.mkdir()
    made = Place(study=study, boxes=tmp_path / "boxes")
    made.write("app.py", HELLO)
    made.write("labcoat.toml", STUDY)
    return made


def furnish(place: Place, case: Case) -> None:
    if case.study is None:
        (place.study / "labcoat.toml").unlink(missing_ok=True)
    else:
        place.write("labcoat.toml", case.study)
    for name, text in case.files.items():
        place.write(name, text)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_mistake_is_told_and_leaves_nothing(case: Case, place: Place) -> None:
    furnish(place, case)
    before = place.listing()
    done = place.labcoat(*case.arguments, "--json", env=case.env)
    assert_told(done, case, place.study)
    place.assert_clean(before)


def assert_told(done: subprocess.CompletedProcess[str], case: Case, study: Path) -> None:
    """The exit code, the three parts for people, and the same three for programs."""
    told = f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    assert done.returncode == case.code, told
    error = json.loads(done.stdout)["error"]
    assert (error["kind"], error["exit_code"]) == (case.kind, case.code), told
    for words in case.says:
        assert words.format(study=study) in done.stderr, told
    assert error["where"], told
    assert case.where.format(study=study) in error["where"], told
    assert error["way_out"], told
    assert case.way_out in error["way_out"], told
    assert f"error: {error['what']}" in done.stderr, told
    assert f"  where    {error['where']}" in done.stderr, told
    assert f"  way out  {error['way_out']}" in done.stderr, told
    assert "a defect in labcoat" not in told
    assert "labcoat/cli" not in told, "a traceback of ours"


POSTGRES = stack("gunicorn = true\npostgres = true")


def full_disk(folder: Path, size: str) -> tuple[str, ...]:
    """What to put before a command for which ``folder`` is a file system of this size.

    The mount is of a namespace of its own and goes with it. What is left in the folder after
    the command is told on standard error: nobody can look afterwards.
    """
    folder.mkdir(exist_ok=True)
    ours = () if os.geteuid() == 0 else ("--user", "--map-current-user", "--keep-caps")
    script = (
        f'mount -t tmpfs -o mode=755,size={size} none "{folder}" || exit 99; "$@"; code=$?; '
        f'echo "left:" $(ls -A "{folder}") >&2; exit $code'
    )
    return ("unshare", "--mount", *ours, "sh", "-c", script, "sh")


def ordinary() -> tuple[str, ...]:
    """What to put before a command to which permissions apply, as they do not to root."""
    if os.geteuid() != 0:
        return ()
    lost = "-dac_override,-dac_read_search,-fowner"
    return ("setpriv", f"--bounding-set={lost}", f"--inh-caps={lost}")


@pytest.mark.parametrize(
    ("study", "size"), [(STUDY, "4k"), (POSTGRES, "16m")], ids=["at once", "by the database"]
)
def test_a_full_disk_for_sandboxes(place: Place, study: str, size: str) -> None:
    place.write("labcoat.toml", study)
    before = place.listing()
    done = place.labcoat("up", "--json", before=full_disk(place.boxes, size))
    case = Case(
        name="full", kind=json.loads(done.stdout)["error"]["kind"], says=("o space left",), where=""
    )
    assert_told(done, case, place.study)
    assert case.kind in {"HostError", "StackError", "NotReady"}
    assert "left:\n" in done.stderr
    place.assert_clean(before)


def test_a_full_disk_for_what_is_kept(place: Place) -> None:
    place.write("labcoat.toml", POSTGRES)
    before = place.listing()
    kept = place.study / ".labcoat"
    done = place.labcoat("up", "--json", before=full_disk(kept, "16m"))
    case = Case(
        name="full", kind="HostError", says=("No space left on device",), where="{study}/.labcoat",
        way_out="free space",
    )  # fmt: skip
    assert_told(done, case, place.study)
    place.assert_clean(before)


def test_a_full_disk_for_the_journal(place: Place) -> None:
    before = place.listing()
    done = place.labcoat("baseline", "--json", before=full_disk(place.study / ".labcoat", "4k"))
    case = Case(
        name="full", kind="JournalError", says=("no room left for the journal",),
        where="{study}/.labcoat/journal.db", way_out="free some space",
    )  # fmt: skip
    assert_told(done, case, place.study)
    place.assert_clean(before)


def test_no_permission_for_what_is_kept(place: Place) -> None:
    place.write("labcoat.toml", POSTGRES)
    before = place.listing()
    (place.study / ".labcoat").mkdir(mode=0o500)
    done = place.labcoat("up", "--json", before=ordinary())
    case = Case(
        name="no", kind="HostError", says=("Permission denied",), where="{study}/.labcoat",
        way_out="",
    )  # fmt: skip
    assert_told(done, case, place.study)
    done = place.labcoat("baseline", "--json", before=ordinary())
    case = Case(
        name="no", kind="JournalError", says=("journal",), where="{study}/.labcoat", way_out="write"
    )
    assert_told(done, case, place.study)
    place.assert_clean(before)


def test_no_permission_for_sandboxes(place: Place) -> None:
    before = place.listing()
    place.boxes.mkdir(mode=0o500)
    done = place.labcoat("up", "--json", before=ordinary())
    case = Case(
        name="no", kind="HostError", says=("cannot make a sandbox: Permission denied",),
        where=str(place.boxes), way_out="LABCOAT_SANDBOXES",
    )  # fmt: skip
    assert_told(done, case, place.study)
    place.assert_clean(before)


def test_sandboxes_on_another_file_system(place: Place) -> None:
    """Not a mistake at all: the template is kept, and the stack stands."""
    place.write("labcoat.toml", POSTGRES)
    before = place.listing()
    ended = ("timeout", "--signal=INT", "--foreground", "12")
    done = place.labcoat("up", "--json", before=(*full_disk(place.boxes, "500m"), *ended))
    assert json.loads(done.stdout)["url"].startswith("http://"), done.stderr
    assert "left:\n" in done.stderr
    place.assert_clean(before)


@pytest.mark.parametrize("command", ["up", "baseline"])
def test_a_file_where_the_folder_should_be(place: Place, command: str) -> None:
    place.write("labcoat.toml", POSTGRES)
    (place.study / ".labcoat").write_text("mine")
    before = place.listing()
    done = place.labcoat(command, "--json")
    case = Case(
        name="file", kind="HostError" if command == "up" else "JournalError",
        says=(".labcoat",), where="{study}/.labcoat",
    )  # fmt: skip
    assert_told(done, case, place.study)
    assert (place.study / ".labcoat").read_text() == "mine"
    place.assert_clean(before)


def test_a_journal_that_is_none(place: Place) -> None:
    before = place.listing()
    place.write(".labcoat/journal.db", "these are my notes, not a database\n" * 100)
    done = place.labcoat("baseline", "--json")
    case = Case(
        name="none", kind="JournalError", says=("this file is not a journal",),
        where="{study}/.labcoat/journal.db",
    )  # fmt: skip
    assert_told(done, case, place.study)
    assert (place.study / ".labcoat/journal.db").read_text().startswith("these are my notes")
    place.assert_clean(before)


TWO_ROUTES = """
def app(environ, start):
    if environ["PATH_INFO"] == "/broken":
        raise ValueError("oops")
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]
"""


@pytest.mark.parametrize(
    ("second", "says"),
    [
        ('{ path = "/broken" }', ("GET /broken: ", "wrong status", "500")),
        ('{ path = "/x", expect = { contains = "welcome" } }', ("GET /x: ", "wrong body")),
    ],
    ids=["a route that answers 500", "a route that answers something else"],
)
def test_baseline_asks_each_route(place: Place, second: str, says: tuple[str, ...]) -> None:
    place.write("app.py", TWO_ROUTES)
    place.write("labcoat.toml", STUDY.replace('{ path = "/" }', f'{{ path = "/" }}, {second}'))
    before = place.listing()
    done = place.labcoat("baseline", "--quick", "--json")
    case = Case(
        name="route", kind="NotReady", says=("the app answers wrongly", *says), where="http://",
        way_out="expect",
    )  # fmt: skip
    assert_told(done, case, place.study)
    Journal.open(place.study / ".labcoat" / "journal.db").close()
    place.assert_clean(before)


def test_a_journal_of_a_newer_labcoat(place: Place) -> None:
    before = place.listing()
    path = place.study / ".labcoat" / "journal.db"
    path.parent.mkdir()
    Journal.open(path).close()
    with closing(sqlite3.connect(path)) as journal, journal:
        journal.execute(
            "insert into schema_versions select version + 1000, at, labcoat "
            "from schema_versions limit 1"
        )
    done = place.labcoat("baseline", "--json")
    case = Case(
        name="newer", kind="JournalError", says=("written by a newer labcoat",), where=str(path)
    )
    assert_told(done, case, place.study)
    place.assert_clean(before)


SLOW = "import time\ntime.sleep(60)\n" + HELLO
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)


def started(place: Place, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [LABCOAT, *arguments], cwd=place.study, env=place.env(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_until(happened: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 25
    while not happened():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def first_document(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What ``up --json`` says once it stands; it goes on standing."""
    assert process.stdout is not None
    text = ""
    while not text.endswith("\n}\n"):
        line = process.stdout.readline()
        assert line, text
        text += line
    document: dict[str, Any] = json.loads(text)
    return document


@pytest.mark.parametrize("number", ENDINGS, ids=lambda number: number.name)
def test_up_is_ended(place: Place, number: signal.Signals) -> None:
    before = place.listing()
    with started(place, "up", "--json") as process:
        first_document(process)
        process.send_signal(number)
        _, said = process.communicate(timeout=25)
    assert process.returncode == (-number if number is signal.SIGKILL else 0), said
    assert "Traceback" not in said
    wait_until(place.is_quiet, "something is left")
    place.assert_clean(before)


@pytest.mark.parametrize("number", ENDINGS, ids=lambda number: number.name)
def test_up_is_ended_while_it_boots(place: Place, number: signal.Signals) -> None:
    place.write("labcoat.toml", stack("uwsgi = true"))
    place.write("app.py", SLOW)
    before = place.listing()
    with started(place, "up", "--json") as process:
        wait_until(lambda: any(place.boxes.glob("*/*/uwsgi.log")), "uwsgi")
        process.send_signal(number)
        printed, said = process.communicate(timeout=25)
    if number is signal.SIGKILL:
        assert (process.returncode, printed) == (-number, "")
    else:
        assert process.returncode == 130, said
        assert json.loads(printed)["error"]["kind"] == "Interrupted"
        assert said == "error: interrupted; everything that labcoat started was taken down\n"
    wait_until(place.is_quiet, "something is left")
    place.assert_clean(before)


def test_a_component_that_dies(place: Place) -> None:
    before = place.listing()
    with started(place, "up", "--json") as process:
        document = first_document(process)
        os.kill(document["components"][0]["pid"], signal.SIGKILL)
        _, said = process.communicate(timeout=25)
    assert process.returncode == 1
    assert "error: gunicorn died: ended by signal 9 (SIGKILL)" in said
    assert f"  where    log: {place.study}/.labcoat/logs/" in said
    assert "Traceback" not in said
    log = said.partition("log: ")[2].partition("\n")[0]
    assert Path(log).is_file(), "the log that the message names is not there"
    place.assert_clean(before)


@pytest.mark.parametrize("number", ENDINGS, ids=lambda number: number.name)
def test_bench_is_ended(place: Place, number: signal.Signals) -> None:
    before = place.listing()
    arguments = ("-c", "2", "-d", "60", "--json")
    with (
        ScriptedServer(slow) as server,
        started(place, "bench", server.target.url, *arguments) as process,
    ):
        wait_until(lambda: bool(server.requests), "a request")
        process.send_signal(number)
        printed, said = process.communicate(timeout=25)
    if number is signal.SIGKILL:
        assert (process.returncode, printed) == (-number, "")
    else:
        assert process.returncode == 130, said
        assert json.loads(printed)["error"]["kind"] == "Interrupted"
    assert "Traceback" not in said
    wait_until(place.is_quiet, "something is left")
    place.assert_clean(before)


def slow(_: Received) -> Reply:
    return replace(reply(), delay_s=0.01)


def test_tls_to_a_plain_port(place: Place) -> None:
    before = place.listing()
    with ScriptedServer() as server:
        url = server.target.url.replace("http:", "https:")
        done = place.labcoat("bench", url, "-d", "1", "--json")
    case = Case(name="tls", kind="LoadError", says=("cannot connect",), where=url)
    assert_told(done, case, place.study)
    place.assert_clean(before)


def test_a_server_that_dies_under_the_load(place: Place) -> None:
    before = place.listing()
    with ScriptedServer(slow) as server:
        arguments = ("bench", server.target.url, "-c", "2", "-d", "2", "--warmup", "0", "--json")
        process = started(place, *arguments)
        wait_until(lambda: len(server.requests) > 10, "ten requests")
    with process:
        printed, said = process.communicate(timeout=25)
    assert process.returncode in {0, 4}, said  # errors are an answer
    document = json.loads(printed)
    assert document["outcomes"]["ok"] > 0
    assert document["errors"] > 0
    place.assert_clean(before)
