"""Headroom: what the generator reaches where there is nothing to wait for."""

from __future__ import annotations

from labcoat.errors import StackError
from labcoat.host.base import Launch
from labcoat.host.sandbox import Sandbox
from labcoat.lab.trial.events import PhaseFinished, PhaseStarted
from labcoat.lab.trial.workbench import Workbench
from labcoat.load.summary import summarise
from labcoat.model.load import ClosedLoop, Target, Window
from labcoat.model.stack import Speaks
from labcoat.model.workload import RequestTemplate, Workload
from labcoat.stack.binaries import locate

WINDOW = Window(warmup_s=0.5, measure_s=2.0)
STATIC = Workload(requests=(RequestTemplate(path="/", name="static"),), cookies=False)
_NGINX = """daemon off;
worker_processes 1;
pid {root}/nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {root}/body;
  proxy_temp_path {root}/proxy;
  server {{ listen {address} backlog=4096; location / {{ return 200 "ok"; }} }}
}}
"""


def measure_headroom(bench: Workbench, sandbox: Sandbox) -> float | None:
    """Requests per second against an nginx that answers two bytes; None without nginx.

    The same number of users as the study's. Science.md section 7 asks for three times
    the stack's own throughput, or the generator may be the limit.
    """
    try:
        located = locate("nginx", app=bench.study.app, host=bench.host)
    except StackError:
        return None
    bench.tell(PhaseStarted(name="headroom", expected_s=WINDOW.warmup_s + WINDOW.measure_s))
    root = sandbox.directory("headroom")
    endpoint = sandbox.endpoint(Speaks.HTTP, unix=False, name="headroom")
    file = root / "nginx.conf"
    sandbox.write(file, _NGINX.format(root=root, address=endpoint.address))
    launch = Launch(
        name="headroom-nginx",
        argv=(*located.argv, "-p", str(root), "-c", str(file), "-e", "stderr"),
        cwd=root,
        log=root / "log",
    )
    process = sandbox.start(launch, ready=lambda _: bench.host.answers(endpoint), timeout_s=10.0)
    target = Target(url=endpoint.url)
    plan = ClosedLoop(users=bench.study.users)
    measurement = bench.generator.load(target, STATIC, plan, WINDOW, seed=bench.study.seed)
    bench.generator.forget(target)
    sandbox.stop(process)
    reached = summarise(measurement).throughput_per_s
    bench.tell(PhaseFinished(name="headroom", summary=f"the generator reaches {reached:,.0f}/s"))
    return reached
