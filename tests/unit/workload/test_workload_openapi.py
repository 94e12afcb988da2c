"""OpenAPI documents: what is filled from where, what is left out and why, bad documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from labcoat.errors import UsageError
from labcoat.load.placeholders import parse
from labcoat.model.workload import RequestTemplate
from labcoat.workload.draft import Draft
from labcoat.workload.openapi import read_openapi

YAML = """
openapi: 3.0.3
servers: [{url: "https://{where}.test/api", variables: {where: {default: shop}}}]
security: [{bearer: []}]
components:
  securitySchemes: {bearer: {type: http, scheme: bearer}}
  parameters: {Day: {name: day, in: query, required: true, example: 2024-02-29}}
  schemas:
    Item: {type: object, required: [name, price], properties: {
      id: {type: integer, readOnly: true}, name: {type: string, minLength: 6},
      price: {type: number, minimum: 0.5}, note: {type: string}}}
paths:
  /items/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: integer, minimum: 1, maximum: 500}}]
    get:
      operationId: item
      parameters: [{name: page, in: query, schema: {type: integer}}]
      responses: {"200": {}, "404": {}}
    delete: {responses: {"204": {}}}
  /kinds/{kind}:
    get:
      security: [{bearer: []}, {}]
      parameters:
        - {name: kind, in: path, required: true, schema: {type: string, enum: [a b, "c|d", "{e}"]}}
        - {name: X-Shop, in: header, required: true, schema: {type: string, example: one}}
        - $ref: "#/components/parameters/Day"
  /free/{text}:
    get: {parameters: [{name: text, in: path, required: true, schema: {type: string}}]}
  /items:
    post:
      requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/Item"}}}}
      responses: {"201": {}, default: {}}
    put:
      requestBody: {content: {image/png: {}}}
    patch:
      requestBody:
        content:
          application/x-www-form-urlencoded: {example: {a: "1 &", b: [2, 3]}}
"""


def read(folder: Path, text: str, *, unsafe: bool = False, name: str = "api.yaml") -> Draft:
    (folder / name).write_text(text)
    return read_openapi(folder / name, unsafe=unsafe)


def named(draft: Draft) -> dict[str, RequestTemplate]:
    return {request.name: request for request in draft.requests}


def test_safe_operations_are_filled_from_what_the_document_says(tmp_path: Path) -> None:
    draft = read(tmp_path, YAML)
    item, kinds = draft.requests
    assert (item.name, item.path, item.expect.statuses) == ("item", "/api/items/{1..500}", (200,))
    assert kinds.path == "/api/kinds/{a%20b|c%7Cd|%7Be%7D}?day=2024-02-29"
    assert kinds.headers == (("X-Shop", "one"),)
    assert [(each.route, each.why) for each in draft.left_out] == [
        ("DELETE /items/{id}", "it may change data; --unsafe takes it"),
        ("GET /free/{text}", "nothing says what text may be: give it an example"),
        ("POST /items", "it may change data; --unsafe takes it"),
        ("PUT /items", "it may change data; --unsafe takes it"),
        ("PATCH /items", "it may change data; --unsafe takes it"),
    ]
    assert [note for note in draft.notes if "security" in note] == [
        "security is wanted: bearer (http bearer); nothing of it is sent: add headers with"
        " {env:NAME}, or log in with [[workload.setup]] steps"
    ]


def test_bodies_are_the_least_that_a_schema_asks_for(tmp_path: Path) -> None:
    draft = read(tmp_path, YAML, unsafe=True)
    post, patch = named(draft)["POST /items"], named(draft)["PATCH /items"]
    assert post.headers == (("Content-Type", "application/json"),)
    assert json.loads("".join(map(str, parse(post.body or "")))) == {"name": "textte", "price": 0.5}
    assert post.expect.statuses == (201,)
    assert patch.body == "a=1+%26&b=2&b=3"
    assert ("PUT /items", "its body is image/png") in [(e.route, e.why) for e in draft.left_out]


def one(**operation: Any) -> str:
    return json.dumps({"openapi": "3.1.0", "paths": {"/a/{x}": {"post": operation}}})


def path_of(schema: dict[str, Any], folder: Path) -> str:
    text = one(parameters=[{"name": "x", "in": "path", "schema": schema}])
    return read(folder, text, unsafe=True, name="api.json").requests[0].path


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"type": ["null", "integer"]}, "/a/1"),
        ({"type": "integer", "minimum": 3}, "/a/3"),
        ({"type": "string", "format": "uuid"}, "/a/{uuid}"),
        ({"type": "boolean"}, "/a/{true|false}"),
        ({"enum": ["only"]}, "/a/only"),
        ({"const": "x/y"}, "/a/x%2Fy"),
        ({"examples": ["{z}"]}, "/a/%7Bz%7D"),
        ({"type": "array", "default": [1, 2]}, "/a/1%2C2"),
    ],
)
def test_a_parameter_is_drawn_from_its_schema(
    tmp_path: Path, schema: dict[str, Any], path: str
) -> None:
    assert path_of(schema, tmp_path) == path


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"allOf": [{"properties": {"a": {"const": 1}}, "required": ["a"]}],
          "properties": {"b": {"type": "boolean"}}, "required": ["b"]}, {"a": 1, "b": True}),
        ({"anyOf": [{"type": "string", "format": "date"}, {"type": "integer"}]}, "2024-02-29"),
        ({"type": "array", "minItems": 2, "items": {"enum": ["u", "v"]}}, ["u", "u"]),
        ({"type": "null"}, None),
    ],
)  # fmt: skip
def test_values_of_composed_schemas(tmp_path: Path, schema: dict[str, Any], value: Any) -> None:
    text = one(
        parameters=[{"name": "x", "in": "path", "example": "1"}],
        requestBody={"content": {"application/json": {"schema": schema}}},
    )
    body = read(tmp_path, text, unsafe=True, name="api.json").requests[0].body
    assert json.loads("".join(map(str, parse(body or "")))) == value


def test_a_schema_that_holds_itself_ends(tmp_path: Path) -> None:
    node = {"type": "object", "required": ["n"], "properties": {"n": {"$ref": "#/node"}}}
    document = json.loads(one(
        parameters=[{"name": "x", "in": "path", "example": "1"}],
        requestBody={"content": {"application/json": {"schema": {"$ref": "#/node"}}}},
    ))  # fmt: skip
    text = json.dumps({**document, "node": node})
    assert read(tmp_path, text, unsafe=True, name="api.json").requests[0].body is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("swagger: '2.0'", "no OpenAPI document of version 3: openapi is None"),
        ("- a", "the document is no mapping"),
        ("a: [", "neither JSON nor YAML"),
        ('{"a": ', "neither JSON nor YAML: Expecting value: line 1 column 7"),
        ("a: !!python/object/apply:os.system [x]", "neither JSON nor YAML"),
        ("openapi: 3.0.0\npaths: {}", "no operation of the document can be sent"),
        ("openapi: 3.0.0\npaths: {/a: {get: {parameters: [{$ref: '#/x'}]}}}", "leads nowhere: #/x"),
        ("openapi: 3.0.0\npaths: {/a: {$ref: 'b.yaml#/a'}}", "leads nowhere here: b.yaml#/a"),
        ("openapi: 3.0.0\npaths: {/a: {get: {parameters: 7}}}", "not as OpenAPI has it"),
        ("openapi: 3.0.0\npaths: {'a b': {get: {}}}", "not as OpenAPI has it"),
    ],
)
def test_bad_documents_are_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read(tmp_path, text)


def test_no_document(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_openapi(tmp_path / "absent", unsafe=False)
