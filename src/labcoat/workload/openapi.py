"""OpenAPI documents (3.0 and 3.1): one request per operation, filled from its examples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import yaml

from labcoat.errors import UsageError
from labcoat.model.workload import Expectation, RequestTemplate
from labcoat.workload.draft import Draft, LeftOut, free_name, literal

METHODS = ("get", "head", "options", "post", "put", "patch", "delete")
SAFE = frozenset({"get", "head", "options"})
FORM = "application/x-www-form-urlencoded"
DEEPEST = 12
OUR_HEADERS = frozenset({"accept", "content-type", "authorization"})
"""Header parameters that OpenAPI itself says to ignore."""


class _CannotFillError(Exception):
    """A parameter or a body without an example, an enumeration or a schema that says enough."""


def read_openapi(file: Path, *, unsafe: bool) -> Draft:
    """One request for each operation; ``unsafe``: those that change something as well.

    Values come from examples, defaults and enumerations, else from the schema's bounds.
    Raises: UsageError.
    """
    document = _document(file)
    version = document.get("openapi")
    if not isinstance(version, str) or not version.startswith("3."):
        raise UsageError(
            f"this is no OpenAPI document of version 3: openapi is {version!r}",
            where=file,
            way_out="convert a Swagger 2 document first",
        )
    reader = _Reader(document, file)
    requests: list[RequestTemplate] = []
    left_out: list[LeftOut] = []
    for path, method, operation, shared in reader.operations():
        route = f"{method.upper()} {path}"
        if method not in SAFE and not unsafe:
            left_out.append(
                LeftOut(route=route, count=1, why="it may change data; --unsafe takes it")
            )
            continue
        try:
            request = reader.request(path, method, operation, shared)
        except (TypeError, ValueError, AttributeError, LookupError) as error:
            raise UsageError(
                f"the operation is not as OpenAPI has it: {error}",
                where=f"{file}, {route}",
                way_out="mend it there; an OpenAPI linter says what is wrong",
            ) from error
        except _CannotFillError as error:
            left_out.append(LeftOut(route=route, count=1, why=str(error)))
            continue
        name = free_name(request.name, [each.name for each in requests])
        requests.append(replace(request, name=name))
    if not requests:
        raise UsageError(
            "no operation of the document can be sent",
            where=file,
            way_out="give its parameters examples, or add --unsafe",
            log=[f"{each.route}: {each.why}" for each in left_out[:20]],
        )
    return Draft(
        origin=f"{file} (OpenAPI {version})",
        requests=tuple(requests),
        left_out=tuple(left_out),
        notes=tuple(reader.notes()),
        facts={"operations": len(requests) + len(left_out)},
    )


def _document(file: Path) -> Mapping[str, Any]:
    """The document, JSON or YAML. Raises: UsageError with line and column."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        is_json = text.lstrip().startswith("{")
        document = json.loads(text) if is_json else yaml.load(text, _Loader)  # noqa: S506 it is safe
    except OSError as error:
        raise UsageError(
            f"the document cannot be read: {error.strerror}", where=file, way_out="check the path"
        ) from error
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise UsageError(
            f"the document is neither JSON nor YAML: {' '.join(str(error).split())}",
            where=file,
            way_out="mend it there",
        ) from error
    if not isinstance(document, dict):
        raise UsageError(
            "the document is no mapping", where=file, way_out="name an OpenAPI document"
        )
    return document


_SAFE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times as fast


class _Loader(_SAFE):  # type: ignore[misc] # PyYAML ships no types
    """Safe, and without dates: an example that looks like one is text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 as the base class has it
        first: [(tag, pattern) for tag, pattern in rows if tag != "tag:yaml.org,2002:timestamp"]
        for first, rows in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class _Reader:
    """A document being read."""

    def __init__(self, document: Mapping[str, Any], file: Path) -> None:
        self.document = document
        self.file = file
        self.secured: set[str] = set()
        self.base = self._base()

    def _base(self) -> str:
        """The path that every operation's path continues: of the first server."""
        servers = self.document.get("servers")
        first = servers[0] if isinstance(servers, list) and servers else {}
        url = first.get("url", "") if isinstance(first, dict) else ""
        for name, variable in (first.get("variables") or {}).items() if first else ():
            url = url.replace(f"{{{name}}}", str(variable.get("default", "")))
        return urlsplit(url).path.rstrip("/")

    def operations(self) -> Iterator[tuple[str, str, Mapping[str, Any], list[Any]]]:
        """Path, method, operation, and the parameters that all of a path share."""
        paths = self.document.get("paths")
        for path, item in paths.items() if isinstance(paths, dict) else ():
            found = self.resolved(item)
            for method in METHODS:
                operation = found.get(method)
                if isinstance(operation, dict):
                    yield str(path), method, operation, found.get("parameters") or []

    def resolved(self, value: Any) -> Mapping[str, Any]:
        """A mapping, its ``$ref`` followed within the document. Raises: UsageError."""
        seen: set[str] = set()
        while isinstance(value, dict) and isinstance(value.get("$ref"), str):
            reference = value["$ref"]
            if reference in seen or not reference.startswith("#/"):
                raise UsageError(
                    f"a reference leads nowhere here: {reference}",
                    where=self.file,
                    way_out="bundle the document into one file",
                )
            seen.add(reference)
            value = self.document
            for part in reference[2:].split("/"):
                key = part.replace("~1", "/").replace("~0", "~")
                value = value.get(key) if isinstance(value, dict) else None
            if value is None:
                raise UsageError(
                    f"a reference leads nowhere: {reference}", where=self.file, way_out="mend it"
                )
        return value if isinstance(value, dict) else {}

    def request(
        self, path: str, method: str, operation: Mapping[str, Any], shared: list[Any]
    ) -> RequestTemplate:
        """The request of an operation. Raises: _CannotFillError, UsageError."""
        parameters: dict[tuple[str, str], Mapping[str, Any]] = {}
        for raw in (*shared, *(operation.get("parameters") or [])):
            parameter = self.resolved(raw)
            parameters[str(parameter.get("in")), str(parameter.get("name"))] = parameter
        template = literal(self.base + path)
        query, headers = [], []
        for (where, name), parameter in parameters.items():
            if where == "path":
                text = self.spelt(parameter, is_path=True)
                template = template.replace(f"{{{{{name}}}}}", text)
            elif where == "query" and parameter.get("required"):
                query.append(f"{quote(name, safe='')}={self.spelt(parameter, is_path=True)}")
            elif (
                where == "header" and parameter.get("required") and name.lower() not in OUR_HEADERS
            ):
                headers.append((name, self.spelt(parameter, is_path=False)))
        if "{{" in template:
            raise _CannotFillError("a part of its path is no parameter of it")
        kind, body = self.body(operation)
        if kind:
            headers.append(("Content-Type", kind))
        self._secure(operation)
        target = f"{template}?{'&'.join(query)}" if query else template
        name = str(operation.get("operationId") or f"{method.upper()} {path}")
        return RequestTemplate(
            path=target,
            name=name,
            method=method.upper(),
            headers=tuple(headers),
            body=body,
            expect=Expectation(statuses=_good_statuses(operation)),
        )

    def spelt(self, parameter: Mapping[str, Any], *, is_path: bool) -> str:
        """A parameter's value or placeholder. Raises: _CannotFillError."""
        schema = self.resolved(parameter.get("schema"))
        given = _given(parameter, self)
        if given is None:
            given = _given(schema, self)
        if given is None and not is_path:
            given = self.value(schema, 0)
        if given is None:
            drawn = _drawn(schema)
            if drawn is None:
                name = parameter.get("name")
                raise _CannotFillError(f"nothing says what {name} may be: give it an example")
            return drawn
        text = _text(given)
        return literal(quote(text, safe="") if is_path else text)

    def body(self, operation: Mapping[str, Any]) -> tuple[str, str | None]:
        """Media type and body. Raises: _CannotFillError."""
        wanted = self.resolved(operation.get("requestBody"))
        content = wanted.get("content")
        if not isinstance(content, dict) or not content:
            return "", None
        kinds = [kind for kind in content if kind.endswith("json")] + [
            k for k in content if k == FORM
        ]
        if not kinds:
            raise _CannotFillError(f"its body is {', '.join(content)}")
        kind = kinds[0]
        media = self.resolved(content[kind])
        value = _given(media, self)
        if value is None:
            value = self.value(self.resolved(media.get("schema")), 0)
        if kind == FORM:
            return kind, literal(urlencode(value if isinstance(value, dict) else {}, doseq=True))
        return kind, literal(json.dumps(value))

    def value(self, schema: Mapping[str, Any], depth: int) -> Any:
        """A value that a schema allows: an example, else the least that it asks for."""
        given = _given(schema, self)
        if given is not None or depth > DEEPEST:
            return given
        for key in ("allOf", "oneOf", "anyOf"):
            if isinstance(schema.get(key), list) and schema[key]:
                parts = [self.value(self.resolved(each), depth + 1) for each in schema[key]]
                if key == "allOf" and all(isinstance(part, dict) for part in parts):
                    own = {k: v for k, v in schema.items() if k != "allOf"}
                    parts.append(self.value(own, depth + 1) if "properties" in own else {})
                    return {name: each for part in parts for name, each in part.items()}
                return parts[0]
        kind = schema.get("type")
        kind = next((k for k in kind if k != "null"), None) if isinstance(kind, list) else kind
        if kind == "object" or "properties" in schema:
            required = schema.get("required") or []
            properties = schema.get("properties") or {}
            return {
                name: self.value(self.resolved(each), depth + 1)
                for name, each in properties.items()
                if name in required and not self.resolved(each).get("readOnly")
            }
        if kind == "array":
            item = self.value(self.resolved(schema.get("items")), depth + 1)
            return [item] * max(int(schema.get("minItems", 0)), 1)
        return _scalar(kind, schema)

    def _secure(self, operation: Mapping[str, Any]) -> None:
        wanted = operation.get("security", self.document.get("security")) or []
        for each in wanted if all(wanted) else ():  # an empty alternative: none is needed
            self.secured |= set(each)

    def notes(self) -> Iterator[str]:
        """What the document does not say."""
        yield "every operation weighs the same: put in the shares that your users have"
        schemes = self.resolved(
            self.resolved(self.document.get("components")).get("securitySchemes")
        )
        for name in sorted(self.secured):
            scheme = self.resolved(schemes.get(name))
            kind = " ".join(
                str(scheme[key]) for key in ("type", "scheme", "in", "name") if key in scheme
            )
            yield (
                f"security is wanted: {name} ({kind or 'not described'}); nothing of it is sent:"
                " add headers with {env:NAME}, or log in with [[workload.setup]] steps"
            )


def _given(holder: Mapping[str, Any], reader: _Reader) -> Any:
    """What a document gives as an example, a default or the first of an enumeration."""
    if "example" in holder:
        return holder["example"]
    examples = holder.get("examples")
    if isinstance(examples, list) and examples:
        return examples[0]
    if isinstance(examples, dict) and examples:
        return reader.resolved(next(iter(examples.values()))).get("value")
    if "const" in holder:
        return holder["const"]
    if "default" in holder:
        return holder["default"]
    return None


def _drawn(schema: Mapping[str, Any]) -> str | None:
    """A placeholder for what a schema allows, or None if it does not say enough."""
    words = schema.get("enum")
    if isinstance(words, list) and words:
        spelt = [literal(quote(_text(word), safe="")) for word in words if word is not None]
        return f"{{{'|'.join(spelt)}}}" if len(spelt) > 1 else spelt[0]
    if schema.get("format") == "uuid":
        return "{uuid}"
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    if "integer" in kinds or "number" in kinds:
        low = int(schema.get("minimum", 1))
        high = int(schema.get("maximum", max(low, 1)))
        return f"{{{low}..{high}}}" if high > low else str(low)
    if "boolean" in kinds:
        return "{true|false}"
    return None


def _scalar(kind: Any, schema: Mapping[str, Any]) -> Any:
    words = schema.get("enum")
    if isinstance(words, list) and words:
        return words[0]
    if kind in {"integer", "number"}:
        return schema.get("minimum", 1)
    if kind == "boolean":
        return True
    if kind == "string":
        text = _FORMATS.get(str(schema.get("format")), "text")
        least = int(schema.get("minLength", 0))
        return (text * (least // len(text) + 1))[: max(least, len(text))]
    return None


_FORMATS = {
    "date": "2024-02-29",
    "date-time": "2024-02-29T12:00:00Z",
    "email": "someone@example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uri": "http://example.com/",
}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(_text(each) for each in value)
    return json.dumps(value) if isinstance(value, dict) else str(value)


def _good_statuses(operation: Mapping[str, Any]) -> tuple[int, ...]:
    """The statuses below 400 that the operation names; empty where it names none."""
    named = [str(status) for status in operation.get("responses") or {}]
    return tuple(sorted(int(s) for s in named if s.isdigit() and 200 <= int(s) < 400))
