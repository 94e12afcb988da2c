"""What stands around the app: nginx, Postgres, variables, the interpreter, the first request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from labcoat.model.variant import Level
from labcoat.project.choosing import ChosenServer
from labcoat.project.clues import (
    Database,
    DatabaseFile,
    Dependency,
    Place,
    Remark,
    Route,
    Seed,
    Site,
    StaticFiles,
    Variable,
    Wanted,
)
from labcoat.project.django import SETTINGS
from labcoat.project.evidence import Evidence
from labcoat.project.grammars import LISTENS
from labcoat.project.proposal import FILL_IN, Fact, Line, Question, Value

_SECRET = re.compile(
    r"SECRET|PASS|TOKEN|KEY|CREDENTIAL|DSN|PRIVATE|AUTH|SALT|URL$|URI$", re.IGNORECASE
)
_RUNTIME = re.compile(r"PYTHON(?:MALLOC|OPTIMIZE|HASHSEED|NODEBUGRANGES)|MALLOC_\w+")
_NOT_THE_APPS = re.compile(r"WEB_CONCURRENCY|GUNICORN_CMD_ARGS|(?:UWSGI|UVICORN|GRANIAN)_\w+|PORT")
_DRIVERS = {"asyncpg", "pg8000", "psycopg", "psycopg-binary", "psycopg2", "psycopg2-binary"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """Lines, questions, facts and remarks on one thing."""

    lines: tuple[Line, ...] = ()
    questions: tuple[Question, ...] = ()
    facts: tuple[Fact, ...] = ()
    remarks: tuple[Remark, ...] = ()


def around_nginx(evidence: Evidence, chosen: ChosenServer) -> Around:
    """The main file that leads to the app; of several, the one that names its address."""
    sites = evidence.of(Site)
    mains = [site for site in sites if site.is_main and site.passes]
    remarks = [
        Remark(
            place=site.place,
            what="is a site and no main file: nginx is left out, unless one includes it",
            way_out="write nginx.conf: events {} http { include PATH; }, and name it under [stack]",
        )
        for site in sites
        if not site.is_main and not mains
    ]
    behind = addresses(chosen)
    ours = [site for site in mains if any(_meets(to, behind) for to, _ in site.passes)]
    candidates = ours or mains
    if len(candidates) > 1:
        choices = tuple(_nginx_line(site) for site in candidates)
        places = ", ".join(str(site.place) for site in candidates)
        question = Question(
            table="stack",
            what=f"which nginx.conf is deployed? Several lead to the app: {places}",
            way_out="keep one of the lines below [stack]",
            choices=choices,
        )
        return Around(questions=(question,), remarks=tuple(remarks))
    if not candidates:
        return Around(remarks=tuple(remarks))
    (site,) = candidates
    return Around(
        lines=(_nginx_line(site),),
        facts=tuple(_told(site, behind)),
        remarks=(*remarks, *_static_remarks(evidence, site)),
    )


def _nginx_line(site: Site) -> Line:
    return Line(table="stack", key="nginx", value=site.place.path, places=(site.place,))


def _told(site: Site, behind: Sequence[str]) -> list[Fact]:
    """Which way of nginx's leads to the app, and what else its file holds."""
    hits = [(to, place) for to, place in site.passes if _meets(to, behind)]
    facts = [
        Fact(what=f"nginx passes to the app at {to}", places=(place,))
        for to, place in hits or site.passes[:1]
    ]
    facts += [
        Fact(what=f"nginx also passes to {to}", places=(place,))
        for to, place in site.passes
        if hits and (to, place) not in hits
    ]
    facts += [Fact(what=f"nginx server {words}", places=(place,)) for words, place in site.named]
    facts += [
        Fact(what=f"nginx serves {url} from {folder}", places=(place,))
        for url, folder, place in site.serves
    ]
    return facts


def _static_remarks(evidence: Evidence, site: Site) -> list[Remark]:
    """Folders that nginx would serve and this machine lacks."""
    root = evidence.folder.root
    return [
        Remark(
            place=place,
            what=f"nginx serves {url} from {folder}, which is not on this machine: 404 is measured",
            way_out="put the files there, or keep such paths out of the workload",
        )
        for url, folder, place in site.serves
        if "$" not in folder and folder.startswith("/") and not (root / folder).exists()
    ]


