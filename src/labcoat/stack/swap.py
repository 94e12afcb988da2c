"""Another app server in place of the user's: the knob ``stack.server``.

The new one is told what the two have in common: how many processes and threads, how many may
wait to be accepted, whether each request is logged, and the address. Where nginx spoke the
uwsgi protocol to the old one, it speaks HTTP to the new one. Everything else that the old
server's files say is its own, and stays with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from labcoat.errors import RenderError
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.study import App, ComponentSpec, Interface, Study
from labcoat.model.variant import ORIGIN, Level, Variant
from labcoat.stack.base import Component
from labcoat.stack.edit import ini, python
from labcoat.stack.nginx import Nginx
from labcoat.stack.nginx_http import speaking_http
from labcoat.stack.servers import SERVERS
from labcoat.stack.servers.options import as_argv, listening

NAME = "stack"
KNOB = "stack.server"

_SERVERS = {kind.name: kind for kind in SERVERS}
# What servers have in common, by each one's own spelling.
_SHARED: Mapping[str, Mapping[str, str]] = {
    "uwsgi": {"processes": "processes", "threads": "threads", "backlog": "listen"},
    "gunicorn": {"processes": "workers", "threads": "threads", "backlog": "backlog"},
    "granian": {"processes": "workers", "threads": "blocking-threads", "backlog": "backlog"},
}
_LOGS = {"uwsgi": "disable-logging", "gunicorn": "accesslog", "granian": "access-log"}
_LEAST_BACKLOG = {"granian": 128}
_BLOCKING = ("sync", "gthread")
FILES = {"uwsgi": "uwsgi.ini", "gunicorn": "gunicorn.conf.py"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Swapped:
    """A stack with another server.

    ``components``: front to back, with the variant's levels of nginx and of the old server in
    them. ``variant``: the rest of it. ``options``: what the new server is told, in its own
    spelling. ``listens``: where it does on the user's machine, None where nothing says so.
    """

    old: str
    new: str
    components: Mapping[str, Component]
    variant: Variant
    options: Mapping[str, Level]
    listens: Endpoint | None


def server_of(components: Mapping[str, Component]) -> str:
    """The name of the app server."""
    return next(name for name in components if name in _SERVERS)


def wanted(variant: Variant) -> str | None:
    """The server that a variant asks for instead; None for the user's own."""
    level = dict(variant.assignment).get(KNOB)
    return None if level is None else str(level)


def carried(component: str) -> frozenset[str]:
    """Knobs of a server whose levels mean something to another one."""
    names = (*_SHARED.get(component, {}).values(), *filter(None, (_LOGS.get(component),)))
    return frozenset(f"{component}.{name}" for name in names)


def obstacle(study: Study, components: Mapping[str, Component]) -> str | None:
    """Why no other server can take over here; None if one can."""
    old = server_of(components)
    if study.app.interface is not Interface.WSGI:
        return "the app is ASGI, and servers are swapped for WSGI only"
    if old not in _SHARED:
        return f"nothing is known that {old} has in common with other servers"
    try:
        _options(components[old], ORIGIN, new="gunicorn" if old != "gunicorn" else "uwsgi")
    except RenderError as error:
        return error.what
    return None


def swap(study: Study, components: Mapping[str, Component], variant: Variant) -> Swapped:
    """The stack with the server that the variant asks for. Raises: RenderError."""
    old, new = server_of(components), wanted(variant)
    if new is None or new == old:
        raise ValueError("the variant asks for no other server")
    hindrance = obstacle(study, components)
    if hindrance is not None:
        raise RenderError(
            f"{KNOB} = {new} cannot be set: {hindrance}",
            where=f"variant {variant.name}",
            way_out="leave the knob out",
        )
    options = _options(components[old], variant, new=new)
    spec = ComponentSpec(name=new, options=tuple(options.items()))
    server = _SERVERS[new].adopt(spec, study.app)
    changed: dict[str, Component] = {}
    listens = next(
        (one for one in components[old].origin_endpoints() if one.speaks is Speaks.HTTP), None
    )
    for name, component in components.items():
        if isinstance(component, Nginx):
            front, listens = _front(component, variant)
            changed[name] = front
        elif name == old:
            changed[new] = server
        else:
            changed[name] = component
    gone = {knob for knob, _ in variant.assignment if knob.partition(".")[0] in {NAME, old}}
    gone |= {knob for knob, _ in variant.assignment if knob.startswith("nginx.")}
    return Swapped(
        old=old,
        new=new,
        components=changed,
        variant=variant.without(*gone),
        options=options,
        listens=listens,
    )


