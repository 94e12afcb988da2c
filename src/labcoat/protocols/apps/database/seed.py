"""Fills the database: accounts of 100 bytes each, as pgbench has them, and branches."""

import os

import psycopg

ACCOUNTS = int(os.environ.get("ACCOUNTS", "200000"))

with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    connection.execute(
        "CREATE TABLE accounts (id int PRIMARY KEY, balance int, filler char(84) NOT NULL)"
    )
    connection.execute("CREATE TABLE branches (id int PRIMARY KEY, balance int)")
    connection.execute("CREATE TABLE history (account int, amount int, at timestamptz)")
    connection.execute(
        "INSERT INTO accounts SELECT n, 0, 'x' FROM generate_series(1, %s) n", (ACCOUNTS + 501,)
    )
    connection.execute("INSERT INTO branches SELECT n, 0 FROM generate_series(1, 20) n")
    connection.commit()
    connection.autocommit = True
    connection.execute("VACUUM ANALYZE")
