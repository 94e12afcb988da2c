"""Fill the database: ``python -m shop.seed``. The same rows every time, however often.

What was in the shop's tables before is gone afterwards.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

ProductRow = tuple[int, int, str, str, str, str, int, str, int, datetime]

PRODUCTS = 50_000
SEED = 20_161_207
OPENED = datetime(2021, 3, 1, 8, 0, tzinfo=UTC)

SCHEMA = """
CREATE TABLE IF NOT EXISTS department (
    id integer PRIMARY KEY,
    name text NOT NULL,
    products integer NOT NULL
);
CREATE TABLE IF NOT EXISTS product (
    id integer PRIMARY KEY,
    department_id integer NOT NULL REFERENCES department (id),
    sku text NOT NULL UNIQUE,
    name text NOT NULL,
    brand text NOT NULL,
    description text NOT NULL,
    price_cents integer NOT NULL,
    rating numeric(2, 1) NOT NULL,
    stock integer NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS product_department ON product (department_id, id);
CREATE TABLE IF NOT EXISTS cart_line (
    cart_id uuid NOT NULL,
    product_id integer NOT NULL REFERENCES product (id),
    quantity integer NOT NULL,
    PRIMARY KEY (cart_id, product_id)
);
"""

DEPARTMENTS = (
    "Bags", "Bicycles", "Books", "Candles", "Ceramics", "Clocks", "Coffee", "Games", "Garden",
    "Glassware", "Kitchen", "Lamps", "Linen", "Music", "Outdoor", "Paper", "Posters", "Shoes",
    "Tools", "Toys",
)  # fmt: skip
BRAND_STARTS = (
    "Alder", "Birch", "Cedar", "Dune", "Ember", "Fjord", "Grove", "Heath", "Isle", "Juniper",
    "Kestrel", "Linden", "Moor", "North", "Oak", "Pine", "Quarry", "Raven", "Stone", "Tarn",
)  # fmt: skip
BRAND_ENDS = (
    "berg", "brook", "crest", "dale", "field", "ford", "gate", "holm", "lund", "mark", "mere",
    "ridge", "side", "stead", "strand", "thorpe", "vale", "wick", "wood", "works",
)  # fmt: skip
BRANDS = tuple(start + end for start, end in itertools.product(BRAND_STARTS, BRAND_ENDS))
QUALITIES = (
    "Compact", "Everyday", "Feather", "Folding", "Hand-made", "Heavy-duty", "Limited", "Little",
    "Modern", "Natural", "Original", "Quiet", "Recycled", "Simple", "Sturdy", "Travel", "Vintage",
    "Warm",
)  # fmt: skip
MATERIALS = (
    "ash", "bamboo", "brass", "canvas", "cork", "cotton", "felt", "glass", "iron", "leather",
    "linen", "oak", "paper", "porcelain", "slate", "steel", "walnut", "wool",
)  # fmt: skip
PHRASES = (
    "made to be used every day",
    "finished by hand in a small workshop",
    "easy to clean and easy to mend",
    "designed to last for many years",
    "light enough to carry anywhere",
    "a present for people who have everything",
    "tested by our own staff for a whole winter",
    "delivered without a gram of plastic",
    "available in five colours on request",
    "repaired free of charge for three years",
    "fits into every drawer we could find",
    "better with age, like most good things",
)


def department_rows(products: list[ProductRow]) -> Iterator[tuple[int, str, int]]:
    """The departments, each with how many products it holds."""
    sizes = Counter(department for _, department, *_ in products)
    for number, name in enumerate(DEPARTMENTS, start=1):
        yield number, name, sizes[number]


def product_rows() -> Iterator[ProductRow]:
    """The products, in the order of the table's columns."""
    draw = random.Random(SEED)
    for number in range(1, PRODUCTS + 1):
        department = draw.randrange(len(DEPARTMENTS)) + 1
        quality, material = draw.choice(QUALITIES), draw.choice(MATERIALS)
        noun = DEPARTMENTS[department - 1].lower()
        phrases = draw.sample(PHRASES, 4)
        yield (
            number,
            department,
            f"SKU-{number:06d}-{draw.randrange(10_000):04d}",
            f"{quality} {material} {noun}",
            draw.choice(BRANDS),
            f"{quality} {noun} of {material}: {', '.join(phrases[:2])}. {'; '.join(phrases[2:])}.",
            draw.randrange(199, 49_900),
            f"{draw.randrange(10, 51) / 10:.1f}",
            draw.choice((0, 1, 2, 3, 5, 8, 13, 21, 34, 55)),
            OPENED + timedelta(minutes=47 * number),
        )


def fill(database_url: str) -> None:
    """Create what is missing, replace every row, and let Postgres look at them.

    The vacuum leaves the tables as they are after a quiet night: visibility known,
    statistics fresh, so that the first visitors do not pay for it.
    """
    products = list(product_rows())
    with psycopg.connect(database_url, autocommit=True) as connection:
        with connection.transaction():
            connection.execute(SCHEMA)
            connection.execute("TRUNCATE department, product, cart_line")
            with connection.cursor() as cursor:
                with cursor.copy("COPY department FROM STDIN") as copy:
                    for department in department_rows(products):
                        copy.write_row(department)
                with cursor.copy("COPY product FROM STDIN") as copy:
                    for product in products:
                        copy.write_row(product)
        connection.execute("VACUUM (FREEZE, ANALYZE) department, product, cart_line")


def main() -> None:
    """Fill the database that the environment names."""
    database_url = os.environ.get("DATABASE_URL")
    if not database_url:
        sys.exit("DATABASE_URL is not set in the environment; which database shall be filled?")
    fill(database_url)
    print(f"{PRODUCTS} products in {len(DEPARTMENTS)} departments")  # noqa: T201  a command


if __name__ == "__main__":
    main()
