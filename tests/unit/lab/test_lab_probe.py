"""The app called in process, by the program that labcoat starts under the app's interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from labcoat.lab.baseline.ceiling import PROBE
from labcoat.load import captures

pytestmark = pytest.mark.slow

HOME = {
    "route": "home",
    "method": "GET",
    "path": "/a%20b?q=1%202",
    "headers": [["Host", "shop"]],
    "body": "",
}
BUY = {
    "route": "buy",
    "method": "POST",
    "path": "/buy",
    "headers": [["Content-Type", "text/plain"], ["Content-Length", "6"], ["X-Two-Words", "yes"]],
    "body": "item=1",
}  # fmt: skip

WSGI = """
import json, os
from pathlib import Path
closed = 0

class Body:
    def __iter__(self): return iter([b"a", b"b"])
    def close(self):
        global closed
        closed += 1
        Path("closed").write_text(str(closed))

def app(environ, start_response):
    if environ["REQUEST_METHOD"] == "POST":
        seen = {k: v for k, v in environ.items() if isinstance(v, str)}
        seen["body"] = environ["wsgi.input"].read().decode()
        Path("buy.json").write_text(json.dumps(seen))
        start_response("404 Not Found", [])
        return [b""]
    home = {k: v for k, v in environ.items() if isinstance(v, str)}
    Path("home.json").write_text(json.dumps(home))
    start_response("200 OK", [("Set-Cookie", "user=7; Path=/"), ("Set-Cookie", "cart=2")])
    return Body()

class wrapped:
    inner = app
"""

ASGI = """
import json
from pathlib import Path

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        LIFESPAN
    message = await receive()
    assert (await receive())["type"] == "http.disconnect"
    seen = {k: v for k, v in scope.items() if isinstance(v, str)}
    seen["headers"] = {n.decode(): v.decode() for n, v in scope["headers"]}
    seen["raw_path"], seen["query"] = scope["raw_path"].decode(), scope["query_string"].decode()
    seen["body"] = message["body"].decode()
    Path(scope["path"].strip("/").replace(" ", "") + ".json").write_text(json.dumps(seen))
    status = 404 if scope["method"] == "POST" else 200
    headers = [(b"set-cookie", b"user=7; Path=/"), (b"x", b"y")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"ab"})
"""

SUPPORTED = """
        await receive()
        Path("started").touch()
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        Path("stopped").touch()
        await send({"type": "lifespan.shutdown.complete"})
        return
