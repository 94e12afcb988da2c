"""labcoat.toml: options of a component and the app's environment, however the user wrote them."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from labcoat.errors import RenderError
from labcoat.model.variant import Level

_BOM = "\ufeff"


def assign(text: str, component: str, levels: Mapping[str, Level], *, path: Path) -> str:
    """The text with these options of a component of ``[stack]``, each under its own spelling.

    What comes out is read again and held against what was meant.
    Raises: RenderError if the text has a form that cannot be edited without harm.
    """
    if not levels:
        return text

    def change(document: Any, inline: Any) -> None:
        _set(document["stack"], component, levels, inline=inline)

    try:
        return _edited(text, change)
    except MISTAKES as error:
        raise RenderError(
            f"the options of {component} cannot be edited in this file as it is written",
            where=path,
            way_out=f"write them in a table of their own, [stack.{component}.options]",
        ) from error


def assign_env(text: str, name: str, value: str, *, path: Path) -> str:
    """The text with this variable in the app's environment; the same care, the same errors."""

    def change(document: Any, inline: Any) -> None:
        app = document["app"]
        if not isinstance(app, MutableMapping):
            raise TypeError("app is no table")
        if "env" not in app:
            app["env"] = inline()
        app["env"][name] = value

    try:
        return _edited(text, change)
    except MISTAKES as error:
        raise RenderError(
            "the app's environment cannot be edited in this file as it is written",
            where=path,
            way_out="write it in a table of its own, [app.env]",
        ) from error


MISTAKES = (tomllib.TOMLDecodeError, TOMLKitError, TypeError, KeyError, ValueError)


def _edited(text: str, change: Callable[[Any, Any], None]) -> str:
    """The text with a change, which is given the document and what makes an inline table.

    Raises: ValueError if it says anything else than was meant.
    """
    bom, text = (_BOM, text[1:]) if text.startswith(_BOM) else ("", text)
    wanted = tomllib.loads(text)
    document = tomlkit.parse(text)
    is_kept = tomlkit.dumps(document) == text
    change(wanted, dict)
    change(document, tomlkit.inline_table)
    edited = tomlkit.dumps(document)
    if "\r\n" in text and "\n" not in text.replace("\r\n", ""):
        edited = edited.replace("\r\n", "\n").replace("\n", "\r\n")
    if not is_kept or tomllib.loads(edited) != wanted:
        raise ValueError("tomlkit wrote something else than was meant")
    return bom + edited


def _set(stack: Any, component: str, levels: Mapping[str, Level], *, inline: Any) -> None:
    """Set options in a document, be it tomlkit's or a plain one.

    Raises: KeyError, TypeError for a document that does not have the component's table.
    """
    given = stack[component]
    if given is True:
        stack[component] = inline()
        given = stack[component]
    if not isinstance(given, MutableMapping):
        raise TypeError(f"{component} is no table")
    if "options" not in given:
        given["options"] = inline()
    options = given["options"]
    spellings = {_plain(key): key for key in options}
    for name, level in levels.items():
        options[spellings.get(_plain(name), name)] = level


def _plain(name: str) -> str:
    return name.replace("_", "-").lstrip("-")
