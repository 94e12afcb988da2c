"""A small Flask API, like those that the articles were written about."""

import gc
import time

from flask import Flask, jsonify

app = Flask(__name__)

# Something to share between workers, and to be traversed by the collector.
CATALOGUE = [{"id": n, "tags": [f"tag-{n % 97}", f"group-{n % 11}"]} for n in range(60_000)]


@app.get("/fibonacci/<int:count>")
def fibonacci(count):
    """The sequence, as the article's API returns it: CPU, and nothing to wait for."""
    numbers = [0, 1]
    while len(numbers) < count:
        numbers.append(numbers[-1] + numbers[-2])
    return jsonify(numbers[:count])


@app.get("/waits/<int:milliseconds>")
def waits(milliseconds):
    """Somebody else's answer is waited for."""
    time.sleep(milliseconds / 1000)
    return jsonify(waited=milliseconds)


@app.get("/cycles")
def cycles():
    """Garbage in cycles, which only the collector finds."""
    for _ in range(200):
        one, other = {}, {}
        one["other"], other["one"] = other, one
    return jsonify(enabled=gc.isenabled())


@app.get("/catalogue/<int:number>")
def catalogue(number):
    return jsonify(CATALOGUE[number % len(CATALOGUE)])
