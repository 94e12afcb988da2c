"""Recommendations, which another service computes."""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, request

from shop.database import rows

pages = Blueprint("recommendations", __name__)

UPSTREAM_S = 0.040


@pages.get("/recommendations")
def recommendations() -> dict[str, Any]:
    """What else may please the visitor of ``?product=``."""
    chosen = ask_recommender(request.args.get("product", 1, type=int))
    found = rows(
        """
        SELECT p.id, p.name, p.brand, p.price_cents
        FROM product p
        WHERE p.id = ANY(%(ids)s)
        ORDER BY p.id
        """,
        {"ids": chosen},
    )
    return {"products": found}


def ask_recommender(product_id: int) -> list[int]:
    """Six product numbers from the recommendation service.

    There is no such service in this example: the sleep stands for the remote call
    and its 40 ms of waiting (no CPU, no database connection held), and the
    arithmetic for its answer.
    """
    time.sleep(UPSTREAM_S)
    return [(product_id * 7919 + step * 104_729) % 50_000 + 1 for step in range(1, 7)]
