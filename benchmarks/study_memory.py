"""How large labcoat's own process gets in a study of twenty minutes.

Records as from a stack that answers 5,000 requests a second: 600 slices of two seconds,
each through what the lab does with it: committed raw to a real journal, read, kept, and in
the end merged into percentiles. Fails above 250 MB. Twenty minutes of load are not waited
for; the records are made up, and cost what real ones cost.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from ground import say

from labcoat.journal import Journal
from labcoat.lab.baseline.findings import merged_latency
from labcoat.lab.trial.workbench import Reading
from labcoat.testing.journal import a_measurement, a_study, a_trial, a_usage

SLICES = 600
RECORDS = 10_000
LIMIT_BYTES = 250_000_000


def main() -> int:
    """Exit status: 0 when the target is met."""
    usage, readings, spent_s = a_usage(), [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        Journal.open(Path(folder) / "journal.db") as journal,
    ):
        study = journal.begin_study(a_study())
        trial = a_trial("none")
        experiment = journal.begin_experiment(
            study.id, "memory", {}, baseline=trial.variant, treatment=trial.variant, seed=1
        )
        for position in range(SLICES):
            measurement = a_measurement(RECORDS, seed=position)
            started = time.monotonic()
            placed = replace(trial, experiment=experiment.id, position=position)
            journal.record_trial(placed, measurement, usage)
            readings.append(Reading.of(measurement, usage))
            spent_s.append(time.monotonic() - started)
        latency = merged_latency(readings)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    say(f"{SLICES} slices of {RECORDS:,} records, {latency.count:,} latencies merged")
    say(f"between slices {sorted(spent_s)[SLICES // 2] * 1e3:.0f} ms of the lab's own (median)")
    say(f"largest {largest / 1e6:.0f} MB (limit {LIMIT_BYTES / 1e6:.0f} MB)")
    return 0 if largest < LIMIT_BYTES and latency.count > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
