"""Same answers: whether both arms say the same to the same requests.

A stack that is faster because it answers otherwise has regressed, whatever its speed. Each
route is asked of both arms, by one user each, set up as every user is, with the cookies that
they are given. Where
the answers differ, both arms are asked again, as long as they do and up to six times in all:
what an arm does not always say itself (a token in the body, the id in a ``Location``, one of
two banners) is unstable and is not compared; of such a body only the rough size is.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from urllib.parse import urlsplit

from labcoat.lab.trial.spoken import Spoken, spoken, spoken_setup
from labcoat.lab.trial.workbench import Workbench
from labcoat.load import captures
from labcoat.load.placeholders import USER
from labcoat.model.experiment import Arm
from labcoat.model.stack import Endpoint
from labcoat.model.workload import Workload
from labcoat.stack import probe
from labcoat.stack.standing import Standing

HEADERS = ("cache-control", "content-type", "location")
"""Headers that mean something to who asked. How a body is packed is not among them."""

MANY = 60
"""Routes asked at most; of a longer mix these many are drawn."""

ROUNDS = 6
"""Answers drawn from only two would differ by chance in one of 2048 comparisons."""

SIZE_FACTOR = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What matters of one answer. ``status`` 0: there was none.

    ``cookies``: names of the cookies it sets. ``digest``: of the body, unpacked and
    normalised; ``size``: its bytes.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    cookies: tuple[str, ...] = ()
    digest: str = ""
    size: int = 0

    def header(self, name: str) -> str | None:
        """The value of one of ``HEADERS``; None where it was not sent."""
        return dict(self.headers).get(name)

    def differs(
        self, other: Said, *, is_unstable: bool, unstable_headers: Collection[str] = ()
    ) -> str | None:
        """What is not the same in another answer, in words; None if nothing is.

        ``is_unstable``: of the body only the rough size counts. ``unstable_headers`` do not.
        """
        if self.status != other.status:
            return _statuses(self.status, other.status)
        for name in HEADERS:
            ours, theirs = self.header(name), other.header(name)
            if ours != theirs and name not in unstable_headers:
                return f"{name} {ours!r}, not {theirs!r}"
        if self.cookies != other.cookies:
            ours, theirs = (", ".join(each.cookies) or "none" for each in (self, other))
            return f"cookies {ours}, not {theirs}"
        if is_unstable:
            small, large = sorted((self.size, other.size))
            if large > SIZE_FACTOR * max(small, 1):
                return f"a body of {self.size} bytes, not {other.size}"
        elif self.digest != other.digest:
            return f"another body ({self.size} bytes, not {other.size})"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Both arms' answers held against each other.

    ``differences``: route, and what differs in the treatment's answer.
    ``unstable``: routes whose answers are not twice the same on one arm.
    """

    compared: int
    differences: tuple[tuple[str, str], ...] = ()
    unstable: tuple[str, ...] = ()


def compare_answers(
    bench: Workbench,
    arms: Mapping[Arm, Standing],
    *,
    seed: int,
    unstable: Collection[str] = (),
    given_up: Collection[str] = (),
) -> Comparison:
    """Ask both arms the same, each route once, and tell what differs.

    ``unstable``: routes that are known to differ between two boots of one stack.
    ``given_up``: headers of which the change says itself that they differ.
    """
    workload = bench.study.workload
    asked = tuple(each_route(workload, seed=seed))
    timeout_s = bench.study.request_timeout_s
    rounds: list[Mapping[Arm, Sequence[Said]]] = []
    while True:
        rounds.append(
            {arm: ask_all(arms[arm], asked, workload, timeout_s=timeout_s) for arm in Arm}
        )
        found = judge_answers(asked, *rounds, known=unstable, given_up=given_up)
        if not found.differences or len(rounds) == ROUNDS:
            return found


def each_route(workload: Workload, *, seed: int) -> Iterator[Spoken]:
    """One request of each route in the order of the mix; of more than ``MANY`` a sample."""
    routes = workload.requests
    if len(routes) > MANY:
        drawn = Random(seed).sample(range(len(routes)), MANY)
        routes = tuple(routes[index] for index in sorted(drawn))
    for route in routes:
        yield from spoken(replace(workload, requests=(route,)), seed=seed, count=1)


