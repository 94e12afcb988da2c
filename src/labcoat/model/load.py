"""What is asked of a load generator, and the raw records that it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Arrivals(Enum):
    """How the intended starts of an open loop are spaced."""

    CONSTANT = "constant"
    POISSON = "poisson"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedLoop:
    """A fixed number of users, each sending its next request when the last is answered.

    Answers "how much"; its latencies must not be quoted as what users see.
    """

    users: int
    think_s: float = 0.0

    def __post_init__(self) -> None:
        if self.users < 1:
            raise ValueError("a closed loop needs at least one user")
        if self.think_s < 0:
            raise ValueError("think time must not be negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLoop:
    """Requests that start at a rate, whether or not earlier ones were answered.

    Answers "how fast": latency counts from the intended start.
    ``connections``: how many may be open at once; an intended start that finds
    none free waits, and the wait counts as latency.
    """

    rate_per_s: float
    arrivals: Arrivals = Arrivals.CONSTANT
    connections: int = 256

    def __post_init__(self) -> None:
        if not self.rate_per_s > 0:
            raise ValueError("the rate must be > 0")
        if self.connections < 1:
            raise ValueError("an open loop needs at least one connection")


Plan = ClosedLoop | OpenLoop


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """How long a slice lasts: a fixed discard, then what is measured. Seconds."""

    measure_s: float
    warmup_s: float = 0.0

    def __post_init__(self) -> None:
        if not self.measure_s > 0 or self.warmup_s < 0:
            raise ValueError("a window needs measure_s > 0 and warmup_s >= 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the load goes: a base URL, or an HTTP server behind a Unix socket.

    ``url``: scheme, host and port (``http://127.0.0.1:8080``); its host is the Host header.
    ``uds``: path of a Unix socket to dial instead of host and port.
    ``verify_tls``: whether a certificate is checked; loopback stacks sign their own.
    """

    url: str
    uds: str | None = None
    verify_tls: bool = False


class Outcome(IntEnum):
    """How a request ended."""

    OK = 0
    WRONG_STATUS = 1
    WRONG_BODY = 2
    CONNECT_FAILED = 3
    RESET = 4
    TIMEOUT = 5
    BAD_RESPONSE = 6
    UNFINISHED = 7  # in flight when the slice ended: neither answered nor failed
    NOT_CAPTURED = 8  # a right answer that lacks what its route captures


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """One row per request of one slice, as columns of equal length ``(n,)``.

    Times are int64 nanoseconds since the slice's start (``started_ns`` of the
    Measurement); 0 in ``sent``, ``first_byte`` or ``done`` never happens for an event
    that took place, -1 says that it did not. Rows are in order of completion.
    ``intended``: when the request should have started (= ``sent`` in a closed loop).
    ``status``: the HTTP status, 0 where there was none. ``received``: bytes of the body.
    ``route``: index into Workload.routes. ``outcome``: an Outcome.
    """

    intended: npt.NDArray[np.int64]
    sent: npt.NDArray[np.int64]
    first_byte: npt.NDArray[np.int64]
    done: npt.NDArray[np.int64]
    status: npt.NDArray[np.int16]
    received: npt.NDArray[np.int32]
    route: npt.NDArray[np.int16]
    outcome: npt.NDArray[np.int8]

    def __len__(self) -> int:
        return int(self.intended.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorUse:
    """What the generator itself did and cost during a slice.

    ``cpu_s``: its CPU seconds. ``cores``: how many cores it may run on.
    ``loop_lag_p99_s``: how late its event loop woke up. ``stalled_ratio``: the share of
    the slice during which a wake-up was due and had not come. ``connects``: connections opened.
    ``syn_retransmits``: retransmitted SYNs seen by the host meanwhile.
    """

    cpu_s: float
    cores: int
    loop_lag_p99_s: float
    connects: int
    syn_retransmits: int = 0
    stalled_ratio: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The raw result of one slice: every record, and what the generator did.

    ``started_ns``: CLOCK_MONOTONIC at the slice's start; the measured part is
    [started + warmup, started + warmup + measure). ``records`` holds the requests of
    the warm-up too (``intended`` < warmup): stored, and excluded by the reader.
    """

    plan: Plan
    window: Window
    started_ns: int
    records: Records
    use: GeneratorUse
    routes: tuple[str, ...]
    tool: str = "labcoat"
    notes: tuple[str, ...] = field(default=())