def addresses(chosen: ChosenServer) -> tuple[str, ...]:
    """Where the server listens, as its command line and its file say."""
    server, own = chosen.server, chosen.own
    said: dict[str, Level] = dict(own.settings) if own is not None else {}
    said |= dict(server.options) if server is not None else {}
    found = [
        str(said[key]) for key in ("bind", "http", "http-socket", "socket", "uds") if key in said
    ]
    return (*found, *([f":{said['port']}"] if "port" in said else ()))


def _meets(one: str, others: Sequence[str]) -> bool:
    return any(_door(one) == _door(other) for other in others)


def _door(address: str) -> str:
    """What has to agree of two addresses: the path of a socket, or the port."""
    bare = address.removeprefix("unix:").removeprefix("//").split(",")[0]
    return bare if "/" in bare else bare.rpartition(":")[2]


def around_server(chosen: ChosenServer, *, has_nginx: bool) -> Around:
    """The line of the server. Where it listens matters only to an nginx that leads there."""
    server = chosen.server
    if server is None:
        return Around(questions=(chosen.question,) if chosen.question else ())
    options: dict[str, Value] = {
        name: level for name, level in server.options if has_nginx or name not in LISTENS
    }
    value: Value = True
    if server.file is not None and options:
        value = {"file": server.file, "options": options}
    elif server.file is not None:
        value = server.file
    elif options:
        value = {"options": options}
    places: tuple[Place, ...] = (server.place,)
    if chosen.own is not None and chosen.own.place.path != server.place.path:
        places = (server.place, chosen.own.place)
    line = Line(table="stack", key=server.name, value=value, places=places)
    return Around(lines=(line,), remarks=chosen.remarks)


def around_database(evidence: Evidence) -> tuple[Around, dict[str, tuple[str, Place]]]:
    """Postgres with its seed, and the variables that tell the app where it is."""
    found = evidence.of(Database)
    has_driver = any(one.package in _DRIVERS for one in evidence.of(Dependency))
    is_set = any(one.value.startswith(("postgres:", "postgresql")) for one in evidence.of(Variable))
    sure = [one for one in found if not one.variable or one.driver or has_driver or is_set]
    files = evidence.of(DatabaseFile)
    if not (sure or files):
        remarks = [
            Remark(
                place=one.place,
                what=f"{one.variable} is read, and nothing says that it is a Postgres",
                way_out="if it is: postgres = true under [stack], and "
                f'env = {{ {one.variable} = "{{database.url}}" }} under [app]',
            )
            for one in found
        ]
        return Around(remarks=tuple(remarks)), {}
    env: dict[str, tuple[str, Place]] = {}
    for one in sure:
        if one.variable is not None:
            scheme = f"postgresql+{one.driver}://{{database.location}}"
            env.setdefault(one.variable, (scheme if one.driver else "{database.url}", one.place))
        for variable, filler in one.parts:
            env.setdefault(variable, (filler, one.place))
    return _postgres(evidence, sure, files, env), env


def _postgres(
    evidence: Evidence,
    sure: Sequence[Database],
    files: Sequence[DatabaseFile],
    env: dict[str, tuple[str, Place]],
) -> Around:
    remarks: list[Remark] = []
    if not env:
        place = sure[0].place if sure else files[0].place
        what = "names a Postgres, and no variable tells the app where it is"
        way_out = 'let the code read DATABASE_URL, and env = { DATABASE_URL = "{database.url}" }'
        remarks.append(Remark(place=place, what=what, way_out=way_out))
    value: Value = True
    places = tuple(one.place for one in (*files, *sure))[:2]
    questions: tuple[Question, ...] = ()
    if len(files) == 1:
        value = files[0].place.path
    elif files:
        choices = tuple(
            Line(table="stack", key="postgres", value=one.place.path, places=(one.place,))
            for one in files
        )
        question = Question(
            table="stack",
            what="which postgresql.conf is deployed? The project has several",
            way_out="keep one of the lines below [stack]",
            choices=choices,
        )
        questions = (question,)
    lines = [] if questions else [Line(table="stack", key="postgres", value=value, places=places)]
    seeds = evidence.of(Seed)
    if len(seeds) == 1:
        seed = seeds[0]
        lines.append(Line(table="app", key="seed", value=seed.words, places=(seed.place,)))
    else:
        what = "the database starts empty: " + (
            "several commands could fill it" if seeds else "no command that fills it was found"
        )
        way_out = 'seed = ["{python}", "-m", "your.module"] under [app]'
        place = seeds[0].place if seeds else (sure or files)[0].place
        remarks.append(Remark(place=place, what=what, way_out=way_out))
    return Around(lines=tuple(lines), questions=questions, remarks=tuple(remarks))


