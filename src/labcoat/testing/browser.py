"""A real browser without a window, to look at what labcoat hands over.

Chromium, spoken to over a pipe in its DevTools protocol: no port is opened and no driver is
needed. A page tells what it asked of the network and what went wrong in it.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from labcoat.errors import HostError

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # it is shown nothing but our own files
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


class Browser:
    """A context manager: the browser lives as long as the block."""

    def __init__(self, *, patience_s: float = 60.0) -> None:
        self.patience_s = patience_s
        self._ids = itertools.count(1)
        self._buffer = b""
        self._events: list[dict[str, Any]] = []
        self._open: list[str] = []

    def __enter__(self) -> Self:
        program = next(filter(None, map(shutil.which, NAMES)), None)
        if program is None:
            raise HostError(
                "there is no browser here",
                where=", ".join(NAMES),
                way_out="install Chromium: on Debian the package chromium",
            )
        self._folder = tempfile.TemporaryDirectory(prefix="labcoat-browser-")
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        argv = [program, *FLAGS, f"--user-data-dir={self._folder.name}", "about:blank"]
        # The protocol wants descriptors 3 and 4; a shell puts them there and is then gone.
        move = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", move, "bash", *argv],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "HOME": self._folder.name},
        )
        os.close(theirs_in)
        os.close(theirs_out)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._to)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        os.close(self._from)
        for _ in range(50):  # its last children may still be writing there
            shutil.rmtree(self._folder.name, ignore_errors=True)
            if not Path(self._folder.name).exists():
                break
            time.sleep(0.1)
        self._folder.cleanup()

    def ask(self, method: str, *, session: str = "", **params: Any) -> Any:
        """One call of the protocol and its answer. Raises: HostError if it is refused, or late."""
        number = next(self._ids)
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") != number:
                self._events.append(answer)
            elif "error" in answer:
                raise HostError(f"{method}: {answer['error']['message']}", way_out="see DevTools")
            else:
                return answer["result"]

    def page(self, file: Path, **shape: Any) -> Page:
        """A page on a local file; see ``Page.shape``."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        answer = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._open.append(target)
        page = Page(self, answer["sessionId"])
        page.open(file, **shape)
        return page

    def close_pages(self) -> None:
        """Close every page that was opened, and forget what they told."""
        while self._open:
            self.ask("Target.closeTarget", targetId=self._open.pop())
        self._events.clear()

    def events(self, session: str) -> list[dict[str, Any]]:
        """What a page has told so far, oldest first."""
        return [each for each in self._events if each.get("sessionId") == session]

    def _receive(self) -> dict[str, Any]:
        deadline_s = time.monotonic() + self.patience_s
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from], [], [], max(0, deadline_s - time.monotonic()))
            chunk = os.read(self._from, 1 << 20) if ready else b""
            if not chunk:
                raise HostError(
                    "the browser says nothing more", where=NAMES[0], way_out="start it by hand"
                )
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer


class Page:
    """One tab. Everything that it asks of the network or complains of is kept."""

    def __init__(self, browser: Browser, session: str) -> None:
        self.browser = browser
        self.session = session

    def ask(self, method: str, **params: Any) -> Any:
        """One call of the protocol, to this page."""
        return self.browser.ask(method, session=self.session, **params)

    def open(self, file: Path, **shape: Any) -> None:
        """Show a file, and wait until it says that it is drawn."""
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")
        self.shape(**shape)
        self.ask("Page.navigate", url=file.resolve().as_uri())
        self.until("document.readyState === 'complete'")
        self.until("document.documentElement.dataset.drawn === 'true'")

    def shape(
        self, *, width: int = 1280, height: int = 900, dark: bool = False, media: str = "screen"
    ) -> None:
        """The window: CSS pixels, the colours that its user prefers, screen or print."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page; promises are awaited."""
        answer = self.ask(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise HostError(f"in the page: {answer['exceptionDetails']}", way_out="see the script")
        return answer["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait for a condition. Raises: HostError if it does not come true."""
        deadline_s = time.monotonic() + self.browser.patience_s
        while not self.evaluate(condition):
            if time.monotonic() > deadline_s:
                raise HostError("the page does not get ready", where=condition, way_out="look")
            time.sleep(0.05)

    def press(self, key: str, code: str = "") -> None:
        """A key, down and up."""
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=code or key)

    def screenshot(self, to: Path, *, clip: Mapping[str, float] | None = None) -> None:
        """The whole page as PNG, or a part of it."""
        params: dict[str, Any] = {"format": "png", "captureBeyondViewport": True}
        if clip is not None:
            params["clip"] = {**clip, "scale": 1}
        to.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", **params)["data"]))

    def complaints(self) -> list[str]:
        """Errors, warnings and exceptions of the console, and broken policies."""
        told = []
        for each in self.browser.events(self.session):
            params = each["params"]
            if each["method"] == "Runtime.exceptionThrown":
                told.append(str(params["exceptionDetails"].get("text")))
            elif each["method"] == "Runtime.consoleAPICalled" and params["type"] != "log":
                told.append(f"{params['type']}: {params['args']}")
            elif each["method"] == "Log.entryAdded":
                told.append(f"{params['entry']['level']}: {params['entry']['text']}")
        return told

    def requests(self) -> list[str]:
        """Everything that was asked of anybody, the page itself and data in it left out."""
        return [
            each["params"]["request"]["url"]
            for each in self.browser.events(self.session)
            if each["method"] == "Network.requestWillBeSent"
            and each["params"]["type"] != "Document"
            and not each["params"]["request"]["url"].startswith(("data:", "blob:"))
        ]
