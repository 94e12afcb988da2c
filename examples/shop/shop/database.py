"""The connection pool, one per process, and two ways to ask."""

from __future__ import annotations

import os
import threading
from typing import Any

from flask import current_app
from psycopg import Connection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool

Row = dict[str, Any]

Pool = ConnectionPool[Connection[DictRow]]

_opening = threading.Lock()


def pool() -> Pool:
    """This process's pool, opened at first use.

    Application servers import the app and then fork; a connection must not be
    shared across a fork, so none exists before a worker has its first request.
    """
    pools: dict[int, Pool] = current_app.extensions.setdefault("shop_pools", {})
    pid = os.getpid()
    if pid not in pools:
        with _opening:
            if pid not in pools:
                pools[pid] = ConnectionPool(
                    current_app.config["DATABASE_URL"],
                    connection_class=Connection[DictRow],
                    kwargs={"row_factory": dict_row},
                    min_size=1,
                    max_size=int(os.environ.get("DATABASE_POOL_SIZE", "8")),
                    timeout=10,
                    open=True,
                )
    return pools[pid]


def rows(query: str, parameters: dict[str, Any] | None = None) -> list[Row]:
    """All rows that a query gives."""
    with pool().connection() as connection:
        return connection.execute(query, parameters).fetchall()


def row(query: str, parameters: dict[str, Any] | None = None) -> Row | None:
    """The first row that a query gives, or None."""
    with pool().connection() as connection:
        return connection.execute(query, parameters).fetchone()
