"""App servers, one file each. To add one: a file, and a line in ``SERVERS``."""

from __future__ import annotations

from labcoat.stack.base import Component
from labcoat.stack.servers.granian import Granian
from labcoat.stack.servers.gunicorn import Gunicorn
from labcoat.stack.servers.uvicorn import Uvicorn
from labcoat.stack.servers.uwsgi import Uwsgi

SERVERS: tuple[type[Component], ...] = (Uwsgi, Gunicorn, Granian, Uvicorn)
