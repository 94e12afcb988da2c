"""A watch in a process of its own, over one local target: to be killed at any moment.

    python watcher.py FOLDER KILLS SEED

Each life is a fork, killed with SIGKILL at a drawn moment; the last one is ended by SIGTERM.
Its check fails until the service's file says otherwise; its action writes one line per
attempt, slowly. Runbooks come from a fake shelf, everything else is real.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

from labcoat.testing.watch import FakeShelf
from labcoat.watch.engine.discovery import Discovery
from labcoat.watch.engine.running import run_watch
from labcoat.watch.engine.settings import Settings
from labcoat.watch.heal.site import Site
from labcoat.watch.model.guards import Guards, Verify
from labcoat.watch.model.runbook import (
    Action,
    Body,
    Check,
    Mode,
    Place,
    Runbook,
    Semantics,
    Shell,
)
from labcoat.watch.model.schedule import Cron
from labcoat.watch.model.status import Status

ACTION = 'echo "$LABCOAT_ATTEMPT" >> {log}; sleep 0.05; echo end >> {log}.ends'


def body(cmd: str, place: Place = Place.TARGET) -> Body:
    return Body(place=place, what=Shell(cmd), timeout_s=5.0)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main(folder: Path) -> None:
    action = Action(
        name="heal",
        body=body(ACTION.format(log=folder / "log")),
        trigger=1,
        frequency_s=0.0,
        call_on=frozenset({Status.CRITICAL}),
        guards=Guards(verify=Verify(delay_s=0.05, every_s=0.05, ok=1, window_s=0.2), rate=None),
        rollback=body(ACTION.format(log=folder / "log")),
    )
    book = Runbook(
        path="sick",
        file="sick.yml",
        name="always sick",
        sha256="0" * 64,
        checks=(Check(name="state", body=body("exit 2")),),
        actions=(action,),
        schedule=Cron(seconds=tuple(range(60)), text="every second"),
        semantics=Semantics.LABCOAT,
        spread_s=0.0,
    )
    shelf = FakeShelf({"localhost": (book,)})
    settings = Settings(
        folder=folder / "watch",
        journal=folder / "watch" / "journal.db",
        runbook_path=folder,
        plugin_path=None,
        site=lambda targets, sizes: Site(
            mode=Mode.ACT, targets=targets, group_sizes=sizes, rate=None
        ),
        discovery=Discovery(hosts=("localhost",)),
        patience_s=10.0,
    )
    run_watch(settings, shelf, say=say)


def life(folder: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        main(folder)
    except BaseException:  # noqa: BLE001 - a fork must not go on as its mother
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def lives(folder: Path, kills: int, seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(kills):
        pid = life(folder)
        time.sleep(draw.uniform(0.3, 1.1))
        ended, status = os.waitpid(pid, os.WNOHANG)
        assert ended == 0, f"it ended by itself: {status}"
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    pid = life(folder)
    time.sleep(8.0)
    os.kill(pid, signal.SIGTERM)
    assert os.waitpid(pid, 0)[1] == 0


if __name__ == "__main__":
    lives(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
