"""kill -9 before every single thing that ``apply`` and ``rollback`` do to the disk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from labcoat.journal import Journal
from labcoat.lab.handover import writing
from labcoat.lab.handover.applying import read_history, roll_back

# Ends the process by SIGKILL when it is about to do the nth thing to a file below the folder.
# The moment is an audit event of the interpreter: open, rename, remove, mkdir, chmod, chown.
ACTS = """\
import itertools, json, os, signal, sys
from pathlib import Path
from labcoat.journal import Journal
from labcoat.lab.handover.applying import apply, roll_back
from labcoat.lab.handover.digests import digests_of
from labcoat.lab.handover.tuned import Tuned
from labcoat.model.study import ComponentSpec
from labcoat.model.variant import Variant
from labcoat.testing.stack import tiny_study

WATCHED = {"open", "os.rename", "os.remove", "os.mkdir", "os.chmod", "os.chown", "os.setxattr"}
verb, base = sys.argv[1], Path(sys.argv[2])

def study_in(root):
    for name in ("one.ini", "two.conf", "nginx.conf"):
        text = {
            "one.ini": "[uwsgi]\\nprocesses = 1\\nhttp-socket = :1\\n",
            "two.conf": "max_connections = 100\\n",
            "nginx.conf": "events {}\\nhttp { server { location / { proxy_pass http://127.0.0.1:1; } } }\\n",
        }[name]
        (root / name).write_text(text)
    files = (("nginx", "nginx.conf"), ("uwsgi", "one.ini"), ("postgres", "two.conf"))
    return tiny_study(root, tuple(ComponentSpec(name=n, file=root / f) for n, f in files))

def act(root, study, at):
    left = at
    def killer(event, args):
        nonlocal left
        if event in WATCHED and str(root) in str(args[0]) and "journal" not in str(args[0]):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    variant = Variant.of({"uwsgi.processes": 4, "postgres.max_connections": 50, "nginx.gzip": True})
    with Journal.open(root / ".labcoat" / "journal.db") as journal:
        record = journal.begin_study(study)
        tuned = Tuned(
            study_id=record.id, at="", outcome="improved", sentence="", variant=variant,
            digests=digests_of(study), by_hand=(),
        )
        if verb == "rollback":
            apply(study, journal, tuned)
        sys.addaudithook(killer)
        apply(study, journal, tuned) if verb == "apply" else roll_back(root, journal)

for at in itertools.count(1):
    root = base / str(at)
    (root / ".labcoat").mkdir(parents=True)
    study = study_in(root)
    child = os.fork()
    if child == 0:
        act(root, study, at)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        print(json.dumps({"killed": at - 1, "status": os.waitstatus_to_exitcode(status)}))
        break
"""
NAMES = ("nginx.conf", "one.ini", "two.conf")


def contents(root: Path) -> list[bytes]:
    return [(root / name).read_bytes() for name in NAMES]


@pytest.mark.parametrize("verb", ["apply", "rollback"])
def test_killed_at_every_moment_it_is_all_or_nothing(tmp_path: Path, verb: str) -> None:
    completed = subprocess.run(
        [sys.executable, "-c", ACTS, verb, str(tmp_path)],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert completed.returncode == 0, completed.stderr
    said = json.loads(completed.stdout)
    assert said["status"] == 0, completed.stderr
    assert said["killed"] > 40
    ended = contents(tmp_path / str(said["killed"] + 1))  # the one that nothing killed
    first = contents(tmp_path / "1")
    assert [one == other for one, other in zip(ended, first, strict=True)] == [False] * 3
    halfway = 0
    for at in range(1, said["killed"] + 1):
        root = tmp_path / str(at)
        found = contents(root)
        # However it ended, each file is whole: as before or as after.
        sides = {
            "before" if one == before else "after" if one == after else "torn"
            for one, before, after in zip(found, first, ended, strict=True)
        }
        assert "torn" not in sides, at
        halfway += len(sides) == 2
        settled = writing.settle(root)
        now = contents(root)
        assert now in (first, ended), at
        assert (now == ended) >= (settled is not None), at
        assert writing.settle(root) is None
        left = {path.name for path in root.iterdir()}
        assert left == {".labcoat", *NAMES, "tiny.py"}, at
        with Journal.open(root / ".labcoat" / "journal.db") as journal:
            history = read_history(journal, root)
            assert history.holds == int((now == ended) is (verb == "apply")), at
            roll_back(root, journal, "0")
            assert contents(root) == (first if verb == "apply" else ended), at
    assert halfway > 0
