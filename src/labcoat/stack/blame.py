"""What the last words of a Python program blame: the app, and what it lacks."""

from __future__ import annotations

import re
from collections.abc import Sequence

# A name as environment variables have it, so that a plain missing key is not taken for one.
_VARIABLE = re.compile(r"KeyError: '(?P<name>[A-Z][A-Z0-9_]+)'$")


def way_out_of(log: Sequence[str]) -> str:
    """The way out of an app's failure; names the environment variable that it misses."""
    for line in reversed(log):
        found = _VARIABLE.search(line.rstrip())
        if found is not None:
            name = found["name"]
            return (
                f"give the app the variable {name}: [app] env = {{ {name} = "
                f'"{{env:{name}}}" }} takes it from your shell; or mend what the log names'
            )
    return "mend what the last lines name: an import, a missing variable, table or file"
