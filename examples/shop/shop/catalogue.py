"""The pages that people look at: catalogue, product, search."""

from __future__ import annotations

from flask import Blueprint, abort, render_template, request

from shop.database import Row, row, rows

pages = Blueprint("catalogue", __name__)

PER_PAGE = 24

BY_BRAND = """
SELECT p.id, p.name, p.brand, p.price_cents, p.rating, p.stock, p.department_id
FROM product p
WHERE lower(p.brand) = lower(%(brand)s)
ORDER BY p.price_cents, p.id
LIMIT 20
"""


@pages.get("/")
def home() -> str:
    """Everything we sell, newest first."""
    page = page_number()
    products = rows(
        """
        SELECT p.id, p.name, p.brand, p.price_cents, p.rating, p.stock, p.department_id
        FROM product p
        ORDER BY p.id DESC
        LIMIT %(limit)s OFFSET %(offset)s
        """,
        {"limit": PER_PAGE, "offset": (page - 1) * PER_PAGE},
    )
    departments = rows("SELECT id, name, products FROM department ORDER BY name")
    total = sum(department["products"] for department in departments)
    return render_template(
        "catalogue.html",
        title="Everything we sell",
        products=products,
        departments=departments,
        current=None,
        page=page,
        last_page=last_page(total),
        total=total,
    )


@pages.get("/department/<int:department_id>")
def department(department_id: int) -> str:
    """One department, newest first."""
    page = page_number()
    departments = rows("SELECT id, name, products FROM department ORDER BY name")
    current = next((d for d in departments if d["id"] == department_id), None)
    if current is None:
        abort(404)
    products = rows(
        """
        SELECT p.id, p.name, p.brand, p.price_cents, p.rating, p.stock, p.department_id
        FROM product p
        WHERE p.department_id = %(department)s
        ORDER BY p.id DESC
        LIMIT %(limit)s OFFSET %(offset)s
        """,
        {"department": department_id, "limit": PER_PAGE, "offset": (page - 1) * PER_PAGE},
    )
    return render_template(
        "catalogue.html",
        title=current["name"],
        products=products,
        departments=departments,
        current=current,
        page=page,
        last_page=last_page(current["products"]),
        total=current["products"],
    )


@pages.get("/product/<int:product_id>")
def product(product_id: int) -> str:
    """One product, and a few more of its department."""
    found = product_of(product_id)
    if found is None:
        abort(404)
    related = rows(
        """
        SELECT p.id, p.name, p.brand, p.price_cents, p.rating, p.stock, p.department_id
        FROM product p
        WHERE p.department_id = %(department)s AND p.id > %(id)s
        ORDER BY p.id
        LIMIT 4
        """,
        {"department": found["department_id"], "id": product_id},
    )
    return render_template("product.html", title=found["name"], product=found, related=related)


@pages.get("/search")
def search() -> str:
    """The cheapest products of a brand, however its name is written."""
    brand = request.args.get("brand", "").strip()
    products = rows(BY_BRAND, {"brand": brand})
    return render_template("search.html", title=f"Search: {brand}", brand=brand, products=products)


@pages.get("/health")
def health() -> dict[str, str]:
    """For the load balancer: we are up, and so is the database."""
    row("SELECT 1")
    return {"status": "ok"}


def product_of(product_id: int) -> Row | None:
    """A product with the name of its department, or None."""
    return row(
        """
        SELECT p.id, p.sku, p.name, p.brand, p.description, p.price_cents, p.rating, p.stock,
               p.created_at, p.department_id, d.name AS department
        FROM product p
        JOIN department d ON d.id = p.department_id
        WHERE p.id = %(id)s
        """,
        {"id": product_id},
    )


def page_number() -> int:
    """The page that the visitor asks for, 1 where that makes no sense."""
    return max(1, request.args.get("page", 1, type=int))


def last_page(total: int) -> int:
    """How many pages ``total`` products fill."""
    return max(1, -(-total // PER_PAGE))
