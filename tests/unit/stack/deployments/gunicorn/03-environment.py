import os


def env(name, default=None):
    workers = os.environ.get(name, default)  # a local name like a setting's
    return workers


bind = f"0.0.0.0:{os.environ.get('PORT', 8000)}"
workers = int(env("WEB_CONCURRENCY", "2"))
threads = int(env("GUNICORN_THREADS", "1"))
timeout = int(env("GUNICORN_TIMEOUT", 120))
accesslog = "-"
errorlog = "-"
loglevel = env("LOG_LEVEL", "info").lower()
forwarded_allow_ips = "*"
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}
