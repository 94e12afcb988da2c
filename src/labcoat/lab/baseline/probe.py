"""One call of the app, over and over, with no server around it.

A program of its own, started under the app's interpreter, which may have none of
labcoat's packages: the standard library only, and of ours nothing but the file that the
order names, which is like that too. It speaks
through files in a folder: reads ``order.json``, makes ``ready`` when warm, waits for
``go``, measures, leaves ``result.json``. Pinned to one CPU, so that c of them at once
load c CPUs as workers would.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import io
import json
import os
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

# What the server in front would fill in; names from PEP 3333.
_BARE = ("CONTENT_TYPE", "CONTENT_LENGTH")
_SERVER = {"SERVER_NAME": "127.0.0.1", "SERVER_PORT": "80", "REMOTE_ADDR": "127.0.0.1"}


class Call:
    """A request of the mix, ready to be made again and again."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.route = order["route"]
        self.method = order["method"]
        self.path, _, self.query = order["path"].partition("?")
        self.headers = order["headers"]
        self.body = order["body"].encode("utf-8")
        self.captures = order.get("captures", [])
        self.statuses = order.get("statuses", [])

    def environ(self, cookie: str) -> dict[str, Any]:
        """A fresh WSGI environ, as a server would make it."""
        environ = {
            **_SERVER,
            "REQUEST_METHOD": self.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": _unquote(self.path),
            "QUERY_STRING": self.query,
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(self.body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": False,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        for name, value in self.headers:
            key = name.upper().replace("-", "_")
            environ[key if key in _BARE else f"HTTP_{key}"] = value
        if cookie:
            environ["HTTP_COOKIE"] = cookie
        return environ

    def scope(self, cookie: str) -> dict[str, Any]:
        """A fresh ASGI scope, as a server would make it."""
        headers = [(n.lower().encode(), v.encode()) for n, v in self.headers]
        if cookie:
            headers.append((b"cookie", cookie.encode()))
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": _unquote(self.path),
            "raw_path": self.path.encode(),
            "query_string": self.query.encode(),
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 80),
            "state": {},
        }


def _unquote(path: str) -> str:
    return unquote_to_bytes(path).decode("latin-1")


