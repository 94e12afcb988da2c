"""nginx: its knobs."""

from __future__ import annotations

from labcoat.knobs.levels import NGINX_SIZES, always, per_cpu, times_cpus
from labcoat.model.domain import Quantity, Switch, WholeNumber
from labcoat.model.knob import ApplyCost, Condition, Knob, Safety

NGINX: tuple[Knob, ...] = (
    Knob(
        name="nginx.worker_processes",
        domain=WholeNumber(low=1, high=per_cpu(4), words=("auto",)),
        levels=times_cpus(1, 2),
        default=(("", 1),),
        why="More event loops use more cores, and hide reads that block one of them.",
        condition=Condition(text="A worker uses 90 % of a core, or blocks on the disk."),
        cost=ApplyCost.RELOAD,
        safety=Safety.SAFE,
        trap="auto counts the CPUs online, not the container's quota.",
        source="nginx, ngx_core_module, worker_processes",
    ),
    Knob(
        name="nginx.gzip",
        domain=Switch(),
        levels=always(True, False),
        default=(("", False),),
        why="Fewer bytes on the wire for CPU spent here.",
        condition=Condition(text="The network is the limit, or compression is and can go."),
        cost=ApplyCost.RELOAD,
        safety=Safety.SAFE,
        trap="Costs CPU for every answer; clients must send Accept-Encoding.",
        source="nginx, ngx_http_gzip_module, gzip",
    ),
    Knob(
        name="nginx.limit_rate",
        domain=Quantity(units=NGINX_SIZES, low=1024, high=1024 * 1024 * 1024, words=("0",)),
        levels=always("64k"),
        default=(("", "0"),),
        why="Each answer is sent at so many bytes per second and no faster.",
        condition=Condition(text="Answers are larger than what a second may send."),
        cost=ApplyCost.RELOAD,
        safety=Safety.SEMANTIC,
        trap="Every large answer becomes slow; that is its purpose.",
        source="nginx, ngx_http_core_module, limit_rate",
        control=True,
    ),
)
