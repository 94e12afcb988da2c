"""The generator's own process: ``python -m labcoat.load.worker FD [CPUS]``.

Takes orders from its client over one socket and keeps connections between them. The
loop never stops: a server that closes an idle connection is noticed when it happens,
and the client's end (closed, killed, or broken off) ends this process at once, in the
middle of a slice too.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import sys
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from time import monotonic_ns
from typing import assert_never

import uvloop

from labcoat.errors import LabcoatError, UsageError
from labcoat.host.machine import read_host_counters
from labcoat.load.binding import bind, has_gaps
from labcoat.load.messages import Failure, Forget, Order, Progress
from labcoat.load.placeholders import USER
from labcoat.load.pool import Pool
from labcoat.load.precedence import take_precedence
from labcoat.load.sessions import Session
from labcoat.load.slice import ClosedSlice, OpenSlice, Slice
from labcoat.model.load import (
    ClosedLoop,
    GeneratorUse,
    Measurement,
    OpenLoop,
    Target,
    Window,
)

YOUNG = 50_000
"""Objects before the collector looks; at steady state a slice makes none that stay."""


class Worker:
    """Orders in, measurements out; one slice at a time."""

    def __init__(self, client: Connection) -> None:
        self._client = client
        self._pools: dict[tuple[Target, bool], Pool] = {}
        self._orders: asyncio.Queue[Order | Forget] = asyncio.Queue()

    async def serve(self) -> None:
        """Until the client is gone."""
        asyncio.get_running_loop().add_reader(self._client.fileno(), self._hear)
        os.set_blocking(self._client.fileno(), True)  # libuv made it non-blocking
        while True:
            message = await self._orders.get()
            answer: Measurement | Failure | None
            try:
                answer = await self._obey(message)
            except LabcoatError as error:
                answer = Failure(
                    what=error.what,
                    where=error.where,
                    way_out=error.way_out,
                    is_usage=isinstance(error, UsageError),
                )
            self._tell(answer)

    def _hear(self) -> None:
        try:
            self._orders.put_nowait(self._client.recv())
        except (EOFError, OSError):
            os._exit(0)  # the client is gone: nothing here is worth keeping

    def _tell(self, message: object) -> None:
        try:
            self._client.send(message)
        except OSError:
            os._exit(0)

    async def _obey(self, message: Order | Forget) -> Measurement | None:
        match message:
            case Order():
                return await self._load(message)
            case Forget():
                for keep_alive in (True, False):
                    pool = self._pools.pop((message.target, keep_alive), None)
                    if pool is not None:
                        await pool.close()
                return None
        assert_never(message)

    async def _load(self, order: Order) -> Measurement:
        requests = bind(order.workload, order.target, seed=order.seed, keep_alive=order.keep_alive)
        pool = self._pools.get((order.target, order.keep_alive))
        if pool is None:
            pool = Pool.of(order.target, keep_alive=order.keep_alive)
            self._pools[order.target, order.keep_alive] = pool
        lanes = await pool.ready(order.plan, timeout_s=order.timeout_s)
        sessions: Sequence[Session | None] = [None] * len(lanes)
        if has_gaps(order.workload):
            sessions = [Session(values={USER: str(n + 1)}) for n in range(len(lanes))]
        set_up_n, began_ns = 0, monotonic_ns()
        if order.workload.setup:
            set_up_n = await pool.set_up(order)
            lanes = await pool.ready(order.plan, timeout_s=order.timeout_s)  # some were closed
            sessions = pool.sessions[order.workload.setup]
        set_up_s = (monotonic_ns() - began_ns) / 1e9
        current: Slice
        match order.plan:
            case ClosedLoop():
                current = ClosedSlice(order.plan, order, lanes, requests)
            case OpenLoop():
                current = OpenSlice(order.plan, order, lanes, requests)
        if order.tells_progress:
            current.on_tick = lambda: self._tell_progress(current)
        for lane, session in zip(lanes, sessions, strict=False):  # more may have been set up
            lane.join(current, session)
        gc.collect()
        gc.freeze()
        before = read_host_counters().syn_retransmits
        await current.play()
        repeated = read_host_counters().syn_retransmits - before
        gc.unfreeze()
        for lane in lanes:
            lane.join(None)
        measured = measurement(order, current, syn_retransmits=repeated)
        if set_up_n:
            note = f"{set_up_n} users were set up in {set_up_s:.1f} s, before the slice"
            measured = replace(measured, notes=(*measured.notes, note))
        return measured

    def _tell_progress(self, current: Slice) -> None:
        elapsed_ns = current.elapsed_ns()
        self._tell(Progress(elapsed_s=elapsed_ns / 1e9, ended=current.columns.count))


def measurement(order: Order, played: Slice, *, syn_retransmits: int) -> Measurement:
    """What a slice that has been played amounts to."""
    notes = []
    window = order.window
    lasted_s = played.length_ns / 1e9
    if played.columns.is_full:
        window = Window(
            warmup_s=min(window.warmup_s, lasted_s / 2),
            measure_s=lasted_s - min(window.warmup_s, lasted_s / 2),
        )
        notes.append(f"ended after {lasted_s:.1f} s: {played.columns.count} requests are the limit")
    if played.resent:
        notes.append(
            f"{played.resent} requests met a server that was closing an idle connection,"
            " and were sent again"
        )
    lags = sorted(played.lags_ns)
    return Measurement(
        plan=order.plan,
        window=window,
        started_ns=played.started_ns,
        records=played.columns.records(played.started_ns),
        use=GeneratorUse(
            cpu_s=played.cpu_s,
            cores=len(os.sched_getaffinity(0)),
            loop_lag_p99_s=lags[min(len(lags) - 1, len(lags) * 99 // 100)] / 1e9,
            connects=played.connects,
            syn_retransmits=syn_retransmits,
            stalled_ratio=min(1.0, played.stalled_ns / max(played.length_ns, 1)),
        ),
        routes=order.workload.routes,
        notes=tuple(notes),
    )


def main() -> None:
    """Serve the client at the other end of the socket whose number is the argument."""
    gc.set_threshold(YOUNG, 20, 20)
    if len(sys.argv) > 2:  # name, socket, CPUs
        os.sched_setaffinity(0, map(int, sys.argv[2].split(",")))
    take_precedence()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a connection is a file
    with Connection(int(sys.argv[1])) as client:
        uvloop.run(Worker(client).serve())


if __name__ == "__main__":
    main()
