"""What `labcoat try` does on the real shop, counted: false verdicts, planted effects, drift.

    python proofs/experiments.py --out FILE PART[:COUNT] ...

Parts, each an experiment on nginx, uWSGI and Postgres with slices of one second:

    aa         the stack against itself
    recording  one long A/A that is never given up; its slices go to FILE-recording.json
    hog        the same, with a CPU hog that a coin switches on and off; to FILE-hog.json
    planted    every call takes 10 % longer: must be REGRESSED
    removed    the planted delay taken away: must be IMPROVED
    placebo    a setting that changes nothing: must not be IMPROVED
    processes  uWSGI's processes from one to the number of CPUs: must be IMPROVED

One line of JSON for each experiment is appended to FILE as it ends. The tables of
docs/explanation/method.md come from here.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from labcoat.host.local import LocalHost
from labcoat.host.sandbox import Sandbox
from labcoat.journal import Journal
from labcoat.lab.experiment.experiment import Experiment, begin
from labcoat.lab.experiment.history import History, read_history
from labcoat.lab.experiment.race import race
from labcoat.lab.study.study_file import read_study
from labcoat.lab.trial.question import Question, Rhythm, Rule
from labcoat.lab.trial.workbench import Workbench
from labcoat.load import Generator
from labcoat.model.load import ClosedLoop
from labcoat.model.metric import CPU_PER_REQUEST, THROUGHPUT
from labcoat.model.stats import Decision
from labcoat.model.variant import ORIGIN, Variant
from labcoat.stack.rig import Rig

SHOP = Path(__file__).resolve().parent.parent / "examples" / "shop"
RHYTHM = Rhythm(slice_s=1.0, discard_s=0.25)
LONG = 44
WRAPPER = """
import time
import shop
import uwsgi

EXTRA = float(uwsgi.opt.get("planted-ratio", b"0"))

def app(environ, start_response):
    began = time.perf_counter()
    answer = shop.app(environ, start_response)
    if EXTRA:
        until = time.perf_counter() + EXTRA * (time.perf_counter() - began)
        while time.perf_counter() < until:
            pass
    return answer
"""


def planted(ratio: float) -> Variant:
    """Every call takes longer by this share of itself: an option that only our app knows."""
    return Variant.of({"uwsgi.planted-ratio": ratio})


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One kind of experiment: its arms, and what ends it."""

    kind: str
    baseline: Variant = ORIGIN
    treatment: Variant = ORIGIN
    budget_s: float = 900.0
    is_long: bool = False


PARTS = {
    "aa": Part(kind="aa", budget_s=110.0),
    "recording": Part(kind="aa", budget_s=3600.0, is_long=True),
    "hog": Part(kind="aa", budget_s=360.0, is_long=True),
    "planted": Part(kind="try", treatment=planted(0.10)),
    "removed": Part(kind="try", baseline=planted(0.10), treatment=planted(0.0)),
    "placebo": Part(kind="try", treatment=planted(0.0), budget_s=110.0),
    "processes": Part(
        kind="try", treatment=Variant.of({"uwsgi.processes": len(os.sched_getaffinity(0))})
    ),
}


def workspace() -> Path:
    """A copy of the shop whose app can be slowed."""
    root = Path(tempfile.mkdtemp(prefix="lc-proof-"))
    shutil.copytree(SHOP, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".labcoat"))
    (root / "slowed.py").write_text(WRAPPER)
    for file in (root / "labcoat.toml", root / "deploy" / "uwsgi.ini"):
        file.write_text(file.read_text().replace("shop:app", "slowed:app"))
    return root


def spin(seconds: float, seed: int) -> None:
    """A CPU hog that a coin switches on and off, for some seconds at a time."""
    coin = random.Random(seed)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        until = min(end, time.monotonic() + coin.expovariate(1 / 25))
        while time.monotonic() < until:
            pass
        time.sleep(max(0.0, min(coin.expovariate(1 / 25), end - time.monotonic())))


