"""The RSS feed that price comparison sites fetch."""

from __future__ import annotations

from email.utils import format_datetime
from xml.etree import ElementTree as ET

from flask import Blueprint, Response, current_app

from shop.database import rows

pages = Blueprint("feed", __name__)

NEWEST = 1350


@pages.get("/feed.xml")
def feed() -> Response:
    """The newest products, complete."""
    products = rows(
        """
        SELECT p.id, p.sku, p.name, p.brand, p.description, p.price_cents, p.created_at,
               d.name AS department
        FROM product p
        JOIN department d ON d.id = p.department_id
        ORDER BY p.id DESC
        LIMIT %(newest)s
        """,
        {"newest": NEWEST},
    )
    site = current_app.config["SITE_URL"]
    rss = ET.Element("rss", version="2.0")
    channel = ET.SubElement(rss, "channel")
    ET.SubElement(channel, "title").text = "The shop: new arrivals"
    ET.SubElement(channel, "link").text = site + "/"
    ET.SubElement(channel, "description").text = "What came in last."
    for product in products:
        link = f"{site}/product/{product['id']}"
        item = ET.SubElement(channel, "item")
        ET.SubElement(item, "title").text = f"{product['brand']} {product['name']}"
        ET.SubElement(item, "link").text = link
        ET.SubElement(item, "guid", isPermaLink="true").text = link
        ET.SubElement(item, "category").text = product["department"]
        ET.SubElement(item, "pubDate").text = format_datetime(product["created_at"])
        ET.SubElement(item, "description").text = (
            f"<p>{product['description']}</p>"
            f"<p>{product['sku']}: EUR {product['price_cents'] / 100:.2f}</p>"
        )
    body = ET.tostring(rss, encoding="utf-8", xml_declaration=True)
    return Response(body, mimetype="application/rss+xml")
