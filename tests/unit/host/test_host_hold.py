"""One holder at a time: named, released by its end whatever that was, and refused in words."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labcoat.errors import HostError, PreflightError
from labcoat.host.hold import hold

HOLDER = """
import sys
from pathlib import Path
from labcoat.host.hold import hold
with hold(Path(sys.argv[1]), RuntimeError):
    print("held", flush=True)
    sys.stdin.read()
"""


def refusal(pid: str) -> PreflightError:
    return PreflightError(f"held by {pid}")


def test_a_second_process_is_refused_with_the_pid_of_the_first_until_it_is_killed(
    tmp_path: Path,
) -> None:
    file = tmp_path / "new" / "measuring"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(PreflightError, match=f"held by {other.pid}$"), hold(file, refusal):
            pass
        other.send_signal(signal.SIGKILL)
        other.wait()
        with hold(file, refusal):
            pass


def test_it_can_be_held_again(tmp_path: Path) -> None:
    file = tmp_path / "measuring"
    for _ in range(2):
        with (
            hold(file, refusal),
            pytest.raises(PreflightError, match="held by"),
            hold(file, refusal),
        ):
            pass


def test_what_the_system_refuses_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(HostError, match="cannot make a lock"),
        hold(tmp_path / "file" / "x", refusal),
    ):
        pass
