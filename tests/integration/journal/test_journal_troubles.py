"""What can go wrong with a disk or a server: one message, a way out, no foreign error."""

from __future__ import annotations

import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError

from labcoat.errors import JournalError
from labcoat.journal import Journal
from labcoat.journal.address import Address
from labcoat.journal.columns import encode
from labcoat.journal.database import use_wal
from labcoat.testing.journal import a_measurement, a_study, a_trial, a_usage, begun, some_records


def refused(action: Callable[[], object]) -> JournalError:
    """The JournalError that an action ends with, complete and chained."""
    with pytest.raises(JournalError) as caught:
        action()
    assert caught.value.what
    assert caught.value.where
    assert caught.value.way_out
    return caught.value


def filled(path: Path, *, trials: int = 20) -> str:
    """A journal with some trials; the experiment's id."""
    with Journal.open(path) as journal:
        _, experiment = begun(journal)
        for position in range(trials):
            trial = a_trial(experiment.id, position=position)
            journal.record_trial(trial, a_measurement(200), a_usage())
    return experiment.id


# The file


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_text("this is not a journal, it only looks like one\n" * 100)
    for read_only in (False, True):
        error = refused(lambda: Journal.open(path, read_only=read_only))  # noqa: B023
        assert error.what == "this file is not a journal"
        assert error.where == str(path)
    assert path.read_text().startswith("this is not")


def test_a_reader_makes_no_file(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "journal.db"
    assert "no journal here yet" in refused(lambda: Journal.open(path, read_only=True)).what
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_becomes_a_journal_only_for_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.touch()
    assert "no journal of labcoat" in refused(lambda: Journal.open(path, read_only=True)).what
    with Journal.open(path) as journal:
        assert journal.studies() == ()


def test_folders_in_the_way(tmp_path: Path) -> None:
    assert "cannot be opened" in refused(lambda: Journal.open(tmp_path)).what
    (tmp_path / "file").touch()
    error = refused(lambda: Journal.open(tmp_path / "file" / "journal.db"))
    assert "folder cannot be made" in error.what


def test_odd_names_are_only_names(tmp_path: Path) -> None:
    path = tmp_path / "my journal?mode=ro&x=%41#1 é.db"
    with Journal.open(str(path)) as journal:
        journal.begin_study(a_study())
    assert path.exists()


def test_a_disk_without_a_write_ahead_log() -> None:
    memory = sqlite3.connect(":memory:")
    error = refused(lambda: use_wal(Address.of("journal.db"), cast("Any", memory.cursor())))
    memory.close()
    assert "write-ahead log" in error.what
    assert "local disk" in str(error.way_out)


def test_pages_that_were_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    experiment_id = filled(path)
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xa5" * (path.stat().st_size - 8192))

    def read() -> None:
        with Journal.open(path) as journal:
            for record in journal.trials(experiment_id):
                journal.measurement(record.id)

    error = refused(read)
    assert error.what == "the journal is damaged"
    assert error.where == str(path)
    assert isinstance(error.__cause__, SQLAlchemyError)


def test_records_that_were_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    experiment_id = filled(path, trials=1)
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TRIGGER measurements_no_update")
        connection.execute("UPDATE measurements SET records = substr(records, 1, 400)")
    connection.close()
    with Journal.open(path) as journal:
        (record,) = journal.trials(experiment_id)
        error = refused(lambda: journal.measurement(record.id))
    assert error.where == f"trial {record.id}"


def test_another_program_that_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal.open(path, patience_s=0.05) as journal:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        error = refused(lambda: journal.begin_study(a_study()))
        assert error.what == "the journal is locked by another writer"
        other.rollback()
        other.close()
        assert journal.begin_study(a_study()).name == "shop"


def as_child(script: str, *arguments: str, **how: Any) -> str:
    """What a child process says; as an ordinary user, if these tests are root."""
    completed: subprocess.CompletedProcess[str] = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True, text=True, timeout=60, check=False, **how,
    )  # fmt: skip
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


