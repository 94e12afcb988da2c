"""kill -9 at fifty random moments: nothing is done twice, nothing decided is lost."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from labcoat.watch.record.entry import Kind
from labcoat.watch.record.journal import WatchJournal

KILLS = 50


@pytest.mark.timeout(240)
def test_at_most_once_whenever_it_is_killed(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1 << 30)
    watcher = Path(__file__).with_name("watcher.py")
    completed = subprocess.run(
        [sys.executable, str(watcher), str(tmp_path), str(KILLS), str(seed)],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        text=True,
        capture_output=True,
        timeout=200,
        check=False,
    )
    assert completed.returncode == 0, (seed, completed.stdout[-2000:], completed.stderr[-2000:])

    lines = Counter((tmp_path / "log").read_text().split())
    assert lines
    assert set(lines.values()) == {1}, seed  # at most one line per marker, ever
    journal = WatchJournal.open(tmp_path / "watch" / "journal.db", read_only=True)
    verified = journal.verify()
    assert verified.broken_at is None, seed
    begun, outcomes = set(), {}
    for written in journal.entries(kinds=[Kind.ATTEMPT, Kind.VERDICT]):
        entry = written.entry
        if entry.kind is Kind.VERDICT:
            outcomes[entry.subject] = (entry.body["outcome"], entry.body["note"])
        elif entry.body["phase"] == "intent":
            begun.add(entry.subject)
    starts = len(list(journal.entries(kinds=[Kind.STARTED])))
    flying = {a["id"] for a in (journal.document("board") or {}).get("attempts", ())}
    journal.close()
    assert starts > KILLS / 2, "it must have been at work when it was killed"
    assert len(begun) >= 5
    assert begun - set(outcomes) <= flying, seed  # every decision reaches its end
    for attempt, (outcome, note) in outcomes.items():
        expected = {0} if outcome == "never-started" else {1}
        if note == "interrupted":  # its shell was killed too, before its first line or after
            expected = {0, 1}
        assert lines[attempt] in expected, (seed, attempt, outcome, note)
    # Some are not cut short, so that "at most once" is not shown by doing nothing.
    whole = [note for _, note in outcomes.values() if note is None]
    assert whole, (seed, outcomes)
    assert set(lines) <= {id_ for a in begun for id_ in (a, f"{a}.rollback")}