def around_variables(evidence: Evidence, database: dict[str, tuple[str, Place]]) -> Around:
    """``env``: what the deployment sets and the app reads; secrets by name, never by value."""
    values = {name: value for name, (value, _) in database.items()}
    places = [place for _, place in database.values()]
    wanted = {one.name: one for one in reversed(evidence.of(Wanted))}
    required = {one.name: one for one in reversed(evidence.of(Wanted)) if one.is_required}
    variables: dict[str, Variable] = {}
    for one in sorted(evidence.of(Variable), key=lambda one: one.source):
        variables.setdefault(one.name, one)
    asked: list[tuple[str, Place]] = []
    for name in dict.fromkeys((*variables, *required)):
        variable = variables.get(name)
        is_used = name in wanted or name == SETTINGS or _RUNTIME.fullmatch(name)
        if (
            name in values
            or not is_used
            or (_NOT_THE_APPS.fullmatch(name) and name not in required)
        ):
            continue
        place = variable.place if variable is not None else required[name].place
        if variable is not None and not _is_secret(variable):
            values[name] = variable.value
        elif name in required:
            values[name] = f"{{env:{name}}}"
            if name not in evidence.folder.environment:
                asked.append((name, place))
        elif name in evidence.folder.environment:
            values[name] = f"{{env:{name}}}"
        else:
            continue
        places.append(place)
    if not values:
        return Around()
    line = Line(table="app", key="env", value=values, places=tuple(dict.fromkeys(places)))
    questions = tuple(
        Question(
            table="app",
            what=f"what is {name} ({place})? It is taken from your environment, as a secret",
            way_out=f"export {name}=... before labcoat up, or write a value for measuring into env",
        )
        for name, place in asked
    )
    return Around(lines=(line,), questions=questions)


def _is_secret(variable: Variable) -> bool:
    return (
        bool(_SECRET.search(variable.name))
        or "://" in variable.value
        or "{" in variable.value
        or ("$" in variable.value or not variable.value)
    )


def around_python(evidence: Evidence) -> Around:
    """The interpreter, where it is not the one that a study takes by itself."""
    homes = evidence.folder.homes
    if {".venv", "venv"} & set(homes):
        home = ".venv" if ".venv" in homes else "venv"
        where = (Place(f"{home}/bin/python"),)
        return Around(facts=(Fact(what="the app's interpreter", places=where),))
    if len(homes) == 1:
        place = Place(f"{homes[0]}/pyvenv.cfg")
        line = Line(table="app", key="python", value=f"{homes[0]}/bin/python", places=(place,))
        return Around(lines=(line,))
    what = "holds no .venv or venv: the app starts with labcoat's own Python"
    way_out = 'python = "/path/of/bin/python" under [app], if its packages are elsewhere'
    return Around(remarks=(Remark(place=Place("."), what=what, way_out=way_out),))


def around_workload(evidence: Evidence) -> Around:
    """One request that works, to start with; the mix only the user knows."""
    routes = evidence.of(Route)
    first = next((one for one in routes if one.path == "/"), next(iter(routes), None))
    path = "/" if first is None else first.path
    line = Line(
        table="workload",
        key="requests",
        value=({"path": path},),
        places=() if first is None else (first.place,),
        note=f"{FILL_IN}: what your visitors ask for, with weights",
    )
    return Around(lines=(line,))


def around_static(evidence: Evidence) -> Around:
    """Static and media folders: shown; nginx, or the app, serves them as it is written."""
    facts, remarks = [], []
    for one in evidence.of(StaticFiles):
        url = f" for {one.url}" if one.url else ""
        facts.append(
            Fact(what=f"static files{url}: {one.folder or 'computed'}", places=(one.place,))
        )
        if one.folder and not one.exists:
            what = f"names {one.folder}, which is not here yet"
            way_out = "make it as you deploy it (manage.py collectstatic), if it is asked for"
            remarks.append(Remark(place=one.place, what=what, way_out=way_out))
    return Around(facts=tuple(facts), remarks=tuple(remarks))
