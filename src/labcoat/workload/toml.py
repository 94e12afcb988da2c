"""Drafts as text: a workload file that the study reads, with what was seen as comments."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator

from labcoat.model.workload import RequestTemplate
from labcoat.workload.draft import Draft

WIDTH = 96


def workload_text(draft: Draft) -> str:
    """The file's text; its weights are the percent of the mix."""
    total = sum(request.weight for request in draft.requests)
    blocks = [
        "\n".join(_head(draft)),
        *("\n".join(_request(request, total)) for request in draft.requests),
    ]
    return "\n\n".join(blocks) + "\n"


def _head(draft: Draft) -> Iterator[str]:
    yield f"# The workload of {_plain(draft.origin)}, drafted by labcoat: read it, correct it."
    yield '# Keys: docs/reference/study-file.md. In labcoat.toml: workload = "<this file>"'
    for note in draft.notes:
        yield from _comment(note)
    for name, count in draft.dropped:
        yield from _comment(f"secret taken out: {name}, {count} times")
    for each in draft.left_out:
        yield from _comment(f"left out: {each.route}, {each.count} times: {each.why}")
    yield ""
    yield "[workload]"


def _comment(text: str) -> Iterator[str]:
    for line in textwrap.wrap(_plain(text), width=WIDTH, break_on_hyphens=False):
        yield f"# {line}"


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


def _request(request: RequestTemplate, total: float) -> Iterator[str]:
    yield "[[workload.requests]]"
    yield f"name = {quoted(request.name)}"
    if request.method != "GET":
        yield f"method = {quoted(request.method)}"
    yield f"path = {quoted(request.path)}"
    yield f"weight = {percent(request.weight, total)}"
    if request.headers:
        pairs = ", ".join(f"{quoted(name)} = {quoted(value)}" for name, value in request.headers)
        yield f"headers = {{ {pairs} }}"
    if request.body is not None:
        yield f"body = {quoted(request.body)}"
    if request.expect.statuses:
        yield f"expect = {{ status = {list(request.expect.statuses)} }}"


def percent(weight: float, total: float) -> str:
    """A share as percent with four digits that count; never nothing."""
    share = 100 * weight / total
    text = f"{share:.4g}"
    return f"{share:.9f}" if "e" in text else text


def quoted(text: str) -> str:
    """A TOML string."""
    if "\\" in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