FILL = """
import sys
from labcoat.errors import JournalError
from labcoat.journal import Journal
from labcoat.journal.database import use_wal
from labcoat.testing.journal import a_measurement, a_trial, a_usage, begun
with Journal.open(sys.argv[1]) as journal:
    _, experiment = begun(journal)
    for position in range(1000):
        try:
            trial = a_trial(experiment.id, position=position)
            journal.record_trial(trial, a_measurement(2000), a_usage())
        except JournalError as error:
            print(experiment.id, position, error.what, sep="|")
            break
"""


def test_a_disk_quota_that_is_used_up_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))

    told = as_child(FILL, str(path), preexec_fn=limit)
    experiment_id, recorded, what = told.strip().split("|")
    assert what in ("the disk failed under the journal", "no room left for the journal")
    assert int(recorded) > 0
    with Journal.open(path) as journal:
        trials = journal.trials(experiment_id)
        assert len(trials) == int(recorded)
        assert all(len(journal.measurement(trial.id).records) == 2000 for trial in trials)


def test_a_database_that_may_not_grow_is_full(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"

    def stunt(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA max_page_count = 60")

    with Journal.open(path) as journal:
        sqlalchemy.event.listen(journal._engines.reading, "connect", stunt)
        journal._engines.reading.pool.dispose()
        _, experiment = begun(journal)
        trial = a_trial(experiment.id)
        error = refused(lambda: journal.record_trial(trial, a_measurement(30_000), a_usage()))
        assert error.what == "no room left for the journal"
        assert journal.trials(experiment.id) == ()
        journal.record_trial(trial, a_measurement(10), a_usage())


READ_ONLY = """
import os, sys
from pathlib import Path
from labcoat.errors import JournalError
from labcoat.journal import Journal
from labcoat.journal.database import use_wal
from labcoat.testing.journal import a_study
Journal.open(Path(sys.argv[1]), read_only=True).close()  # all imports, while they can be read
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
for name in sys.argv[1:]:
    try:
        with Journal.open(Path(name)) as journal:
            journal.begin_study(a_study())
        print("written")
    except JournalError as error:
        print(error.what)
    try:
        with Journal.open(Path(name), read_only=True) as journal:
            print(len(journal.studies()))
    except JournalError as error:
        print(error.what)
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that an ordinary user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="labcoat-journal-"))
    folder.chmod(0o755)
    yield folder
    for path in folder.rglob("*"):
        path.chmod(0o755)
    shutil.rmtree(folder)


def test_a_folder_and_a_file_that_may_only_be_read(open_folder: Path) -> None:
    sealed, locked = open_folder / "sealed", open_folder / "locked"
    for folder in (sealed, locked):
        filled(folder / "journal.db", trials=1)
        (folder / "journal.db").chmod(0o444)
        folder.chmod(0o555)
    (locked / "journal.db").chmod(0o000)
    told = as_child(
        READ_ONLY,
        str(sealed / "journal.db"),
        str(locked / "journal.db"),
        str(open_folder / "sealed" / "new.db"),
    )
    assert told.splitlines() == [
        "the journal can be read but not written",
        "1",
        "the journal cannot be opened",
        "the journal cannot be opened",
        "the journal cannot be opened",
        "there is no journal here yet",
    ]


# The server


def test_a_server_that_is_not_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, never listening: nobody answers
        url = f"postgresql://labcoat:hunter2@127.0.0.1:{taken.getsockname()[1]}/team"
        error = refused(lambda: Journal.open(url, patience_s=2))
    assert error.what == "the database server does not answer"
    assert "hunter2" not in _everything(error)
    assert "labcoat:***@127.0.0.1" in str(error)


def test_a_wrong_password_is_not_told(postgres: Any) -> None:
    error = refused(lambda: Journal.open(postgres.url("postgres", password="hunter%402")))
    assert error.what == "the database refuses this user"
    assert "hunter" not in _everything(error)


def test_a_database_that_is_not_there(postgres: Any) -> None:
    error = refused(lambda: Journal.open(postgres.url("nowhere")))
    assert error.what == "there is no such database"
    assert postgres.password not in _everything(error)


def test_a_schema_of_its_own_beside_other_tables(postgres: Any) -> None:
    database = postgres.new_database()
    postgres.sql("CREATE TABLE users (name TEXT); CREATE SCHEMA lab", database=database)
    assert "no journal" in refused(lambda: Journal.open(postgres.url(database))).what
    with Journal.open(postgres.url(database) + "?options=-csearch_path%3Dlab") as journal:
        study = journal.begin_study(a_study())
        assert journal.studies() == (study,)


def test_a_user_who_may_not_make_tables(postgres: Any) -> None:
    database = postgres.new_database()
    postgres.sql(f"CREATE ROLE guest_{database} LOGIN PASSWORD 'x'")
    postgres.sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC", database=database)
    url = f"postgresql://guest_{database}:x@127.0.0.1:{postgres.port}/{database}"
    assert refused(lambda: Journal.open(url)).what == "the database user may not do this"


def test_a_database_that_may_only_be_read(postgres: Any) -> None:
    database = postgres.new_database()
    Journal.open(postgres.url(database)).close()
    postgres.sql(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    with Journal.open(postgres.url(database)) as journal:
        assert postgres.password not in repr(journal)
        error = refused(lambda: journal.begin_study(a_study()))
    assert error.what == "the journal can be read but not written"


def test_a_server_that_hangs_up_between_and_within_transactions(postgres: Any) -> None:
    database = postgres.new_database()
    hang_up = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
    with Journal.open(postgres.url(database)) as journal:
        study = journal.begin_study(a_study())
        postgres.sql(hang_up)
        journal.record_event(study.id, "after", {})  # a new connection, unseen by the caller

        def cut() -> None:
            with journal._writing() as connection:
                connection.execute(sqlalchemy.text("SELECT 1"))
                postgres.sql(hang_up)
                connection.execute(sqlalchemy.text("SELECT 1"))

        error = refused(cut)
        assert error.what == "the database server went away, or takes no more connections"
        assert [event.kind for event in journal.events(study.id)] == ["after"]


def test_a_table_that_another_program_has_locked(postgres: Any) -> None:
    database = postgres.new_database()
    with Journal.open(postgres.url(database), patience_s=0.2) as journal:
        other = sqlalchemy.create_engine(
            postgres.url(database).replace("postgresql:", "postgresql+psycopg:")
        )
        with other.connect() as connection:
            connection.execute(sqlalchemy.text("LOCK TABLE studies IN ACCESS EXCLUSIVE MODE"))
            error = refused(lambda: journal.begin_study(a_study()))
        other.dispose()
    assert error.what == "the journal is locked by another writer"


def test_text_that_postgres_does_not_take_is_refused(where: Path | str) -> None:
    with Journal.open(where) as journal:
        _, experiment = begun(journal)
        block_error = refused(lambda: journal.record_void("\ud800", "lone surrogate"))
        assert "Unicode" in str(block_error) or "refuse" in str(block_error)
        assert journal.blocks(experiment.id) == ()


def test_a_record_format_of_the_future_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    experiment_id = filled(path, trials=1)
    later = b"LCRC\x09" + encode(some_records(3, seed=1))[5:]
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TRIGGER measurements_no_update")
        connection.execute("UPDATE measurements SET records = ?", (later,))
    connection.close()
    with Journal.open(path, read_only=True) as journal:
        (record,) = journal.trials(experiment_id)
        assert "version 9" in refused(lambda: journal.measurement(record.id)).what


def _everything(error: BaseException) -> str:
    """The whole chain of an error, as a traceback would show it."""
    told = [f"{error} {error!r}"]
    if error.__cause__ is not None:
        told.append(_everything(error.__cause__))
    return "\n".join(told)
