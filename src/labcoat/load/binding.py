"""Bound requests: templates turned into the very bytes that go over the wire.

Binding happens before the request's time: a mix without placeholders is bound once
for the whole slice, one with placeholders a small block ahead. The k-th request of a
slice depends on the workload and the seed only, never on timing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import numpy as np

from labcoat.errors import UsageError
from labcoat.load import placeholders

if TYPE_CHECKING:
    import numpy.typing as npt

    from labcoat.model.load import Target
    from labcoat.model.workload import Capture, RequestTemplate, Workload

BLOCK = 128
GOLDEN = (5**0.5 - 1) / 2
"""Requests bound at once: about 0.1 ms of work, so that binding never stalls the loop."""

URL_SAFE = "/:?#[]@!$&'()*+,;=%-._~\0"  # NUL marks a gap, and is gone once that is filled
IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
ANY_BELOW_400 = range(100, 400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One kind of request, as the connection needs to know it.

    ``is_plain``: nothing of the body matters but its length. ``is_head``: the answer
    has no body whatever its head says. ``contains``, ``min_bytes``: checks of the body.
    ``captures``: what the user takes from a right answer. ``has_gaps``: the bytes hold
    marks that the user fills when it sends them.
    """

    index: int
    accepted: Collection[int]
    is_plain: bool
    is_head: bool
    is_idempotent: bool
    contains: bytes | None
    min_bytes: int
    captures: tuple[Capture, ...]
    has_gaps: bool


Bound = tuple[bytes, Route]


def bind(
    workload: Workload, target: Target, *, seed: int, keep_alive: bool = True
) -> Iterator[Bound]:
    """The requests of a slice in the order in which they are to be sent, without end.

    Raises: UsageError, LoadError (a placeholder is wrong, a file is missing), at once.
    """
    templates = _templates(workload.requests, workload, target, keep_alive=keep_alive)
    _check_gaps(_templates(workload.setup, workload, target, keep_alive=keep_alive), templates)
    rng = np.random.default_rng(seed)
    if len(templates) == 1 and templates[0].is_literal:
        return repeat(templates[0].bound(rng, 1)[0])
    weights = np.array([request.weight for request in workload.requests])
    return chain.from_iterable(_blocks(templates, np.cumsum(weights / weights.sum()), rng))


def bind_setup(
    workload: Workload, target: Target, *, user: int, keep_alive: bool = True
) -> tuple[Bound, ...]:
    """The steps that a user takes before its first slice; the n-th user is the same anywhere.

    Raises: UsageError, LoadError (a placeholder is wrong, a file is missing).
    """
    rng = np.random.default_rng(user)
    templates = _templates(workload.setup, workload, target, keep_alive=keep_alive)
    return tuple(template.bound(rng, 1)[0] for template in templates)


def has_gaps(workload: Workload) -> bool:
    """Whether a request of the mix may have something to fill in; yes where that is in doubt."""
    return any(
        "{user}" in text or "{captured:" in text
        for request in workload.requests
        for text in (request.path, request.body or "", *(value for _, value in request.headers))
    )


def _templates(
    requests: tuple[RequestTemplate, ...], workload: Workload, target: Target, *, keep_alive: bool
) -> tuple[_Template, ...]:
    host = urlsplit(target.url).netloc.rpartition("@")[2]
    return tuple(
        _Template.of(index, request, workload.base_dir, host=host, keep_alive=keep_alive)
        for index, request in enumerate(requests)
    )


def _check_gaps(steps: Sequence[_Template], mix: Sequence[_Template]) -> None:
    """Whether every gap can be filled when its request is sent. Raises: UsageError."""
    known = {placeholders.USER}
    for template in (*steps, *mix):
        for name in template.gaps - known:
            raise UsageError(
                f"nothing has captured {name!r} when this request is sent",
                where=f"request {template.name}",
                way_out="capture it in a step of the set-up that comes before",
            )
        if template in steps:
            known |= {capture.name for capture in template.route.captures}


def _blocks(
    templates: tuple[_Template, ...], shares: npt.NDArray[np.float64], rng: np.random.Generator
) -> Iterator[list[Bound]]:
    literal = [template.bound(rng, 1)[0] if template.is_literal else None for template in templates]
    for offset in _offsets(rng):
        # A shuffled deck with the mix's own shares, not a throw of dice for each request: a
        # rare and heavy route that came up twice instead of once would be noise in a slice.
        deck = rng.permutation((np.arange(BLOCK) + offset) / BLOCK)
        kinds = np.minimum(shares.searchsorted(deck, "right"), len(templates) - 1)
        streams = [
            repeat(literal[i]) if literal[i] is not None else iter(template.bound(rng, int(n)))
            for i, (template, n) in enumerate(
                zip(templates, np.bincount(kinds, minlength=len(templates)), strict=True)
            )
        ]
        yield [next(streams[kind]) for kind in kinds.tolist()]


