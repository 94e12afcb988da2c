"""Greets whoever knows the token; starts only where it is told one."""

import os

from flask import Flask, jsonify, request

app = Flask(__name__)
TOKEN = os.environ["GREETING_TOKEN"]


@app.get("/")
def greeting():
    known = request.args.get("token") == TOKEN
    return jsonify(greeting="welcome back" if known else "hello")
