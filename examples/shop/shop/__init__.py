"""A small web shop: Flask in front, Postgres behind.

Needs two settings in the environment: ``DATABASE_URL`` and ``SECRET_KEY``.
``SITE_URL`` (what the feed's links start with) and ``DATABASE_POOL_SIZE`` have defaults.
"""

from __future__ import annotations

import logging
import os
import time

from flask import Flask, Response, g, request

from shop import api, cart, catalogue, feed, recommendations

log = logging.getLogger("shop")


def required(name: str) -> str:
    """A setting that the shop cannot do without."""
    value = os.environ.get(name)
    if not value:
        raise RuntimeError(f"{name} is not set in the environment; the shop needs it to start")
    return value


def create_app() -> Flask:
    """The application, complete; connects to nothing yet."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    app = Flask(__name__)
    app.config["DATABASE_URL"] = required("DATABASE_URL")
    app.config["SECRET_KEY"] = required("SECRET_KEY")
    app.config["SITE_URL"] = os.environ.get("SITE_URL", "https://shop.example.org")
    app.jinja_env.filters["money"] = money
    for blueprint in (catalogue.pages, api.pages, cart.pages, feed.pages, recommendations.pages):
        app.register_blueprint(blueprint)
    app.before_request(note_start)
    app.after_request(log_request)
    return app


def money(cents: int) -> str:
    """A price as people read it."""
    return f"€ {cents // 100:,}.{cents % 100:02d}"


def note_start() -> None:
    """Remember when the request began."""
    g.started = time.perf_counter()


def log_request(response: Response) -> Response:
    """One line per request, with its duration."""
    elapsed_ms = (time.perf_counter() - g.started) * 1000
    log.info(
        "%s %s %d %.1f ms", request.method, request.full_path, response.status_code, elapsed_ms
    )
    return response


app = create_app()
