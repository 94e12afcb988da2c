"""labcoat tune against Optuna TPE on single noisy numbers: same stack, knobs and budget.

    python benchmarks/versus_optuna.py --budget 10m --seeds 1,2,3 --out FILE

For each seed both get the shop as it comes and the same wall-clock budget. Optuna sees what general
tuners see: the throughput of one boot, measured once for ten seconds; its first trial is the
origin, and its answer is the variant with the largest number. Both answers are then judged
in paired blocks against the origin, restarted for each, by another generator (wrk). One line
of JSON for each seed; fails where labcoat is behind, beyond the interval of the difference.

Takes two budgets and some minutes for each seed, so without --budget it only says so.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from ground import say, wrk

from labcoat.errors import StackError
from labcoat.host.local import LocalHost
from labcoat.host.sandbox import Sandbox
from labcoat.journal import Journal
from labcoat.lab.campaign.asked import Tune
from labcoat.lab.campaign.candidates import Candidate, candidates
from labcoat.lab.campaign.tuning import tune
from labcoat.lab.study.study_file import read_study
from labcoat.lab.trial.arms import boot, warm_up
from labcoat.lab.trial.question import Rhythm
from labcoat.lab.trial.spoken import spoken
from labcoat.lab.trial.workbench import Workbench, measure_slice
from labcoat.load import Generator
from labcoat.model.load import ClosedLoop, Window
from labcoat.model.metric import THROUGHPUT
from labcoat.model.study import Study
from labcoat.model.variant import ORIGIN, Variant
from labcoat.stack.rig import Rig

SHOP = Path(__file__).resolve().parent.parent / "examples" / "shop"
MEASURE_S = 10.0
JUDGED_EPOCHS = 8
JUDGED_S = 5
AS_IT_IS = "as it is"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a tuner hands over. ``claimed``: throughput over the origin's, by its own word."""

    variant: Variant
    claimed: float | None
    tried: int
    spent_s: float


@contextmanager
def shop(seed: int) -> Iterator[Study]:
    """A copy of the shop with nothing measured yet."""
    with tempfile.TemporaryDirectory(prefix="versus-") as folder:
        copy = Path(folder) / "shop"
        shutil.copytree(SHOP, copy, ignore=shutil.ignore_patterns(".labcoat"))
        yield replace(read_study(copy / "labcoat.toml"), seed=seed)


@contextmanager
def bench_of(study: Study) -> Iterator[tuple[Workbench, Rig]]:
    """A rig of the study with all that measures."""
    host = LocalHost()
    with (
        Journal.open(study.root / ".labcoat" / "journal.db") as journal,
        Generator() as generator,
        Sandbox.open(host) as sandbox,
        Rig(host, sandbox, study) as rig,
    ):
        bench = Workbench(
            study=study,
            study_id=journal.begin_study(study, resume=True).id,
            host=host,
            generator=generator,
            journal=journal,
            tell=lambda _: None,
        )
        yield bench, rig


def asked(budget_s: float) -> Tune:
    """The same terms for both."""
    rhythm = Rhythm(slice_s=0.5, discard_s=0.15)
    return Tune(objective=THROUGHPUT, margin=0.02, budget_s=budget_s, rhythm=rhythm)


def labcoat_answers(study: Study, budget_s: float) -> Answer:
    """What ``labcoat tune`` hands over."""
    with (
        Journal.open(study.root / ".labcoat" / "journal.db") as journal,
        Generator() as generator,
    ):
        found = tune(
            study,
            asked(budget_s),
            host=LocalHost(),
            journal=journal,
            generator=generator,
            tell_event=lambda _: None,
        )
    say(f"  labcoat: {found.sentence}")
    return Answer(
        variant=Variant.of(dict(found.handover.assignment)),
        claimed=None if found.confirmation is None else found.confirmation.confirmed_ratio,
        tried=len(found.steps) + sum(bool(each.experiments) for each in found.considered),
        spent_s=found.spent_s,
    )


