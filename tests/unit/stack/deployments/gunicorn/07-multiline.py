import multiprocessing
import os

workers = int(
    os.environ.get(
        "GUNICORN_WORKERS",
        min(multiprocessing.cpu_count() * 2 + 1, 8),
    )
)
worker_class = "uvicorn.workers.UvicornWorker"
bind = "{}:{}".format(
    os.environ.get("HOST", "0.0.0.0"),
    os.environ.get("PORT", "8080"),
)
access_log_format = (
    '%(h)s %(l)s %(u)s %(t)s "%(r)s" '
    '%(s)s %(b)s "%(f)s" "%(a)s" %(D)s'
)
accesslog = '-'
