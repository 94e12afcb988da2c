"""The catalogue: one declarative row per knob, one file per component.

A row says what the knob is, which levels are legal and worth trying on a machine, what the
program does when nothing is said, by version, why it should matter, what must be seen for it to
matter at all, and what it may cost. Flags, documents and validation derive from the rows.

Refuses: changing anything; reading a machine (facts are given); settings that the sandbox
decides (addresses, users, pid files, where logs lie); claims without a source.
May import: model, errors.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from labcoat.errors import UsageError
from labcoat.knobs.app import APP
from labcoat.knobs.granian import GRANIAN
from labcoat.knobs.gunicorn import GUNICORN
from labcoat.knobs.nginx import NGINX
from labcoat.knobs.postgres import POSTGRES
from labcoat.knobs.python import PYTHON
from labcoat.knobs.stack import STACK
from labcoat.knobs.uvicorn import UVICORN
from labcoat.knobs.uwsgi import UWSGI
from labcoat.model.host import Facts
from labcoat.model.knob import Knob
from labcoat.model.variant import Level

KNOBS: tuple[Knob, ...] = (
    *NGINX,
    *UWSGI,
    *GUNICORN,
    *GRANIAN,
    *UVICORN,
    *PYTHON,
    *APP,
    *STACK,
    *POSTGRES,
)


def find(name: str, knobs: Sequence[Knob] = KNOBS) -> Knob:
    """The knob of that name. Raises: UsageError, which guesses what was meant."""
    for knob in knobs:
        if knob.name == name:
            return knob
    names = [knob.name for knob in knobs]
    close = difflib.get_close_matches(name, names, n=1)
    close = close or [known for known in names if name and known.partition(".")[2] == name]
    hint = f"; did you mean {close[0]}?" if close else ""
    raise UsageError(
        f"there is no knob {name!r}{hint}",
        where="the catalogue of knobs",
        way_out="labcoat knobs lists them; a word narrows the list: labcoat knobs keepalive",
    )


def parse_level(knob: Knob, text: str, facts: Facts) -> Level:
    """The level of a knob that a text means on this machine. Raises: UsageError."""
    try:
        level = knob.domain.parse(text)
    except ValueError as error:
        raise _outside(knob, str(error), facts) from error
    if not knob.domain.admits(level, facts):
        raise _outside(knob, f"{text!r} lies outside", facts)
    return level


def _outside(knob: Knob, why: str, facts: Facts) -> UsageError:
    return UsageError(
        f"not a level of {knob.name}: {why}",
        where=knob.name,
        way_out=f"write {knob.domain.describe(facts)}",
    )
