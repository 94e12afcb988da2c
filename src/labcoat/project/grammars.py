"""The app servers that a command line may start, one row each.

How options are spelled the stack knows; here is what becomes of them in a study.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from labcoat.model.study import Interface
from labcoat.stack.base import Component
from labcoat.stack.edit.command import Grammar
from labcoat.stack.servers import granian, gunicorn, uvicorn, uwsgi


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One server. ``modules``: what ``python -m`` calls it.

    ``left_out``: setting -> why it is not measured. ``elsewhere``: settings that the study says
    otherwise than as an option (file, folder, app). ``prefix``: of variables that are options
    too. ``interface``: the only one that it serves, or None.
    """

    component: type[Component]
    grammar: Grammar
    interface: Interface | None = None
    elsewhere: frozenset[str]
    left_out: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""
    modules: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Its name in a study."""
        return self.grammar.program


_TLS = "TLS belongs to nginx in the sandbox"
_RELOAD = "it changes workers while they are measured"
_OWNER = "the sandbox belongs to whoever starts it"
_LEAVES = "it leaves the sandbox"
_OWN = "the sandbox has its own"
_NOTHING = "it starts nothing"

GUNICORN = Program(
    component=gunicorn.Gunicorn,
    grammar=gunicorn.GRAMMAR,
    left_out={
        "ca_certs": _TLS, "certfile": _TLS, "check_config": _NOTHING, "daemon": _LEAVES,
        "group": _OWNER, "keyfile": _TLS, "pidfile": _OWN, "print_config": _NOTHING,
        "reload": _RELOAD, "reload_engine": _RELOAD, "reload_extra_files": _RELOAD,
        "statsd_host": _LEAVES, "umask": _OWNER, "user": _OWNER,
    },
    elsewhere=frozenset({"chdir", "config", "paste", "pythonpath", "raw_env", "wsgi_app"}),
    modules=frozenset({"gunicorn", "gunicorn.app.wsgiapp"}),
)  # fmt: skip

UWSGI = Program(
    component=uwsgi.Uwsgi,
    grammar=uwsgi.GRAMMAR,
    interface=Interface.WSGI,
    left_out={
        "attach-daemon": "it starts programs that nobody measures", "daemonize": _LEAVES,
        "emperor": "an emperor starts stacks of its own", "gid": _OWNER, "https": _TLS,
        "logto": "logs stay in the sandbox", "pidfile": _OWN, "py-autoreload": _RELOAD,
        "uid": _OWNER,
    },
    elsewhere=frozenset(
        {
            "callable", "chdir", "env", "file", "home", "ini", "ini-paste", "ini-paste-logged",
            "json", "module", "paste", "plugin", "plugins", "pythonpath", "venv", "virtualenv",
            "wsgi", "wsgi-file", "xml", "yaml", "yml",
        }
    ),
    prefix="UWSGI_",
)  # fmt: skip

GRANIAN = Program(
    component=granian.Granian,
    grammar=granian.GRAMMAR,
    left_out={
        "pid-file": _OWN, "reload": _RELOAD, "ssl-certificate": _TLS, "ssl-keyfile": _TLS,
    },
    elsewhere=frozenset({"env-files", "interface", "working-dir"}),
    prefix="GRANIAN_",
    modules=frozenset({"granian"}),
)  # fmt: skip

UVICORN = Program(
    component=uvicorn.Uvicorn,
    grammar=uvicorn.GRAMMAR,
    interface=Interface.ASGI,
    left_out={
        "fd": "the sandbox opens the socket", "reload": _RELOAD, "reload-dir": _RELOAD,
        "reload-exclude": _RELOAD, "reload-include": _RELOAD, "ssl-certfile": _TLS,
        "ssl-keyfile": _TLS,
    },
    elsewhere=frozenset({"app-dir", "env-file"}),
    prefix="UVICORN_",
    modules=frozenset({"uvicorn"}),
)  # fmt: skip

GRAMMARS: tuple[Program, ...] = (GUNICORN, UWSGI, GRANIAN, UVICORN)
LISTENS = frozenset(
    {"bind", "host", "http", "http-socket", "port", "socket", "uds", "uwsgi-socket"}
)
OTHERS = ("bjoern", "cherryd", "daphne", "hypercorn", "meinheld", "waitress-serve")
