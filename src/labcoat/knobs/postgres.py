"""Postgres: memory, connections, the log of changes; and the rows of its other file.

Defaults are those of the program: what ``initdb`` writes into a file is the file's.
"""

from __future__ import annotations

from collections.abc import Mapping

from labcoat.knobs.levels import (
    GIB,
    MIB,
    POSTGRES_SIZES,
    POSTGRES_TIMES,
    admitted,
    always,
    exceeds,
    share_of_ram,
    shares_of_ram,
)
from labcoat.knobs.postgres_planner import PLANNER
from labcoat.model.domain import Number, OneOf, Quantity, Switch, WholeNumber
from labcoat.model.knob import ApplyCost, Condition, Knob, Relief, Safety

_BUFFERS = Quantity(units=POSTGRES_SIZES, low=MIB, high=share_of_ram(0.4, "0.4 of the memory"))
_WORK = Quantity(units=POSTGRES_SIZES, low=64 * 1024, high=share_of_ram(0.0625, "1/16 of memory"))
_UPKEEP = Quantity(units=POSTGRES_SIZES, low=MIB, high=share_of_ram(0.25, "1/4 of the memory"))
_WAL = Quantity(units=POSTGRES_SIZES, low=32 * MIB, high=64 * GIB)


def _writes(seen: Mapping[str, float]) -> bool:
    """Whether more than one row per thousand commits is written, those of the seed included."""
    return 1000 * seen.get("rows_written", 1) > seen.get("commits", 0)


def _written(text: str) -> Condition:
    """A condition that a load which only reads cannot meet."""
    return Condition(text=text, counter="postgres.rows_written", holds=_writes)


_COMMITS = _written("Transactions that write commit often, and wait for the disk.")

