"""The command lines of the app servers, one row each: options, short forms, flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from labcoat.model.study import Interface


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """How one server's command line is read.

    ``flags``: options without a value, spelled long. ``short``: letter -> long option.
    ``renamed``: long option -> what the study calls it. ``dashes``: whether the study spells
    options with dashes. ``left_out``: option -> why it is not measured; the sandbox has its
    own. ``elsewhere``: options that are told otherwise than as an option (file, folder, app).
    ``prefix``: of variables that are options too.
    """

    name: str
    interface: Interface | None
    flags: frozenset[str]
    elsewhere: frozenset[str]
    dashes: bool = True
    short: Mapping[str, str] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""
    modules: frozenset[str] = frozenset()


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TLS = "TLS belongs to nginx in the sandbox"
_RELOAD = "it changes workers while they are measured"
_OWNER = "the sandbox belongs to whoever starts it"
_LEAVES = "it leaves the sandbox"

GUNICORN = Grammar(
    name="gunicorn",
    interface=None,
    dashes=False,
    flags=_words(
        """check-config daemon disable-redirect-access-to-syslog enable-stdio-inheritance
        initgroups log-syslog no-control-socket no-sendfile permit-obsolete-folding
        preload print-config proxy-protocol reload reuse-port spew strip-header-spaces
        suppress-ragged-eofs do-handshake-on-connect"""
    ),
    short={
        "b": "bind", "c": "config", "D": "daemon", "e": "env", "g": "group", "k": "worker-class",
        "m": "umask", "n": "name", "p": "pid", "R": "enable-stdio-inheritance", "t": "timeout",
        "u": "user", "w": "workers",
    },
    renamed={
        "access-logfile": "accesslog", "access-logformat": "access_log_format",
        "error-logfile": "errorlog", "keep-alive": "keepalive", "log-config": "logconfig",
        "log-file": "errorlog", "log-level": "loglevel", "log-syslog": "syslog",
        "name": "proc_name", "no-sendfile": "sendfile", "pid": "pidfile", "preload": "preload_app",
    },
    left_out={
        "ca-certs": _TLS, "certfile": _TLS, "check-config": "it starts nothing",
        "daemon": _LEAVES, "group": _OWNER, "keyfile": _TLS, "pid": "the sandbox has its own",
        "print-config": "it starts nothing", "reload": _RELOAD,
        "reload-engine": _RELOAD, "reload-extra-file": _RELOAD, "statsd-host": _LEAVES,
        "umask": _OWNER, "user": _OWNER,
    },
    elsewhere=frozenset({"chdir", "config", "env", "paste", "paster", "pythonpath"}),
    modules=frozenset({"gunicorn", "gunicorn.app.wsgiapp"}),
)  # fmt: skip

UWSGI = Grammar(
    name="uwsgi",
    interface=Interface.WSGI,
    flags=_words(
        """auto-procname die-on-term disable-logging enable-threads http-keepalive lazy
        lazy-apps log-4xx log-5xx log-master log-slow manage-script-name master memory-
        report need-app no-orphans single-interpreter strict thunder-lock vacuum
        harakiri-verbose ignore-sigpipe ignore-write-errors disable-write-exception
        wsgi-disable-file-wrapper"""
    ),
    short={
        "b": "buffer-size", "d": "daemonize", "H": "home", "i": "single-interpreter",
        "L": "disable-logging", "l": "listen", "M": "master", "p": "processes", "R": "max-requests",
        "s": "socket", "t": "harakiri", "w": "module", "x": "xml", "y": "yaml",
        "z": "socket-timeout",
    },
    renamed={"workers": "processes", "wsgi": "module"},
    left_out={
        "attach-daemon": "it starts programs that nobody measures",
        "daemonize": _LEAVES, "emperor": "an emperor starts stacks of its own", "gid": _OWNER,
        "https": _TLS, "logto": "logs stay in the sandbox", "pidfile": "the sandbox has its own",
        "py-autoreload": _RELOAD, "uid": _OWNER,
    },
    elsewhere=_words(
        """callable chdir env file home ini ini-paste ini-paste-logged json module paste
        plugin plugins pythonpath virtualenv venv wsgi-file xml yaml yml"""
    ),
    prefix="UWSGI_",
)  # fmt: skip

GRANIAN = Grammar(
    name="granian",
    interface=None,
    flags=_words(
        """access-log factory log process-name reload respawn-failed-workers ws"""
    ),
    left_out={
        "reload": _RELOAD, "ssl-certificate": _TLS, "ssl-keyfile": _TLS,
        "pid-file": "the sandbox has its own",
    },
    elsewhere=frozenset({"interface", "working-dir", "env-files"}),
    prefix="GRANIAN_",
    modules=frozenset({"granian"}),
)  # fmt: skip

UVICORN = Grammar(
    name="uvicorn",
    interface=Interface.ASGI,
    flags=_words(
        """access-log date-header factory proxy-headers reload server-header use-colors"""
    ),
    left_out={
        "fd": "the sandbox opens the socket", "reload": _RELOAD, "reload-dir": _RELOAD,
        "reload-exclude": _RELOAD, "reload-include": _RELOAD, "ssl-certfile": _TLS,
        "ssl-keyfile": _TLS,
    },
    elsewhere=frozenset({"app-dir", "env-file"}),
    prefix="UVICORN_",
    modules=frozenset({"uvicorn"}),
)  # fmt: skip

GRAMMARS: tuple[Grammar, ...] = (GUNICORN, UWSGI, GRANIAN, UVICORN)
LISTENS = frozenset(
    {"bind", "host", "http", "http-socket", "port", "socket", "uds", "uwsgi-socket"}
)
OTHERS = ("bjoern", "cherryd", "daphne", "hypercorn", "meinheld", "waitress-serve")