def text_of(swapped: Swapped, *, source: str, app: App) -> str | None:
    """The file that the new server is started with; None for one that reads none."""
    levels = dict(swapped.options)
    head = f"what {source} says of processes, threads, queue, log and address, for {swapped.new}"
    if swapped.new == "gunicorn":
        if swapped.listens is not None:
            levels = {"bind": swapped.listens.address, **levels}
        return python.assign(f"# {head}\n", levels, path=Path(FILES["gunicorn"]))
    if swapped.new != "uwsgi":
        return None
    if swapped.listens is not None:
        door = swapped.listens
        levels = {"http-socket": str(door.path or door.address), **levels}
    levels = {"module": app.target, "need-app": True, **levels}
    return ini.assign(f"; {head}\n[uwsgi]\n", levels, path=Path(FILES["uwsgi"]))


def command_of(swapped: Swapped, *, app: App, file: str | None) -> str:
    """The command that starts the new server, as a person types it."""
    if swapped.new == "uwsgi":
        return f"uwsgi --ini {file}"
    if swapped.new == "gunicorn":
        return f"gunicorn -c {file} {app.target}"
    place = listening(swapped.listens) if swapped.listens is not None else {}
    words = as_argv({"interface": "wsgi", **place, **swapped.options})
    return " ".join(("granian", *words, app.target))


def _front(nginx: Nginx, variant: Variant) -> tuple[Nginx, Endpoint | None]:
    """The nginx that passes HTTP to the app, and the address that it passes to."""
    texts = nginx.assigned(variant)
    upstream = nginx.origin_upstream()
    if upstream is None or upstream.speaks is Speaks.HTTP:
        return replace(nginx, adopted=replace(nginx.adopted, texts=texts)), upstream
    texts = speaking_http(nginx.adopted, texts, nginx.behind)
    passed = replace(upstream, speaks=Speaks.HTTP)
    adopted = replace(nginx.adopted, texts=texts)
    return replace(nginx, adopted=adopted, behind=(passed,)), passed


def _options(server: Component, variant: Variant, *, new: str) -> dict[str, Level]:
    """What the new server is told, in its own spelling. Raises: RenderError."""
    levels = variant.levels(server.name)

    def said(directive: str) -> Level | None:
        return levels.get(directive, server.origin_level(directive))

    _refuse_unequal(server, levels, said("worker_class"))
    options: dict[str, Level] = {}
    for meaning, theirs in _SHARED[server.name].items():
        level, ours = said(theirs), _SHARED[new][meaning]
        if level is not None:
            options[ours] = max(
                int(level), _LEAST_BACKLOG.get(new, 0) if meaning == "backlog" else 1
            )
        elif meaning != "backlog":
            options[ours] = 1  # what each of them has if nothing is said
    logs = said(_LOGS[server.name])
    is_logged = _is_on(logs) is (server.name != "uwsgi")
    if new == "uwsgi":
        return {"master": True, **options, **({} if is_logged else {"disable-logging": True})}
    if new == "gunicorn":
        return {**options, **({"accesslog": "-"} if is_logged else {})}
    return {**options, **({"access-log": True} if is_logged else {})}


def _is_on(level: Level | None) -> bool:
    """Whether a level of a log says that something is written: a place does."""
    if isinstance(level, str):
        return level.lower() not in {"", "0", "false", "no", "off", "none"}
    return bool(level)


def _refuse_unequal(
    server: Component, levels: Mapping[str, Level], worker_class: Level | None
) -> None:
    """Raises: RenderError for a server whose processes and threads another cannot have."""
    what = None
    if server.name == "gunicorn" and worker_class not in (None, *_BLOCKING):
        what = f"Gunicorn's workers of class {worker_class} serve any number of requests at once"
    if server.name == "granian" and not (
        "blocking-threads" in levels or server.origin_level("blocking-threads")
    ):
        what = "how many blocking-threads Granian has is not said"
    for name in _SHARED[server.name].values():
        if name not in levels and server.origin_level(name) is None and _names(server, name):
            what = f"{server.name}.{name} is computed"
    if what is not None:
        raise RenderError(what, where=f"[stack] {server.name}", way_out="leave stack.server out")


def _names(server: Component, name: str) -> bool:
    """Whether a file of a server speaks of a setting that could not be read."""
    pattern = re.compile(rf"^\s*{re.escape(name)}\s*=", re.MULTILINE)
    return any(pattern.search(file.before) for file in server.edited(ORIGIN).files)
