"""Frozen values as JSON documents, and back, by their types.

A dataclass is an object, an enum its name, a tuple or frozenset a list, a mapping a list of
pairs. Where a union of dataclasses is meant, ``kind`` names the class.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from labcoat.errors import JournalError

Value = TypeVar("Value")


def to_document(value: Any) -> Any:
    """A value as JSON can say it."""
    if is_dataclass(value) and not isinstance(value, type):
        told = {field.name: to_document(getattr(value, field.name)) for field in fields(value)}
        return {"kind": type(value).__name__, **told}
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, Mapping):
        return [[to_document(key), to_document(each)] for key, each in value.items()]
    if isinstance(value, frozenset):
        return sorted((to_document(each) for each in value), key=str)
    if isinstance(value, tuple):
        return [to_document(each) for each in value]
    return value


def from_document(kind: type[Value], document: Any) -> Value:
    """The value of a type that a document tells.

    Keys that it lacks take their defaults, keys that are not known are ignored: documents
    of other versions can be read. Raises: JournalError.
    """
    try:
        return cast("Value", read(kind, document))
    except (KeyError, TypeError, ValueError) as error:
        raise JournalError(
            f"a kept {kind.__name__} cannot be read: {error}",
            way_out="start afresh: labcoat watch keeps its rounds, not this state",
        ) from error


def read(kind: Any, document: Any) -> Any:  # noqa: PLR0911 - one answer per kind of type
    """One value, by its annotation."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return read_union(arguments, document)
    if origin is tuple:
        return tuple(read(arguments[0], each) for each in document)
    if origin is frozenset:
        return frozenset(read(arguments[0], each) for each in document)
    if origin is not None and issubclass(origin, Mapping):
        return {read(arguments[0], key): read(arguments[1], each) for key, each in document}
    if is_dataclass(kind):
        hints, make = hints_of(cast("type", kind)), cast("type", kind)
        return make(
            **{name: read(hints[name], document[name]) for name in hints if name in document}
        )
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind[document]
    return read_plain(kind, document)


def read_union(arguments: tuple[Any, ...], document: Any) -> Any:
    """Whatever of the union the document is: nothing, a class by its name, a plain value."""
    if document is None and types.NoneType in arguments:
        return None
    others = [argument for argument in arguments if argument is not types.NoneType]
    if len(others) == 1:
        return read(others[0], document)
    return read(next(each for each in others if each.__name__ == document["kind"]), document)


def read_plain(kind: Any, document: Any) -> Any:
    """A number, a text, a yes or no."""
    if kind is float and isinstance(document, int) and not isinstance(document, bool):
        return float(document)
    if not isinstance(document, kind):
        raise TypeError(f"{document!r} is no {kind.__name__}")
    return document


@cache
def hints_of(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
