"""Structured logs."""
workers: int = 2
threads: int = 2
bind: str = "0.0.0.0:8000"
worker_tmp_dir = "/dev/shm"
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"format": '{"message": "%(message)s"}'}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"level": "INFO", "handlers": ["console"]},
}
limit_request_line = 8190; limit_request_fields = 100
