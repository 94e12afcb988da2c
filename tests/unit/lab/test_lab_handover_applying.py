"""Apply, roll back, and what neither does to a file that somebody else changed."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from labcoat.errors import HostError, JournalError, RenderError
from labcoat.journal import Journal
from labcoat.lab.handover import writing
from labcoat.lab.handover.applying import (
    apply,
    edited_since,
    proposed,
    read_history,
    read_tuned,
    roll_back,
)
from labcoat.lab.handover.digests import digests_of
from labcoat.lab.handover.patch import hand_over
from labcoat.lab.handover.tuned import Tuned
from labcoat.lab.handover.writing import Replacement
from labcoat.model.study import ComponentSpec, Study
from labcoat.model.tune import TuneFinding
from labcoat.model.variant import ORIGIN, Level, Variant
from labcoat.testing.stack import tiny_study
from labcoat.testing.tune import found, guardrail, interrupted, nothing, unconfirmed

UWSGI = "[uwsgi]\r\n; ours\r\nprocesses = 1\r\nenv = SECRET=hunter2"
POSTGRES = "max_connections = 100\t# ours\n"
LEVELS: dict[str, Level] = {"uwsgi.processes": 4, "postgres.max_connections": 50}


def study_in(folder: Path) -> Study:
    (folder / "uwsgi.ini").write_bytes(UWSGI.encode())
    (folder / "postgresql.conf").write_bytes(POSTGRES.encode())
    stack = (
        ComponentSpec(name="uwsgi", file=folder / "uwsgi.ini"),
        ComponentSpec(name="postgres", file=folder / "postgresql.conf"),
    )
    return tiny_study(folder, stack)


def contents(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in ("uwsgi.ini", "postgresql.conf")]


def tuned_of(study: Study, journal: Journal, levels: dict[str, Level], **of: Any) -> Tuned:
    """A campaign that hands these levels over, journaled as one and read again."""
    variant = Variant.of(levels)
    handover, _ = hand_over(study, variant, digests_of(study))
    record = journal.begin_study(study)
    document = {
        "at": "2026-01-01T00:00:00+00:00", "outcome": "improved", "sentence": "+10 %",
        "handover": asdict(handover), **of,
    }  # fmt: skip
    journal.record_finding(record.id, "tune", document)
    return read_tuned(journal, study)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return study_in(tmp_path)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    (tmp_path / ".labcoat").mkdir()
    with Journal.open(tmp_path / ".labcoat" / "journal.db") as opened:
        yield opened


def test_apply_and_back(study: Study, journal: Journal) -> None:
    root, before = study.root, contents(study.root)
    tuned = tuned_of(study, journal, LEVELS)
    assert tuned.variant == Variant.of(LEVELS)
    done = apply(study, journal, tuned, dry=True)
    assert ([file.path for file in done.files], done.state) == (
        ["uwsgi.ini", "postgresql.conf"],
        None,
    )
    assert contents(root) == before
    done = apply(study, journal, tuned)
    assert done.state is not None
    assert (done.state.number, done.is_new, done.state.variant) == (1, True, tuned.variant)
    applied = contents(root)
    assert applied == [before[0].replace(b"= 1", b"= 4"), before[1].replace(b"100", b"50")]
    again = apply(study, journal, tuned)
    assert (again.state, again.is_new, again.files) == (done.state, False, ())
    assert roll_back(root, journal).files == ("uwsgi.ini", "postgresql.conf")
    assert contents(root) == before
    assert (roll_back(root, journal).files, contents(root)) == ((), before)
    assert roll_back(root, journal, "1").holds == 1
    assert (roll_back(root, journal, "1").files, contents(root)) == ((), applied)
    assert {each.name for each in root.iterdir()} == {
        ".labcoat", "postgresql.conf", "tiny.py", "uwsgi.ini",
    }  # fmt: skip


def test_an_apply_after_an_apply_is_another_state(study: Study, journal: Journal) -> None:
    root, before = study.root, contents(study.root)
    apply(study, journal, tuned_of(study, journal, LEVELS))
    first = contents(root)
    apply(study, journal, tuned_of(study, journal, {"uwsgi.threads": 2}))
    second = contents(root)
    history = read_history(journal, root)
    assert [(state.number, state.parent) for state in history.states] == [(1, 0), (2, 1)]
    for number, there in ((1, first), (0, before), (2, second), (0, before), (1, first)):
        assert roll_back(root, journal, str(number)).holds == number
        assert contents(root) == there


def test_the_journal_holds_digests_and_no_content(study: Study, journal: Journal) -> None:
    apply(study, journal, tuned_of(study, journal, LEVELS))
    (record,) = [state for each in journal.studies() for state in journal.states(each.id)]
    assert set(record.document) == {"kind", "parent", "files"}
    assert [set(file) for file in record.document["files"]] == [{"path", "before", "after"}] * 2
    folder = study.root / ".labcoat"
    holders = [
        path for path in folder.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()
    ]
    states = folder / "states"
    assert all(path.is_relative_to(states) for path in holders)
    assert {stat.S_IMODE(path.stat().st_mode) for path in holders} == {0o600}
    assert stat.S_IMODE(states.stat().st_mode) == 0o700


def test_owner_mode_and_link_stay(study: Study, journal: Journal) -> None:
    file, real = study.root / "uwsgi.ini", study.root / "real.ini"
    file.rename(real)
    file.symlink_to("real.ini")
    real.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(real, 12, 34)
    was = real.stat()
    apply(study, journal, tuned_of(study, journal, LEVELS))
    assert file.is_symlink()
    assert b"processes = 4" in real.read_bytes()
    now = real.stat()
    assert (now.st_mode, now.st_uid, now.st_gid) == (was.st_mode, was.st_uid, was.st_gid)
    assert now.st_mtime_ns > was.st_mtime_ns
    roll_back(study.root, journal)
    assert (file.is_symlink(), real.read_bytes()) == (True, UWSGI.encode())


def test_a_file_that_changed_since_it_was_measured_is_refused(
    study: Study, journal: Journal
) -> None:
    tuned = tuned_of(study, journal, LEVELS)
    (study.root / "uwsgi.ini").write_text("[uwsgi]\nprocesses = 2\n")
    before = contents(study.root)
    with pytest.raises(RenderError, match="not those that were measured"):
        apply(study, journal, tuned)
    assert contents(study.root) == before
    assert read_history(journal, study.root).states == ()


def test_levels_that_are_there_already_need_no_digest(study: Study, journal: Journal) -> None:
    """As after ``git apply`` of the patch."""
    tuned = tuned_of(study, journal, LEVELS)
    _, replacements = proposed(study, journal, tuned)
    for each in replacements:
        assert each.after is not None
        each.path.write_bytes(each.after)
    done = apply(study, journal, tuned)
    assert (done.state, done.files) == (None, ())


def test_a_file_that_was_edited_since_is_not_rolled_back(study: Study, journal: Journal) -> None:
    root = study.root
    apply(study, journal, tuned_of(study, journal, LEVELS))
    left = (root / "uwsgi.ini").read_bytes()
    (root / "uwsgi.ini").write_text("[uwsgi]\nprocesses = 5\n")
    before = contents(root)
    assert edited_since(root, read_history(journal, root)) == ("uwsgi.ini",)
    with pytest.raises(HostError, match="edited since labcoat changed them") as caught:
        roll_back(root, journal)
    assert contents(root) == before
    (line,) = caught.value.log
    kept = Path(line.partition("left it as ")[2])
    assert kept.read_bytes() == left
    (root / "uwsgi.ini").write_bytes(kept.read_bytes())
    roll_back(root, journal)
    assert contents(root) == [UWSGI.encode(), POSTGRES.encode()]


def test_a_file_that_is_gone_is_not_rolled_back(study: Study, journal: Journal) -> None:
    apply(study, journal, tuned_of(study, journal, LEVELS))
    (study.root / "uwsgi.ini").unlink()
    with pytest.raises(HostError, match="edited since"):
        roll_back(study.root, journal)


def test_damaged_contents_are_not_put_back(study: Study, journal: Journal) -> None:
    apply(study, journal, tuned_of(study, journal, LEVELS))
    after = contents(study.root)
    (kept,) = (study.root / ".labcoat" / "states").glob("*/0.before")
    kept.write_text("rubbish")
    with pytest.raises(HostError, match="is damaged"):
        roll_back(study.root, journal)
    kept.unlink()
    with pytest.raises(HostError, match="cannot read a file on the way back"):
        roll_back(study.root, journal)
    assert contents(study.root) == after


def test_states_whose_contents_are_gone_are_no_states(study: Study, journal: Journal) -> None:
    apply(study, journal, tuned_of(study, journal, LEVELS))
    folder = study.root / ".labcoat" / "states"
    folder.rename(folder.with_name("away"))
    history = read_history(journal, study.root)
    assert (history.states, history.holds, edited_since(study.root, history)) == ((), 0, ())


SWAP: dict[str, Level] = {"stack.server": "gunicorn", "uwsgi.processes": 2}


def test_a_new_file_comes_goes_and_comes_again(study: Study, journal: Journal) -> None:
    new = study.root / "gunicorn.conf.py"
    tuned = tuned_of(study, journal, SWAP)
    assert dict(tuned.digests).keys() == {"uwsgi.ini", "postgresql.conf"}
    patch = apply(study, journal, tuned, dry=True).patch
    assert "--- /dev/null\n+++ b/gunicorn.conf.py\n@@ -0,0 +1,4 @@\n" in patch
    assert not new.exists()
    done = apply(study, journal, tuned)
    assert [file.path for file in done.files] == ["gunicorn.conf.py"]
    text = new.read_text()
    assert "workers = 2\n" in text
    assert stat.S_IMODE(new.stat().st_mode) == 0o644
    assert not apply(study, journal, tuned).is_new
    assert roll_back(study.root, journal).files == ("gunicorn.conf.py",)
    assert not new.exists()
    assert roll_back(study.root, journal, "1").holds == 1
    assert new.read_text() == text
    assert contents(study.root) == [UWSGI.encode(), POSTGRES.encode()]


def test_a_new_file_is_not_taken_away_once_it_was_edited(study: Study, journal: Journal) -> None:
    new = study.root / "gunicorn.conf.py"
    apply(study, journal, tuned_of(study, journal, SWAP))
    text = new.read_text()
    new.write_text("workers = 9\n")
    with pytest.raises(HostError, match="were edited since"):
        roll_back(study.root, journal)
    assert new.read_text() == "workers = 9\n"
    new.write_text(text)
    roll_back(study.root, journal)
    new.write_text("someone's\n")
    with pytest.raises(HostError, match="were edited since") as caught:
        roll_back(study.root, journal, "1")
    assert "no file at all" in caught.value.log[0]
    assert new.read_text() == "someone's\n"


def test_a_file_that_came_meanwhile_is_not_written_over(study: Study) -> None:
    new = study.root / "gunicorn.conf.py"
    change = Replacement(path=new, before=None, after=b"1")
    writing.refuse_impossible([change])
    new.write_bytes(b"someone's")
    with pytest.raises(HostError) as caught:
        writing.refuse_impossible([change])
    assert "is there already" in caught.value.log[0]
    with writing.alone(study.root), pytest.raises(HostError, match="changed while labcoat"):
        writing.replace_all(study.root, "x", [change])
    assert new.read_bytes() == b"someone's"


def test_hard_links_are_refused(study: Study, journal: Journal) -> None:
    (study.root / "other.ini").hardlink_to(study.root / "uwsgi.ini")
    tuned = tuned_of(study, journal, LEVELS)
    with pytest.raises(HostError, match="cannot be replaced") as caught:
        apply(study, journal, tuned)
    assert "2 names" in caught.value.log[0]
    assert proposed(study, journal, tuned)[0].patch


def test_files_that_may_not_be_written_are_refused(
    study: Study, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned = tuned_of(study, journal, LEVELS)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everything
    with pytest.raises(HostError) as caught:
        apply(study, journal, tuned)
    assert len(caught.value.log) == 2
    with pytest.raises(HostError, match="cannot be replaced"):
        writing.refuse_impossible([Replacement(path=Path("/gone"), before=b"", after=b"")])


def test_two_at_once_are_refused(study: Study, journal: Journal) -> None:
    tuned = tuned_of(study, journal, LEVELS)
    with writing.alone(study.root), pytest.raises(HostError, match="another labcoat"):
        apply(study, journal, tuned)
    with (study.root / ".labcoat" / "states" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Broken:
    """``os.fsync`` that fails, or is interrupted, at the nth call."""

    def __init__(self, at: int, error: BaseException) -> None:
        self.left = at
        self.error = error
        self.fsync = os.fsync

    def __call__(self, descriptor: int) -> None:
        self.left -= 1
        if self.left == 0:
            raise self.error
        self.fsync(descriptor)


@pytest.mark.slow
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_whatever_fails_every_file_is_as_before_or_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    undone = finished = 0
    for at in range(1, 90):
        root = tmp_path / str(at)
        root.mkdir()
        before, after = [b"1", b"one", None, b"old"], [b"2", b"two", b"new", None]
        files = [root / name for name in "abcd"]
        for file, content in zip(files, before, strict=True):
            if content is not None:
                file.write_bytes(content)
        changes = [
            Replacement(path=file, before=old, after=new)
            for file, old, new in zip(files, before, after, strict=True)
        ]
        broken = Broken(at, error)
        with monkeypatch.context() as patched, writing.alone(root):
            patched.setattr(os, "fsync", broken)
            try:
                writing.replace_all(root, "x", changes)
            except (HostError, KeyboardInterrupt):
                pass
            else:
                assert broken.left > 0
                break
        writing.settle(root)
        is_done = writing.is_done(root, "x")
        now = [file.read_bytes() if file.exists() else None for file in files]
        assert now == (after if is_done else before)
        undone, finished = undone + (not is_done), finished + is_done
        there = {".labcoat", "a", "b", "c" if is_done else "d"}
        assert {each.name for each in root.iterdir()} == there
    assert undone > 10
    assert finished > 0


def test_what_changes_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"someone's")
    change = Replacement(path=tmp_path / "a", before=b"1", after=b"2")
    with writing.alone(tmp_path), pytest.raises(HostError, match="changed while labcoat"):
        writing.replace_all(tmp_path, "x", [change])
    assert (tmp_path / "a").read_bytes() == b"someone's"
    assert writing.settle(tmp_path) is None


def pending(root: Path) -> Path:
    """A change that was killed before its first rename."""
    file = root / "a"
    file.write_bytes(b"1")
    with writing.alone(root):
        writing.replace_all(root, "x", [Replacement(path=file, before=b"1", after=b"2")])
    file.write_bytes(b"1")
    folder = root / ".labcoat" / "states"
    (folder / "x" / "done").unlink()
    (folder / "pending").write_text("x")
    return file


def test_an_interrupted_change_of_an_edited_file_is_refused(tmp_path: Path) -> None:
    file = pending(tmp_path)
    file.write_bytes(b"someone's")
    with pytest.raises(HostError, match="was killed while it changed files") as caught:
        writing.settle(tmp_path)
    assert file.read_bytes() == b"someone's"
    assert "0.before" in caught.value.log[0]
    file.write_bytes(b"1")
    assert writing.settle(tmp_path) == "x"
    assert file.read_bytes() == b"2"
    assert writing.settle(tmp_path) is None


def test_an_interrupted_change_whose_contents_are_gone_is_told(tmp_path: Path) -> None:
    pending(tmp_path)
    (tmp_path / ".labcoat" / "states" / "x" / "0.after").unlink()
    with pytest.raises(HostError, match="contents of a state cannot be read"):
        writing.settle(tmp_path)


def test_a_change_on_top_of_an_interrupted_one_is_refused(tmp_path: Path) -> None:
    file = pending(tmp_path)
    change = Replacement(path=file, before=b"1", after=b"3")
    with writing.alone(tmp_path), pytest.raises(HostError, match="left a change half done"):
        writing.replace_all(tmp_path, "y", [change])
    assert writing.settle(tmp_path) == "x"


def test_who_comes_second_to_finish_finds_nothing_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pending(tmp_path)
    alone = writing.alone

    def after_another(root: Path) -> Any:
        with monkeypatch.context() as patched:
            patched.setattr(writing, "alone", alone)
            assert writing.settle(root) == "x"
        return alone(root)

    monkeypatch.setattr(writing, "alone", after_another)
    assert writing.settle(tmp_path) is None


def test_an_interrupted_change_of_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    pending(tmp_path).unlink()
    with pytest.raises(HostError, match="was killed while it changed files"):
        writing.settle(tmp_path)


def test_what_never_came_about_is_swept_away(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    with writing.alone(tmp_path):
        stale = tmp_path / ".labcoat" / "states" / "stale"
        stale.mkdir()
        writing.replace_all(
            tmp_path, "x", [Replacement(path=tmp_path / "a", before=b"1", after=b"2")]
        )
    assert not stale.exists()
    assert writing.is_done(tmp_path, "x")


def test_extended_attributes_stay_where_they_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"1")
    kept: dict[str, bytes] = {}

    def keep(path: Path, name: str, value: bytes) -> None:
        if name == "security.x":
            raise PermissionError
        kept[name] = value

    monkeypatch.setattr(os, "listxattr", lambda path: ["security.x", "user.y"])
    monkeypatch.setattr(os, "getxattr", lambda path, name: name.encode())
    monkeypatch.setattr(os, "setxattr", keep)
    with writing.alone(tmp_path):
        writing.replace_all(
            tmp_path, "x", [Replacement(path=tmp_path / "a", before=b"1", after=b"2")]
        )
    assert kept == {"user.y": b"user.y"}


def test_states_that_cannot_be_kept_are_an_error(tmp_path: Path) -> None:
    (tmp_path / ".labcoat").write_text("a file")
    with pytest.raises(HostError, match="cannot keep states"), writing.alone(tmp_path):
        pass


def test_the_latest_finished_campaign_is_read(study: Study, journal: Journal) -> None:
    with pytest.raises(JournalError, match="no finished campaign") as caught:
        read_tuned(journal, study)
    assert "labcoat tune" in (caught.value.way_out or "")
    tuned_of(study, journal, {"uwsgi.threads": 2})
    done = tuned_of(study, journal, LEVELS, outcome="interrupted")
    assert done.variant == Variant.of({"uwsgi.threads": 2})
    other = tiny_study(study.root, study.components[:1])
    with pytest.raises(JournalError):
        read_tuned(journal, other)


@pytest.mark.parametrize("finding", [found, nothing, unconfirmed, guardrail])
def test_the_findings_of_campaigns_are_read(
    study: Study, journal: Journal, finding: Callable[[], TuneFinding]
) -> None:
    record = journal.begin_study(study)
    journal.record_finding(record.id, "tune", asdict(finding()))
    journal.record_finding(record.id, "tune", asdict(interrupted()))
    tuned = read_tuned(journal, study)
    assert tuned.variant.assignment == finding().handover.assignment
    assert (tuned.sentence, tuned.outcome) == (finding().sentence, finding().outcome)
    assert tuned.by_hand == finding().handover.by_hand


class Handed(RuleBasedStateMachine):
    """Applies and rollbacks in any order."""

    folder: Path

    def __init__(self) -> None:
        super().__init__()
        import tempfile  # noqa: PLC0415 - this machine's own folder, one for each example

        self.place = tempfile.TemporaryDirectory()
        self.root = Path(self.place.name)
        self.study = study_in(self.root)
        (self.root / ".labcoat").mkdir()
        self.journal = Journal.open(self.root / ".labcoat" / "journal.db")
        self.known = {0: contents(self.root)}
        self.holds = 0

    def teardown(self) -> None:
        self.journal.close()
        self.place.cleanup()

    @rule(processes=st.integers(1, 9), connections=st.integers(10, 99), threads=st.booleans())
    def apply(self, processes: int, connections: int, *, threads: bool) -> None:
        levels: dict[str, Level] = {"uwsgi.processes": processes}
        levels["postgres.max_connections"] = connections
        if threads:
            levels["uwsgi.threads"] = 2
        done = apply(self.study, self.journal, tuned_of(self.study, self.journal, levels))
        if done.is_new:
            assert done.state is not None
            self.holds = done.state.number
            self.known[self.holds] = contents(self.root)

    @precondition(lambda self: len(self.known) > 1)
    @rule(drawn=st.integers(0, 99))
    def roll_back(self, drawn: int) -> None:
        self.holds = roll_back(self.root, self.journal, str(drawn % len(self.known))).holds

    @invariant()
    def the_files_are_as_in_the_state_that_holds(self) -> None:
        assert contents(self.root) == self.known[self.holds]
        assert read_history(self.journal, self.root).holds == self.holds


def test_what_is_applied_is_still_read_when_the_study_file_changed(
    study: Study, journal: Journal
) -> None:
    tuned = tuned_of(study, journal, LEVELS)
    apply(study, journal, tuned)
    other = replace(study, users=7)
    assert read_tuned(journal, other) == tuned
    # Another campaign in the same record of the study: not what is applied.
    document = {
        "at": "", "outcome": "improved", "sentence": "",
        "handover": {"assignment": [["uwsgi.threads", 2]], "by_hand": [], "digests": []},
    }  # fmt: skip
    journal.record_finding(tuned.study_id, "tune", document)
    with pytest.raises(JournalError, match="no finished campaign"):
        read_tuned(journal, other)


@pytest.mark.slow
def test_nothing_of_the_users_is_ever_lost() -> None:
    run_state_machine_as_test(
        Handed, settings=settings(max_examples=15, stateful_step_count=8, deadline=None)
    )


def test_the_origin_hands_nothing_over(study: Study, journal: Journal) -> None:
    tuned = tuned_of(study, journal, {})
    assert tuned.variant == ORIGIN
    done = apply(study, journal, tuned)
    assert (done.state, done.is_new, done.files, done.patch) == (None, False, (), "")
