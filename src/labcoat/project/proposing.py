"""From a survey to a proposal."""

from __future__ import annotations

from labcoat.errors import UsageError
from labcoat.project.choosing import ChosenApp, choose_app, choose_server, facts_of
from labcoat.project.clues import Dependency, OtherServer, Remark
from labcoat.project.proposal import Answers, Line, Proposal
from labcoat.project.surroundings import (
    Around,
    around_database,
    around_nginx,
    around_python,
    around_server,
    around_static,
    around_variables,
    around_workload,
)
from labcoat.project.survey import Survey, remarks_of

_ORDER = (
    "app.wsgi", "app.asgi", "app.directory", "app.python", "app.env", "app.env_file", "app.seed",
    "stack.nginx", "stack.uwsgi", "stack.gunicorn", "stack.granian", "stack.uvicorn",
    "stack.postgres", "workload.requests",
)  # fmt: skip


def propose(survey: Survey, answers: Answers | None = None) -> Proposal:
    """What labcoat.toml should say of this project. Raises: UsageError if there is no app."""
    answers = answers or Answers()
    chosen = choose_server(survey, answers)
    found = choose_app(survey, chosen, answers)
    if not found.target and found.gap is None:
        raise no_app(survey)
    nginx = around_nginx(survey, chosen)
    has_nginx = bool(nginx.lines or nginx.gaps)
    server, reads = around_server(survey, chosen, found, has_nginx=has_nginx)
    database, variables = around_database(survey)
    parts = (
        _around_app(found),
        around_python(survey),
        nginx,
        server,
        database,
        around_variables(survey, {**reads, **variables}),
        around_static(survey),
        around_workload(survey),
    )
    lines = [line for part in parts for line in part.lines]
    remarks = [*remarks_of(survey), *development(survey)]
    remarks += [remark for part in parts for remark in part.remarks]
    return Proposal(
        lines=tuple(sorted(lines, key=lambda line: _ORDER.index(line.name))),
        gaps=tuple(gap for part in parts for gap in part.gaps),
        facts=tuple(fact for part in parts for fact in part.facts),
        remarks=tuple(dict.fromkeys(remarks)),
    )


def _around_app(found: ChosenApp) -> Around:
    if found.gap is not None:
        return Around(gaps=(found.gap,))
    lines = [Line(table="app", key=found.interface.value, value=found.target, places=found.places)]
    if found.folder:
        lines.append(
            Line(table="app", key="directory", value=found.folder, places=found.places[:1])
        )
    return Around(lines=tuple(lines), facts=facts_of(found), remarks=found.remarks)


def development(survey: Survey) -> list[Remark]:
    """What is started with a server that is not for production, or that labcoat lacks."""
    remarks = []
    for one in survey.of(OtherServer):
        if one.is_for_development:
            what = f"{one.name} is a development server: it is never measured as production"
            way_out = "deploy with Gunicorn, uWSGI, Granian or Uvicorn; labcoat init --server NAME"
        else:
            what = f"{one.name} is not a server that labcoat starts"
            way_out = "measure another one: labcoat init --server gunicorn"
        remarks.append(Remark(place=one.place, what=what, way_out=way_out))
    return remarks


def no_app(survey: Survey) -> UsageError:
    """The error for a folder without an app: what was looked at, and the way out."""
    folder = survey.folder
    log = [f"{one.place}: {one.what}" for one in remarks_of(survey)]
    log += [f"{one.place}: {one.package} is asked for" for one in _frameworks(survey)]
    count = len(folder.files)
    said = "the folder is empty" if not count else f"{count} files were looked at"
    return UsageError(
        f"there is no WSGI or ASGI app here: {said}",
        where=folder.root,
        way_out="go to the folder of your project, or name the app: "
        "labcoat init --app MODULE:CALLABLE",
        log=log,
    )


def _frameworks(survey: Survey) -> list[Dependency]:
    known = {"bottle", "django", "fastapi", "flask", "pyramid", "starlette"}
    return [one for one in survey.of(Dependency) if one.package in known]
