import os

DEBUG = os.environ.get("DEBUG") == "1"
workers = 5
if DEBUG:
    workers = 1
    loglevel = "debug"
else:
    loglevel = "warning"
preload_app = not DEBUG
bind = "0.0.0.0:5000"
timeout = 60 if DEBUG else 25
