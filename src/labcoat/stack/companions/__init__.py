"""What stands beside the app: caches, and a pooler in front of the database.

One file each. To add one: a file, and a line in ``COMPANIONS``. Every arm has its own, fresh at
each boot: what one arm writes into a cache never answers the other.
"""

from __future__ import annotations

from labcoat.stack.companions.base import Companion
from labcoat.stack.companions.memcached import Memcached
from labcoat.stack.companions.pgbouncer import PgBouncer
from labcoat.stack.companions.redis import Redis

CACHES: tuple[type[Companion], ...] = (Redis, Memcached)
POOLERS: tuple[type[Companion], ...] = (PgBouncer,)
COMPANIONS: tuple[type[Companion], ...] = (*CACHES, *POOLERS)
