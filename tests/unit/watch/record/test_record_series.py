import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcoat.watch.record.packing import pack, unpack
from labcoat.watch.record.series import Label, Observed, Series

LOAD = Label("web1", "load", "load", "load1")


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**40),
            st.floats(allow_nan=True, allow_infinity=True)
            | st.decimals(-9999, 9999, places=3).map(float),
        ),
        min_size=1,
        unique_by=lambda row: row[0],
    )
)
def test_a_chunk_gives_back_what_went_in(rows: list[tuple[int, float]]) -> None:
    rows.sort()
    times = np.array([row[0] for row in rows], np.int64)
    values = np.array([row[1] for row in rows])
    back = unpack(pack(times, values))
    assert back[0].tolist() == times.tolist()
    np.testing.assert_array_equal(back[1], values)


@pytest.mark.parametrize("decimals", [0, 2, 3])
def test_a_sample_costs_at_most_five_bytes(decimals: int) -> None:
    draw = np.random.default_rng(7)
    values = np.asarray(
        np.round(np.abs(np.cumsum(draw.normal(0, 0.3, 120)) + 5), decimals), np.float64
    )
    times = 1_700_000_000 + np.cumsum(draw.choice([29, 30, 30, 30, 31], 120)).astype(np.int64)
    assert len(pack(times, values)) / 120 <= 5


def test_hours_are_packed_and_read_back_with_what_is_recent(tmp_path: Path) -> None:
    series = Series(tmp_path / "series.db")
    rows = [
        Observed(of=LOAD, at_s=3600 * 10 + 30 * n, value=n / 8, ranges="5;10;0;")
        for n in range(300)
    ]
    series.add(rows)
    series.add([Observed(of=LOAD, at_s=3600 * 10 + 15, value=None)])
    assert series.seal(3600 * 12 + 1) == 2
    assert series.seal(3600 * 12 + 1) == 0
    times, values = series.samples(LOAD)
    assert len(times) == 301
    assert math.isnan(values[1])
    assert values[-1] == 299 / 8
    assert series.samples(LOAD, since_s=3600 * 12)[0].min() == 3600 * 12
    series.close()
    again = Series(tmp_path / "series.db")
    assert again.labels() == (LOAD,)
    assert len(again.samples(LOAD)[0]) == 301
    again.close()


def test_old_samples_are_forgotten_and_their_hourly_means_kept(tmp_path: Path) -> None:
    series = Series(tmp_path / "series.db")
    series.add([Observed(of=LOAD, at_s=10.0 + n, value=float(n)) for n in range(11)])
    series.seal(7200)
    series.seal(15 * 86400)
    assert len(series.samples(LOAD)[0]) == 0
    row = series._connection.execute("SELECT count, least, mean, greatest FROM hourly").fetchall()
    assert row == [(11, 0.0, 5.0, 10.0)]
    series.seal(401 * 86400)
    assert series._connection.execute("SELECT count(*) FROM hourly").fetchone() == (0,)
    series.close()
