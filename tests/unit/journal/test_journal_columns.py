"""Raw records as bytes: exact, checked, small."""

from __future__ import annotations

import json
import zlib
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from labcoat.errors import JournalError
from labcoat.journal.columns import RECIPES, decode, encode
from labcoat.model.load import Records
from labcoat.testing.journal import some_records


@st.composite
def any_records(draw: st.DrawFn) -> Records:
    n = draw(st.integers(0, 40))
    return Records(**{recipe.name: draw(arrays(np.dtype(recipe.type), n)) for recipe in RECIPES})


def assert_same(actual: Records, expected: Records) -> None:
    for column in fields(Records):
        one, other = getattr(actual, column.name), getattr(expected, column.name)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other, err_msg=column.name)


@given(any_records())
def test_any_records_come_back_bit_for_bit(records: Records) -> None:
    assert_same(decode(encode(records), where="trial"), records)


@given(st.integers(0, 2**32 - 1), st.integers(0, 500))
def test_records_of_a_slice_come_back_bit_for_bit(seed: int, n: int) -> None:
    records = some_records(n, seed=seed)
    assert_same(decode(encode(records), where="trial"), records)


def test_the_widest_values_survive_the_differences() -> None:
    wide = np.iinfo(np.int64)
    ends: npt.NDArray[np.int64] = np.array([wide.min, wide.max, -1, 0], dtype=np.int64)
    records = replace(
        some_records(4, seed=1), intended=ends[::-1].copy(), sent=ends, first_byte=ends, done=ends
    )
    assert_same(decode(encode(records), where="trial"), records)


def test_every_column_of_records_is_written() -> None:
    assert {recipe.name for recipe in RECIPES} == {column.name for column in fields(Records)}


def test_columns_that_are_not_contiguous_come_back() -> None:
    wide = some_records(80, seed=5)
    strided = Records(**{c.name: getattr(wide, c.name)[::2] for c in fields(Records)})
    assert_same(decode(encode(strided), where="trial"), strided)


def test_a_slice_takes_less_than_a_third_of_its_columns() -> None:
    records = some_records(20_000, seed=3)
    raw = sum(getattr(records, column.name).nbytes for column in fields(Records))
    assert len(encode(records)) < raw / 3


def test_the_bytes_describe_themselves() -> None:
    content = encode(some_records(7, seed=1))
    assert content[:5] == b"LCRC\x01"
    length = int.from_bytes(content[5:9], "little")
    header = json.loads(content[9 : 9 + length])
    assert header["n"] == 7
    assert [column["name"] for column in header["columns"]] == [each.name for each in RECIPES]
    assert sum(column["bytes"] for column in header["columns"]) == len(content) - 9 - length
    # The status needs nothing but the header: no difference, planes only.
    start = 9 + length
    for column in header["columns"]:
        if column["name"] == "status":
            planes = zlib.decompress(content[start : start + column["bytes"]])
            low, high = planes[:7], planes[7:]
            assert {a + 256 * b for a, b in zip(low, high, strict=True)} <= {0, 200}
        start += column["bytes"]


@given(st.data())
def test_damage_is_told_never_guessed(data: st.DataObject) -> None:
    content = bytearray(encode(some_records(30, seed=2)))
    length = int.from_bytes(content[5:9], "little")
    place = data.draw(st.integers(9 + length, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(JournalError) as caught:
        decode(bytes(content), where="trial 7")
    assert caught.value.where == "trial 7"
    assert caught.value.__cause__ is not None


@given(st.binary(max_size=200))
def test_no_foreign_error_leaves_the_decoder(content: bytes) -> None:
    for start in (b"", b"LCRC\x01"):
        with pytest.raises(JournalError):
            decode(start + content, where="trial")


@given(st.integers(0, 5000))
def test_a_piece_is_refused(size: int) -> None:
    content = encode(some_records(30, seed=2))
    with pytest.raises(JournalError):
        decode(content[: size % len(content)], where="trial")


def test_a_later_format_is_refused_by_name() -> None:
    content = b"LCRC\x02" + encode(some_records(1, seed=1))[5:]
    with pytest.raises(JournalError, match="version 2, this labcoat reads 1"):
        decode(content, where="trial")


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("sent", np.zeros(3, dtype=np.int64)),
        ("received", np.array([2**31, 0], dtype=np.int64)),
        ("status", np.array([200.5, 200.0])),
        ("outcome", np.zeros((2, 1), dtype=np.int8)),
    ],
)
def test_columns_that_do_not_fit_are_refused(column: str, values: Any) -> None:
    records = replace(some_records(2, seed=1), **{column: values})
    with pytest.raises(JournalError, match=column):
        encode(records)
