"""Four troubles of a real stack, found, cured, verified and journaled; and one that no cure helps."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from labcoat.errors import JournalError
from labcoat.host.local import LocalHost
from labcoat.host.sandbox import Sandbox
from labcoat.model.study import ComponentSpec
from labcoat.stack import probe
from labcoat.stack.rig import Rig
from labcoat.testing.stack import tiny_study
from labcoat.watch.record.entry import Kind
from labcoat.watch.record.journal import WatchJournal

APP = """\
kept = []
def app(environ, start_response):
    if environ["PATH_INFO"] == "/leak":
        kept.append(b"x" * (200 << 20))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""
NGINX = """\
worker_processes 1;
events { worker_connections 64; }
http {
    server {
        listen 8080;
        location = /up { return 200 "up"; }
        location / { proxy_pass http://127.0.0.1:8000; }
    }
}
"""
CONFIG = "discovery: {plugins: {roster: {hosts: [localhost]}}}\n"
RUNBOOK = """\
name: %(name)s
semantics: labcoat
schedule: {second: "*"}
spread: 0
checks:
  state: {execute_from: target, type: cmd, cmd: %(check)s, timeout: 5}
actions:
  cure: {execute_from: target, type: cmd, cmd: %(cure)s, trigger: 1, frequency: 0, call_on: [CRITICAL],
    verify: {delay: 0, every: 0.5, ok: 2, window: %(window)s}, cooldown: %(cooldown)s, rolling: {max: 1, canary: 0}%(more)s}
%(other)s
"""
PAGE = """\
  page: {execute_from: remote, type: cmd, cmd: %s, manual: true, trigger: 1, frequency: 0, call_on: [CRITICAL]}
"""
PLUGINS = "/usr/lib/nagios/plugins"


def book(name: str, check: str, cure: str, **fields: object) -> str:
    texts = {"name": name, "check": json.dumps(check), "cure": json.dumps(cure)}
    return RUNBOOK % (texts | {"window": 30, "cooldown": 0, "more": "", "other": ""} | fields)


def until(claim: Callable[[], bool], patience_s: float = 60.0) -> None:
    deadline = time.monotonic() + patience_s
    while not claim():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.1)


def watch(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "labcoat", "watch", *arguments],
        cwd=folder,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )


