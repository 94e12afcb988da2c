"""nginx: what lies between it and the app server."""

from __future__ import annotations

from labcoat.knobs.levels import NGINX_SIZES, NGINX_TIMES, always, seen, times_cpus
from labcoat.model.domain import OneOf, Phrase, Quantity, Switch, WholeNumber
from labcoat.model.knob import ApplyCost, Knob, Relief, Safety

_BUFFERS = Phrase(
    pattern=r"(?:[4-9]|\d{2,3}) \d{1,3}k",
    examples=("4 4k", "8 16k", "16 16k", "64 64k"),
    form="NUMBER SIZE, 4 or more",
)

_SHORT = Quantity(units={"s": 1, "m": 60}, low=1, high=3600)
_REPEATS = "The same GET comes again within that time, without login and cookie."
_STALE = (
    "What is served may be that old, and older while it is made anew; pages per user must bring \
a cookie or a login."
)
_CACHE = "one level writes the path, the zone, the key, the bypass, the lock and the stale answers"

UPSTREAM: tuple[Knob, ...] = (
    Knob(
        name="nginx.upstream.keepalive",
        domain=WholeNumber(low=1, high=1024),
        levels=times_cpus(16),
        default=(("", None), ("1.29.7", 32)),
        why="A connection to the app server is used again instead of made anew per request.",
        condition=seen(
            "nginx connects to the app server about once per request.", "nginx.proxy_passes"
        ),
        cost=ApplyCost.RELOAD,
        safety=Safety.SAFE,
        relieves=(Relief.LAYER, Relief.WAITING, Relief.ALL),
        prior=0.03,
        trap="It counts idle connections per worker; the default since 1.29.7 is per location too.",
        constraints=(
            "before 1.29.7: proxy_http_version 1.1 and an empty Connection header",
            "without effect for uwsgi_pass to uWSGI and for Gunicorn's sync workers",
        ),
        source="nginx, ngx_http_upstream_module, keepalive",
    ),
    Knob(
        name="nginx.proxy_pass.keepalive",
        domain=WholeNumber(low=1, high=1024),
        levels=times_cpus(16),
        default=(("", None), ("1.29.7", 32)),
        why="All that it takes to use connections to the app server again: kept idle, HTTP/1.1, "
        "and no Connection header.",
        condition=seen(
            "nginx connects to the app server about once per request.", "nginx.proxy_passes"
        ),
        cost=ApplyCost.RELOAD,
        safety=Safety.SAFE,
        relieves=(Relief.LAYER, Relief.WAITING, Relief.ALL),
        prior=0.2,
        trap="It counts idle connections per worker, each of which may hold a thread of the app.",
        constraints=(
            "proxy_pass to an upstream block",
            "without effect for Gunicorn's sync workers",
            "one level writes upstream keepalive, proxy_http_version and proxy_set_header",
        ),
        needs="1.1.4",
        source="nginx, ngx_http_upstream_module, keepalive",
    ),
    Knob(
        name="nginx.proxy_cache.valid",
        domain=_SHORT,
        levels=always("1s", "5s"),
        default=(("", None),),
        why="Answers to the same GET are kept so long: one request in all that time meets the app.",
        condition=seen(_REPEATS, "nginx.proxy_passes"),
        cost=ApplyCost.RELOAD,
        safety=Safety.SEMANTIC,
        relieves=(Relief.LAYER, Relief.WAITING, Relief.ALL),
        prior=0.3,
        trap=_STALE,
        constraints=(_CACHE, "the file has no proxy_cache of its own"),
        needs="1.11.10",
        source="nginx, ngx_http_proxy_module, proxy_cache, proxy_cache_valid",
    ),
    Knob(
        name="nginx.uwsgi_cache.valid",
        domain=_SHORT,
        levels=always("1s", "5s"),
        default=(("", None),),
        why="Answers to the same GET are kept so long: one request in all that time meets the app.",
        condition=seen(_REPEATS, "nginx.uwsgi_passes"),
        cost=ApplyCost.RELOAD,
        safety=Safety.SEMANTIC,
        relieves=(Relief.LAYER, Relief.WAITING, Relief.ALL),
        prior=0.3,
        trap=_STALE,
        constraints=(_CACHE, "the file has no uwsgi_cache of its own"),
        needs="1.11.10",
        source="nginx, ngx_http_uwsgi_module, uwsgi_cache, uwsgi_cache_valid",
    ),
    Knob(
        name="nginx.upstream.keepalive_requests",
        domain=WholeNumber(low=1, high=1_000_000),
        levels=always(10_000),
        default=(("", 100), ("1.19.10", 1000)),
        why="A connection to the app server is closed after so many requests.",
        condition=seen(
            "Connections are kept, and remade at requests / limit.", "nginx.proxy_passes"
        ),
        cost=ApplyCost.RELOAD,
        safety=Safety.SAFE,
        relieves=(Relief.LAYER, Relief.WAITING, Relief.ALL),
        prior=0.02,
        trap="Memory of a connection is only freed when it closes.",
        needs="1.15.3",
        source="nginx, ngx_http_upstream_module, keepalive_requests",
    ),
    Knob(
        name="nginx.upstream.keepalive_timeout",
        domain=Quantity(units=NGINX_TIMES, low=1000, high=600_000),
        levels=always("4s"),
        default=(("", "60s"),),
        why="nginx lets go of an idle connection before the app server does.",
        condition=seen(
            "Connections are kept, and some requests end in a reset.", "nginx.proxy_passes"
        ),
        cost=ApplyCost.RELOAD,
        safety=Safety.SAFE,
        relieves=(Relief.LAYER, Relief.WAITING, Relief.ALL),
        prior=0.02,
        trap="Too short, and connections are made anew.",
        constraints=("less than the app server's own: Gunicorn 2 s, Uvicorn 5 s",),
        needs="1.15.3",
        source="nginx, ngx_http_upstream_module, keepalive_timeout",
    ),
    Knob(
        name="nginx.proxy_http_version",
        domain=OneOf(("1.0", "1.1")),
        levels=always("1.1"),
        default=(("", "1.0"), ("1.29.7", "1.1")),
        why="HTTP/1.1 allows connections to the app server to be kept.",
        condition=seen(
            "nginx connects to the app server about once per request.", "nginx.proxy_passes"
        ),
        cost=ApplyCost.RELOAD,
        safety=Safety.SAFE,
        relieves=(Relief.LAYER, Relief.WAITING, Relief.ALL),
        prior=0.02,
        trap="Alone it keeps nothing: an upstream block with keepalive is needed too.",
        source="nginx, ngx_http_proxy_module, proxy_http_version",
    ),
    Knob(
        name="nginx.proxy_set_header.Connection",
        domain=OneOf(('""', "close")),
        levels=always('""'),
        default=(("", "close"), ("1.29.7", '""')),
        why="Without the header the app server may keep the connection.",
        condition=seen(
            "nginx connects to the app server about once per request.", "nginx.proxy_passes"
        ),
        cost=ApplyCost.RELOAD,
        safety=Safety.SAFE,
        relieves=(Relief.LAYER, Relief.WAITING, Relief.ALL),
        prior=0.02,
        trap="A block with a proxy_set_header of its own inherits none from outside.",
        source="nginx, ngx_http_proxy_module, proxy_set_header",
    ),
    Knob(
        name="nginx.proxy_buffering",
        domain=Switch(),
        levels=always(False),
        default=(("", True),),
        why="nginx takes the answer at once, and the app's worker is free while a client reads.",
        condition=seen("Clients are slow, and answers are large.", "nginx.proxy_passes"),
        cost=ApplyCost.RELOAD,
        safety=Safety.SEMANTIC,
        relieves=(Relief.LAYER, Relief.WAITING),
        prior=0.02,
        trap="Off, a slow client holds a worker of the app; only streams want it.",
        source="nginx, ngx_http_proxy_module, proxy_buffering",
        control=True,
    ),
    Knob(
        name="nginx.proxy_buffers",
        domain=_BUFFERS,
        levels=always("8 16k", "16 16k"),
        default=(("", "8 4k"),),
        why="An answer that does not fit is written to a temporary file.",
        condition=seen(
            "The log says: upstream response is buffered to a temporary file.", "nginx.proxy_passes"
        ),
        cost=ApplyCost.RELOAD,
        safety=Safety.MEMORY,
        relieves=(Relief.LAYER, Relief.WAITING),
        prior=0.05,
        trap="Connections x number x size is taken; the default size is one memory page.",
        source="nginx, ngx_http_proxy_module, proxy_buffers",
    ),
    Knob(
        name="nginx.proxy_request_buffering",
        domain=Switch(),
        levels=always(False),
        default=(("", True),),
        why="Off, a body goes to the app while it comes in, and is not written down first.",
        condition=seen("Uploads are large.", "nginx.proxy_passes"),
        cost=ApplyCost.RELOAD,
        safety=Safety.SEMANTIC,
        relieves=(Relief.LAYER, Relief.WAITING),
        prior=0.03,
        trap="A slow client then holds a worker of the app, and nothing can be tried again.",
        needs="1.7.11",
        source="nginx, ngx_http_proxy_module, proxy_request_buffering",
    ),
    Knob(
        name="nginx.proxy_max_temp_file_size",
        domain=Quantity(units=NGINX_SIZES, low=1024**2, high=1024**3, words=("0",)),
        levels=always("0"),
        default=(("", "1024m"),),
        why="With 0 no answer is written to the disk.",
        condition=seen(
            "The log says: upstream response is buffered to a temporary file.", "nginx.proxy_passes"
        ),
        cost=ApplyCost.RELOAD,
        safety=Safety.SEMANTIC,
        relieves=(Relief.LAYER, Relief.WAITING),
        prior=0.03,
        trap="The app's worker then waits for the client once the buffers are full.",
        source="nginx, ngx_http_proxy_module, proxy_max_temp_file_size",
    ),
    Knob(
        name="nginx.uwsgi_buffering",
        domain=Switch(),
        levels=always(False),
        default=(("", True),),
        why="nginx takes the answer at once, and the app's worker is free while a client reads.",
        condition=seen("Clients are slow, and answers are large.", "nginx.uwsgi_passes"),
        cost=ApplyCost.RELOAD,
        safety=Safety.SEMANTIC,
        relieves=(Relief.LAYER, Relief.WAITING),
        prior=0.02,
        trap="Off, a slow client holds a worker of the app; only streams want it.",
        source="nginx, ngx_http_uwsgi_module, uwsgi_buffering",
        control=True,
    ),
    Knob(
        name="nginx.uwsgi_buffers",
        domain=_BUFFERS,
        levels=always("8 16k", "16 16k"),
        default=(("", "8 4k"),),
        why="An answer that does not fit is written to a temporary file.",
        condition=seen(
            "The log says: upstream response is buffered to a temporary file.", "nginx.uwsgi_passes"
        ),
        cost=ApplyCost.RELOAD,
        safety=Safety.MEMORY,
        relieves=(Relief.LAYER, Relief.WAITING),
        prior=0.05,
        trap="Connections x number x size is taken; the default size is one memory page.",
        source="nginx, ngx_http_uwsgi_module, uwsgi_buffers",
    ),
)
