"""The components that this room knows. To add one: a file, and a line in a tuple."""

from __future__ import annotations

from collections.abc import Mapping

from labcoat.errors import RenderError
from labcoat.model.stack import Endpoint
from labcoat.model.study import Study
from labcoat.stack.base import Component
from labcoat.stack.companions import COMPANIONS
from labcoat.stack.nginx import Nginx
from labcoat.stack.postgres import Postgres
from labcoat.stack.servers import SERVERS

WEB: tuple[type[Component], ...] = (Nginx,)
DATABASES: tuple[type[Component], ...] = (Postgres,)
# Front to back; a stack has at most one of each group.
GROUPS: tuple[tuple[type[Component], ...], ...] = (
    WEB,
    SERVERS,
    *((companion,) for companion in COMPANIONS),
    DATABASES,
)
COMPONENTS: tuple[type[Component], ...] = (*WEB, *SERVERS, *COMPANIONS, *DATABASES)


def adopt(study: Study) -> Mapping[str, Component]:
    """The study's components, front to back, each with the user's files read.

    Raises: RenderError with file and line; also for a stack that cannot stand: two of a kind,
    no app server, an unknown name, the wrong order.
    """
    kinds = {component.name: component for component in COMPONENTS}
    order = [_rank(spec.name, study) for spec in study.components]
    if order != sorted(order) or len(set(order)) != len(order):
        raise _wrong(
            study, "a stack is: web server, app server, companions, database; at most one of each"
        )
    if 1 not in order:
        names = ", ".join(server.name for server in SERVERS)
        raise _wrong(study, f"a stack needs an app server: {names}")
    adopted: dict[str, Component] = {}
    behind: tuple[Endpoint, ...] = ()
    for spec in reversed(study.components):
        adopted[spec.name] = kinds[spec.name].adopt(spec, study.app, behind=behind)
        behind = adopted[spec.name].origin_endpoints()
    return dict(reversed(adopted.items()))


def _rank(name: str, study: Study) -> int:
    for rank, group in enumerate(GROUPS):
        if name in {component.name for component in group}:
            return rank
    known = ", ".join(component.name for component in COMPONENTS)
    raise _wrong(study, f"there is no component {name!r}; known: {known}")


def _wrong(study: Study, what: str) -> RenderError:
    where = f"{study.file} [stack]"
    return RenderError(what, where=where, way_out="mend the table in labcoat.toml")
