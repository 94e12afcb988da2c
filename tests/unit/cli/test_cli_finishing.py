"""Ctrl-C where there is something to finish."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from labcoat.cli.finishing import finishing

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def ordinary() -> Iterator[None]:
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


def test_the_first_makes_a_wish_known_and_the_second_insists(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with finishing() as stops:
        assert not stops()
        os.kill(os.getpid(), signal.SIGINT)
        assert stops()
        assert "Ctrl-C again ends it now" in capfd.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_afterwards_a_signal_means_what_it_meant_before() -> None:
    with finishing():
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_an_error_within_it_gives_the_signal_back() -> None:
    with pytest.raises(ValueError, match="within"), finishing():
        raise ValueError("within")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_job_in_the_background_goes_on_not_hearing_it() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with finishing() as stops:
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        os.kill(os.getpid(), signal.SIGINT)
        assert not stops()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
