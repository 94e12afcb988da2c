import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
chdir = HERE
pidfile = os.path.join(HERE, "run", "gunicorn.pid")
accesslog = os.path.join(HERE, "logs", "access.log")
errorlog = os.path.join(HERE, "logs", "error.log")
bind = "unix:" + os.path.join(HERE, "run", "gunicorn.sock")
workers, threads = 2, 4
timeout = 90
