"""A load generator without a network, and the contract that every generator must keep."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, Self

import numpy as np
import pytest

from labcoat.errors import LoadError
from labcoat.load.arrivals import intended_starts
from labcoat.load.base import LoadGenerator
from labcoat.load.summary import summarise
from labcoat.model.load import (
    ClosedLoop,
    GeneratorUse,
    Measurement,
    OpenLoop,
    Outcome,
    Plan,
    Records,
    Target,
    Window,
)
from labcoat.model.workload import RequestTemplate, Workload

NS = 1_000_000_000
Row = tuple[int, int, int, int, int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceModel:
    """A server as a queue: so many workers, each busy for a drawn time.

    ``service_s``: mean service time, log-normal with coefficient of variation
    ``spread_ratio``. ``slice_sd_ratio``: sd of a factor drawn once a slice (noise
    between slices). ``error_ratio``: share of answers with status 500. ``stall_at_s``,
    ``stall_s``: nobody works for so long, from this moment of each slice.
    """

    service_s: float = 0.004
    workers: int = 4
    spread_ratio: float = 0.3
    slice_sd_ratio: float = 0.0
    error_ratio: float = 0.0
    stall_at_s: float = 0.0
    stall_s: float = 0.0
    body_bytes: int = 512


@dataclass(slots=True, kw_only=True)
class SimulatedLoad:
    """A LoadGenerator that simulates its targets: no process, no network, no waiting.

    ``models``: a model for each target's URL; others are served by ``model``. A target
    in ``dead`` accepts no connection. Deterministic: the n-th load with the same
    arguments gives the same records. ``served``: requests by target URL.
    """

    name: ClassVar[str] = "simulated"
    seed: int = 1
    model: ServiceModel = ServiceModel()
    models: Mapping[str, ServiceModel] = field(default_factory=dict)
    dead: frozenset[str] = frozenset()
    served: dict[str, int] = field(default_factory=dict)
    forgotten: list[Target] = field(default_factory=list)
    slices: int = 0
    now_ns: int = NS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """Nothing is held."""

    def forget(self, target: Target) -> None:
        """Note that it was asked for."""
        self.forgotten.append(target)

    def another(self) -> Self | None:
        """None: what is drawn in turn comes out the same each time."""
        return None

    def load(
        self,
        target: Target,
        workload: Workload,
        plan: Plan,
        window: Window,
        *,
        seed: int,
        keep_alive: bool = True,
        timeout_s: float = 30.0,
    ) -> Measurement:
        """One slice of simulated time. Raises: LoadError for a dead target."""
        if target.url in self.dead:
            raise LoadError("cannot connect: Connection refused", where=target.url)
        model = self.models.get(target.url, self.model)
        rng = np.random.default_rng((self.seed, self.slices))
        queue = _Queue(model, rng)
        length_ns = round((window.warmup_s + window.measure_s) * NS)
        routes = _routes(workload, np.random.default_rng(seed))
        rows: list[Row] = []
        if isinstance(plan, ClosedLoop):
            journeys = _closed(plan, queue, length_ns)
        else:
            journeys = _open(plan, queue, length_ns, seed)
        for intended, sent, done in journeys:
            rows.append(queue.row(intended, sent, done, next(routes), length_ns, timeout_s))
        rows.sort(key=lambda row: row[3] if row[3] >= 0 else length_ns + row[1])
        sent_count = sum(row[1] >= 0 for row in rows)
        self.served[target.url] = self.served.get(target.url, 0) + sent_count
        started_ns = self.now_ns
        self.now_ns += length_ns
        self.slices += 1
        return Measurement(
            plan=plan,
            window=window,
            started_ns=started_ns,
            records=_records(rows),
            use=GeneratorUse(
                cpu_s=10e-6 * len(rows),
                cores=1,
                loop_lag_p99_s=0.0001,
                connects=0 if keep_alive else sent_count,
            ),
            routes=workload.routes,
            tool=self.name,
        )


class _Queue:
    """Workers that serve in order of arrival."""

    def __init__(self, model: ServiceModel, rng: np.random.Generator) -> None:
        self._model = model
        self._rng = rng
        self._free = [0] * model.workers
        self._stall = (round(model.stall_at_s * NS), round(model.stall_s * NS))
        # A log-normal of mean 1 and coefficient of variation v: s2 = log(1 + v2), mu = -s2 / 2.
        self._variance = float(np.log1p(model.spread_ratio**2))
        self._factor = float(np.exp(rng.normal(0.0, model.slice_sd_ratio)))

    def done(self, arrival_ns: int) -> int:
        """When a request that arrives now is answered; arrivals come in order."""
        sd = self._variance**0.5
        drawn = float(np.exp(self._rng.normal(-self._variance / 2, sd)))
        service_ns = max(1, round(self._model.service_s * self._factor * drawn * NS))
        begin = max(arrival_ns, heapq.heappop(self._free))
        stall_at, stall_ns = self._stall
        if stall_ns and stall_at <= begin < stall_at + stall_ns:
            begin = stall_at + stall_ns
        end = begin + service_ns
        if stall_ns and begin < stall_at < end:
            end += stall_ns
        heapq.heappush(self._free, end)
        return end

    def row(
        self, intended: int, sent: int, done: int, route: int, length_ns: int, timeout_s: float
    ) -> Row:
        if sent >= length_ns:
            return intended, -1, -1, -1, 0, 0, route, int(Outcome.UNFINISHED)
        limit = sent + round(timeout_s * NS)
        if min(done, limit) >= length_ns:
            return intended, sent, -1, -1, 0, 0, route, int(Outcome.UNFINISHED)
        if done > limit:
            return intended, sent, -1, limit, 0, 0, route, int(Outcome.TIMEOUT)
        if self._rng.random() < self._model.error_ratio:
            return intended, sent, done, done, 500, 0, route, int(Outcome.WRONG_STATUS)
        size = self._model.body_bytes
        return intended, sent, done, done, 200, size, route, int(Outcome.OK)


def _closed(plan: ClosedLoop, queue: _Queue, length_ns: int) -> Iterator[tuple[int, int, int]]:
    think_ns = round(plan.think_s * NS)
    ready = [0] * plan.users
    while ready[0] < length_ns:
        sent = heapq.heappop(ready)
        done = queue.done(sent)
        yield sent, sent, done
        heapq.heappush(ready, done + think_ns)


def _open(
    plan: OpenLoop, queue: _Queue, length_ns: int, seed: int
) -> Iterator[tuple[int, int, int]]:
    free = [0] * plan.connections
    for intended in intended_starts(plan, seed=seed):
        if intended >= length_ns:
            return
        sent = max(intended, heapq.heappop(free))
        done = queue.done(sent)
        heapq.heappush(free, done)
        yield intended, sent, done


def _routes(workload: Workload, rng: np.random.Generator) -> Iterator[int]:
    weights = np.array([request.weight for request in workload.requests])
    while True:
        yield from rng.choice(weights.size, 256, p=weights / weights.sum()).tolist()


def _records(rows: list[Row]) -> Records:
    columns = list(zip(*rows, strict=True)) or [()] * 8
    return Records(
        intended=np.array(columns[0], dtype=np.int64),
        sent=np.array(columns[1], dtype=np.int64),
        first_byte=np.array(columns[2], dtype=np.int64),
        done=np.array(columns[3], dtype=np.int64),
        status=np.array(columns[4], dtype=np.int16),
        received=np.array(columns[5], dtype=np.int32),
        route=np.array(columns[6], dtype=np.int16),
        outcome=np.array(columns[7], dtype=np.int8),
    )


class LoadBench(Protocol):
    """What the contract needs from who keeps it: a generator and two servers to load."""

    generator: LoadGenerator
    targets: tuple[Target, Target]
    dead: Target

    def served(self, target: Target) -> int:
        """Requests that this server has seen so far."""

    def stall_next(self, *, at_s: float, for_s: float) -> None:
        """Let both servers answer nobody for so long, in the next slice."""


MIX = Workload(
    requests=(
        RequestTemplate(path="/", name="home", weight=3.0),
        RequestTemplate(path="/item/{1..50}", name="item", weight=1.0),
    )
)


class LoadGeneratorContract:
    """What every LoadGenerator must do; subclass it with a fixture ``bench``.

    No absolute time is asserted but the planted stall, which is larger than any noise.
    """

    def test_rows_are_whole_and_in_order(self, bench: LoadBench) -> None:
        records = self.closed(bench).records
        answered = records.outcome == Outcome.OK
        assert answered.sum() > 20
        done = records.done[answered]
        assert (np.diff(done) >= 0).all()
        assert (records.intended == records.sent).all()
        assert (records.sent[answered] <= records.first_byte[answered]).all()
        assert (records.first_byte[answered] <= done).all()
        assert (records.status[answered] == 200).all()
        assert (records.received[answered] > 0).all()

    def test_counts_agree_with_the_servers(self, bench: LoadBench) -> None:
        for target in (*bench.targets, *reversed(bench.targets)):
            before = bench.served(target)
            records = self.closed(bench, target=target).records
            served = bench.served(target) - before
            assert (records.done >= 0).sum() <= served <= (records.sent >= 0).sum()

    def test_no_more_in_flight_than_users(self, bench: LoadBench) -> None:
        measurement = self.closed(bench, plan=ClosedLoop(users=3))
        assert 2.0 < summarise(measurement).mean_in_flight <= 3.0
        assert (measurement.records.outcome == Outcome.UNFINISHED).sum() <= 3

    def test_the_mix_follows_the_weights_and_the_seed(self, bench: LoadBench) -> None:
        routes = []
        one = ClosedLoop(users=1)  # of several, a busy machine lets one overtake another
        for seed in (5, 5, 6):
            records = self.closed(bench, seed=seed, plan=one).records
            routes.append(records.route[np.argsort(records.sent, kind="stable")][:60].tolist())
        assert routes[0] == routes[1]
        assert routes[0] != routes[2]
        assert 0.5 < routes[0].count(0) / 60 < 0.95

    def test_an_open_loop_offers_its_rate(self, bench: LoadBench) -> None:
        plan = OpenLoop(rate_per_s=100.0)
        window = Window(warmup_s=0.2, measure_s=0.5)
        measurement = bench.generator.load(bench.targets[0], MIX, plan, window, seed=1)
        intended = np.sort(measurement.records.intended)
        assert intended.tolist() == [n * NS // 100 for n in range(70)]
        assert summarise(measurement).requests == 50

    def test_a_stall_shows_in_the_open_loop(self, bench: LoadBench) -> None:
        window = Window(measure_s=2.5)
        bench.stall_next(at_s=1.0, for_s=1.0)
        plan = OpenLoop(rate_per_s=200.0)
        is_open = summarise(bench.generator.load(bench.targets[0], MIX, plan, window, seed=1))
        assert is_open.latency.p99_s > 0.8
        bench.stall_next(at_s=1.0, for_s=1.0)
        users = ClosedLoop(users=2, think_s=0.005)
        closed = summarise(bench.generator.load(bench.targets[0], MIX, users, window, seed=1))
        assert closed.latency.p99_s < 0.5 < closed.latency.max_s

    def test_the_warm_up_is_stored_and_left_out(self, bench: LoadBench) -> None:
        measurement = self.closed(bench, window=Window(warmup_s=0.2, measure_s=0.2))
        assert (measurement.records.intended < 0.2 * NS).any()
        assert summarise(measurement).requests < len(measurement.records)

    def test_a_forgotten_target_can_be_loaded_again(self, bench: LoadBench) -> None:
        self.closed(bench)
        bench.generator.forget(bench.targets[0])
        assert summarise(self.closed(bench)).requests > 0

    def test_nobody_listening_is_an_error(self, bench: LoadBench) -> None:
        with pytest.raises(LoadError):
            self.closed(bench, target=bench.dead)

    def test_new_connections_are_answered_too(self, bench: LoadBench) -> None:
        measurement = bench.generator.load(
            bench.targets[0],
            MIX,
            ClosedLoop(users=2),
            Window(measure_s=0.2),
            seed=1,
            keep_alive=False,
        )
        answered = int((measurement.records.outcome == Outcome.OK).sum())
        assert answered > 5
        assert measurement.use.connects >= answered

    @staticmethod
    def closed(
        bench: LoadBench,
        *,
        target: Target | None = None,
        plan: Plan = ClosedLoop(users=4),  # noqa: B008 a frozen value
        window: Window = Window(measure_s=0.3),  # noqa: B008 a frozen value
        seed: int = 1,
    ) -> Measurement:
        """One slice of the mix."""
        return bench.generator.load(target or bench.targets[0], MIX, plan, window, seed=seed)
