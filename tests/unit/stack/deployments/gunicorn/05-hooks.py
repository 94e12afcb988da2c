# -*- coding: utf-8 -*-
import logging

bind = ["127.0.0.1:8000", "unix:/tmp/gunicorn.sock"]
backlog = 2048
workers = 4
worker_class = "sync"
worker_connections = 1000
timeout = 30
keepalive = 2
spew = False
daemon = False
raw_env = [
    "DJANGO_SETTINGS_MODULE=shop.settings.production",
    "LANG=de_DE.UTF-8",
]
proc_name = "größer"  # a name with an umlaut


def post_fork(server, worker):
    server.log.info("Worker spawned (pid: %s)", worker.pid)


def pre_exec(server):
    server.log.info("Forked child, re-executing.")


def worker_int(worker):
    import sys, threading, traceback
    id2name = {th.ident: th.name for th in threading.enumerate()}
    code = []
    for threadId, stack in sys._current_frames().items():
        code.append("\n# Thread: %s(%d)" % (id2name.get(threadId, ""), threadId))
    worker.log.debug("\n".join(code))


class Filter(logging.Filter):
    workers = 9

    def filter(self, record):
        timeout = 3
        return timeout > 0
