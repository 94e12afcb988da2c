"""The environment of a component: little is inherited, placeholders are filled, secrets stay in."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from labcoat.errors import LabcoatError, RenderError
from labcoat.model.study import App

# What a program may need of the machine, and nothing of what a shell may hold.
INHERITED = (
    "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR",
    "SSL_CERT_FILE", "TZ",
)  # fmt: skip
SHORTEST_SECRET = 4
FILLED = frozenset({"database", "memcached", "redis"})
"""Components whose placeholders must be filled; other braces are the app's own."""

_PASSWORD = re.compile(r"://[^\s/:@]*:([^\s@]+)@")
_PUBLIC = frozenset(
    {
        "critical", "debug", "development", "error", "false", "info", "local", "localhost", "none",
        "null", "prod", "production", "staging", "test", "testing", "true", "utf-8", "warning",
    }
)  # fmt: skip
_PLACEHOLDER = re.compile(r"\{([a-z_]+(?:\.[a-z_]+)?)\}")


def base(app: App, directory: Path) -> dict[str, str]:
    """What every component gets. ``directory``: stands in for home and for temporary files.

    PYTHONHASHSEED is left alone: a fixed seed is one instance measured again and again.
    """
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    path = os.pathsep.join((str(app.python.parent), os.environ.get("PATH", os.defpath)))
    return {
        "LANG": "C.UTF-8",
        **kept,
        "PATH": path,
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def filled(app: App, values: Mapping[str, str]) -> dict[str, str]:
    """The app's own environment, placeholders filled. Raises: RenderError, no value shown."""
    return {name: fill(text, values, where=f"[app] env {name}") for name, text in app.env}


def fill(text: str, values: Mapping[str, str], *, where: str) -> str:
    """The text with each known placeholder filled. Raises: RenderError."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name in values:
            return values[name]
        if name.partition(".")[0] not in FILLED:
            return found[0]
        known = ", ".join(f"{{{one}}}" for one in sorted(values)) or "none"
        raise RenderError(
            f"nothing fills {{{name}}}",
            where=where,
            way_out=f"name the component under [stack]; known here: {known}",
        )

    return _PLACEHOLDER.sub(value, text)


def secrets_of(app: App) -> tuple[str, ...]:
    """The texts of the app's environment that must not be shown, the longest first.

    Every value, and the password of every URL; not what a placeholder fills, nor words that
    say nothing (``production``, ``True``), without which a log could not be read.
    """
    values = {
        text
        for _, text in app.env
        if not any(name.partition(".")[0] in FILLED for name in _PLACEHOLDER.findall(text))
    }
    passwords = {unquote(found[1]) for _, text in app.env for found in _PASSWORD.finditer(text)}
    passwords |= {found[1] for _, text in app.env for found in _PASSWORD.finditer(text)}
    secret = {
        text
        for text in values | passwords
        if len(text) >= SHORTEST_SECRET and text.lower() not in _PUBLIC
    }
    return tuple(sorted(secret, key=len, reverse=True))


def mask(error: LabcoatError, app: App) -> None:
    """Take the app's secrets out of an error that quotes a log."""
    for secret in secrets_of(app):
        error.log = tuple(line.replace(secret, "***") for line in error.log)
