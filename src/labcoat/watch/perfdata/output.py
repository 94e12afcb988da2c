"""A plugin's whole output."""

from __future__ import annotations

from dataclasses import dataclass

from labcoat.watch.perfdata.samples import Sample, read_samples

MOST_SAMPLES = 1000  # what a series database keeps of one check


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a plugin printed. ``skipped``: bad items of performance data, and those past 1,000."""

    text: str
    long_text: str = ""
    samples: tuple[Sample, ...] = ()
    skipped: int = 0


def parse(printed: str) -> Output:
    """The output of a check: raises nothing, whatever it is.

    Line 1 is ``text|perfdata``; later lines are long text, until a ``|`` in one of them:
    from there on all is performance data.
    """
    first, _, later = printed.partition("\n")
    text, _, items = first.partition("|")
    long_text, _, more = later.partition("|")
    samples, skipped = read_samples(f"{items}\n{more}")
    return Output(
        text=text.strip(),
        long_text=long_text.strip("\n"),
        samples=samples[:MOST_SAMPLES],
        skipped=skipped + max(0, len(samples) - MOST_SAMPLES),
    )
