"""The output of monitoring plugins: goldens, and whatever else may be printed."""

from __future__ import annotations

import math
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labcoat.watch.model.status import Status, worst
from labcoat.watch.perfdata.output import parse
from labcoat.watch.perfdata.ranges import Range, read_range
from labcoat.watch.perfdata.samples import Sample, read_samples

PLUGINS = "/usr/lib/nagios/plugins"


def test_the_golden_of_check_load() -> None:
    output = parse(
        "LOAD OK - total load average: 1.06, 0.80, 0.70|"
        "load1=1.060;5.000;10.000;0; load5=0.800;4.000;8.000;0; load15=0.700;3.000;6.000;0; \n"
    )
    assert output.text == "LOAD OK - total load average: 1.06, 0.80, 0.70"
    assert output.skipped == 0
    assert output.samples[0] == Sample(
        label="load1", value=1.06, warning=Range(0, 5), critical=Range(0, 10), low=0.0
    )
    assert [sample.label for sample in output.samples] == ["load1", "load5", "load15"]


def test_the_golden_of_check_disk() -> None:
    (sample,) = parse("DISK OK| /=25913458688B;243497277849;257024904396;0;270552530944").samples
    assert sample == Sample(
        label="/", value=25913458688.0, uom="B", warning=Range(0, 243497277849),
        critical=Range(0, 257024904396), low=0.0, high=270552530944.0,
    )  # fmt: skip


def test_the_golden_of_a_swapless_check_swap() -> None:
    (sample,) = parse("SWAP CRITICAL - 0% free |swap=0B;0;0;0;0\n").samples
    assert (sample.value, sample.uom, sample.high) == (0.0, "B", 0.0)


def test_long_text_and_a_second_bar() -> None:
    output = parse("OK | a=1\nmore text\nand more | b=2s\nc=3\n")
    assert (output.text, output.long_text) == ("OK", "more text\nand more ")
    assert [(s.label, s.value, s.uom) for s in output.samples] == [
        ("a", 1.0, ""), ("b", 2.0, "s"), ("c", 3.0, ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1", [("a", 1.0, "")]),
        ("'free space'=5%", [("free space", 5.0, "%")]),
        ("'it''s'=5c", [("it's", 5.0, "c")]),
        ("a=U", [("a", None, "")]),
        ("a=-1.5e3ms;;;;", [("a", -1500.0, "ms")]),
        ("a=.5us b=2.KB", [("a", 0.5, "us"), ("b", 2.0, "KB")]),
        ("a=1furlongs", [("a", 1.0, "furlongs")]),
        ("a=1;~:10;@5:6;0;", [("a", 1.0, "")]),
    ],
)
def test_items(text: str, expected: list[tuple[str, float | None, str]]) -> None:
    samples, skipped = read_samples(text)
    assert [(s.label, s.value, s.uom) for s in samples] == expected
    assert skipped == 0


@pytest.mark.parametrize(
    "bad", ["x=1,5", "x=", "x=abc", "=5", "''=5", "x", "x=1;2;3;4;5;6", "x=1e999", "'x=1"]
)
def test_a_bad_item_is_skipped_and_counted(bad: str) -> None:
    samples, skipped = read_samples(f"a=1 {bad} b=2")
    assert {"a", "b"} <= {sample.label for sample in samples} | ({"b"} if bad == "'x=1" else set())
    assert skipped >= 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10", Range(0, 10)),
        ("10:", Range(10, math.inf)),
        (":10", Range(0, 10)),
        ("~:10", Range(-math.inf, 10)),
        ("10:20", Range(10, 20)),
        ("@10:20", Range(10, 20, inside=True)),
        ("-5:-1.5", Range(-5, -1.5)),
        ("", None),
        ("@", None),
        ("20:10", None),
        ("a:b", None),
        ("10%", None),
    ],
)
def test_ranges(text: str, expected: Range | None) -> None:
    assert read_range(text) == expected


