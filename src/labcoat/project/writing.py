"""A proposal as a labcoat.toml, and as changes to one that is there."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from labcoat.errors import UsageError
from labcoat.lab.study.study_file import REFERENCE, STUDY_FILE, parse
from labcoat.project.clues import Place
from labcoat.project.proposal import FILL_IN, Answers, Gap, Line, Proposal, Value

HEAD = f"# Written by labcoat init; each line says what it follows from. Every key: {REFERENCE}\n"
TABLES = ("app", "stack", "workload")
MOST_PLACES = 3
SERVERS = ("uwsgi", "gunicorn", "granian", "uvicorn")


def rendered(proposal: Proposal) -> str:
    """The text of a new labcoat.toml; what has to be asked stands in it as comments."""
    parts = [HEAD]
    for table in TABLES:
        parts.append(f"\n[{table}]\n")
        parts += [f"{_line(line)}\n" for line in proposal.lines if line.table == table]
        for gap in proposal.gaps:
            if gap.table == table:
                parts += [f"{text}\n" for text in _asked(gap)]
    return "".join(parts)


def _line(line: Line) -> str:
    text = f"{line.key} = {spelled(line.value)}"
    words = [text_of for text_of in (line.note, cited(line.places)) if text_of]
    comment = f"# {'; '.join(words)}"
    if not words:
        return text
    return f"{text}  {comment}" if len(text) + len(comment) <= 98 else f"{comment}\n{text}"


def _asked(gap: Gap) -> Iterator[str]:
    yield f"# {FILL_IN}: {gap.what}"
    for choice in gap.choices:
        yield "# " + _line(choice).replace("\n", "\n# ")


def cited(places: tuple[Place, ...]) -> str:
    """The places in one comment; of many, the first."""
    shown = ", ".join(str(place) for place in places[:MOST_PLACES])
    rest = len(places) - MOST_PLACES
    return f"{shown} and {rest} more" if rest > 0 else shown


def spelled(value: Value) -> str:
    """A value as TOML, on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON's strings are TOML's, but for the one character that JSON leaves as it is.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_key(key)} = {spelled(inner)}" for key, inner in value.items())
        return f"{{ {pairs} }}"
    if isinstance(value, tuple):
        return f"[{', '.join(spelled(inner) for inner in value)}]"
    return str(value)


def _key(key: str) -> str:
    bare = key.replace("-", "").replace("_", "")
    return key if bare.isascii() and bare.isalnum() else spelled(key)


def plain(value: Value) -> Any:
    """A value as ``tomllib`` would read it."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, tuple) else value


def answered(text: str, file: Path, *, app: str | None, server: str | None) -> Answers:
    """What the command line answers, else an existing labcoat.toml. Raises: UsageError."""
    tables = parse(text, file)
    own, stack = (
        table if isinstance(table, Mapping) else {}
        for table in (tables.get("app"), tables.get("stack"))
    )
    said = own.get("wsgi") or own.get("asgi")
    return Answers(
        app=app or (said if isinstance(said, str) else None),
        server=server or next((name for name in SERVERS if name in stack), None),
        place=Place(STUDY_FILE),
    )


def changed(text: str, proposal: Proposal, file: Path) -> str:
    """An existing labcoat.toml with what the project says now; all else stays as it is.

    The workload, the study's settings, values of ``env`` that are there, options, programs and
    what the project does not speak of are the user's. Raises: UsageError if it is not TOML.
    """
    before = parse(text, file)
    try:
        document = tomlkit.parse(text)
        for table, key, value in _differences(before, proposal):
            _put(document, table, key, value)
        edited = tomlkit.dumps(document)
        tomllib.loads(edited)
    except (TOMLKitError, tomllib.TOMLDecodeError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(
            "the study file cannot be edited as it is written",
            where=file,
            way_out="see what labcoat init writes in a copy of the project without it",
        ) from error
    return edited


def _differences(
    before: Mapping[str, Any], proposal: Proposal
) -> Iterator[tuple[str, str, Value | None]]:
    """(table, key, value) of what should change; None takes a key out."""
    for line in proposal.lines:
        table = before.get(line.table, {})
        if not isinstance(table, Mapping):
            continue
        said = table.get(line.key)
        if line.table == "workload" and said is not None:
            continue
        if line.key in {"wsgi", "asgi"}:
            other = {"wsgi": "asgi", "asgi": "wsgi"}[line.key]
            if other in table:
                yield "app", other, None
        if line.table == "stack" and line.key in SERVERS:
            for name in SERVERS:
                if name in table and name != line.key:
                    yield "stack", name, None
        value = _wanted(line, said)
        if value != said:
            yield line.table, line.key, value


def _wanted(line: Line, said: Any) -> Any:
    """The value that a key should have, given the one that it has."""
    value = plain(line.value)
    if line.table == "app" and line.key == "env" and isinstance(said, Mapping):
        return {**value, **said}
    if line.table != "stack" or said is None:
        return value
    have = (
        {"file": said} if isinstance(said, str) else dict(said) if isinstance(said, Mapping) else {}
    )
    want = {"file": value} if isinstance(value, str) else value if isinstance(value, dict) else {}
    merged = {**want, **have, **({"file": want["file"]} if "file" in want else {})}
    return said if merged == have else merged


def _put(document: tomlkit.TOMLDocument, table: str, key: str, value: Any) -> None:
    if value is None:
        del document[table][key]
        return
    if table not in document:
        document[table] = tomlkit.table()
    inside: Any = document[table]
    if isinstance(value, dict) and isinstance(inside.get(key), Mapping):
        for name, one in value.items():
            if name not in inside[key] or inside[key][name] != one:
                inside[key][name] = tomlkit.item(one)
        return
    new = tomlkit.value(spelled(_frozen(value)))
    if key in inside and hasattr(inside[key], "trivia"):
        new.trivia.comment_ws = inside[key].trivia.comment_ws
        new.trivia.comment = inside[key].trivia.comment
    inside[key] = new


def _frozen(value: Any) -> Value:
    if isinstance(value, dict):
        return {key: _frozen(inner) for key, inner in value.items()}
    return tuple(_frozen(inner) for inner in value) if isinstance(value, list) else value


def create(file: Path, text: str) -> None:
    """Write a file that is not there yet, in one write. Raises: UsageError, OSError."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError as error:
        raise UsageError(
            "a study file has appeared meanwhile, and is left as it is",
            where=file,
            way_out="labcoat init again shows what it would change",
        ) from error
    with os.fdopen(descriptor, "wb", buffering=0) as stream:
        stream.write(text.encode())
