"""Which server serves which app: what one place says is taken, what two say is asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from labcoat.model.study import Interface
from labcoat.project.clues import (
    AppObject,
    Dependency,
    NamedApp,
    OtherServer,
    Place,
    Remark,
    Server,
    ServerFile,
    Source,
)
from labcoat.project.frameworks import APP_NAMES, find_home, home_of
from labcoat.project.grammars import GRAMMARS
from labcoat.project.proposal import Answers, Fact, Gap, Line
from labcoat.project.survey import Survey

_PACKAGES = {"gunicorn": "gunicorn", "granian": "granian", "pyuwsgi": "uwsgi", "uvicorn": "uvicorn",
             "uwsgi": "uwsgi"}  # fmt: skip
_ASGI_ONLY = {"uvicorn"}
_WSGI_ONLY = {"uwsgi"}
NO_SERVER = {Interface.WSGI: "gunicorn", Interface.ASGI: "uvicorn", None: "gunicorn"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenServer:
    """The server, or the gap; ``own``: what its own file says."""

    server: Server | None = None
    own: ServerFile | None = None
    gap: Gap | None = None
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenApp:
    """The app, or the gap. ``folder``: what comes first on the import path."""

    target: str = ""
    interface: Interface = Interface.WSGI
    framework: str = ""
    folder: str = ""
    places: tuple[Place, ...] = ()
    gap: Gap | None = None
    remarks: tuple[Remark, ...] = ()


def choose_server(survey: Survey, answers: Answers) -> ChosenServer:
    """The app server: of a command line, else of its own file, else of the dependencies."""
    asked = answers.server
    files = survey.of(ServerFile)
    found = sorted(survey.of(Server), key=lambda server: server.source)
    if any(server.source < Source.CODE for server in found):
        found = [server for server in found if server.source < Source.CODE]
    for more in ([_of_file(one) for one in files], _of_packages(survey)):
        if asked is not None:
            found = [server for server in found if server.name == asked]
        found = found or more
    if asked is not None:
        named = Server(place=answers.place, name=asked, source=Source.ASKED)
        found = [server for server in found if server.name == asked] or [named]
    names = list(dict.fromkeys(server.name for server in found))
    if len(names) != 1:
        return ChosenServer(gap=_which(survey, found))
    return _settled(found, files)


def _of_file(one: ServerFile) -> Server:
    return Server(
        place=one.place, name=one.name, source=Source.SCRIPT, file=one.place.path, target=one.target
    )


def _of_packages(survey: Survey) -> list[Server]:
    """What the dependencies offer for the interface of the apps in the code."""
    interfaces = {one.interface for one in survey.of(AppObject)} - {None}
    wrong: set[str] = set()
    if interfaces == {Interface.WSGI}:
        wrong = _ASGI_ONLY
    elif interfaces == {Interface.ASGI}:
        wrong = _WSGI_ONLY
    return [
        Server(place=one.place, name=_PACKAGES[one.package], source=Source.ENVIRONMENT)
        for one in survey.of(Dependency)
        if _PACKAGES.get(one.package, "") not in {"", *wrong}
    ]


def _which(survey: Survey, found: Sequence[Server]) -> Gap:
    if found:
        distinct = {server.name: server for server in reversed(found)}
        places = ", ".join(f"{one.name} ({one.place})" for one in reversed(distinct.values()))
        return Gap(
            table="stack",
            what=f"which server serves production? The project names several: {places}",
            way_out="labcoat init --server NAME",
            choices=tuple(_server_line(one) for one in reversed(distinct.values())),
        )
    others = survey.of(OtherServer)
    said = "; ".join(
        f"{one.name} ({one.place}) is "
        + ("for development" if one.is_for_development else "not one that labcoat starts")
        for one in dict.fromkeys(others)
    )
    interfaces = {one.interface for one in survey.of(AppObject)} - {None}
    name = NO_SERVER[next(iter(interfaces)) if len(interfaces) == 1 else None]
    known = ", ".join(grammar.name for grammar in GRAMMARS)
    return Gap(
        table="stack",
        what="which server serves production? " + (said or "The project names none"),
        way_out=f"labcoat init --server {name}, or another of {known}",
        choices=(Line(table="stack", key=name, value=True, note="its own defaults"),),
    )


def _server_line(server: Server) -> Line:
    return Line(
        table="stack",
        key=server.name,
        value=server.file if server.file is not None else True,
        places=(server.place,),
    )


def _settled(found: list[Server], files: Sequence[ServerFile]) -> ChosenServer:
    """The first of several that agree in the server; where the rest differs, that is told."""
    server = found[0]
    remarks = []
    for other in found[1:]:
        if _essence(other) != _essence(server) and other.source <= Source.COMPOSE:
            what = f"starts {server.name} in another way than {server.place}, which is taken"
            remarks.append(Remark(place=other.place, what=what, way_out="take out what is stale"))
    if server.unreadable is not None:
        what = f"{server.name} reads {server.unreadable}: its settings are missing from the study"
        way_out = f"name the file in the project: {server.name} under [stack]"
        remarks.append(Remark(place=server.place, what=what, way_out=way_out))
    own = next((one for one in files if one.place.path == server.file), None)
    mine = [one for one in files if one.name == server.name]
    if own is None and server.source in {Source.ENVIRONMENT, Source.ASKED} and len(mine) == 1:
        own = mine[0]
        server = replace(server, file=own.place.path)
    return ChosenServer(server=server, own=own, remarks=tuple(remarks))


def _essence(server: Server) -> tuple[object, ...]:
    return server.options, server.file, server.target


def choose_app(survey: Survey, chosen: ChosenServer, answers: Answers) -> ChosenApp:
    """The app object: as the server is told, else as a setting names it, else of the code."""
    server, own = chosen.server, chosen.own
    wanted = _interface_of(server, own)
    if answers.app is not None:
        return _placed(survey, answers.app, wanted, (answers.place,), "")
    if server is not None and server.target:
        if _is_called(server):
            return ChosenApp(gap=_factory(server.target, server.place))
        return _placed(survey, server.target, wanted, (server.place,), server.folder)
    if own is not None and own.target:
        return _placed(survey, own.target, wanted, (own.place,), own.folder or "")
    return _of_setting(survey, wanted) or _of_code(survey, wanted)


def _of_setting(survey: Survey, wanted: Interface | None) -> ChosenApp | None:
    """What a setting names, or the command line of a server that labcoat lacks."""
    fitting = [one for one in survey.of(NamedApp) if one.interface in {None, wanted} or not wanted]
    fitting.sort(key=lambda one: one.interface is Interface.ASGI)
    for one in fitting[:1]:
        kind = one.interface or wanted
        return _placed(survey, one.target, kind, (one.place,), one.folder)
    for other in survey.of(OtherServer):
        if other.target:
            return _placed(survey, other.target, wanted, (other.place,), "")
    return None


def _is_called(server: Server) -> bool:
    """Whether the server is told a factory in a way that the study cannot repeat."""
    return server.is_factory and not dict(server.options).get("factory")


def _interface_of(server: Server | None, own: ServerFile | None) -> Interface | None:
    if server is not None and server.interface is not None:
        return server.interface
    return None if own is None else own.interface


def _of_code(survey: Survey, wanted: Interface | None) -> ChosenApp:
    objects = survey.of(AppObject)
    fitting = [one for one in objects if wanted is None or one.interface in {None, wanted}]
    apps = [one for one in fitting if not one.is_factory]
    for narrow in (_called, _deployed):
        apps = list(narrow(apps)) or apps
    if len(apps) == 1:
        one = apps[0]
        interface = one.interface or wanted
        return _placed(survey, one.target, interface, (one.place,), one.folder)
    if apps:
        return ChosenApp(gap=_several(apps))
    factories = [one for one in fitting if one.is_factory]
    if factories:
        return ChosenApp(gap=_factory(f"{factories[0].target}()", factories[0].place))
    return ChosenApp()


def _called(apps: Iterable[AppObject]) -> Iterable[AppObject]:
    """Those with a name that servers look for."""
    return (one for one in apps if one.target.rpartition(":")[2] in APP_NAMES)


def _deployed(apps: Iterable[AppObject]) -> Iterable[AppObject]:
    """Those of a module that is there to be served."""
    ends = ("wsgi", "asgi")
    return (one for one in apps if one.target.partition(":")[0].rpartition(".")[2] in ends)


def _several(apps: Sequence[AppObject]) -> Gap:
    places = ", ".join(f"{one.target} ({one.place})" for one in apps)
    return Gap(
        table="app",
        what=f"which is the app? The code has several: {places}",
        way_out="labcoat init --app MODULE:CALLABLE",
        choices=tuple(
            Line(
                table="app",
                key=(one.interface or Interface.WSGI).value,
                value=one.target,
                places=(one.place,),
            )
            for one in apps
        ),
    )


def _factory(target: str, place: Place) -> Gap:
    module, _, call = target.partition(":")
    name = call.partition("(")[0]
    made = f"from {module} import {name}; app = {name}()"
    return Gap(
        table="app",
        what=f"{name} ({place}) is a factory, and a study names an app that is made already",
        way_out=f"write wsgi.py: {made}; then labcoat init --app wsgi:app",
        choices=(Line(table="app", key="wsgi", value="wsgi:app", note=f"wsgi.py: {made}"),),
    )


def _placed(
    survey: Survey,
    target: str,
    interface: Interface | None,
    places: tuple[Place, ...],
    start: str,
) -> ChosenApp:
    """The app with the folder that its module is imported from, and what the code says of it."""
    folder = survey.folder
    remarks: list[Remark] = []
    if home_of(folder, target, start) is None:
        found = find_home(folder, target)
        start = found if found is not None else start
    file = home_of(folder, target, start)
    if file is None:
        module = target.partition(":")[0]
        what = f"the module {module} is not in this project: its package must be installed"
        remarks.append(Remark(place=places[0], what=what))
    name = target.partition(":")[2]
    same = [
        one
        for one in survey.of(AppObject)
        if one.place.path == file and one.target.rpartition(":")[2] == name
    ]
    return ChosenApp(
        target=target,
        interface=interface or next((o.interface for o in same if o.interface), Interface.WSGI),
        framework=same[0].framework if same else "",
        folder=start,
        places=(*places, *(one.place for one in same if one.place not in places)),
        remarks=tuple(remarks),
    )


def facts_of(app: ChosenApp) -> tuple[Fact, ...]:
    """The framework, where the code tells it."""
    if not app.framework:
        return ()
    return (Fact(what=f"framework: {app.framework}", places=app.places[-1:]),)