def optuna_answers(study: Study, budget_s: float, seed: int) -> Answer:
    """What Optuna's TPE finds best on single numbers, over the same levels."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    started = time.monotonic()
    with bench_of(study) as (bench, rig):
        may_try, _ = candidates(
            rig, asked(budget_s), bench.host.facts(), peaks={}, wanted_workers=0.0
        )
        levels: dict[str, list[Candidate]] = {}
        for each in may_try:
            levels.setdefault(each.knob.name, []).append(each)
        search = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed)
        )
        search.enqueue_trial(dict.fromkeys(levels, AS_IT_IS))
        longest_s = 0.0
        while time.monotonic() - started + longest_s < budget_s:
            began = time.monotonic()
            trial = search.ask()
            drawn = {
                knob: trial.suggest_categorical(knob, [AS_IT_IS, *(repr(o.level) for o in options)])
                for knob, options in levels.items()
            }
            variant = Variant.of(
                {
                    knob: next(o.level for o in levels[knob] if repr(o.level) == text)
                    for knob, text in drawn.items()
                    if text != AS_IT_IS
                }
            )
            trial.set_user_attr("assignment", json.dumps(variant.assignment))
            try:
                search.tell(trial, single_number(bench, rig, variant))
            except StackError:
                search.tell(trial, state=optuna.trial.TrialState.FAIL)
                continue
            longest_s = max(longest_s, time.monotonic() - began)
    won = search.best_trial
    origin = search.trials[0].value
    assignment = json.loads(won.user_attrs["assignment"])
    return Answer(
        variant=Variant.of(dict(assignment)),
        claimed=None if not origin or won.value is None else won.value / origin - 1,
        tried=len(search.trials),
        spent_s=time.monotonic() - started,
    )


def single_number(bench: Workbench, rig: Rig, variant: Variant) -> float:
    """Throughput of one boot, measured once: what a general tuner believes."""
    standing = boot(bench, rig, "a", variant)
    try:
        warm_up(bench, standing)
        plan = ClosedLoop(users=bench.study.users)
        reading = measure_slice(bench, standing, plan, Window(measure_s=MEASURE_S), seed=1)
    finally:
        bench.generator.forget(standing.target)
        rig.stop(standing)
    return reading.summary.throughput_per_s


def judged(study: Study, answers: Sequence[Variant], program: str) -> list[list[float]]:
    """Log throughput over the origin's of each answer, one value for each epoch, by wrk."""
    coin = random.Random(f"judge/{study.seed}")
    found: list[list[float]] = [[] for _ in answers]
    with bench_of(study) as (bench, rig), tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "mix.lua"
        for epoch in range(JUDGED_EPOCHS):
            script.write_text(_lua(study, seed=epoch), encoding="latin-1")
            order = [None, *answers]
            coin.shuffle(order)
            per_s: dict[Variant | None, float] = {}
            for variant in order:
                standing = boot(bench, rig, "a", ORIGIN if variant is None else variant)
                try:
                    warm_up(bench, standing)
                    per_s[variant] = _wrk_rate(program, standing.target.url, script, study.users)
                finally:
                    bench.generator.forget(standing.target)
                    rig.stop(standing)
            for values, variant in zip(found, answers, strict=True):
                values.append(math.log(per_s[variant] / per_s[None]))
    return found


def _wrk_rate(program: str, url: str, script: Path, users: int) -> float:
    said = subprocess.run(
        [program, "-t1", f"-c{users}", f"-d{JUDGED_S}s", "-s", str(script), url],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    line = next(line for line in said.splitlines() if line.startswith("Requests/sec"))
    return float(line.split()[1])


def _lua(study: Study, *, seed: int) -> str:
    """A few hundred requests of the study's mix, for wrk to repeat."""
    rows = []
    for each in spoken(study.workload, seed=seed, count=400):
        headers = ", ".join(
            f"[{json.dumps(name)}] = {json.dumps(value)}"
            for name, value in each.headers
            if name.lower() not in {"host", "content-length", "connection"}
        )
        body = json.dumps(each.body.decode("latin-1")) if each.body else "nil"
        what = f"{json.dumps(each.method)}, {json.dumps(each.path)}"
        rows.append(f"  wrk.format({what}, {{{headers}}}, {body}),")
    return (
        "local mix\nlocal at = 0\ninit = function()\n  mix = {\n"
        + "\n".join(rows)
        + "\n  }\nend\nrequest = function()\n  at = at % #mix + 1\n  return mix[at]\nend\n"
    )


def versus(seed: int, budget_s: float, program: str) -> dict[str, Any]:
    """One seed, from two untouched shops to the judge's word."""
    with shop(seed) as study:
        ours = labcoat_answers(study, budget_s)
    with shop(seed) as study:
        theirs = optuna_answers(study, budget_s, seed)
        values = judged(study, [ours.variant, theirs.variant], program)
    differences = [mine - other for mine, other in zip(*values, strict=True)]
    mean, sd = statistics.mean(differences), statistics.stdev(differences)
    half = 2.365 * sd / math.sqrt(len(differences))  # Student's t, 7 degrees of freedom
    return {
        "seed": seed,
        "labcoat": _told(ours, values[0]),
        "optuna": _told(theirs, values[1]),
        "difference": [math.expm1(each) for each in (mean, mean - half, mean + half)],
        "is_behind": mean + half < 0,
    }


def _told(answer: Answer, values: Sequence[float]) -> dict[str, Any]:
    return {
        "assignment": dict(answer.variant.assignment),
        "levels": len(answer.variant.assignment),
        "claimed": answer.claimed,
        "judged": math.expm1(statistics.mean(values)),
        "tried": answer.tried,
        "spent_s": round(answer.spent_s),
    }


def main() -> int:
    """Exit status: 1 if labcoat was behind for a seed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--budget", help="minutes for each of the two, e.g. 10m")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--out", type=Path, default=Path("versus_optuna.json"))
    given = parser.parse_args()
    program = wrk()
    if given.budget is None or program is None:
        say("takes half an hour for each seed, and needs wrk: versus_optuna.py --budget 10m")
        return 0
    is_behind = False
    for seed in map(int, given.seeds.split(",")):
        found = versus(seed, 60 * float(given.budget.rstrip("m")), program)
        is_behind = is_behind or found["is_behind"]
        with given.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")
        say(json.dumps(found, indent=2))
    return int(is_behind)


if __name__ == "__main__":
    sys.exit(main())
