"""Placeholders that stand for secrets until the moment of execution.

``{{ secret('N') }}`` renders to ``‹secret:N›``. That text is what is kept, journaled and
shown; only the engine, at execution, fills the value in.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

_PLACEHOLDER = re.compile(r"‹secret:([A-Za-z0-9_.-]+)›")


def placeholder(name: str) -> str:
    """What stands for a secret. Raises: ValueError for a name that cannot be one."""
    text = f"‹secret:{name}›"
    if not _PLACEHOLDER.fullmatch(text):
        raise ValueError(f"a secret's name is made of letters, digits, _ . -, not {name!r}")
    return text


def names_in(text: str) -> tuple[str, ...]:
    """The secrets that a text needs, each once, in order."""
    return tuple(dict.fromkeys(_PLACEHOLDER.findall(text)))


def filled(text: str, secrets: Mapping[str, str]) -> str:
    """A shell text with its secrets in place, each quoted as one word.

    Raises: KeyError naming a secret that is not there.
    """
    return _PLACEHOLDER.sub(lambda found: shlex.quote(secrets[found[1]]), text)


def scrubbed(text: str, secrets: Mapping[str, str]) -> str:
    """A text, such as a command's output, with every secret's value replaced by its name."""
    for name, value in sorted(secrets.items(), key=lambda item: -len(item[1])):
        if value:
            text = text.replace(value, f"‹secret:{name}›")
    return text