def judge_answers(
    asked: Sequence[Spoken],
    *rounds: Mapping[Arm, Sequence[Said]],
    known: Collection[str] = (),
    given_up: Collection[str] = (),
) -> Comparison:
    """What differs between the arms in every round and is said in all of them. Pure.

    ``known``: routes that are unstable whatever these rounds say. ``given_up``: headers that
    are not compared.
    """
    differences: dict[str, str] = {}
    unstable: dict[str, None] = {}
    for index, request in enumerate(asked):
        said = {arm: [each[arm][index] for each in rounds] for arm in Arm}
        is_known = request.route in known
        is_unstable = is_known or any(
            len({each.digest for each in heard}) > 1 for heard in said.values()
        )
        unstable_headers = {
            name
            for name in HEADERS
            if is_known
            or any(len({each.header(name) for each in heard}) > 1 for heard in said.values())
        }
        if is_unstable or unstable_headers:
            unstable[request.route] = None
        what = [
            ours.differs(
                theirs,
                is_unstable=is_unstable,
                unstable_headers={*unstable_headers, *given_up},
            )
            for ours, theirs in zip(said[Arm.TREATMENT], said[Arm.BASELINE], strict=True)
        ]
        if all(what):
            differences.setdefault(request.route, what[0] or "")
    return Comparison(
        compared=len(asked),
        differences=tuple(differences.items()),
        unstable=tuple(unstable),
    )


def ask_all(
    standing: Standing, asked: Iterable[Spoken], workload: Workload, *, timeout_s: float
) -> tuple[Said, ...]:
    """The answers of one arm to one user, in order."""
    own = urlsplit(standing.target.url).netloc
    visitor = _Visitor(standing.layers[0].wiring.listen, workload, timeout_s)
    for step in spoken_setup(workload, user=1):
        visitor.ask(step)
    heard = []
    for request in asked:
        answer = visitor.ask(request)
        if answer is None:
            heard.append(Said(status=0))
        else:
            heard.append(said_of(answer, own=own, normalise=workload.normalise))
    return tuple(heard)


@dataclass(slots=True)
class _Visitor:
    """One user who asks: what it was given it sends along, what it captured it fills in."""

    front: Endpoint
    workload: Workload
    timeout_s: float
    jar: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=lambda: {USER: "1"})

    def ask(self, request: Spoken) -> probe.Answer | None:
        """The answer to one request, or None if there was none."""
        sent = request.filled(self.values)
        headers = sent.headers
        if self.jar and self.workload.cookies:
            pairs = "; ".join(f"{name}={value}" for name, value in self.jar.items())
            headers += (("Cookie", pairs),)
        answer = probe.ask(
            self.front,
            sent.method,
            sent.path,
            headers=headers,
            body=sent.body,
            timeout_s=self.timeout_s,
        )
        if answer is not None:
            self._learn(answer, request)
        return answer

    def _learn(self, answer: probe.Answer, request: Spoken) -> None:
        packing = "identity"
        for name, value in answer.headers:
            if name.lower() == "set-cookie":
                key, _, content = value.partition(";")[0].partition("=")
                self.jar[key.strip()] = content.strip()
            elif name.lower() == "content-encoding":
                packing = value
        for wanted in request.captures:
            found = captures.find(
                wanted.source.value,
                wanted.expression,
                headers=answer.headers,
                body=lambda: unpacked(answer.content, packing).decode("utf-8", "replace"),
            )
            if found is not None:
                self.values[wanted.name] = found


def said_of(answer: probe.Answer, *, own: str, normalise: Sequence[str] = ()) -> Said:
    """What matters of an answer. ``own``: the arm's address, which no two arms share."""
    named = [(name.lower(), value.replace(own, "HOST")) for name, value in answer.headers]
    packing = dict(named).get("content-encoding", "identity")
    body = unpacked(answer.content, packing).replace(own.encode(), b"HOST")
    for pattern in normalise:
        body = re.sub(pattern.encode(), b"", body)
    return Said(
        status=answer.status,
        headers=tuple((name, value) for name, value in sorted(named) if name in HEADERS),
        cookies=tuple(
            sorted(value.partition("=")[0].strip() for name, value in named if name == "set-cookie")
        ),
        digest=hashlib.sha256(body).hexdigest()[:16],
        size=len(body),
    )


def _statuses(ours: int, theirs: int) -> str:
    if not ours:
        return f"no answer, not status {theirs}"
    return f"status {ours}, not {theirs or 'no answer'}"


def unpacked(content: bytes, packing: str) -> bytes:
    """A body as it was before it was compressed; as it is where that cannot be undone."""
    try:
        if packing == "gzip":
            return gzip.decompress(content)
        if packing == "deflate":
            return zlib.decompress(content)
    except (OSError, EOFError, zlib.error):
        return content
    return content
