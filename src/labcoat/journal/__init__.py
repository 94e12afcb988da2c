"""What happened: an append-only record of every study.

A trial, its raw records and what it used are committed in one transaction before
anything reads them. SQLite in WAL mode by default, ``postgresql://`` for a team.

Refuses: to change or delete what was recorded, to keep a secret, to compute a statistic.
May import: host, stats, model, errors.
"""

from labcoat.journal.journal import Journal

__all__ = ["Journal"]