def _offsets(rng: np.random.Generator) -> Iterator[float]:
    """Where each deck begins: golden steps, so that shares below one card even out in turn."""
    offset = float(rng.random())
    while True:
        yield offset
        offset = (offset + GOLDEN) % 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Template:
    """A request whose texts are parsed. ``body`` is None where none is sent.

    ``gaps``: the names of what its user must have captured.
    """

    name: str
    route: Route
    method: str
    path: placeholders.Text
    headers: tuple[tuple[str, placeholders.Text], ...]
    body: placeholders.Text | None
    gaps: frozenset[str]

    @classmethod
    def of(
        cls, index: int, request: RequestTemplate, base_dir: str, *, host: str, keep_alive: bool
    ) -> _Template:
        method = request.method.upper()
        body = request.body
        if body is None and method in WITH_BODY:
            body = ""
        expect = request.expect
        path = placeholders.parse(request.path, base_dir=base_dir)
        content = None if body is None else placeholders.parse(body, base_dir=base_dir)
        headers = tuple(
            (_token(name, "header name", request), _header(name, value, base_dir, request))
            for name, value in _with_defaults(request, host, body, keep_alive=keep_alive)
        )
        texts = (path, content or (), *(text for _, text in headers))
        gaps = frozenset(name for text in texts for name in placeholders.gaps(text))
        return cls(
            name=request.name,
            route=Route(
                index=index,
                accepted=frozenset(expect.statuses) if expect.statuses else ANY_BELOW_400,
                is_plain=method != "HEAD"
                and expect.contains is None
                and not expect.min_bytes
                and not request.captures,
                is_head=method == "HEAD",
                is_idempotent=method in IDEMPOTENT,
                contains=None if expect.contains is None else expect.contains.encode(),
                min_bytes=expect.min_bytes,
                captures=request.captures,
                has_gaps=bool(gaps),
            ),
            method=_token(method, "method", request),
            path=path,
            headers=headers,
            body=content,
            gaps=gaps,
        )

    @property
    def is_literal(self) -> bool:
        """Whether every request of this kind has the same bytes."""
        texts = (self.path, self.body or (), *(text for _, text in self.headers))
        return all(placeholders.is_literal(text) for text in texts)

    def bound(self, rng: np.random.Generator, count: int) -> list[Bound]:
        """The next ``count`` requests of this kind."""
        paths = placeholders.draw(self.path, rng, count)
        headers = [
            [f"{name}: {value}\r\n" for value in placeholders.draw(text, rng, count)]
            for name, text in self.headers
        ]
        bodies: list[bytes | None] = [None] * count
        if self.body is not None:
            bodies = [body.encode() for body in placeholders.draw(self.body, rng, count)]
        return [
            (self._wire(path, "".join(lines), body), self.route)
            for path, body, *lines in zip(paths, bodies, *headers, strict=True)
        ]

    def _wire(self, path: str, headers: str, body: bytes | None) -> bytes:
        start = f"{self.method} {quote(path, safe=URL_SAFE)} HTTP/1.1\r\n{headers}"
        if body is None:
            return f"{start}\r\n".encode("latin-1")
        length = 0 if self.route.has_gaps else len(body)  # known once the gaps are filled
        return f"{start}Content-Length: {length}\r\n\r\n".encode("latin-1") + body


def _with_defaults(
    request: RequestTemplate, host: str, body: str | None, *, keep_alive: bool
) -> Iterator[tuple[str, str]]:
    """The user's headers, and those that every client sends and the user did not name."""
    given = {name.lower() for name, _ in request.headers}
    defaults = [
        ("Host", host),
        ("User-Agent", "labcoat"),
        ("Accept", "*/*"),
        ("Accept-Encoding", "gzip"),
    ]
    if body:
        defaults.append(("Content-Type", "application/x-www-form-urlencoded"))
    if not keep_alive:
        defaults.append(("Connection", "close"))
    yield from ((name, value) for name, value in defaults if name.lower() not in given)
    yield from request.headers


_OURS = frozenset({"content-length", "transfer-encoding", "expect", "upgrade"})


def _header(name: str, value: str, base_dir: str, request: RequestTemplate) -> placeholders.Text:
    if name.lower() in _OURS:
        raise UsageError(
            f"the header {name} is written by the generator itself",
            where=f"request {request.name}",
            way_out="leave it out",
        )
    text = placeholders.parse(value, base_dir=base_dir)
    words = chain.from_iterable(
        piece.words if isinstance(piece, placeholders.Choice) else (str(piece),) for piece in text
    )
    for word in words:
        if not word.isprintable() or not word.isascii():
            raise UsageError(
                f"the header {name} holds a character that a header cannot carry: {word!r}",
                where=f"request {request.name}",
                way_out="use printable ASCII characters",
            )
    return text


def _token(word: str, what: str, request: RequestTemplate) -> str:
    if not word or not all(c.isascii() and (c.isalnum() or c in "!#$%&'*+-.^_`|~") for c in word):
        raise UsageError(
            f"not a {what}: {word!r}", where=f"request {request.name}", way_out="use letters and -"
        )
    return word
