"""The cart: lines in the database, found again by a number in the session cookie."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from flask import Blueprint, abort, redirect, render_template, request, session, url_for

from shop.database import pool, row, rows

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

pages = Blueprint("cart", __name__)


@pages.get("/cart")
def show() -> str:
    """What the visitor has chosen so far."""
    lines = rows(
        """
        SELECT p.id, p.name, p.price_cents, p.department_id, c.quantity,
               p.price_cents * c.quantity AS sum_cents
        FROM cart_line c
        JOIN product p ON p.id = c.product_id
        WHERE c.cart_id = %(cart)s
        ORDER BY p.id
        """,
        {"cart": session.get("cart")},
    )
    total = sum(line["sum_cents"] for line in lines)
    return render_template("cart.html", title="Your cart", lines=lines, total=total)


@pages.post("/cart")
def add() -> Response:
    """Put a product into the cart, then show the cart (a reload must not add again)."""
    product_id = request.form.get("product", type=int)
    quantity = request.form.get("quantity", 1, type=int)
    if product_id is None or not 1 <= quantity <= 99:
        abort(400, "product and quantity (1 to 99) are needed")
    if row("SELECT id FROM product WHERE id = %(id)s", {"id": product_id}) is None:
        abort(404)
    if "cart" not in session:
        session["cart"] = str(uuid.uuid4())
    with pool().connection() as connection:
        connection.execute(
            """
            INSERT INTO cart_line (cart_id, product_id, quantity)
            VALUES (%(cart)s, %(product)s, %(quantity)s)
            ON CONFLICT (cart_id, product_id)
            DO UPDATE SET quantity = least(cart_line.quantity + excluded.quantity, 99)
            """,
            {"cart": session["cart"], "product": product_id, "quantity": quantity},
        )
    return redirect(url_for("cart.show"), code=303)