"""


def probe(
    folder: Path,
    source: str,
    *,
    interface: str = "wsgi",
    target: str = "tinyapp:app",
    cookies: bool = True,
    calls: tuple[dict[str, Any], ...] = (HOME, BUY),
    setup: tuple[dict[str, Any], ...] = (),
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any] | None]:
    """Run the probe as ``measure_calls`` does, in a folder of its own."""
    (folder / "tinyapp.py").write_text(textwrap.dedent(source))
    box = folder / "box"
    box.mkdir()
    order = {
        "cpu": None,
        "directory": str(folder),
        "target": target,
        "interface": interface,
        "cookies": cookies,
        "seconds": 0.05,
        "warmup_s": 0.01,
        "captures": captures.__file__,
        "user": 3,
        "setup": setup,
        "calls": calls,
    }
    (box / "order.json").write_text(json.dumps(order))
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(PROBE), str(box)],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while not (box / "ready").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    assert not (box / "result.json").exists()  # it waits for the signal that all share
    (box / "go").touch()
    out, err = process.communicate(timeout=30)
    done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
    result = box / "result.json"
    return done, json.loads(result.read_text()) if result.exists() else None


def check(result: dict[str, Any] | None) -> None:
    """Every other call is ``home``; CPU fits into the wall time; half of them are refused."""
    assert result is not None
    home, buy = result["calls"]["home"], result["calls"]["buy"]
    assert home >= 1
    assert 0 <= home - buy <= 1
    assert result["refused"] == buy
    assert sum(result["cpu_s"].values()) > 0
    assert sum(result["wall_s"].values()) <= result["elapsed_s"]


def test_a_wsgi_app_is_called_as_its_server_calls_it(tmp_path: Path) -> None:
    done, result = probe(tmp_path, WSGI)
    assert (done.returncode, done.stderr) == (0, "")
    check(result)
    home = json.loads((tmp_path / "home.json").read_text())
    assert (home["PATH_INFO"], home["QUERY_STRING"]) == ("/a b", "q=1%202")
    assert (home["HTTP_HOST"], home["wsgi.url_scheme"]) == ("shop", "http")
    assert home["HTTP_COOKIE"] == "user=7; cart=2"
    buy = json.loads((tmp_path / "buy.json").read_text())
    assert (buy["body"], buy["CONTENT_LENGTH"], buy["CONTENT_TYPE"]) == (
        "item=1",
        "6",
        "text/plain",
    )
    assert buy["HTTP_X_TWO_WORDS"] == "yes"
    assert int((tmp_path / "closed").read_text()) >= 2  # in the warm-up as well


def test_cookies_are_dropped_where_the_workload_drops_them(tmp_path: Path) -> None:
    _, result = probe(tmp_path, WSGI, cookies=False)
    check(result)
    assert "HTTP_COOKIE" not in json.loads((tmp_path / "home.json").read_text())


def test_a_dotted_target_is_found(tmp_path: Path) -> None:
    _, result = probe(tmp_path, WSGI, target="tinyapp:wrapped.inner")
    check(result)


def test_a_target_without_a_callable_is_named_application(tmp_path: Path) -> None:
    _, result = probe(tmp_path, WSGI + "\napplication = app\n", target="tinyapp")
    check(result)


@pytest.mark.parametrize("lifespan", [SUPPORTED, 'raise RuntimeError("no lifespan")', "return"])
def test_an_asgi_app_is_called_as_its_server_calls_it(tmp_path: Path, lifespan: str) -> None:
    done, result = probe(tmp_path, ASGI.replace("LIFESPAN", lifespan.strip()), interface="asgi")
    assert done.returncode == 0, done.stderr
    check(result)
    home = json.loads((tmp_path / "ab.json").read_text())
    assert (home["path"], home["raw_path"], home["query"]) == ("/a b", "/a%20b", "q=1%202")
    assert home["headers"] == {"host": "shop", "cookie": "user=7"}
    assert json.loads((tmp_path / "buy.json").read_text())["body"] == "item=1"
    is_supported = lifespan == SUPPORTED
    assert (tmp_path / "started").exists() == (tmp_path / "stopped").exists() == is_supported


@pytest.mark.parametrize(
    ("source", "interface", "said"),
    [
        (
            "def app(environ, start_response): raise KeyError('no such user')",
            "wsgi",
            "no such user",
        ),
        (
            "async def app(scope, receive, send): raise KeyError('no such user')",
            "asgi",
            "no such user",
        ),
        ("import a_module_that_is_not_there", "wsgi", "a_module_that_is_not_there"),
        ("application = None", "wsgi", "has no attribute 'app'"),
    ],
)
def test_an_app_that_fails_leaves_its_last_words_and_no_result(
    tmp_path: Path, source: str, interface: str, said: str
) -> None:
    done, result = probe(tmp_path, source, interface=interface)
    assert done.returncode == 1
    assert said in done.stderr
    assert result is None


LOGIN = """
from urllib.parse import parse_qs

def app(environ, start_response):
    form = parse_qs(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode())
    known = environ.get("HTTP_COOKIE") == "session=3"
    if environ["PATH_INFO"] == "/login" and environ["REQUEST_METHOD"] == "GET":
        start_response("200 OK", [("X-Token", "a+b")])
        return [b"<form>"]
    if environ["PATH_INFO"] == "/login" and form == {"token": ["a+b"], "name": ["u3"]}:
        start_response("303 See Other", [("Set-Cookie", "session=3")])
        return [b""]
    allowed = known and environ["QUERY_STRING"] == "t=a%2Bb"
    start_response("200 OK" if allowed else "403 Forbidden", [])
    return [b""]
"""

STEPS: tuple[dict[str, Any], ...] = (
    {"route": "form", "method": "GET", "path": "/login", "headers": [], "body": "",
     "captures": [["token", "header", "x-token"]], "statuses": []},
    {"route": "login", "method": "POST", "path": "/login",
     "headers": [["Content-Type", captures.FORM], ["Content-Length", "0"]],
     "body": f"token={captures.mark('token')}&name=u{captures.mark('user')}",
     "captures": [], "statuses": [303]},
)  # fmt: skip
ACCOUNT = {**HOME, "path": f"/account?t={captures.mark('token')}"}


def test_the_user_of_a_probe_logs_in_before_the_mix(tmp_path: Path) -> None:
    _, result = probe(tmp_path, LOGIN, setup=STEPS, calls=(ACCOUNT,))
    assert result is not None
    assert (result["refused"], result["calls"]["home"] > 0) == (0, True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"path": "/elsewhere"}, "the set-up's step 'form' was answered with 403"),
        ({"captures": [["token", "json", "/no"]]}, "the answer to 'form' does not hold 'token'"),
    ],
)
def test_a_set_up_that_fails_in_process_is_named(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    process, result = probe(tmp_path, LOGIN, setup=({**STEPS[0], **change},), calls=(ACCOUNT,))
    assert result is None
    assert said in process.stderr