@contextlib.contextmanager
def watching(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "labcoat", "watch", "run", "--act"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
    try:
        yield process
    finally:
        process.terminate()
        assert process.wait(30) == 0, (folder / "said").read_text()


def entries(folder: Path, *kinds: Kind) -> list[tuple[str, dict[str, Any]]]:
    path = folder / ".labcoat" / "watch" / "journal.db"
    try:
        journal = WatchJournal.open(path, read_only=True)
    except JournalError:
        return []  # not yet
    try:
        return [(w.entry.runbook, dict(w.entry.body)) for w in journal.entries(kinds=kinds)]
    finally:
        journal.close()


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_troubles_of_a_real_stack_are_cured_and_a_useless_cure_ends(  # noqa: PLR0915 - one story
    tmp_path: Path, boxes: Path
) -> None:
    assert Path(PLUGINS, "check_http").exists(), "apt-get install monitoring-plugins-basic"
    app, site = tmp_path / "app", tmp_path / "site"
    app.mkdir()
    (site / "runbooks").mkdir(parents=True)
    conf = app / "nginx.conf"
    conf.write_text(NGINX)
    stack = (ComponentSpec(name="nginx", file=conf), ComponentSpec(name="gunicorn"))
    study = tiny_study(app, stack, source=APP)
    host = LocalHost()
    restarted: list[int] = []
    with Sandbox.open(host) as sandbox, Rig(host, sandbox, study) as rig:
        standing = rig.boot("a")
        nginx, gunicorn = standing.layers
        front, behind = nginx.wiring.listen, gunicorn.wiring.listen
        # nginx writes its title over its arguments: "nginx: master process PROGRAM -p ...".
        title = Path(f"/proc/{nginx.process.pid}/cmdline").read_text().rstrip("\0 ")
        argv = title.replace("\0", " ").removeprefix("nginx: master process ").split()
        (site / "nginx-argv").write_text("\0".join(argv))
        cwd = Path(f"/proc/{nginx.process.pid}/cwd").readlink()
        again = (
            f"cd {cwd}; setsid xargs -0 -a {site}/nginx-argv"
            f" sh -c 'echo $$ >> {site}/nginx-pid; exec \"$@\"' _"
            f" >/dev/null 2>>{site}/nginx-said &"
        )
        logs = site / "logs"
        logs.mkdir()
        master = gunicorn.process.pid
        http = f"{PLUGINS}/check_http -t 2 -H 127.0.0.1"
        books = {
            "nginx": book("nginx", f"{http} -p {front.port} -u /up", again),
            "worker": book(
                "worker",
                f"{http} -p {behind.port} -u / -e 200",
                f"kill -KILL $(cat /proc/{master}/task/{master}/children)",
            ),
            "memory": book(
                "memory",
                f"{PLUGINS}/check_procs -p {master} -m RSS -c 150000",
                f"kill -TERM $(cat /proc/{master}/task/{master}/children)",
            ),
            "disk": book(
                "disk",
                f"test $(du -sk {logs} | cut -f1) -lt 4096 || exit 2",
                f"rm -f {logs}/*.1",
            ),
            "never": book(
                "never",
                "exit 2",
                "echo tried >> tried; echo tried",
                window=1,
                more=", breaker: {failures: 2, reset: 30m}, escalate: [page]",
                other=PAGE % json.dumps(f"cat >> {site}/paged"),
            ),
        }
        for name, text in books.items():
            (site / "runbooks" / f"{name}.yml").write_text(text)
        listed = ", ".join(f"{name}.yml" for name in books)
        (site / "runbooks" / "init.yml").write_text(f"'*': [{listed}]\n")
        (site / "config.yml").write_text(CONFIG)
        try:
            with watching(site) as process:
                wanted = {f"{name}.yml" for name in books}
                until(lambda: {path for path, _ in entries(site, Kind.ROUND)} == wanted)

                second = watch("run", folder=site)
                assert (second.returncode, str(process.pid) in second.stderr) == (3, True)

                assert probe.get(behind, "/leak", timeout_s=5.0) is not None
                os.kill(nginx.process.pid, signal.SIGTERM)
                (logs / "access.log.1").write_bytes(b"x" * (8 << 20))

                def cured(*names: str) -> bool:
                    told = entries(site, Kind.VERDICT)
                    return {p for p, b in told if b["outcome"] == "cured"} >= set(names)

                until(lambda: cured("nginx.yml", "memory.yml", "disk.yml"))
                for worker in children(master):
                    os.kill(worker, signal.SIGSTOP)
                until(lambda: cured("worker.yml"))
                until((site / "paged").exists)
                (site / "runbooks" / "disk.yml").write_text("name: [half\n")
                until(lambda: any("disk.yml:" in b["text"] for _, b in entries(site, Kind.FINDING)))
                process.send_signal(signal.SIGHUP)
                before = len([p for p, _ in entries(site, Kind.ROUND) if p == "disk.yml"])
                until(
                    lambda: (
                        len([p for p, _ in entries(site, Kind.ROUND) if p == "disk.yml"]) > before
                    )
                )
        finally:
            if (site / "nginx-pid").exists():
                restarted = [int(word) for word in (site / "nginx-pid").read_text().split()]
            for pid in restarted:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)

    verdicts = entries(site, Kind.VERDICT)
    assert [b["outcome"] for p, b in verdicts if p == "never.yml" and b["action"] == "cure"] == [
        "not-cured",
        "not-cured",
    ]
    assert [b["reason"] for _, b in entries(site, Kind.ESCALATION)] == ["the breaker is open"]
    assert json.loads((site / "paged").read_text())["target"] == "localhost"

    status = watch("status", "--json", folder=site)
    told = json.loads(status.stdout)
    assert status.returncode == 2
    assert {r["runbook"]: r["status"] for r in told["runbooks"]} == {
        "nginx.yml": "OK",
        "worker.yml": "OK",
        "memory.yml": "OK",
        "disk.yml": "OK",
        "never.yml": "CRITICAL",
    }
    assert [(b["runbook"], b["breaker"]) for b in told["board"]["breakers"]] == [
        ("never.yml", "open")
    ]
    verified = watch("history", "--verify", folder=site)
    assert (verified.returncode, "all as they were written" in verified.stdout) == (0, True)
    history = watch("history", "--json", folder=site)
    phases = [
        e["body"]["phase"]
        for e in json.loads(history.stdout)["entries"]
        if e["kind"] == "attempt" and e["runbook"] == "nginx.yml"
    ]
    assert phases[:4] == ["intent", "sent", "done", "verifying"]
    exported = watch("export", folder=site).stdout
    assert (
        'labcoat_watch_status{target="localhost",runbook="nginx.yml",check="state"} 0' in exported
    )
    assert "labcoat_watch_perfdata{" in exported
    assert watch("reset", told["board"]["breakers"][0]["id"], folder=site).returncode == 0
    after = json.loads(watch("status", "--json", folder=site).stdout)
    assert "board" in after, after
    assert after["board"]["breakers"] == []


pytestmark = pytest.mark.timeout(240)
