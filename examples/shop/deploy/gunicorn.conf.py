# Gunicorn reads this file from the working directory, or from -c.
# Everything but `bind` is Gunicorn's own default, written out.

# Server socket
bind = "127.0.0.1:8000"
backlog = 2048

# Worker processes
workers = 1
worker_class = "sync"
worker_connections = 1000
timeout = 30
keepalive = 2

# Logging: "-" is stderr; accesslog None is off
errorlog = "-"
loglevel = "info"
accesslog = None