class Jar:
    """The cookies of one user: name -> value, without attributes."""

    def __init__(self, *, kept: bool) -> None:
        self.kept = kept
        self.cookies: dict[str, Any] = {}

    def take(self, value: str) -> None:
        """Keep what a Set-Cookie header says."""
        if self.kept:
            name, _, content = value.partition(";")[0].partition("=")
            self.cookies[name.strip()] = content.strip()

    def header(self) -> str:
        """The Cookie header to send."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())


class Answer:
    """What a step of the set-up was answered: headers, and pieces of the body."""

    def __init__(self) -> None:
        self.headers: list[Any] = []
        self.pieces: list[bytes] = []


def call_wsgi(app: Any, call: Call, jar: Jar, kept: Answer | None = None) -> int:
    """Make one call, consume the body as a server must, return the status."""
    answer: list[Any] = []

    def start_response(status: str, headers: list[Any], _exc_info: object = None) -> object:
        answer[:] = [status]
        for name, value in headers:
            if name.lower() == "set-cookie":
                jar.take(value)
        if kept is not None:
            kept.headers = list(headers)
        return lambda _chunk: None

    body = app(call.environ(jar.header()), start_response)
    try:
        for chunk in body:
            if kept is not None:
                kept.pieces.append(chunk)
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()
    return int(answer[0][:3])


async def call_asgi(app: Any, call: Call, jar: Jar, kept: Answer | None = None) -> int:
    """Make one call and take every message of the answer, return the status."""
    status = 0
    given = False

    async def receive() -> dict[str, Any]:
        nonlocal given
        if given:
            return {"type": "http.disconnect"}
        given = True
        return {"type": "http.request", "body": call.body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            for name, value in message.get("headers", ()):
                if name.lower() == b"set-cookie":
                    jar.take(value.decode("latin-1"))
                if kept is not None:
                    kept.headers.append((name.decode("latin-1"), value.decode("latin-1")))
        elif kept is not None and message["type"] == "http.response.body":
            kept.pieces.append(message.get("body", b""))

    await app(call.scope(jar.header()), receive, send)
    return status


class Tally:
    """Calls, CPU and wall seconds, per route."""

    def __init__(self) -> None:
        self.calls: dict[str, Any] = {}
        self.cpu_ns: dict[str, Any] = {}
        self.wall_ns: dict[str, Any] = {}
        self.refused = 0

    def add(self, route: str, cpu_ns: int, wall_ns: int, status: int) -> None:
        """Count one call."""
        self.calls[route] = self.calls.get(route, 0) + 1
        self.cpu_ns[route] = self.cpu_ns.get(route, 0) + cpu_ns
        self.wall_ns[route] = self.wall_ns.get(route, 0) + wall_ns
        self.refused += status >= 400

    def document(self, started: int, ended: int) -> dict[str, Any]:
        """What is printed: seconds, per route."""
        return {
            "calls": self.calls,
            "cpu_s": {route: ns / 1e9 for route, ns in self.cpu_ns.items()},
            "wall_s": {route: ns / 1e9 for route, ns in self.wall_ns.items()},
            "refused": self.refused,
            "elapsed_s": (ended - started) / 1e9,
        }


def measure_wsgi(app: Any, calls: list[Any], jar: Jar, seconds: float) -> Tally:
    """Call the app in the order of the mix until the time is over."""
    tally = Tally()
    clock, cpu = time.perf_counter_ns, time.process_time_ns
    end = clock() + int(seconds * 1e9)
    while True:
        for call in calls:
            wall, used = clock(), cpu()
            status = call_wsgi(app, call, jar)
            now = clock()
            tally.add(call.route, cpu() - used, now - wall, status)
            if now >= end:
                return tally


async def measure_asgi(app: Any, calls: list[Any], jar: Jar, seconds: float) -> Tally:
    """The same for an ASGI app, one call at a time."""
    tally = Tally()
    clock, cpu = time.perf_counter_ns, time.process_time_ns
    end = clock() + int(seconds * 1e9)
    while True:
        for call in calls:
            wall, used = clock(), cpu()
            status = await call_asgi(app, call, jar)
            now = clock()
            tally.add(call.route, cpu() - used, now - wall, status)
            if now >= end:
                return tally


async def _with_lifespan(app: Any, work: Any) -> dict[str, Any]:
    """Start the ASGI app up as a server would, do the work, shut it down."""
    inbox: asyncio.Queue[Any] = asyncio.Queue()
    outbox: asyncio.Queue[Any] = asyncio.Queue()
    await inbox.put({"type": "lifespan.startup"})
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    task = asyncio.ensure_future(app(scope, inbox.get, outbox.put))
    started = asyncio.ensure_future(outbox.get())
    # An app without lifespan support raises: then there is nothing to start.
    await asyncio.wait({task, started}, return_when=asyncio.FIRST_COMPLETED)
    result: dict[str, Any] = await work()
    if not task.done():
        await inbox.put({"type": "lifespan.shutdown"})
        await asyncio.wait({task}, timeout=5.0)
    started.cancel()
    task.cancel()
    return result


def load_app(target: str) -> Any:
    """The app object that ``module:callable`` names."""
    module, _, attribute = target.partition(":")
    found: Any = importlib.import_module(module)
    for name in (attribute or "application").split("."):
        found = getattr(found, name)
    return found


def _await_start(folder: Path) -> None:
    """Say that the app is warm, and wait for the signal that all probes share."""
    (folder / "ready").touch()
    go = folder / "go"
    while not go.exists():
        time.sleep(0.002)


class Visitor:
    """The one user of this probe: it fills what it captured into what it sends next."""

    def __init__(self, order: dict[str, Any]) -> None:
        spec = importlib.util.spec_from_file_location("captures", order["captures"])
        if spec is None or spec.loader is None:
            raise RuntimeError("cannot load " + order["captures"])
        self.captures: Any = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.captures)
        self.values = {"user": str(order["user"])}

    def call(self, order: dict[str, Any]) -> Call:
        """The call with its gaps filled."""
        fill = self.captures.fill
        given = [(name, fill(value, self.values)) for name, value in order["headers"]]
        kinds = [value for name, value in order["headers"] if name.lower() == "content-type"]
        spell = self.captures.in_body(kinds[-1] if kinds else "")
        body = fill(order["body"], self.values, spell)
        length = str(len(body.encode("utf-8")))  # of a body with gaps it was not known before
        return Call(
            {
                **order,
                "path": fill(order["path"], self.values, self.captures.in_path),
                "headers": [
                    (name, length if name.lower() == "content-length" else value)
                    for name, value in given
                ],
                "body": body,
            }
        )

    def learn(self, call: Call, status: int, answer: Answer) -> None:
        """Take what the step captures. Raises: RuntimeError naming the step."""
        if status not in call.statuses and (call.statuses or status >= 400):
            raise RuntimeError(f"the set-up's step {call.route!r} was answered with {status}")
        for name, source, expression in call.captures:
            found = self.captures.find(
                source,
                expression,
                headers=answer.headers,
                body=lambda: b"".join(answer.pieces).decode("utf-8", "replace"),
            )
            if found is None:
                raise RuntimeError(f"the answer to {call.route!r} does not hold {name!r}")
            self.values[name] = found


def measure(order: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Load the app, set its user up, warm it, wait for the signal, measure."""
    app = load_app(order["target"])
    jar = Jar(kept=order["cookies"])
    visitor = Visitor(order)
    seconds, warmup_s = order["seconds"], order["warmup_s"]
    if order["interface"] == "wsgi":
        for each in order["setup"]:
            step, answer = visitor.call(each), Answer()
            visitor.learn(step, call_wsgi(app, step, jar, answer), answer)
        calls = [visitor.call(each) for each in order["calls"]]
        measure_wsgi(app, calls, jar, warmup_s)
        _await_start(folder)
        started = time.monotonic_ns()
        tally = measure_wsgi(app, calls, jar, seconds)
        return tally.document(started, time.monotonic_ns())

    async def work() -> dict[str, Any]:
        for each in order["setup"]:
            step, answer = visitor.call(each), Answer()
            visitor.learn(step, await call_asgi(app, step, jar, answer), answer)
        calls = [visitor.call(each) for each in order["calls"]]
        await measure_asgi(app, calls, jar, warmup_s)
        _await_start(folder)
        began = time.monotonic_ns()
        done = await measure_asgi(app, calls, jar, seconds)
        return done.document(began, time.monotonic_ns())

    return asyncio.run(_with_lifespan(app, work))


def main(folder: Path) -> None:
    """Read ``order.json`` in the folder, measure, leave ``result.json`` there."""
    order = json.loads((folder / "order.json").read_text(encoding="utf-8"))
    if order["cpu"] is not None:
        os.sched_setaffinity(0, {order["cpu"]})
    sys.path[0] = order["directory"]  # was this file's own folder
    document = measure(order, folder)
    half = folder / "result.half"
    half.write_text(json.dumps(document), encoding="utf-8")
    half.rename(folder / "result.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
