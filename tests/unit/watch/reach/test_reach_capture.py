from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcoat.watch.reach.base import Answer, Fault, Mark, Order
from labcoat.watch.reach.capture import (
    DRAIN_BYTES,
    HEAD_BYTES,
    NOISE_BYTES,
    TAIL_BYTES,
    Capture,
    Framed,
)
from labcoat.watch.reach.script import framed, kills

NONCE = "00112233aabbccdd"


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(stream) + 1) for place in places} | {0, len(stream)})
    return [stream[a:b] for a, b in pairwise(ends)]


@given(st.binary(max_size=300), st.binary(max_size=300), st.lists(st.integers(0, 700)))
def test_the_marker_is_found_however_the_stream_is_cut(
    noise: bytes, output: bytes, places: list[int]
) -> None:
    stream = noise + f"\n{NONCE} 4242 taken\n".encode() + output
    seen = Framed(NONCE)
    for piece in cut(stream, places):
        seen.feed(piece)
    assert (seen.pid, seen.mark) == (4242, Mark.TAKEN)
    assert bytes(seen.capture.head) == output


@given(st.lists(st.integers(0, 90_000)), st.integers(0, 200_000))
def test_head_and_tail_are_kept_however_the_stream_is_cut(places: list[int], size: int) -> None:
    stream = bytes(n % 251 for n in range(size))
    seen = Capture()
    for piece in cut(stream, places):
        seen.feed(piece)
    assert seen.total == size
    assert bytes(seen.head) == stream[:HEAD_BYTES]
    assert bytes(seen.tail) == stream[HEAD_BYTES:][-TAIL_BYTES:]


def test_noise_without_end_is_a_flood_and_takes_no_room() -> None:
    seen = Framed(NONCE)
    for _ in range(DRAIN_BYTES // 65536 + 2):
        seen.feed(b"x" * 65536)
        assert len(seen._before) <= NOISE_BYTES + 65536
    assert seen.capture.is_flood
    assert seen.pid is None


def test_what_is_left_out_is_said() -> None:
    seen = Capture()
    seen.feed(b"a" * (HEAD_BYTES + TAIL_BYTES + 5))
    assert "\n[5 bytes left out]\n" in seen.text()


def test_a_script_says_each_secret_once_and_quotes_it() -> None:
    script = framed(Order(command="echo 'it''s'", environment={"X": "a'b"}), NONCE)
    assert "export X='a'\"'\"'b'" in script
    assert script.count(NONCE) == 1


@pytest.mark.parametrize("attempt", ["", "a/b", "../x", "a b", "$(id)", "-rf", "A"])
def test_an_attempts_id_cannot_leave_its_folder(attempt: str) -> None:
    with pytest.raises(ValueError, match="no attempt id"):
        framed(Order(command="true", attempt=attempt), NONCE)


def test_root_is_asked_of_sudo_without_a_password() -> None:
    assert "sudo -n -- /bin/sh -c" in framed(Order(command="id", as_root=True), NONCE)
    assert kills(7, as_root=True).startswith("sudo -n kill -TERM -7")


def test_values_that_make_no_sense_are_not_made() -> None:
    with pytest.raises(ValueError, match="timeout"):
        Order(command="x", timeout_s=0)
    with pytest.raises(ValueError, match="NUL"):
        Order(command="x\0y")
    with pytest.raises(ValueError, match="an exit status or a fault"):
        Answer()
    with pytest.raises(ValueError, match="fault"):
        Answer(exit_status=0, fault=Fault.LOST)
