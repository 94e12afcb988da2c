"""TPC-B as pgbench has it, behind a small WSGI app: reads, and transactions of four writes."""

import json
import os
import random

import psycopg

URL = os.environ["DATABASE_URL"]
ACCOUNTS = int(os.environ.get("ACCOUNTS", "200000"))
BRANCHES = 20
connection = None


def connected():
    global connection  # noqa: PLW0603 one for each worker, which has one thread
    if connection is None or connection.closed:
        connection = psycopg.connect(URL, autocommit=True)
    return connection


def application(environ, start_response):
    draw = random.Random()
    account, amount = draw.randint(1, ACCOUNTS), draw.randint(-5000, 5000)
    with connected().cursor() as cursor:
        if environ["PATH_INFO"] == "/transaction":
            with connected().transaction():
                cursor.execute(
                    "UPDATE accounts SET balance = balance + %s WHERE id = %s RETURNING balance",
                    (amount, account),
                )
                cursor.fetchone()
                cursor.execute(
                    "UPDATE branches SET balance = balance + %s WHERE id = %s",
                    (amount, account % BRANCHES + 1),
                )
                cursor.execute(
                    "INSERT INTO history (account, amount, at) VALUES (%s, %s, now())",
                    (account, amount),
                )
            said = {"done": True}
        elif environ["PATH_INFO"] == "/range":
            cursor.execute(
                "SELECT count(*) FROM accounts WHERE id BETWEEN %s AND %s AND filler <> ''",
                (account, account + 500),
            )
            said = {"counted": cursor.fetchone() is not None}
        else:
            cursor.execute("SELECT balance FROM accounts WHERE id = %s", (account,))
            said = {"found": cursor.fetchone() is not None}
    body = json.dumps(said).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]
