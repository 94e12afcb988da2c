"""A watch in a process of its own, over one local target: to be killed at any moment.

    python watcher.py FOLDER

Its check fails until the service's file says otherwise; its action writes one line per
attempt, slowly. Runbooks come from a fake shelf, everything else is real.
"""

from __future__ import annotations

import sys
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


def main(folder: Path) -> None:
    action = Action(
        name="heal",
        body=body(ACTION.format(log=folder / "log")),
        trigger=1,
        frequency_s=0.0,
        call_on=frozenset({Status.CRITICAL}),
        guards=Guards(verify=Verify(delay_s=0.05, every_s=0.05, ok=1, window_s=0.2), rate=None),
        rollback=body(ACTION.format(log=folder / "log").replace("$LABCOAT_ATTEMPT", "$LABCOAT_ATTEMPT")),
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
    run_watch(settings, shelf, say=lambda line: print(line, flush=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
