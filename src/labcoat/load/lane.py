"""Lanes: one user with at most one connection and at most one request in flight.

This is the hot path. A plain answer that arrives in one piece under a head seen before
costs one look-up, one row and one write. Requests are written straight to the socket
(uvloop would keep them until the end of its turn, and ``sent`` would be early by the
time of a whole turn); what the socket does not take at once goes through the transport.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from time import monotonic_ns
from typing import TYPE_CHECKING, Protocol, cast

from labcoat.load import cookies, heads
from labcoat.load.bodies import Body, BodyError
from labcoat.load.captures import fill_wire
from labcoat.load.heads import Head, HeadError
from labcoat.load.sessions import Session
from labcoat.model.load import Outcome

if TYPE_CHECKING:
    from labcoat.load.binding import Bound, Route
    from labcoat.load.dialler import Dialler

OK = int(Outcome.OK)
WRONG_STATUS = int(Outcome.WRONG_STATUS)


class Course(Protocol):
    """What a lane belongs to: a slice, or the set-up of its user."""

    next_request: Callable[[], Bound]
    add: Callable[[int, int, int, int, int, int, int, int], None]
    keeps_cookies: bool
    keep_alive: bool
    is_over: bool
    connects: int
    resent: int

    def idle(self, lane: Lane, now: int) -> None:
        """Take over a lane that has no request in flight any more."""

    def rest(self, lane: Lane) -> None:
        """Take over a lane whose connection was refused."""


class Lane(asyncio.Protocol):
    """One user of a target, for as long as the generator knows the target.

    ``is_busy``: a request is in flight (or its connection is being opened).
    ``is_parting``: the connection was ended by us, and the transport has not said so yet.
    The connection outlives slices; cookies and captured values do not, but for those that
    the user's set-up left. After an answer that ends the
    connection the lane is idle only once the transport has reported its end.

    A request on a connection that had answered before, of which nothing was answered,
    met a server that was closing an idle connection. It is sent again, once, if its
    method is idempotent (RFC 9110, 9.2.2), counted in ``Slice.resent`` and timed from
    its first sending. Any other loss is a RESET.
    """

    __slots__ = (
        "_answered",
        "_body",
        "_completes",
        "_dialler",
        "_dialling",
        "_fd",
        "_first",
        "_has_resent",
        "_head",
        "_head_bytes",
        "_intended",
        "_is_last",
        "_jar",
        "_known",
        "_partial",
        "_route",
        "_slice",
        "_transport",
        "_values",
        "_wire",
        "is_busy",
        "is_parting",
        "sent",
    )

    def __init__(self, dialler: Dialler, known: dict[bytes, Head]) -> None:
        self._dialler = dialler
        self._known = known
        self._slice: Course | None = None
        self._transport: asyncio.Transport | None = None
        self._dialling: asyncio.Task[None] | None = None
        self._fd = -1
        self._answered = 0
        self._head_bytes = 0
        self.is_parting = False
        self._jar: dict[bytes, bytes] = {}
        self._values: dict[str, str] = {}
        self._completes = False  # whether the user has anything to add to a request
        self._head: Head | None = None
        self._body: Body | None = None
        self._partial = b""
        self._route: Route | None = None
        self._wire = b""
        self._intended = self._first = self.sent = 0
        self._is_last = self._has_resent = False
        self.is_busy = False

    @property
    def is_connected(self) -> bool:
        """Whether the connection is open, as far as is known."""
        return self._transport is not None

    def join(self, current: Course | None, session: Session | None = None) -> None:
        """Belong to a slice from now on: its requests, its columns, what its user has.

        ``session``: None where no request has a gap; such a user has nothing yet.
        """
        self._slice = current
        self._jar.clear()
        self._values.clear()
        self._completes = session is not None
        if session is not None:
            self._jar.update(session.jar)
            self._values.update(session.values)

    def session(self) -> Session:
        """What the user has now."""
        return Session(jar=dict(self._jar), values=dict(self._values))

    # -- sending -----------------------------------------------------------------------

    def begin(self, intended: int = 0) -> None:
        """Send the slice's next request; ``intended`` 0 means now."""
        current = self._slice
        assert current is not None
        wire, route = current.next_request()
        if self._completes:
            wire = self._completed(wire, route)
        self._route = route
        self._wire = wire
        self._first = 0
        self._has_resent = False
        self.is_busy = True
        now = monotonic_ns()
        self.sent = now
        self._intended = intended or now
        if self._fd >= 0:
            self._write(wire)
        elif self._transport is not None:
            self._transport.write(wire)
        else:
            self.dial()

    def _completed(self, wire: bytes, route: Route) -> bytes:
        """The request with what is this user's own: captured values, cookies."""
        if route.has_gaps:
            wire = fill_wire(wire, self._values)
        return cookies.with_cookies(wire, self._jar) if self._jar else wire

    def _write(self, wire: bytes) -> None:
        """Write to the socket itself, and through the transport what it does not take."""
        try:
            written = os.write(self._fd, wire)
        except BlockingIOError:
            written = 0
        except OSError:
            self._abort()  # connection_lost follows, and decides
            return
        if written != len(wire) and self._transport is not None:
            self._is_last = True  # the rest may still be under way when the answer comes
            self._transport.write(wire[written:])

    def dial(self) -> asyncio.Task[None]:
        """Open the connection, and send the request that waits for it, if one does."""
        self._dialling = asyncio.create_task(self._dial())
        return self._dialling

    async def _dial(self) -> None:
        try:
            await self._dialler.connect(self)
        except OSError:
            if self.is_busy:
                self._end(Outcome.CONNECT_FAILED)
                cast("Course", self._slice).rest(self)
        finally:
            if self._dialling is asyncio.current_task():
                self._dialling = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A connection is open; called by the loop."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not derived from it
        self._fd = -1
        if transport.get_extra_info("sslcontext") is None:
            self._fd = transport.get_extra_info("socket").fileno()
        self._answered = 0
        self._forget_answer()
        self._is_last = False
        if self._slice is not None:
            self._slice.connects += 1
            self._is_last = not self._slice.keep_alive
        if self.is_busy and self._fd >= 0:
            self._write(self._wire)
        elif self.is_busy:
            self._transport.write(self._wire)

    # -- receiving ---------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes of an answer; called by the loop."""
        now = monotonic_ns()
        # Heads of one length follow each other: a guess that hits saves the search.
        end = self._head_bytes
        head = self._known.get(data[:end])
        if head is None and self._head is None:
            self._head_bytes = end = data.find(heads.END) + 4
            head = self._known.get(data[:end])
        if head is not None and head.is_simple and self.is_busy and not self._first:
            route, current, length = self._route, self._slice, head.length
            assert route is not None and current is not None and length is not None  # noqa: PT018
            if route.is_plain and length == len(data) - end:
                self.is_busy = False
                self._answered += 1
                status = head.status
                outcome = OK if status in route.accepted else WRONG_STATUS
                current.add(
                    self._intended, self.sent, now, now, status, length, route.index, outcome
                )
                if self._is_last:
                    self._part()
                else:
                    current.idle(self, now)
                return
        self._take(data, now)

    def _take(self, data: bytes, now: int) -> None:
        """Every answer that is not plain, whole and known."""
        if not self.is_busy:
            self._part()  # nobody asked
            return
        self._first = self._first or now
        try:
            if self._body is None:
                data = self._partial + data
                data = self._take_heads(data)
            if self._body is None:
                return
            if data:
                self._body.feed(data)
        except (HeadError, BodyError):
            self._end(Outcome.BAD_RESPONSE)
            self._part()
            return
        if self._body.is_whole:
            self._finish(now)

    def _take_heads(self, data: bytes) -> bytes:
        """Take the answer's head, and those of informational answers; gives what follows."""
        while True:
            end = data.find(heads.END) + 4
            if end < 4:
                self._partial = data
                if len(data) > heads.LIMIT:
                    raise HeadError("the head has no end")
                return b""
            raw, data = data[:end], data[end:]
            head = self._known.get(raw) or heads.learn(self._known, raw)
            self._partial = b""
            if head.status not in heads.INFORMATIONAL:
                break
        self._head = head
        self._body = Body(raw, head, cast("Route", self._route))
        current = cast("Course", self._slice)
        if current.keeps_cookies:
            for value in head.cookies:
                cookies.take(self._jar, value)
                self._completes = True
        return data

    def _finish(self, now: int) -> None:
        """The answer is whole."""
        head = cast("Head", self._head)
        self._end(self._outcome(), done=now)
        self._answered += 1
        if head.closes or self._is_last:
            self._part()
        else:
            cast("Course", self._slice).idle(self, now)

    def _outcome(self) -> Outcome:
        """How the whole answer is judged; of a right one what is to be captured is taken."""
        body, route = cast("Body", self._body), cast("Route", self._route)
        outcome = body.outcome(route)
        if route.captures and outcome is Outcome.OK and not body.capture(route, self._values):
            return Outcome.NOT_CAPTURED
        return outcome

    def _end(self, outcome: Outcome, *, done: int = 0) -> None:
        """Write the row of the request in flight; there is none afterwards."""
        self.is_busy = False
        cast("Course", self._slice).add(
            self._intended,
            self.sent,
            self._first,
            done or monotonic_ns(),
            0 if self._head is None else self._head.status,
            0 if self._body is None else self._body.received,
            cast("Route", self._route).index,
            int(outcome),
        )
        self._forget_answer()

    def _forget_answer(self) -> None:
        self._head = self._body = None
        self._partial = b""

    # -- ending ------------------------------------------------------------------------

    def _part(self) -> None:
        """End the connection; idle once it has ended."""
        if self._transport is not None:
            self.is_parting = True
            self._abort()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended, by whomever; called by the loop."""
        self._transport = None
        self._fd = -1
        current = self._slice
        if self.is_parting:
            self.is_parting = False
            if current is not None:
                current.idle(self, monotonic_ns())
            return
        if not self.is_busy or current is None:
            return
        if self._head is not None and self._ends_with_connection(exc):
            self._end(self._outcome())
        elif self._may_send_again():
            self._has_resent = True
            current.resent += 1
            self.dial()
            return
        else:
            self._end(Outcome.RESET)
        current.idle(self, monotonic_ns())

    def _ends_with_connection(self, exc: Exception | None) -> bool:
        head = cast("Head", self._head)
        return exc is None and head.length is None and not head.is_chunked

    def _may_send_again(self) -> bool:
        return (
            self._answered > 0
            and not cast("Course", self._slice).is_over
            and not self._first
            and not self._has_resent
            and cast("Route", self._route).is_idempotent
        )

    def give_up(self, outcome: Outcome) -> None:
        """End the request in flight and its connection: it took too long."""
        self._end(outcome)
        self.close()
        if self._transport is None:
            cast("Course", self._slice).idle(self, monotonic_ns())

    def leave_unfinished(self) -> None:
        """Write the row of the request in flight as UNFINISHED; the lane stays busy with it."""
        cast("Course", self._slice).add(
            self._intended,
            self.sent,
            self._first,
            0,
            0 if self._head is None else self._head.status,
            0,
            cast("Route", self._route).index,
            int(Outcome.UNFINISHED),
        )

    def close(self) -> None:
        """Close the connection, or stop opening it; a request in flight is forgotten."""
        self.is_busy = False
        self._forget_answer()
        if self._dialling is not None:
            self._dialling.cancel()
        self._part()