def test_when_ranges_alert() -> None:
    assert Range(10, 20).alerts(9.9)
    assert not Range(10, 20).alerts(10)
    assert Range(10, 20, inside=True).alerts(10)
    assert not Range(10, 20, inside=True).alerts(21)


@settings(deadline=None, max_examples=60)
@given(st.text())
def test_nothing_that_is_printed_raises(printed: str) -> None:
    output = parse(printed)
    assert all(sample.value is None or math.isfinite(sample.value) for sample in output.samples)
    assert all(sample.label for sample in output.samples)


labels = st.text(
    st.characters(blacklist_categories=["Cc", "Cs", "Zl", "Zp"], blacklist_characters="|"),
    min_size=1,
)
finite = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            labels,
            finite,
            st.sampled_from(["", "s", "ms", "us", "%", "B", "KB", "MB", "GB", "TB", "c"]),
        ),
        max_size=8,
    )
)
def test_what_is_written_is_read(written: list[tuple[str, float, str]]) -> None:
    items = [
        f"'{label.replace(chr(39), chr(39) * 2)}'={value!r}{uom};;;;"
        for label, value, uom in written
    ]
    output = parse("OK|" + " ".join(items))
    assert [(s.label, s.value, s.uom) for s in output.samples] == written
    assert output.skipped == 0


def run(plugin: str, *arguments: str) -> tuple[Status, str]:
    argv = [f"{PLUGINS}/{plugin}", *arguments]
    completed = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    return Status.of_exit(completed.returncode), completed.stdout


@pytest.mark.parametrize(
    ("argv", "labels_of_it"),
    [
        (("check_load", "-w", "99,99,99", "-c", "999,999,999"), ["load1", "load5", "load15"]),
        (
            ("check_load", "-r", "-w", "99", "-c", "999"),
            ["load1", "scaled_load1", "load5", "scaled_load5", "load15", "scaled_load15"],
        ),
        (("check_disk", "-w", "1%", "-c", "0%", "-p", "/", "-p", "/dev/shm"), ["/", "/dev/shm"]),
        (("check_procs", "-w", "100000"), ["procs"]),
        (("check_procs", "-m", "RSS", "-w", "999999999"), ["procs", "procs_warn", "procs_crit"]),
        (("check_users", "-w", "1000", "-c", "1000"), ["users"]),
        (("check_swap", "-w", "1%", "-c", "0%"), ["swap"]),
    ],
)
def test_the_plugins_of_debian(argv: tuple[str, ...], labels_of_it: list[str]) -> None:
    _, printed = run(*argv)
    output = parse(printed)
    assert output.text
    assert output.skipped == 0
    assert [sample.label for sample in output.samples] == labels_of_it
    assert all(sample.value is not None for sample in output.samples)


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_check_dummy_says_each_status(code: int) -> None:
    status, printed = run("check_dummy", str(code), "said | a=1")
    assert status is Status(code)
    assert parse(printed).text.endswith(": said")
    assert parse(printed).samples[0].label == "a"


@pytest.mark.parametrize(
    "argv", [("check_load", "--help"), ("check_load", "-V"), ("check_load", "-w", "x")]
)
def test_help_version_and_bad_arguments_are_unknown(argv: tuple[str, ...]) -> None:
    assert run(*argv)[0] is Status.UNKNOWN


def test_statuses_by_exit_code_and_gravity() -> None:
    assert [Status.of_exit(code) for code in (0, 1, 2, 3, 4, 127, -9)] == [
        Status.OK, Status.WARNING, Status.CRITICAL, *[Status.UNKNOWN] * 4,
    ]  # fmt: skip
    assert worst([Status.OK, Status.UNKNOWN, Status.WARNING]) is Status.UNKNOWN
    assert worst([Status.UNKNOWN, Status.CRITICAL]) is Status.CRITICAL
    assert worst([]) is Status.UNKNOWN
