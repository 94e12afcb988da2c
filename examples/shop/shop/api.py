"""The JSON API, for the mobile app and for partners."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, request

from shop.catalogue import page_number, product_of
from shop.database import Row, rows

pages = Blueprint("api", __name__, url_prefix="/api")

PER_PAGE = 50


@pages.get("/products")
def products() -> dict[str, Any]:
    """A page of a department, ``?department=&page=``."""
    page = page_number()
    department = request.args.get("department", type=int)
    if department is None:
        abort(400, "department: a number is needed")
    found = rows(
        """
        SELECT p.id, p.sku, p.name, p.brand, p.description, p.price_cents, p.rating, p.stock,
               p.created_at, p.department_id
        FROM product p
        WHERE p.department_id = %(department)s
        ORDER BY p.id
        LIMIT %(limit)s OFFSET %(offset)s
        """,
        {"department": department, "limit": PER_PAGE, "offset": (page - 1) * PER_PAGE},
    )
    return {"page": page, "products": [as_json(product) for product in found]}


@pages.get("/product/<int:product_id>")
def product(product_id: int) -> dict[str, Any]:
    """One product."""
    found = product_of(product_id)
    if found is None:
        abort(404)
    return {"department": found["department"], **as_json(found)}


def as_json(product: Row) -> dict[str, Any]:
    """A product as the API promises it."""
    return {
        "id": product["id"],
        "sku": product["sku"],
        "name": product["name"],
        "brand": product["brand"],
        "description": product["description"],
        "price": {"amount": product["price_cents"] / 100, "currency": "EUR"},
        "rating": float(product["rating"]),
        "in_stock": product["stock"] > 0,
        "created_at": product["created_at"].isoformat(),
        "image": f"/static/img/department-{product['department_id']}.png",
    }
