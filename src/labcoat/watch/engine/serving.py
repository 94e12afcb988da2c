"""The export over HTTP, to whoever scrapes this machine's loopback."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from labcoat.errors import JournalError, UsageError
from labcoat.watch.engine.exporting import prometheus, status_document
from labcoat.watch.engine.overview import overview
from labcoat.watch.engine.settings import SAMPLES, Settings
from labcoat.watch.record.journal import WatchJournal
from labcoat.watch.record.series import Latest, Series

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exported(settings: Settings, *, as_status: bool) -> str:
    """The text as of now. Raises: JournalError."""
    journal = WatchJournal.open(settings.journal, read_only=True)
    try:
        seen = overview(journal)
    finally:
        journal.close()
    if as_status:
        return json.dumps(status_document(seen), ensure_ascii=False) + "\n"
    return prometheus(seen, _latest(settings))


def _latest(settings: Settings) -> list[Latest]:
    path = settings.folder / SAMPLES
    if not path.exists():
        return []
    series = Series(path)
    try:
        return series.latest()
    finally:
        series.close()


def serve(settings: Settings, listen: str, *, say: Callable[[str], None]) -> None:
    """Serve until interrupted. Raises: UsageError for an address that cannot be had."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdigit():
        raise UsageError(
            f"{listen!r} is no address", where="--listen", way_out="write 127.0.0.1:9143"
        )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pages = {
                "/metrics": (METRICS_TYPE, False),
                "/status.json": ("application/json", True),
                "/api/status": ("application/json", True),
            }
            page = pages.get(self.path.partition("?")[0])
            if page is None:
                self.send_error(404, "there is /metrics and /status.json")
                return
            try:
                text = exported(settings, as_status=page[1]).encode()
            except JournalError as error:
                self.send_error(503, error.what)
                return
            self.send_response(200)
            self.send_header("Content-Type", page[0])
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            """Say nothing of each scrape."""

    try:
        server = ThreadingHTTPServer((host.strip("[]"), int(port)), Handler)
    except OSError as error:
        raise UsageError(
            f"cannot listen there: {error.strerror}",
            where=f"--listen {listen}",
            way_out="choose a free port of this machine",
        ) from error
    say(f"serving http://{host}:{server.server_port}/metrics and /status.json; Ctrl-C ends it")
    with server:
        server.serve_forever()
