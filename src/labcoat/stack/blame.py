"""What the last words of a Python program blame: the app, and what it lacks."""

from __future__ import annotations

import re
from collections.abc import Sequence

# How apps say that a variable is missing: os.environ, then what django-environ, environs,
# decouple, Starlette and apps of their own words print. A variable is known by its capitals, so
# that a plain missing key is not taken for one.
_NAME = r"[\"'`]?(?P<name>[A-Z][A-Z0-9_]+)[\"'`]?"
_LACKING = r"(?i:(?:is |was |must be )?(?:not set|not found|missing|required|undefined|unset|set))"
_VARIABLES = tuple(
    re.compile(pattern)
    for pattern in (
        r"KeyError: '(?P<name>[A-Z][A-Z0-9_]+)'$",
        rf"(?i:set the) {_NAME} (?i:environment variable)",
        rf"(?i:environment variable) {_NAME} {_LACKING}",
        rf"UndefinedValueError: {_NAME} not found",
        rf"Config {_NAME} is missing",
        rf"{_NAME} (?i:(?:environment )?variable) {_LACKING}",
        rf"(?i:(?:missing|required|undefined) (?:(?:environment )?variable|setting)s?):? {_NAME}",
        rf"\b{_NAME} (?i:is not set|must be set|is required|must not be empty)",
        rf"The {_NAME} setting must not be empty",
    )
)
_FIELD = re.compile(r"^(?P<name>\w+)$")


def way_out_of(
    log: Sequence[str],
    otherwise: str = "mend what the last lines name: an import, a missing variable, table or file",
) -> str:
    """The way out of an app's failure; names the environment variable that it misses."""
    name = missing_variable(log)
    if name is None:
        return otherwise
    return (
        f"give the app the variable {name}: [app] env = {{ {name} = "
        f'"{{env:{name}}}" }} takes it from your shell, [app] env_file = ".env" a file of them;'
        " or mend what the log names"
    )


def missing_variable(log: Sequence[str]) -> str | None:
    """The variable that the last words of a program name as missing, else None."""
    for number, line in reversed(list(enumerate(log))):
        for pattern in _VARIABLES:
            found = pattern.search(line.rstrip())
            if found is not None:
                return found["name"]
        # pydantic-settings: the field's name on a line, what is wrong with it on the next.
        if "Field required [type=missing" in line and number:
            found = _FIELD.match(log[number - 1].strip())
            if found is not None:
                return found["name"].upper()
    return None
