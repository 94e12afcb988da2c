"""The tables: typed columns, numbers as numbers, nothing ever changed or deleted.

docs/reference/journal.md says what each column means; a test keeps it complete.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

VERSION = 2


class Utc(TypeDecorator[datetime]):
    """An instant: always UTC, with or without the database's help."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime:
        """The instant as the database wants it; SQLite keeps no zone, so it is dropped."""
        assert value is not None, "no column of an instant may be NULL"
        instant = value.astimezone(UTC)
        return instant.replace(tzinfo=None) if dialect.name == "sqlite" else instant

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime:  # noqa: ARG002 - SQLAlchemy's signature
        """The instant, in UTC."""
        assert value is not None, "no column of an instant may be NULL"
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData()


def _id() -> Column[str]:
    return Column("id", String(16), primary_key=True)


def _at() -> Column[datetime]:
    return Column("at", Utc, nullable=False)


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable)


def _whole(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _real(name: str, *, nullable: bool = False) -> Column[float]:
    return Column(name, Double, nullable=nullable)


def _parent(name: str, table: str, *, key: str = "id", nullable: bool = False) -> Column[str]:
    return Column(name, String(16), ForeignKey(f"{table}.{key}"), nullable=nullable)


schema_versions = Table(
    "schema_versions",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    _at(),
    _text("labcoat"),
)

studies = Table(
    "studies",
    metadata,
    _id(),
    _at(),
    _text("name"),
    Column("fingerprint", String(64), nullable=False, index=True),
    _text("labcoat"),
    _text("document"),
)

facts = Table(
    "facts",
    metadata,
    _id(),
    _at(),
    _parent("study_id", "studies"),
    _text("hostname"),
    _text("kernel"),
    _text("machine"),
    _text("cpu_model"),
    _whole("cpus"),
    _whole("cpus_online"),
    _real("cpu_quota", nullable=True),
    _whole("ram_bytes"),
    _text("virtualised", nullable=True),
    _text("governor", nullable=True),
    _whole("cgroup"),
    _whole("somaxconn"),
    _whole("nofile"),
    _whole("port_low"),
    _whole("port_high"),
    _text("python"),
    Column("is_root", Boolean, nullable=False),
    _text("programs"),
    Index("facts_of_study", "study_id", "id"),
)

variants = Table(
    "variants",
    metadata,
    Column("name", String(16), primary_key=True),
    _at(),
    _text("assignment"),
)

experiments = Table(
    "experiments",
    metadata,
    _id(),
    _at(),
    _parent("study_id", "studies"),
    _text("kind"),
    _text("question"),
    _parent("baseline", "variants", key="name"),
    _parent("treatment", "variants", key="name"),
    _whole("seed"),
    Index("experiments_of_study", "study_id", "id"),
)

blocks = Table(
    "blocks",
    metadata,
    _id(),
    _at(),
    _parent("experiment_id", "experiments"),
    _whole("block_index"),
    _whole("attempt"),
    _whole("epoch"),
    Column("block_order", String(4), nullable=False),
    _whole("seed"),
    UniqueConstraint("experiment_id", "block_index", "attempt", name="block_once"),
    UniqueConstraint("id", "experiment_id", name="block_in_experiment"),
)

voids = Table(
    "voids",
    metadata,
    Column("block_id", String(16), ForeignKey("blocks.id"), primary_key=True),
    _at(),
    _text("reason"),
)

trials = Table(
    "trials",
    metadata,
    _id(),
    _at(),
    _parent("experiment_id", "experiments"),
    Column("block_id", String(16)),
    Column("arm", String(16), nullable=False),
    _whole("slot"),
    _whole("position"),
    _parent("variant", "variants", key="name"),
    # NULL blocks are all different, so this binds only the trials of a block.
    UniqueConstraint("block_id", "position", name="trial_once"),
    # A trial is in the experiment that its block is in.
    ForeignKeyConstraint(
        ["block_id", "experiment_id"],
        ["blocks.id", "blocks.experiment_id"],
        name="trial_in_block",
    ),
    Index("trials_of_experiment", "experiment_id", "id"),
)

measurements = Table(
    "measurements",
    metadata,
    Column("trial_id", String(16), ForeignKey("trials.id"), primary_key=True),
    Column("plan", String(8), nullable=False),
    _whole("users", nullable=True),
    _real("think_s", nullable=True),
    _real("rate_per_s", nullable=True),
    Column("arrivals", String(16)),
    _whole("connections", nullable=True),
    _real("measure_s"),
    _real("warmup_s"),
    _whole("started_ns"),
    _text("tool"),
    _real("generator_cpu_s"),
    _whole("generator_cores"),
    _real("generator_loop_lag_p99_s"),
    _whole("generator_connects"),
    _whole("generator_syn_retransmits"),
    _real("generator_stalled_ratio", nullable=True),
    _text("routes"),
    _text("notes"),
    _whole("requests"),
    Column("records", LargeBinary, nullable=False),
)

host_readings = Table(
    "host_readings",
    metadata,
    Column("trial_id", String(16), ForeignKey("trials.id"), nullable=False),
    Column("moment", String(8), nullable=False),
    _whole("at_ns"),
    _whole("cores"),
    _real("busy_s"),
    _real("system_s"),
    _real("irq_s"),
    _real("idle_s"),
    _real("iowait_s"),
    _real("steal_s"),
    _whole("listen_overflows"),
    _whole("listen_drops"),
    _whole("syn_retransmits"),
    _whole("time_wait"),
    _real("throttled_s"),
    _whole("throttled_n"),
    PrimaryKeyConstraint("trial_id", "moment"),
)

layer_readings = Table(
    "layer_readings",
    metadata,
    Column("trial_id", String(16), ForeignKey("trials.id"), nullable=False),
    Column("moment", String(8), nullable=False),
    _whole("depth"),
    _text("layer"),
    _whole("at_ns"),
    _real("cpu_s"),
    _real("system_s"),
    _whole("rss_bytes"),
    _whole("pss_bytes"),
    _whole("processes"),
    _whole("threads"),
    _whole("switches_voluntary"),
    _whole("switches_involuntary"),
    PrimaryKeyConstraint("trial_id", "moment", "layer"),
)

verdicts = Table(
    "verdicts",
    metadata,
    _id(),
    _at(),
    _parent("experiment_id", "experiments"),
    _text("metric"),
    Column("verdict", String(16), nullable=False),
    _text("reason"),
    _whole("n"),
    _real("chance", nullable=True),
    _real("log_e_better", nullable=True),
    _real("log_e_worse", nullable=True),
    _real("log_e_not_better", nullable=True),
    _real("log_e_not_worse", nullable=True),
    _real("log_e_needed", nullable=True),
    _real("log_e_needed_for_margin", nullable=True),
    _text("warnings"),
    _real("effect_point", nullable=True),
    _real("effect_low", nullable=True),
    _real("effect_high", nullable=True),
    _text("effect_method", nullable=True),
    _whole("effect_n", nullable=True),
    _text("effect_warnings", nullable=True),
    Index("verdicts_of_experiment", "experiment_id", "id"),
)

findings = Table(
    "findings",
    metadata,
    _id(),
    _at(),
    _parent("study_id", "studies"),
    _text("name"),
    _text("document"),
    Index("findings_of_study", "study_id", "name", "id"),
)

events = Table(
    "events",
    metadata,
    _id(),
    _at(),
    _parent("study_id", "studies"),
    _text("kind"),
    _text("document"),
    Index("events_of_study", "study_id", "id"),
)

states = Table(
    "states",
    metadata,
    _id(),
    _at(),
    _parent("study_id", "studies"),
    _parent("variant", "variants", key="name"),
    _text("document"),
    Index("states_of_study", "study_id", "id"),
)
