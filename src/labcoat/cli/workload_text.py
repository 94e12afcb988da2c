"""What ``labcoat workload`` says: of a draft, and of what will be sent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from labcoat.lab.trial.spoken import Spoken, spoken, spoken_setup
from labcoat.load import placeholders
from labcoat.load.captures import fill
from labcoat.model.workload import RequestTemplate, Workload
from labcoat.report.format import percent, three_digits
from labcoat.workload.draft import Draft
from labcoat.workload.secrets import is_secret_name, looks_random

SCHEMA = 1
MASK = "***"
LONGEST = 300
_ENV = re.compile(r"(?<!\{)\{env:[A-Za-z_]\w*\}")
_FIELD = re.compile(r"([?&]|^)([^=&?]+)=([^&]+)")
_JSON_FIELD = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:\s*)"((?:[^"\\]|\\.)*)"')
PLANS = (
    "closed loop without thinking time: how much (noise, capacity, every experiment)",
    "open loop, Poisson arrivals at rates that the baseline chooses: how fast",
)


# -- drafts ----------------------------------------------------------------------------


def draft_document(draft: Draft, output: Path) -> dict[str, object]:
    """The JSON document of a draft."""
    total = sum(request.weight for request in draft.requests)
    return {
        "schema": SCHEMA,
        "file": str(output),
        "origin": draft.origin,
        "routes": [
            {
                "name": request.name,
                "method": request.method,
                "path": request.path,
                "count": round(request.weight),
                "share_ratio": request.weight / total,
            }
            for request in draft.requests
        ],
        "left_out": [
            {"route": each.route, "count": each.count, "why": each.why} for each in draft.left_out
        ],
        "secrets": [{"name": name, "count": count} for name, count in draft.dropped],
        "notes": list(draft.notes),
        "facts": dict(draft.facts),
    }


def draft_text(draft: Draft, output: Path) -> Iterator[str]:
    """A draft for people."""
    total = sum(request.weight for request in draft.requests)
    yield f"{output}: {len(draft.requests)} routes from {draft.origin}"
    yield ""
    for request in draft.requests:
        yield f"  {percent(request.weight / total):>6}  {request.method} {request.path}"
    yield ""
    yield from _facts(draft.facts)
    for name, count in draft.dropped:
        yield f"  secret taken out   {name}, {count:,} times"
    for each in draft.left_out[:20]:
        yield f"  left out           {each.route}, {each.count:,} times: {each.why}"
    if len(draft.left_out) > 20:
        yield f"  left out           {len(draft.left_out) - 20} more; the file names them"
    for note in draft.notes:
        yield f"  note               {note}"
    yield ""
    yield f'Read and correct it; then, in labcoat.toml: workload = "{output}"'


def _facts(facts: Mapping[str, Any]) -> Iterator[str]:
    """What a log says beside its mix."""
    if "lines" in facts:
        yield f"  lines              {facts['lines']:,}"
        shares = (f"{kind} {percent(share)}" for kind, share in facts["statuses"].items())
        yield f"  statuses           {', '.join(shares)}; only what was answered well is taken"
        if facts["static_ratio"] is not None:
            yield f"  static files       {percent(facts['static_ratio'])} of what was answered well"
    if arrivals := facts.get("arrivals"):
        rate, busiest = arrivals["rate_per_s"], arrivals["busiest_hour_rate_per_s"]
        most_s = three_digits(busiest)
        yield f"  arrivals           {three_digits(rate)} per second, {most_s} in the busiest hour"
        index = arrivals["index_of_dispersion"]
        if index is not None:
            yield f"  burstiness         index of dispersion {index:.2f} (1 is Poisson)"
        hours = arrivals["requests_by_hour_of_day"]
        most = max(hours)
        bars = "".join(" ▁▂▃▄▅▆▇█"[round(8 * n / most)] for n in hours)
        yield f"  by hour, 0 to 23   {bars}"
    if clients := facts.get("clients"):
        think = clients["think_s"]
        yield (
            f"  users              {clients['clients']:,} addresses, {clients['visits']:,} visits,"
            f" {three_digits(clients['users_at_once'])} at once"
            + (f", {think} s between requests (median)" if think is not None else "")
        )


# -- what will be sent -----------------------------------------------------------------


def show_document(
    workload: Workload, *, users: int, seed: int, count: int, name: str
) -> dict[str, Any]:
    """What will be sent, as data; secrets are masked. Raises: UsageError, LoadError."""
    masked = replace(
        workload,
        requests=tuple(map(_without_variables, workload.requests)),
        setup=tuple(map(_without_variables, workload.setup)),
    )
    total = sum(request.weight for request in workload.requests)
    list(spoken(masked, seed=seed, count=0))  # whether every gap can be filled
    return {
        "schema": SCHEMA,
        "workload": name,
        "users": users,
        "think_s": 0.0,
        "plans": list(PLANS),
        "cookies": workload.cookies,
        "setup": [
            _route(step, _shown(each), masked.base_dir)
            for step, each in zip(masked.setup, spoken_setup(masked, user=1), strict=True)
        ],
        "routes": [
            {
                **_route(request, _shown(_example(masked, request, seed)), masked.base_dir),
                "share_ratio": request.weight / total,
            }
            for request in masked.requests
        ],
        "seed": seed,
        "first": [
            {"route": _masked(each.route), "request": f"{each.method} {_shown(each)['path']}"}
            for each in spoken(masked, seed=seed, count=count)
        ],
    }


def _example(workload: Workload, request: RequestTemplate, seed: int) -> Spoken:
    return next(spoken(replace(workload, requests=(request,)), seed=seed, count=1))


def _without_variables(request: RequestTemplate) -> RequestTemplate:
    """The request with every variable of the environment masked; none is looked up."""
    return replace(
        request,
        path=_ENV.sub(MASK, request.path),
        headers=tuple((name, _ENV.sub(MASK, value)) for name, value in request.headers),
        body=None if request.body is None else _ENV.sub(MASK, request.body),
    )


def _route(request: RequestTemplate, example: Mapping[str, Any], base_dir: str) -> dict[str, Any]:
    texts = (request.path, *(value for _, value in request.headers), request.body or "")
    drawn = [
        piece
        for text in texts
        for piece in placeholders.parse(text, base_dir=base_dir)
        if not isinstance(piece, str)
    ]
    return {
        "name": _masked(request.name),
        "method": request.method,
        "path": _masked(request.path),
        "placeholders": [_told(piece) for piece in drawn],
        "captures": [
            f"{each.name} by {each.source.value} {each.expression}" for each in request.captures
        ],
        "expect": {
            "status": list(request.expect.statuses) or "below 400",
            "contains": request.expect.contains,
            "min_bytes": request.expect.min_bytes,
        },
        "example": example,
    }


def _told(piece: placeholders.Draw) -> str:
    match piece:
        case placeholders.WholeNumber():
            return f"a whole number from {piece.low} to {piece.high}"
        case placeholders.Choice():
            n = len(set(piece.words))
            return f"one of {len(piece.words)} values" + (
                f" ({n} different)" if n < len(piece.words) else ""
            )
        case placeholders.Uuid():
            return "a random UUID"
        case placeholders.Gap():
            what = "the user's number" if piece.name == placeholders.USER else piece.name
            return what if piece.name == placeholders.USER else f"what was captured as {what}"


def _shown(each: Spoken) -> dict[str, Any]:
    """A request as it goes over the wire, for eyes: gaps named, secrets masked."""
    named = _Names()
    body = fill(each.body.decode("utf-8", "replace"), named)
    return {
        "path": _masked(fill(each.path, named)),
        "headers": [
            [name, MASK if _is_secret_header(name, value) else fill(value, named)]
            for name, value in each.headers
            if name.lower() != "content-length"
        ],
        "body": _masked(body)[:LONGEST] if body else None,
    }


class _Names(dict[str, str]):
    """Every gap by its own name."""

    def get(self, key: str, default: Any = None) -> Any:
        """The name, as a gap is shown."""
        del default
        return f"<{key}>"


def _is_secret_header(name: str, value: str) -> bool:
    return name.lower() == "cookie" or is_secret_name(name) or looks_random(value)


def _masked(text: str) -> str:
    """Values of secret-looking names masked, in queries, forms and JSON; gaps are none."""

    def of_field(match: re.Match[str]) -> str:
        return f"{match[1]}{match[2]}={_value(match[2], match[3])}"

    def of_json(match: re.Match[str]) -> str:
        return f'{match[1]}{match[2]}"{_value(match[1], match[3])}"'

    return _JSON_FIELD.sub(of_json, _FIELD.sub(of_field, text))


def _value(name: str, value: str) -> str:
    if value.startswith(("<", "{")):
        return value
    return MASK if is_secret_name(name) or looks_random(value) else value


def show_text(document: Mapping[str, Any]) -> Iterator[str]:
    """The document for people."""
    kept = "keep" if document["cookies"] else "drop"
    yield f"{document['workload']}: {len(document['routes'])} routes, {document['users']} users"
    yield f"  users {kept} the cookies they are given, and send without a pause"
    for plan in document["plans"]:
        yield f"  {plan}"
    for step in document["setup"]:
        yield ""
        yield f"set-up, once per user: {step['name']}"
        yield from _route_lines(step)
    for route in document["routes"]:
        yield ""
        yield f"{percent(route['share_ratio'])} {route['name']}"
        yield from _route_lines(route)
    if document["first"]:
        yield ""
        yield f"the first requests of a slice with seed {document['seed']}"
        width = max(len(each["route"]) for each in document["first"])
        yield from (f"  {each['route']:<{width}}  {each['request']}" for each in document["first"])


def _route_lines(route: Mapping[str, Any]) -> Iterator[str]:
    example = route["example"]
    yield f"    {route['method']} {example['path']}"
    yield from (f"    {name}: {value}" for name, value in example["headers"])
    if example["body"] is not None:
        yield ""
        yield f"    {example['body']}"
    yield from _listed("varies", route["placeholders"])
    yield from _listed("captures", route["captures"])
    expect = route["expect"]
    wanted = [f"status {expect['status']}"]
    wanted += [f"holds {expect['contains']!r}"] if expect["contains"] else []
    wanted += [f"at least {expect['min_bytes']} bytes"] if expect["min_bytes"] else []
    yield f"  expects   {', '.join(wanted)}"


def _listed(title: str, rows: Sequence[str]) -> Iterator[str]:
    if rows:
        yield f"  {title:<9} {'; '.join(rows)}"
