"""The app's own connection pool: how its size, ``app.pool``, reaches the app and the user's files.

Only the user knows which environment variable the app reads, so the study file names it
(``[app] pool``). Its value is no secret, whatever else the environment holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from labcoat.model.study import App, Study
from labcoat.model.variant import ORIGIN, Level, Variant
from labcoat.stack.base import Component

NAME = "app"
DIRECTIVE = "pool"


def pool_level(variant: Variant) -> Level | None:
    """The size that a variant gives the pool; None where it says none."""
    return variant.levels(NAME).get(DIRECTIVE)


def said_pool(app: App) -> int | None:
    """The size that ``[app] env`` says; None where it is unsaid, or no number."""
    text = dict(app.env).get(app.pool or "", "")
    return int(text) if re.fullmatch(r"\d{1,6}", text) else None


def with_pool(app: App, variant: Variant) -> App:
    """The app with the variant's size in its environment."""
    level = pool_level(variant)
    if level is None or app.pool is None:
        return app
    return replace(app, env=tuple({**dict(app.env), app.pool: str(level)}.items()))


def obstacle(study: Study, components: Mapping[str, Component]) -> str | None:
    """Why the size cannot be set here; None if it can."""
    variable = study.app.pool
    if variable is None:
        return (
            "the study does not say which environment variable the app reads:"
            ' pool = "NAME" under [app]'
        )
    if variable in dict(study.app.env) and said_pool(study.app) is None:
        return f"{variable} is no whole number in [app] env"
    word = re.compile(rf"(?<![\w.]){re.escape(variable)}(?![\w.])")
    for spec in study.components:
        if spec.command is not None and word.search(spec.command):
            return f"the command line of {spec.name} names {variable} itself, and may overrule it"
    for component in components.values():
        for file in component.edited(ORIGIN).files:
            if word.search(file.before):
                return (
                    f"{Path(file.path).name} names {variable} itself, and may overrule the"
                    " environment: move it to [app] env"
                )
    return None


def by_hand(app: App, variant: Variant, *, server: str) -> tuple[str, ...]:
    """What a person has to write where the app is really started."""
    level = pool_level(variant)
    if level is None:
        return ()
    if app.pool is None:
        return (f"app.pool = {level}: where the app sets it; the study names no variable for it",)
    said = f"{app.pool}={level}"
    words = (
        f"app.pool: {said} in the environment that {server} is started with (systemd:"
        f" Environment={said}; a container: ENV {said})"
    )
    return (words,)
