"""The stack itself: which program serves the app."""

from __future__ import annotations

from labcoat.knobs.levels import always
from labcoat.model.domain import OneOf
from labcoat.model.knob import ApplyCost, Condition, Knob, Relief, Safety

STACK: tuple[Knob, ...] = (
    Knob(
        name="stack.server",
        domain=OneOf(("gunicorn", "uwsgi", "granian")),
        levels=always("granian", "gunicorn", "uwsgi"),
        default=(("", None),),
        why="Another server spends another amount of CPU around each call of the app.",
        condition=Condition(text="The server takes a share of a request beside the app."),
        cost=ApplyCost.REBUILD,
        safety=Safety.SEMANTIC,
        relieves=(Relief.LAYER, Relief.APP, Relief.WAITING),
        prior=0.08,
        trap="Another program to run, watch and update; what it does on a timeout, a large request"
        " or a reload differs, and so does what the app is told (REMOTE_ADDR, SCRIPT_NAME).",
        constraints=(
            "the app is WSGI, and the other server is installed beside it or on PATH",
            "of the old files processes, threads, queue, log and address go over, and nothing else",
        ),
        source="nginx, ngx_http_proxy_module, proxy_pass; uWSGI, Native HTTP support, http-socket",
    ),
)
