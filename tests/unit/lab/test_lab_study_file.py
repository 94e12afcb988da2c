from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from labcoat.errors import UsageError
from labcoat.lab.study.study_file import find_study, read_study, read_workload
from labcoat.lab.study.study_form import StudyForm
from labcoat.lab.study.study_mistakes import PLACES
from labcoat.model.study import App, ComponentSpec, Interface, Study
from labcoat.model.workload import Capture, Expectation, RequestTemplate, Source, Workload
from labcoat.stack.components import COMPONENTS

SMALL = """
[app]
wsgi = "shop:app"
[stack]
gunicorn = true
[workload]
requests = [{ path = "/" }]
"""

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a study file into a project that has a few files, and give its path."""
    for name, text in {
        "nginx.conf": "events {}\n",
        "uwsgi.ini": "[uwsgi]\n",
        "ids.txt": "1\n2\n",
        "empty.txt": "\n",
        "order.json": '{{"id": {1..9}}}',
        "body.bin": "",
    }.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "body.bin").write_bytes(b"\xff")
    with (tmp_path / "huge.json").open("wb") as huge:
        huge.truncate(16 * 1024 * 1024 + 1)
    (tmp_path / "code").mkdir()

    def write_study(text: str) -> Path:
        path = tmp_path / "labcoat.toml"
        path.write_text(textwrap.dedent(text))
        return path

    return write_study


def mistakes(path: Path) -> list[str]:
    with pytest.raises(UsageError) as caught:
        read_study(path)
    assert caught.value.exit_code == 2
    return list(caught.value.log)


def test_a_small_study_gets_the_defaults(write: Write, tmp_path: Path) -> None:
    assert read_study(write(SMALL)) == Study(
        name=tmp_path.name,
        file=tmp_path / "labcoat.toml",
        root=tmp_path,
        app=App(
            interface=Interface.WSGI,
            target="shop:app",
            directory=tmp_path,
            python=Path(sys.executable),
        ),
        components=(ComponentSpec(name="gunicorn"),),
        workload=Workload(
            requests=(RequestTemplate(path="/", name="GET /"),), base_dir=str(tmp_path)
        ),
    )


def test_every_key_arrives(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "hush")
    path = write("""
        name = "a shop"
        [app]
        asgi = "shop.wsgi:app.inner"
        directory = "code"
        python = "/bin/sh"
        env = { URL = "{database.url}?x=1", KEY = "<{env:A_SECRET}{name}>", JSON = '{"a": {"b": 1}}' }
        seed = ["{python}", "-m", "shop.seed"]
        pool = "POOL_SIZE"
        [stack]
        postgres = true
        granian = { options = { workers = 2, backlog = 64.5, loop = "uvloop", http1 = true } }
        nginx = { file = "nginx.conf", binary = "sh" }
        [workload]
        users = 7
        cookies = false
        [[workload.requests]]
        path = "/{1..5}"
        [[workload.requests]]
        path = "/{1..5}"
        [[workload.requests]]
        method = "post"
        path = "/{file:ids.txt}"
        name = "order"
        weight = 3
        headers = { X-Id = "{uuid}" }
        body_file = "order.json"
        expect = { status = 201, contains = "ok", min_bytes = 3 }
        [study]
        objective = "latency_p99"
        margin = 0.05
        seed = 11
        ready_timeout_s = 5
        request_timeout_s = 2.5
    """)
    study = read_study(path)
    assert study.name == "a shop"
    assert study.app == App(
        interface=Interface.ASGI,
        target="shop.wsgi:app.inner",
        directory=tmp_path / "code",
        python=Path("/bin/sh"),
        env=(
            ("URL", "{database.url}?x=1"),
            ("KEY", "<hush{name}>"),
            ("JSON", '{"a": {"b": 1}}'),
        ),
        seed=(("{python}", "-m", "shop.seed"),),
        pool="POOL_SIZE",
    )
    assert [component.name for component in study.components] == ["nginx", "granian", "postgres"]
    nginx, granian, _ = study.components
    assert nginx.file == tmp_path / "nginx.conf"
    assert nginx.binary is not None
    assert nginx.binary.name == "sh"
    assert granian.options == (
        ("workers", 2), ("backlog", 64.5), ("loop", "uvloop"), ("http1", True),
    )  # fmt: skip
    assert study.workload == Workload(
        requests=(
            RequestTemplate(path="/{1..5}", name="GET /{1..5}"),
            RequestTemplate(path="/{1..5}", name="GET /{1..5} #2"),
            RequestTemplate(
                path="/{file:ids.txt}",
                name="order",
                method="POST",
                weight=3.0,
                headers=(("X-Id", "{uuid}"),),
                body='{{"id": {1..9}}}',
                expect=Expectation(statuses=(201,), contains="ok", min_bytes=3),
            ),
        ),
        cookies=False,
        base_dir=str(tmp_path),
    )
    settings = (
        study.users, study.objective, study.margin, study.seed,
        study.ready_timeout_s, study.request_timeout_s,
    )  # fmt: skip
    assert settings == (7, "latency_p99", 0.05, 11, 5.0, 2.5)


@pytest.mark.parametrize("folder", [".venv", "venv"])
def test_the_projects_own_interpreter_is_the_default(
    write: Write, tmp_path: Path, folder: str
) -> None:
    own = tmp_path / folder / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.symlink_to("/bin/sh")
    assert read_study(write(SMALL)).app.python == own


#   table     line to replace or add                        what is said
WRONG: list[tuple[str, str, str]] = [
    ("", "nam = 'x'", 'nam: unknown key; did you mean "name"?; known are name, app, stack, '
     "workload, study"),
    ("", "name = ''", "name: must not be empty"),
    ("app", "wsgi = 3", "app.wsgi: expected a string, got 3"),
    ("app", "wsgi = 'shop'", "app.wsgi: expected \"module:callable\", got 'shop'"),
    ("app", "wsgi = 'a:make()'", "app.wsgi: 'a:make()' is a factory; name a module that has called "
     'it (wsgi.py: app = create_app(); then "wsgi:app")'),
    ("app", "asgi = 'a:b'", "app.asgi: an app is either wsgi or asgi, not both"),
    ("app", "directory = 'no'", "app.directory: there is no folder {root}/no"),
    ("app", "python = 'no/python'", "app.python: there is no program no/python at {root}/no/python"),
    ("app", "python = 'no-such-python'", "app.python: there is no program no-such-python on PATH"),
    ("app", "env = { A = 1 }", "app.env.A: expected a string, got a whole number"),
    ("app", "env = { 'A B' = '' }",
     "app.env.A B: 'A B' cannot be the name of an environment variable"),
    ("app", "env = { A = '{env:NO_SUCH_VARIABLE}' }",
     "app.env.A: {{env:NO_SUCH_VARIABLE}}: the variable NO_SUCH_VARIABLE is not set here"),
    ("app", "env = { A = '{mongo.url}' }", "app.env.A: unknown placeholder {{mongo.url}}; known are "
     "{{database.url}}, {{database.location}}, {{database.host}}, {{database.port}}, "
     "{{database.name}}, {{database.user}}, {{redis.url}}, {{redis.host}}, {{redis.port}}, "
     "{{memcached.address}}, {{memcached.host}}, {{memcached.port}}, {{env:NAME}}"),
    ("app", "env = { A = '{redis.url}/1' }",
     "app.env.A: {{redis.url}} needs redis in [stack]: redis = true"),
    ("stack", "pgbouncer = true",
     "stack.pgbouncer: needs a database behind it: postgres = true"),
    ("app", 'env = { A = "\\u0000" }',
     "app.env.A: an environment variable cannot hold a NUL character"),
    ("app", "seed = ['{pyton}']", "app.seed[0]: unknown placeholder {{pyton}}; known are {{python}} "
     "and {{database.url}}"),
    ("app", "env = { A = '{database.url}' }",
     "app.env.A: {{database.url}} needs a database in [stack]"),
    ("app", "env = 'x'", "app.env: expected a table, got a string"),
    ("app", "seed = ['x']", "app.seed: fills a database, and [stack] names none (postgres)"),
    ("stack", "ngnix = true", 'stack.ngnix: unknown component; did you mean "nginx"?; known are '
     "nginx, uwsgi, gunicorn, granian, uvicorn, redis, memcached, pgbouncer, postgres"),
    ("stack", "uwsgi = true", "stack.uwsgi: a second app server beside gunicorn; keep one"),
    ("stack", "nginx = 'no.conf'", "stack.nginx: there is no file {root}/no.conf"),
    ("stack", "nginx = 'code'", "stack.nginx: {root}/code is not a file"),
    ("stack", "nginx = '/proc/self/mem'",
     "stack.nginx: /proc/self/mem cannot be read: Input/output error"),
    ("stack", "nginx = false", "stack.nginx: expected the path of its file, true for none, or a "
     'table such as {{ file = "..." }}'),
    ("stack", "nginx = { fil = 'nginx.conf' }", 'stack.nginx.fil: unknown key; did you mean "file"?; '
     "known are file, command, options, binary"),
    ("stack", "nginx = { options = { a = 1 } }",
     "stack.nginx.options: nginx takes no options; write its settings into its file"),
    ("stack", "nginx = { binary = './no' }",
     "stack.nginx.binary: there is no program ./no at {root}/no"),
    ("stack", "nginx = { wait = { a = 1 } }",
     "stack.nginx.wait: unknown key; known are file, command, options, binary"),
    ("stack", "gunicorn = { options = { a = [1] } }",
     "stack.gunicorn.options.a: expected a string, a number, true or false"),
    ("workload", "users = '3'", "workload.users: expected a whole number, got '3'"),
    ("workload", "users = 0", "workload.users: must be greater than or equal to 1, got 0"),
    ("workload", "users = true", "workload.users: expected a whole number, got true"),
    ("workload", "cookies = 1", "workload.cookies: expected true or false, got 1"),
    ("workload", "requests = []", "workload.requests: must not be empty"),
    ("workload", "requests = {}", "workload.requests: expected a list, got a table"),
    ("request", "path = 'x'", "workload.requests[0].path: a path starts with '/', got 'x'"),
    ("request", "path = '/a b'",
     "workload.requests[0].path: a path holds no blanks (write %20), got '/a b'"),
    ("request", "path = '/{nonsense}'", "workload.requests[0].path: no such placeholder: {{nonsense}}; "
     "use {{1..500}}, {{uuid}}, {{file:ids.txt}}, {{a|b|c}}, {{env:NAME}}, {{user}} or {{captured:NAME}}; {{{{ and }}}} are literal braces"),
    ("request", "path = '/{env:LABCOAT_NO_SUCH}'",
     "workload.requests[0].path: {{env:LABCOAT_NO_SUCH}}: the variable LABCOAT_NO_SUCH is not set here; set it: export LABCOAT_NO_SUCH=..."),
    ("request", "path = '/{captured:token}'",
     "workload.requests[0].path: {{captured:token}}: no step of the set-up before it captures token"),
    ("request", "capture = { t = { regex = '(' } }",
     "workload.requests[0].capture.t: not a regular expression: missing ), unterminated subpattern at position 0, in '('"),
    ("request", "capture = { t = { xpath = '//a' } }",
     "workload.requests[0].capture.t: say where to find it with exactly one of regex, json, header, cookie"),
    ("request", "capture = { t = { json = 'a' } }",
     "workload.requests[0].capture.t: a JSON pointer starts with '/', got 'a'"),
    ("workload", "setup = [{ path = '/', weight = 2 }]",
     "workload.setup[0].weight: unknown key; known are path, method, name, headers, body, body_file, capture, expect"),
    ("request", "path = '/{file:empty.txt}'",
     "workload.requests[0].path: a file of the workload is empty"),
    ("request", "body_file = 'huge.json'",
     "workload.requests[0].body_file: {root}/huge.json is larger than 16 MiB"),
    ("workload", "requests = [1]", "workload.requests[0]: expected a table, got 1"),
    ("request", "weight = 0", "workload.requests[0].weight: must be greater than 0, got 0"),
    ("request", "weight = inf", "workload.requests[0].weight: must be a finite number, got inf"),
    ("request", "weight = 2024-01-01",
     "workload.requests[0].weight: expected a number, got datetime.date(2024, 1, 1)"),
    ("request", "method = 'GET it'",
     "workload.requests[0].method: 'GET it' cannot be a header's name or a method"),
    ("request", 'headers = { A = "b\\nc" }',
     "workload.requests[0].headers.A: a header's value is one line"),
    ("request", "body_file = 'no'", "workload.requests[0].body_file: there is no file {root}/no"),
    ("request", "body_file = 'body.bin'",
     "workload.requests[0].body_file: {root}/body.bin is not UTF-8 text"),
    ("request", "expect = { status = 99 }", "workload.requests[0].expect.status: must be greater than "
     "or equal to 100, got 99"),
    ("request", "expect = { contain = '' }", "workload.requests[0].expect.contain: unknown key; did "
     'you mean "contains"?; known are status, contains, min_bytes'),
    ("study", "objective = 'speed'", "study.objective: unknown metric 'speed'; known are throughput, "
     "cpu_per_request, latency_p50, latency_p95, latency_p99, memory"),
    ("study", "margin = 2.0", "study.margin: must be less than 1, got 2.0"),
    ("study", "margin = nan", "study.margin: must be less than 1, got nan"),
    ("study", "seed = 1.5", "study.seed: expected a whole number, got 1.5"),
    ("study", "ready_timeout_s = 0", "study.ready_timeout_s: must be greater than 0, got 0"),
]  # fmt: skip

HEADERS = {
    "": "",
    "app": "[app]\n",
    "stack": "[stack]\n",
    "workload": "[workload]\n",
    "request": "[[workload.requests]]\n",
    "study": "[study]\n",
}


@pytest.mark.parametrize(("table", "wrong", "said"), WRONG)
def test_one_wrong_key_is_told_with_its_line(
    write: Write, tmp_path: Path, table: str, wrong: str, said: str
) -> None:
    lines = {
        "": [],
        "app": ["wsgi = 'shop:app'"],
        "stack": ["gunicorn = true"],
        "workload": [],
        "request": ["path = '/'"],
        "study": [],
    }
    key = wrong.partition(" =")[0]
    if "{pyton}" in wrong:
        lines["stack"].append("postgres = true")
    lines[table] = [line for line in lines[table] if not line.startswith(f"{key} =")] + [wrong]
    if key == "requests":
        del lines["request"]
    text = "".join(HEADERS[name] + "\n".join(keys) + "\n" for name, keys in lines.items())
    number = text.splitlines().index(wrong) + 1
    assert mistakes(write(text)) == [f"line {number}  {said.format(root=tmp_path)}"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "",
            [
                "line 1  app: is missing",
                "line 1  stack: is missing",
                "line 1  workload: is missing",
            ],
        ),
        (
            SMALL.replace('wsgi = "shop:app"', ""),
            ['line 2  app: names no app: wsgi = "module:callable", or asgi'],
        ),
        (
            SMALL.replace("gunicorn = true", "nginx = true"),
            ["line 4  stack: names no app server; one of uwsgi, gunicorn, granian, uvicorn"],
        ),
        (
            SMALL.replace("gunicorn", "uvicorn"),
            ["line 5  stack.uvicorn: uvicorn cannot serve an app of kind wsgi"],
        ),
        (
            SMALL.replace("wsgi", "asgi").replace("gunicorn", "uwsgi"),
            ["line 5  stack.uwsgi: uwsgi cannot serve an app of kind asgi"],
        ),
        (
            SMALL.replace("gunicorn = true", "granian = 'nginx.conf'"),
            [
                "line 5  stack.granian: granian reads no file of settings; "
                'use granian = { command = "granian ..." }'
            ],
        ),
        (
            SMALL.replace('path = "/"', 'paht = "/"'),
            [
                'line 7  workload.requests[0].paht: unknown key; did you mean "path"?; known are '
                "path, method, name, headers, body, body_file, capture, expect, weight",
                "line 7  workload.requests[0].path: is missing",
            ],
        ),
        (
            SMALL.replace(
                '{ path = "/" }', '{ path = "/", name = "a" }, { path = "/", name = "a" }'
            ),
            ["line 7  workload.requests[1].name: a second request named 'a'"],
        ),
        (
            SMALL.replace('path = "/"', 'path = "/", body = "", body_file = "ids.txt"'),
            ["line 7  workload.requests[0].body_file: either body or body_file, not both"],
        ),
    ],
)
def test_what_concerns_several_keys(write: Write, text: str, said: list[str]) -> None:
    assert mistakes(write(text)) == said


def test_every_mistake_is_told_at_once_in_the_order_of_lines(write: Write) -> None:
    path = write("""\
        [study]
        seed = "x"
        [stack]
        gunicorn = 1
        uwsgi = "gone.ini"
        [workload]
        requests = [
          { path = "/" },
          { path = "/", weight = -1 },
        ]
        [app]
        asgi = 1
        wsgi = 2
    """)
    assert [line.partition(":")[0] for line in mistakes(path)] == [
        "line 2   study.seed",
        "line 4   stack.gunicorn",
        "line 5   stack.uwsgi",
        "line 5   stack.uwsgi",
        "line 5   stack.uwsgi",
        "line 9   workload.requests[1].weight",
        "line 12  app.asgi",
        "line 12  app.asgi",
        "line 13  app.wsgi",
    ]


def test_a_secret_is_never_quoted(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "hush")
    text = SMALL.replace("[stack]", 'env = { A = 12345, B = "pass{word}", C = ["hush"] }\n[stack]')
    told = "\n".join(mistakes(write(text)))
    assert "12345" not in told
    assert "hush" not in told


@pytest.mark.parametrize(
    ("content", "what", "where"),
    [
        (b"a = 1\nb = ", "the study file is not valid TOML: Invalid value", ", end of document"),
        (b"a = 1\na b\n", "the study file is not valid TOML: Expected '=' after a key in a key/value"
         " pair", ", line 2, column 3"),
        (b"a = 1\nb = '\xff'", "the study file is not UTF-8 text", ", line 2"),
        (b"a = " + b"[" * 100_000, "the study file is nested too deeply", ""),
    ],
)  # fmt: skip
def test_a_file_that_is_no_toml(tmp_path: Path, content: bytes, what: str, where: str) -> None:
    path = tmp_path / "labcoat.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_study(path)
    assert (caught.value.what, caught.value.where) == (what, f"{path}{where}")


@pytest.mark.parametrize(
    ("name", "what"),
    [("gone.toml", "there is no such study file"), (".", "the study file is not a file")],
)
def test_a_file_that_is_no_file(tmp_path: Path, name: str, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_study(tmp_path / name)
    assert caught.value.what == what


def test_a_file_that_cannot_be_read() -> None:
    with pytest.raises(UsageError, match="the study file cannot be read: Input/output error"):
        read_study(Path("/proc/self/mem"))


def test_a_form_wants_its_folder() -> None:
    with pytest.raises(TypeError, match="checked in its folder"):
        StudyForm.model_validate({"app": {"directory": "x"}})


def test_a_byte_order_mark_does_no_harm(write: Write, tmp_path: Path) -> None:
    path = write(SMALL)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_study(path).root == tmp_path


def test_a_symbolic_link_stays_where_it_is(write: Write, tmp_path: Path) -> None:
    real = write(SMALL)
    other = tmp_path / "other"
    other.mkdir()
    (other / "labcoat.toml").symlink_to(real)
    assert read_study(other / "labcoat.toml").root == other


def test_the_nearest_study_above_is_found(write: Write, tmp_path: Path) -> None:
    path = write(SMALL)
    below = tmp_path / "code" / "deep"
    below.mkdir()
    assert find_study(below) == path
    (below / "labcoat.toml").write_text(SMALL)
    assert find_study(below) == below / "labcoat.toml"


def test_no_study_above_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"there is no labcoat\.toml here or in a folder above"):
        find_study(Path(os.sep))


def test_the_components_are_those_of_the_stack() -> None:
    assert [component.name for component in COMPONENTS] == list(PLACES)


def test_the_shop_of_the_examples_reads() -> None:
    shop = Path(__file__).parents[3] / "examples" / "shop" / "labcoat.toml"
    study = read_study(shop)
    assert study.name == "shop"
    assert {component.name for component in study.components} <= set(PLACES)


def test_a_file_with_a_workload_alone(tmp_path: Path) -> None:
    file = tmp_path / "checkout.toml"
    file.write_text('[workload]\nusers = 8\nrequests = [{ path = "/buy", method = "POST" }]\n')
    workload, users = read_workload(file)
    assert (workload.routes, users, workload.base_dir) == (("POST /buy",), 8, str(tmp_path))


def test_a_workload_file_holds_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "checkout.toml"
    file.write_text('name = "x"\n[workload]\nrequests = [{ path = "buy" }]\n')
    with pytest.raises(UsageError, match="2 mistakes") as caught:
        read_workload(file)
    assert caught.value.log[0] == "line 1  name: unknown key; known are workload"
    assert "a path starts with '/'" in caught.value.log[1]


def test_patterns_of_what_may_differ_must_be_patterns(tmp_path: Path) -> None:
    file = tmp_path / "checkout.toml"
    file.write_text('[workload]\nnormalise = ["token=("]\nrequests = [{ path = "/" }]\n')
    with pytest.raises(UsageError) as caught:
        read_workload(file)
    assert "not a regular expression" in caught.value.log[0]


def test_a_workload_of_its_own_file(write: Write, tmp_path: Path) -> None:
    (tmp_path / "load").mkdir()
    (tmp_path / "load" / "ids.txt").write_text("7\n")
    (tmp_path / "load" / "mix.toml").write_text(
        "[workload]\nusers = 5\n"
        "[[workload.setup]]\npath = '/login'\ncapture = { token = { json = '/t' } }\n"
        "[[workload.requests]]\npath = '/{file:ids.txt}?{captured:token}'\n"
    )
    study = read_study(
        write('workload = "load/mix.toml"\n[app]\nwsgi = "shop:app"\n[stack]\ngunicorn = true\n')
    )
    assert (study.users, study.workload.base_dir) == (5, str(tmp_path / "load"))
    assert study.root == tmp_path
    (step,) = study.workload.setup
    assert step.captures == (Capture(name="token", source=Source.JSON, expression="/t"),)


def test_mistakes_of_a_workload_file_are_told_with_its_own_lines(
    write: Write, tmp_path: Path
) -> None:
    study = write('workload = "mix.toml"\n[app]\nwsgi = "shop:app"\n[stack]\ngunicorn = true\n')
    assert mistakes(study) == [f"line 1  workload: there is no file {tmp_path / 'mix.toml'}"]
    (tmp_path / "mix.toml").write_text("[workload]\n\nrequests = [{ path = 'x' }]\n")
    with pytest.raises(UsageError) as caught:
        read_study(study)
    assert caught.value.where == str(tmp_path / "mix.toml")
    assert caught.value.log == (
        "line 3  workload.requests[0].path: a path starts with '/', got 'x'",
    )