_SERVER: tuple[Knob, ...] = (
    Knob(
        name="postgres.shared_buffers",
        domain=_BUFFERS,
        levels=shares_of_ram(0.25, 0.4, domain=_BUFFERS),
        default=(("", "8MB"), ("15", "128MB")),
        why="Pages stay in Postgres' own cache instead of being copied from the kernel's.",
        condition=Condition(
            text="Blocks are read that were not in the cache.",
            counter="postgres.blocks_read",
            holds=exceeds("blocks_read"),
        ),
        cost=ApplyCost.RESTART,
        safety=Safety.MEMORY,
        relieves=(Relief.LAYER, Relief.WAITING),
        prior=0.15,
        trap="It caches pages, not results; past 40 % of the memory it rarely helps.",
        constraints=("raise max_wal_size with it where much is written",),
        source="PostgreSQL, Resource Consumption, Memory",
    ),
    Knob(
        name="postgres.work_mem",
        domain=_WORK,
        levels=admitted(_WORK, "16MB", "64MB"),
        default=(("", "4MB"),),
        why="A sort or a hash that does not fit is written to a temporary file.",
        condition=Condition(
            text="Temporary files are written.",
            counter="postgres.temp_files",
            holds=exceeds("temp_files"),
        ),
        cost=ApplyCost.RELOAD,
        safety=Safety.MEMORY,
        relieves=(Relief.LAYER, Relief.WAITING),
        prior=0.3,
        trap="It is per sort or hash and per connection, and hash_mem_multiplier times that.",
        source="PostgreSQL, Resource Consumption, Memory",
    ),
    Knob(
        name="postgres.hash_mem_multiplier",
        domain=Number(low=1.0, high=16.0),
        levels=always(4.0, 2.0),
        default=(("", 1.0), ("15", 2.0)),
        why="Hashes get more memory than sorts before they are written to a file.",
        condition=Condition(
            text="Temporary files are written.",
            counter="postgres.temp_files",
            holds=exceeds("temp_files"),
        ),
        cost=ApplyCost.RELOAD,
        safety=Safety.MEMORY,
        relieves=(Relief.LAYER, Relief.WAITING),
        prior=0.1,
        trap="It multiplies what work_mem takes per connection.",
        needs="13",
        source="PostgreSQL, Resource Consumption, Memory",
    ),
    Knob(
        name="postgres.maintenance_work_mem",
        domain=_UPKEEP,
        levels=admitted(_UPKEEP, "256MB"),
        default=(("", "64MB"),),
        why="Vacuum and the making of an index need fewer passes.",
        condition=Condition(text="Vacuum works while the load is on."),
        cost=ApplyCost.RELOAD,
        safety=Safety.MEMORY,
        relieves=(Relief.LAYER, Relief.WAITING),
        prior=0.02,
        trap="Each autovacuum worker may take it.",
        source="PostgreSQL, Resource Consumption, Memory",
    ),
    Knob(
        name="postgres.huge_pages",
        domain=OneOf(("try", "off")),
        levels=always("off"),
        default=(("", "try"),),
        why="Large pages need fewer entries in the tables that map memory.",
        condition=Condition(
            text="shared_buffers is large, and the kernel has huge pages set aside."
        ),
        cost=ApplyCost.RESTART,
        safety=Safety.SAFE,
        relieves=(Relief.LAYER,),
        prior=0.02,
        trap="try falls back in silence where none are set aside.",
        source="PostgreSQL, Resource Consumption, Memory",
        control=True,
    ),
    Knob(
        name="postgres.max_connections",
        domain=WholeNumber(low=20, high=1000),
        levels=always(200),
        default=(("", 100),),
        why="A client more than this is refused.",
        condition=Condition(text="Clients are told: too many clients already."),
        cost=ApplyCost.RESTART,
        safety=Safety.MEMORY,
        relieves=(Relief.WAITING,),
        prior=0.02,
        trap="More connections are not more speed; a pool is.",
        constraints=("workers x threads of the app server, and 3 to spare",),
        source="PostgreSQL, Connections and Authentication",
    ),
    Knob(
        name="postgres.effective_io_concurrency",
        domain=WholeNumber(low=0, high=1000),
        levels=always(200),
        default=(("", 1), ("18", 16)),
        why="Blocks that will be needed are asked for ahead.",
        condition=Condition(
            text="Blocks are read from the disk.",
            counter="postgres.blocks_read",
            holds=exceeds("blocks_read"),
        ),
        cost=ApplyCost.RELOAD,
        safety=Safety.SAFE,
        relieves=(Relief.LAYER, Relief.WAITING),
        prior=0.05,
        trap="Before 18 only bitmap heap scans ask ahead.",
        source="PostgreSQL, Resource Consumption, Asynchronous Behavior",
    ),
    Knob(
        name="postgres.max_wal_size",
        domain=_WAL,
        levels=always("4GB"),
        default=(("", "1GB"),),
        why="Checkpoints come by the clock and not because the log is full.",
        condition=_written("Checkpoints are requested (pg_stat_bgwriter, pg_stat_checkpointer)."),
        cost=ApplyCost.RELOAD,
        safety=Safety.SAFE,
        relieves=(Relief.LAYER, Relief.WAITING),
        prior=0.1,
        trap="Recovery after a crash takes longer, and the log more of the disk.",
        source="PostgreSQL, Write Ahead Log, Checkpoints",
    ),
    Knob(
        name="postgres.min_wal_size",
        domain=_WAL,
        levels=always("1GB"),
        default=(("", "80MB"),),
        why="Files of the log are used again instead of made anew.",
        condition=_written("The load writes in bursts."),
        cost=ApplyCost.RELOAD,
        safety=Safety.SAFE,
        relieves=(Relief.LAYER, Relief.WAITING),
        prior=0.03,
        trap="So much of the disk stays taken.",
        constraints=("at most max_wal_size",),
        source="PostgreSQL, Write Ahead Log, Checkpoints",
    ),
    Knob(
        name="postgres.checkpoint_timeout",
        domain=Quantity(units=POSTGRES_TIMES, low=30_000, high=12 * 3_600_000),
        levels=always("15min"),
        default=(("", "5min"),),
        why="Fewer checkpoints write fewer full pages.",
        condition=_written("The load writes, for longer than a checkpoint interval."),
        cost=ApplyCost.RELOAD,
        safety=Safety.SAFE,
        relieves=(Relief.LAYER, Relief.WAITING),
        prior=0.05,
        trap="Recovery after a crash takes longer; a short trial sees no checkpoint at all.",
        source="PostgreSQL, Write Ahead Log, Checkpoints",
    ),
    Knob(
        name="postgres.checkpoint_completion_target",
        domain=Number(low=0.1, high=0.9),
        levels=always(0.9),
        default=(("", 0.5), ("14", 0.9)),
        why="The writes of a checkpoint are spread over the time until the next.",
        condition=_written("The latency jumps while a checkpoint writes."),
        cost=ApplyCost.RELOAD,
        safety=Safety.SAFE,
        relieves=(Relief.LAYER, Relief.WAITING),
        prior=0.02,
        trap="The log keeps more while a checkpoint lasts.",
        source="PostgreSQL, Write Ahead Log, Checkpoints",
    ),
    Knob(
        name="postgres.wal_buffers",
        domain=Quantity(units=POSTGRES_SIZES, low=64 * 1024, high=256 * MIB, words=("-1",)),
        levels=always("16MB"),
        default=(("", "-1"),),
        why="Changes wait in memory for the log, and a full buffer makes writers wait.",
        condition=Condition(
            text="The buffer is full at times.",
            counter="postgres.wal_buffers_full",
            holds=exceeds("wal_buffers_full"),
        ),
        cost=ApplyCost.RESTART,
        safety=Safety.SAFE,
        relieves=(Relief.LAYER, Relief.WAITING),
        prior=0.05,
        trap="-1 takes 1/32 of shared_buffers, up to 16MB, which is enough for most.",
        source="PostgreSQL, Write Ahead Log, Settings",
    ),
    Knob(
        name="postgres.wal_compression",
        domain=Switch(),
        levels=always(True),
        default=(("", False),),
        why="Full pages are compressed in the log, so less is written.",
        condition=_written("The load writes, and the log is most of what is written."),
        cost=ApplyCost.RELOAD,
        safety=Safety.SAFE,
        relieves=(Relief.LAYER, Relief.WAITING),
        prior=0.05,
        trap="It costs CPU; on is pglz, and builds since 15 may know lz4 and zstd.",
        source="PostgreSQL, Write Ahead Log, Settings",
    ),
    Knob(
        name="postgres.synchronous_commit",
        domain=OneOf(("on", "local", "off")),
        levels=always("off"),
        default=(("", "on"),),
        why="A commit is answered before it is on the disk.",
        condition=_COMMITS,
        cost=ApplyCost.RELOAD,
        safety=Safety.DURABILITY,
        relieves=(Relief.LAYER, Relief.WAITING),
        prior=0.3,
        trap="A crash loses the commits of up to 3 x wal_writer_delay; nothing is corrupted.",
        source="PostgreSQL, Write Ahead Log, Settings",
    ),
    Knob(
        name="postgres.commit_delay",
        domain=WholeNumber(low=0, high=100_000),
        levels=always(100, 1000),
        default=(("", 0),),
        why="A commit waits so many microseconds for others, and one flush serves all.",
        condition=_COMMITS,
        cost=ApplyCost.RELOAD,
        safety=Safety.SAFE,
        relieves=(Relief.LAYER, Relief.WAITING),
        prior=0.05,
        trap="Every commit takes that much longer once commit_siblings transactions are open.",
        source="PostgreSQL, Write Ahead Log, Settings",
    ),
    Knob(
        name="postgres.bgwriter_lru_maxpages",
        domain=WholeNumber(low=0, high=1_000_000),
        levels=always(400),
        default=(("", 100),),
        why="Another process writes pages that a query would have to write itself.",
        condition=Condition(text="Queries write pages themselves (buffers_backend grows)."),
        cost=ApplyCost.RELOAD,
        safety=Safety.SAFE,
        relieves=(Relief.LAYER, Relief.WAITING),
        prior=0.03,
        trap="Pages that change again are written twice; 0 switches the writer off.",
        source="PostgreSQL, Resource Consumption, Background Writer",
    ),
)

POSTGRES: tuple[Knob, ...] = (*_SERVER, *PLANNER)
