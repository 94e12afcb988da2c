"""HAR files: what a browser recorded, in its order, without who recorded it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

from labcoat.errors import UsageError
from labcoat.model.workload import Expectation, RequestTemplate
from labcoat.workload.draft import Draft, LeftOut, free_name, literal
from labcoat.workload.routes import split_query
from labcoat.workload.secrets import HARMLESS_HEADERS, is_secret_name, looks_random

FORM = "application/x-www-form-urlencoded"
LONGEST_BODY = 65_536


def read_har(file: Path, *, host: str | None) -> Draft:
    """The requests that a recording holds for one host, in order; a repeated one weighs more.

    ``host``: which; None is the one that was asked first. Cookies, credentials and what looks
    like a token are dropped and counted. A weight is how often a request was made.
    Raises: UsageError.
    """
    entries = sorted(_entries(file), key=lambda entry: str(entry.get("startedDateTime", "")))
    reading = _Recording(file=file, host=host)
    for index, entry in enumerate(entries):
        try:
            reading.take(entry)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UsageError(
                f"an entry of the recording is not as HAR 1.2 has it: {error!r}",
                where=f"{file}, log.entries[{index}]",
                way_out="record it again: developer tools, network, save all as HAR",
            ) from error
    return reading.draft()


def _entries(file: Path) -> list[dict[str, Any]]:
    try:
        entries = json.loads(file.read_bytes())["log"]["entries"]
    except OSError as error:
        raise UsageError(
            f"the recording cannot be read: {error.strerror}", where=file, way_out="check the path"
        ) from error
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise UsageError(
            f"this is no HAR file: {error}", where=file, way_out="it is JSON with log.entries"
        ) from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UsageError(
            "this is no HAR file: log.entries is no list of entries",
            where=file,
            way_out="save it again from the browser's network tab",
        )
    return entries


class _Recording:
    """What was taken of a recording so far."""

    def __init__(self, *, file: Path, host: str | None) -> None:
        self.file = file
        self.host = host
        self.requests: dict[RequestTemplate, int] = {}
        self.dropped: Counter[str] = Counter()
        self.left_out: Counter[tuple[str, str]] = Counter()
        self.pauses_s: list[float] = []
        self._ended: float | None = None

    def take(self, entry: Mapping[str, Any]) -> None:
        """One entry. Raises: KeyError, TypeError, ValueError where it is no HAR."""
        request, response = entry["request"], entry["response"]
        url = urlsplit(request["url"])
        method, status = str(request["method"]).upper(), int(response["status"])
        if self.host is None and url.netloc:
            self.host = url.netloc.rpartition("@")[2]
        route = f"{method} {url.path}"
        if url.netloc.rpartition("@")[2] != self.host:
            self.left_out[f"requests to {url.hostname}", "another host"] += 1
        elif not 200 <= status < 400:
            self.left_out[route, f"it was answered with {status}"] += 1
        else:
            self._pause(entry)
            self._add(request, method, url.path or "/", url.query, status)

    def _pause(self, entry: Mapping[str, Any]) -> None:
        started = datetime.fromisoformat(str(entry["startedDateTime"])).timestamp()
        if self._ended is not None:
            self.pauses_s.append(max(started - self._ended, 0.0))
        self._ended = max(self._ended or 0.0, started + float(entry.get("time", 0)) / 1000)

    def _add(
        self, request: Mapping[str, Any], method: str, path: str, query: str, status: int
    ) -> None:
        names, values, secrets = split_query(query)
        self.dropped.update(secrets)
        filled = iter(values)
        query = "&".join(name + (next(filled) if name.endswith("=") else "") for name in names)
        headers = []
        for header in request.get("headers", ()):
            name, value = str(header["name"]), str(header["value"])
            if name.lower() in HARMLESS_HEADERS and value.isascii() and value.isprintable():
                headers.append((name.title(), literal(value)))
            elif name.lower() in {"cookie", "authorization"} or is_secret_name(name):
                self.dropped[f"header {name.title()}"] += 1
        body = self._body(request.get("postData"))
        if method in {"POST", "PUT", "PATCH"} and body is None and request.get("bodySize", 0) > 0:
            self.left_out[f"{method} {path}", "the recording lacks its body"] += 1
            return
        if body is None:
            headers = [pair for pair in headers if pair[0] != "Content-Type"]
        template = RequestTemplate(
            path=literal(f"{path}?{query}" if query else path),
            name=path if method == "GET" else f"{method} {path}",
            method=method,
            headers=tuple(headers),
            body=body,
            expect=Expectation(statuses=(200 if status == 304 else status,)),
        )
        self.requests[template] = self.requests.get(template, 0) + 1

    def _body(self, posted: Mapping[str, Any] | None) -> str | None:
        """A body without its secrets; None where there is none, or not all of it."""
        if not posted or not (posted.get("text") or posted.get("params")):
            return None
        kind = str(posted.get("mimeType", "")).partition(";")[0]
        text = str(
            posted.get("text")
            or urlencode([(p["name"], p.get("value", "")) for p in posted["params"]])
        )
        if len(text) > LONGEST_BODY:
            return None
        if kind == FORM:
            pairs = parse_qsl(text, keep_blank_values=True)
            return "&".join(
                f"{quote_plus(name)}={self._value(name, value)}" for name, value in pairs
            )
        if kind.endswith("json"):
            try:
                return literal(json.dumps(self._without_secrets(json.loads(text), "body")))
            except (ValueError, RecursionError):
                return None
        return literal(text) if kind.startswith("text/") else None

    def _value(self, name: str, value: str) -> str:
        if is_secret_name(name) or looks_random(value):
            self.dropped[f"field {name}"] += 1
            return ""
        return literal(quote_plus(value))

    def _without_secrets(self, value: Any, name: str) -> Any:
        if isinstance(value, dict):
            return {key: self._without_secrets(each, str(key)) for key, each in value.items()}
        if isinstance(value, list):
            return [self._without_secrets(each, name) for each in value]
        if isinstance(value, str) and (is_secret_name(name) or looks_random(value)):
            self.dropped[f"field {name}"] += 1
            return ""
        return value

    def draft(self) -> Draft:
        """Raises: UsageError if nothing can be sent."""
        if not self.requests:
            raise UsageError(
                "the recording holds no request that can be sent",
                where=self.file,
                way_out="record it with bodies and without filters, or name its host: --host",
            )
        return Draft(
            origin=f"{self.file} ({self.host})",
            requests=tuple(_named(self.requests)),
            left_out=tuple(
                LeftOut(route=route, count=count, why=why)
                for (route, why), count in self.left_out.items()
            ),
            dropped=tuple(self.dropped.items()),
            notes=tuple(self._notes()),
            facts={"host": self.host, "pauses_s": [round(pause, 3) for pause in self.pauses_s]},
        )

    def _notes(self) -> Iterator[str]:
        if self.pauses_s:
            longest = ", ".join(f"{pause:.1f}" for pause in self.pauses_s[:20])
            yield (
                f"requests stand in the order of the recording; pauses before the second and later"
                f" ones, in seconds: {longest}{' ...' if len(self.pauses_s) > 20 else ''}"
            )
            yield "a saturating load takes them as a mix, without pauses"
        if self.dropped:
            yield "where the app wants a login or a CSRF token, write [[workload.setup]] steps"


def _named(requests: Mapping[RequestTemplate, int]) -> Iterator[RequestTemplate]:
    taken: set[str] = set()
    for request, count in requests.items():
        name = free_name(request.name, taken)
        taken.add(name)
        yield replace(request, name=name, weight=float(count))
