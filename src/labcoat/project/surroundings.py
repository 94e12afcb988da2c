"""What stands around the app: nginx, Postgres, variables, the interpreter, the first request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from labcoat.model.variant import Level
from labcoat.project.choosing import ChosenApp, ChosenServer
from labcoat.project.clues import (
    Database,
    DatabaseFile,
    Dependency,
    Page,
    Place,
    Remark,
    Seed,
    Site,
    StaticFiles,
    Variable,
    Wanted,
)
from labcoat.project.django import SETTINGS
from labcoat.project.grammars import LISTENS
from labcoat.project.in_place import is_read_in_place
from labcoat.project.proposal import FILL_IN, Fact, Gap, Line, Value
from labcoat.project.survey import Survey

_SECRET = re.compile(
    r"SECRET|PASS|TOKEN|KEY|CREDENTIAL|DSN|PRIVATE|AUTH|SALT|URL$|URI$", re.IGNORECASE
)
_DRAWN = re.compile(r"(?=[^\d]*\d)(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9+/_=-]{16,}")
_RUNTIME = re.compile(r"PYTHON(?:MALLOC|OPTIMIZE|HASHSEED|NODEBUGRANGES)|MALLOC_\w+")
_NOT_THE_APPS = re.compile(r"WEB_CONCURRENCY|GUNICORN_CMD_ARGS|(?:UWSGI|UVICORN|GRANIAN)_\w+|PORT")
ENV_FILE = ".env"
_DRIVERS = {"asyncpg", "pg8000", "psycopg", "psycopg-binary", "psycopg2", "psycopg2-binary"}


Variables = dict[str, tuple[str, Place]]  # name -> value in a study, and where that is from


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """Lines, gaps, facts and remarks on one thing around the app."""

    lines: tuple[Line, ...] = ()
    gaps: tuple[Gap, ...] = ()
    facts: tuple[Fact, ...] = ()
    remarks: tuple[Remark, ...] = ()


def around_nginx(survey: Survey, chosen: ChosenServer) -> Around:
    """The main file that leads to the app; of several, the one that names its address."""
    sites = survey.of(Site)
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
        gap = Gap(
            table="stack",
            what=f"which nginx.conf is deployed? Several lead to the app: {places}",
            way_out="keep one of the lines below [stack]",
            choices=choices,
        )
        return Around(gaps=(gap,), remarks=tuple(remarks))
    if not candidates:
        return Around(remarks=tuple(remarks))
    (site,) = candidates
    return Around(
        lines=(_nginx_line(site),),
        facts=tuple(_told(site, behind)),
        remarks=(*remarks, *_static_remarks(survey, site)),
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


def _static_remarks(survey: Survey, site: Site) -> list[Remark]:
    """Folders that nginx would serve and this machine lacks."""
    root = survey.folder.root
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


def around_server(
    survey: Survey, chosen: ChosenServer, app: ChosenApp, *, has_nginx: bool
) -> tuple[Around, Variables]:
    """The line of the server, and the variables that its command line needs.

    The line names the file that holds the command line, where a study reads it there; else the
    server's own file and options. Where it listens matters only to an nginx that leads there.
    """
    server = chosen.server
    if server is None:
        return Around(gaps=(chosen.gap,) if chosen.gap else ()), {}
    places: tuple[Place, ...] = (server.place,)
    if chosen.own is not None and chosen.own.place.path != server.place.path:
        places = (server.place, chosen.own.place)
    file, said = server.file, server.options
    reads: tuple[tuple[str, str], ...] = ()
    if app.target and is_read_in_place(survey.folder, server, app):
        file, said, reads = server.place.path, server.around, server.reads
    options: dict[str, Value] = {
        name: level for name, level in said if has_nginx or name not in LISTENS
    }
    value: Value = True
    if file is not None and options:
        value = {"file": file, "options": options}
    elif file is not None:
        value = file
    elif options:
        value = {"options": options}
    words = ", ".join(f"{name} {_word(level)}" for name, level in server.options)
    facts = (Fact(what=f"{server.name} starts with {words}", places=places[:1]),) if words else ()
    line = Line(table="stack", key=server.name, value=value, places=places)
    return (
        Around(lines=(line,), facts=facts, remarks=chosen.remarks),
        {name: (value, _set_at(survey, name) or server.place) for name, value in reads},
    )


def _word(level: Level) -> str:
    return str(level).lower() if isinstance(level, bool) else str(level)


def _set_at(survey: Survey, name: str) -> Place | None:
    """Where a variable is set, the most binding place first."""
    found = sorted(survey.of(Variable), key=lambda one: one.source)
    return next((one.place for one in found if one.name == name), None)


def around_database(survey: Survey) -> tuple[Around, Variables]:
    """Postgres with its seed, and the variables that tell the app where it is."""
    found = survey.of(Database)
    has_driver = any(one.package in _DRIVERS for one in survey.of(Dependency))
    is_set = any(one.value.startswith(("postgres:", "postgresql")) for one in survey.of(Variable))
    sure = [one for one in found if not one.variable or one.driver or has_driver or is_set]
    files = survey.of(DatabaseFile)
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
    env: Variables = {}
    for one in sure:
        if one.variable is not None:
            scheme = f"postgresql+{one.driver}://{{database.location}}"
            env.setdefault(one.variable, (scheme if one.driver else "{database.url}", one.place))
        for variable, filler in one.parts:
            env.setdefault(variable, (filler, one.place))
    return _postgres(survey, sure, files, env), env


def _postgres(
    survey: Survey,
    sure: Sequence[Database],
    files: Sequence[DatabaseFile],
    env: Variables,
) -> Around:
    remarks: list[Remark] = []
    if not env:
        place = sure[0].place if sure else files[0].place
        what = "names a Postgres, and no variable tells the app where it is"
        way_out = 'let the code read DATABASE_URL, and env = { DATABASE_URL = "{database.url}" }'
        remarks.append(Remark(place=place, what=what, way_out=way_out))
    value: Value = True
    places = tuple(one.place for one in (*files, *sure))[:2]
    gaps: tuple[Gap, ...] = ()
    if len(files) == 1:
        value = files[0].place.path
    elif files:
        choices = tuple(
            Line(table="stack", key="postgres", value=one.place.path, places=(one.place,))
            for one in files
        )
        gap = Gap(
            table="stack",
            what="which postgresql.conf is deployed? The project has several",
            way_out="keep one of the lines below [stack]",
            choices=choices,
        )
        gaps = (gap,)
    lines = [] if gaps else [Line(table="stack", key="postgres", value=value, places=places)]
    seeds = survey.of(Seed)
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
    return Around(lines=tuple(lines), gaps=gaps, remarks=tuple(remarks))


def around_variables(survey: Survey, known: Variables) -> Around:
    """``env``: what the deployment sets and the app reads; secrets by name, never by value.

    ``known``: what is settled already.
    """
    settled = dict(known)
    asked: list[tuple[str, Place]] = []
    own = {one.name for one in survey.of(Variable) if one.place.path == ENV_FILE}
    required = {one.name: one for one in reversed(survey.of(Wanted)) if one.is_required}
    for name, variable in _used(survey).items():
        place = variable.place if variable is not None else required[name].place
        if name in settled or (name in own and variable and variable.place.path == ENV_FILE):
            continue
        if variable is not None and not _is_secret(variable):
            settled[name] = variable.value, place
        elif name in survey.folder.environment or name in required:
            settled[name] = f"{{env:{name}}}", place
            if name not in survey.folder.environment:
                asked.append((name, place))
    places = tuple(dict.fromkeys(place for _, place in settled.values()))
    values = {name: value for name, (value, _) in settled.items()}
    lines = [Line(table="app", key="env", value=values, places=places)] if values else []
    if own & (set(_used(survey)) - set(settled)):
        lines.append(Line(table="app", key="env_file", value=ENV_FILE, places=(Place(ENV_FILE),)))
    gaps = tuple(
        Gap(
            table="app",
            what=f"what is {name} ({place})? It is taken from your environment, as a secret",
            way_out=f"export {name}=... before labcoat up, or write a value for measuring into env",
        )
        for name, place in asked
    )
    return Around(lines=tuple(lines), gaps=gaps)


def _used(survey: Survey) -> dict[str, Variable | None]:
    """The variables that matter to the app, each with what sets it, the most binding place."""
    wanted = {one.name for one in survey.of(Wanted)}
    required = {one.name for one in survey.of(Wanted) if one.is_required}
    found: dict[str, Variable | None] = {}
    for one in sorted(survey.of(Variable), key=lambda one: one.source):
        is_used = one.name in wanted or one.name == SETTINGS or _RUNTIME.fullmatch(one.name)
        is_ours = one.name in required or not _NOT_THE_APPS.fullmatch(one.name)
        if is_used and is_ours:
            found.setdefault(one.name, one)
    return found | dict.fromkeys(sorted(required - set(found)))


def _is_secret(variable: Variable) -> bool:
    """Whether a value may be one: by the name, or because it looks drawn; when in doubt, yes."""
    value = variable.value
    is_plain = bool(value) and "://" not in value and not set(value) & set("{$")
    return not is_plain or bool(_SECRET.search(variable.name) or _DRAWN.search(value))


def around_python(survey: Survey) -> Around:
    """The interpreter, where it is not the one that a study takes by itself."""
    homes = survey.folder.homes
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


def around_workload(survey: Survey) -> Around:
    """One request that works, to start with; the mix only the user knows."""
    pages = survey.of(Page)
    first = next((one for one in pages if one.path == "/"), next(iter(pages), None))
    path = "/" if first is None else first.path
    line = Line(
        table="workload",
        key="requests",
        value=({"path": path},),
        places=() if first is None else (first.place,),
        note=f"{FILL_IN}: what your visitors ask for, with weights",
    )
    return Around(lines=(line,))


def around_static(survey: Survey) -> Around:
    """Static and media folders: shown; nginx, or the app, serves them as it is written."""
    facts, remarks = [], []
    for one in survey.of(StaticFiles):
        url = f" for {one.url}" if one.url else ""
        facts.append(
            Fact(what=f"static files{url}: {one.folder or 'computed'}", places=(one.place,))
        )
        if one.folder and not one.exists:
            what = f"names {one.folder}, which is not here yet"
            way_out = "make it as you deploy it (manage.py collectstatic), if it is asked for"
            remarks.append(Remark(place=one.place, what=what, way_out=way_out))
    return Around(facts=tuple(facts), remarks=tuple(remarks))