@contextlib.contextmanager
def hog(seconds: float, seed: int) -> Iterator[None]:
    """The hog beside whatever happens meanwhile."""
    process = multiprocessing.Process(target=spin, args=(seconds, seed), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def ask(bench: Workbench, part: Part, history: History, number: int) -> tuple[Experiment, Decision]:
    """One experiment from boot to verdict."""
    logs = bench.study.root / ".labcoat" / "logs"
    question = Question(
        kind=part.kind,
        baseline=part.baseline,
        treatment=part.treatment,
        plan=ClosedLoop(users=bench.study.users),
        rule=Rule(objective=THROUGHPUT, margin=bench.study.margin),
        rhythm=RHYTHM,
        origin=f"proof {number}",
        machine="here",
    )
    experiment = begin(bench, question, history, anew=True)
    if part.is_long:
        experiment.cap, experiment.least_chance = LONG, 0.0
    with (
        Sandbox.open(bench.host, keep_logs_in=logs) as sandbox,
        Rig(bench.host, sandbox, bench.study) as rig,
    ):
        (decision,) = race(bench, rig, [experiment], budget_s=part.budget_s, headroom_per_s=None)
    return experiment, decision


def row(name: str, experiment: Experiment, decision: Decision, took_s: float) -> dict[str, Any]:
    """What is kept of an experiment."""
    found: dict[str, Any] = {
        "part": name,
        "verdict": None if decision.verdict is None else decision.verdict.value,
        "reason": decision.reason,
        "blocks": len(experiment.gathered.blocks),
        "voids": [void.reason for void in experiment.gathered.voids],
        "took_s": round(took_s, 1),
    }
    raw = replace(experiment, history=History())
    for metric in (THROUGHPUT.name, CPU_PER_REQUEST.name):
        effect = experiment.effect(metric)
        for label, each in (("sd", raw), ("adjusted_sd", experiment)):
            sample = each.sample(metric)
            if sample is not None and sample.log_ratios.size > 1:
                found[f"{metric}_{label}"] = round(float(sample.log_ratios.std(ddof=1)), 5)
        if effect is not None:
            ends = (effect.point, effect.low, effect.high)
            found[metric] = [round(e, 4) if math.isfinite(e) else None for e in ends]
    readings = [reading for block in experiment.gathered.blocks for _, reading in block.slices]
    if readings:
        found["steal"] = round(sum(r.steal_ratio for r in readings) / len(readings), 4)
        found["idle"] = round(sum(r.idle_ratio for r in readings) / len(readings), 4)
    return found


def slices(experiment: Experiment) -> dict[str, Any]:
    """A recording: every slice of every good block in the order in which it was measured."""
    columns = ("throughput", "cpu_per_request", "steal")
    return {
        "columns": columns,
        "blocks": [
            {
                "index": block.index,
                "epoch": block.epoch,
                "arms": "".join("A" if arm.value == "baseline" else "B" for arm, _ in block.slices),
                "slices": [
                    [
                        round(reading.summary.throughput_per_s, 3),
                        round(reading.cpu_per_request_s, 7),
                        round(reading.steal_ratio, 5),
                    ]
                    for _, reading in block.slices
                ],
            }
            for block in experiment.gathered.blocks
        ],
    }


def main() -> int:
    """Do the parts in turn; exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("parts", nargs="+", metavar="PART[:COUNT]")
    asked = parser.parse_args()
    root = workspace()
    study = read_study(root / "labcoat.toml")
    host = LocalHost()
    facts = host.facts()
    try:
        with Journal.open(root / ".labcoat" / "journal.db") as journal, Generator() as generator:
            record = journal.begin_study(study)
            journal.record_facts(record.id, facts)
            bench = Workbench(
                study=study,
                study_id=record.id,
                host=host,
                generator=generator,
                journal=journal,
                tell=lambda _: None,
            )
            number = int(time.time())
            for each in asked.parts:
                name, _, count = each.partition(":")
                for _ in range(int(count or 1)):
                    number += 1
                    part = PARTS[name]
                    history = read_history(journal, record.id, facts)
                    noise = (
                        hog(part.budget_s, number) if name == "hog" else contextlib.nullcontext()
                    )
                    started = time.monotonic()
                    with noise:
                        experiment, decision = ask(bench, part, history, number)
                    found = row(name, experiment, decision, time.monotonic() - started)
                    print(json.dumps(found), flush=True)
                    with asked.out.open("a") as file:
                        file.write(json.dumps(found) + "\n")
                    if part.is_long:
                        path = asked.out.with_name(f"{asked.out.stem}-{name}.json")
                        path.write_text(json.dumps(slices(experiment), indent=None) + "\n")
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
