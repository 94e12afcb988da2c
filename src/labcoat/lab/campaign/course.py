"""The course of a campaign: the incumbent and its steps, every experiment, the clock."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from labcoat.lab.campaign.asked import Tune
from labcoat.lab.campaign.candidates import Candidate, LeftOut
from labcoat.lab.campaign.crew import Crew
from labcoat.lab.campaign.shares import Shares
from labcoat.lab.campaign.spending import Spending
from labcoat.lab.campaign.worth import Means
from labcoat.lab.experiment.experiment import Experiment, begin, settle
from labcoat.lab.experiment.guard import LATENCIES
from labcoat.lab.experiment.history import History, read_history, same_studies
from labcoat.lab.experiment.race import judged
from labcoat.lab.experiment.recorded import SLICES
from labcoat.lab.trial.events import Asked
from labcoat.lab.trial.question import Question, Rhythm, Rule
from labcoat.lab.trial.workbench import Workbench
from labcoat.model.baseline import Baseline
from labcoat.model.host import Facts
from labcoat.model.journal import ExperimentRecord
from labcoat.model.load import ClosedLoop, Plan
from labcoat.model.metric import THROUGHPUT, Better
from labcoat.model.stats import Decision, Verdict
from labcoat.model.variant import ORIGIN, Level, Variant
from labcoat.stack.rig import Rig
from labcoat.stats.sequential import first_look

Key = tuple[tuple[str, Level], ...]
"""The levels that a question changes: one, or two that are asked about together."""

AFTER_S = 40.0
"""To describe the tuned stack at the end: boot, warm-up, sweep, account, open loop."""

LEAST_EPOCHS, EPOCHS = 10, 20
"""Of a confirmation: the least that it may have, and what it has where the budget allows."""

OPEN_SLICE_S = 1.0
"""The least length of an open-loop slice: a p99 needs requests."""

LEAST_SD = 0.005
"""Six quiet epochs may understate the noise: nothing is planned with less than this."""

CONFIRMING_RATIO = 0.5
"""Of the budget without the baseline and the last look, what a confirmation may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """An accepted change: its candidates (two if they were asked about together), and how.

    ``over``: the incumbent that it was compared with.
    """

    candidates: tuple[Candidate, ...]
    over: Variant
    experiment: Experiment
    decision: Decision

    @property
    def knobs(self) -> tuple[str, ...]:
        """The knobs that it changes."""
        return tuple(each.knob.name for each in self.candidates)


@dataclass(slots=True, kw_only=True)
class Course:
    """Where a campaign stands. All that matters of it can be read back from the journal.

    ``shares``: of the incumbent. ``experiments``: by what they change and the incumbent they
    were compared with. ``decisions``: by experiment id. ``refused``: changes that a guardrail
    kept out. ``removals``: of a knob, the experiment that measured its removal from the set.
    ``journaled``: ids of experiments whose verdict the journal has.
    ``under_way``: the experiment that had the last epoch. ``forgiven``: experiments of which an
    arm once did not come up that had stood before. ``holding``: ids of experiments whose verdict
    holds among all that were asked, known at the end.
    """

    bench: Workbench
    rig: Rig
    asked: Tune
    facts: Facts
    origin: str
    before: Baseline
    shares: Shares
    crew: Crew
    server: str
    candidates: tuple[Candidate, ...]
    left_out: tuple[LeftOut, ...]
    headroom_per_s: float | None
    spending: Spending
    history: History
    incumbent: Variant = ORIGIN
    steps: list[Taken] = field(default_factory=list)
    experiments: dict[tuple[Key, str], Experiment] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)
    journaled: set[str] = field(default_factory=set)
    refused: dict[Key, str] = field(default_factory=dict)
    removals: dict[str, Experiment] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    controls: list[Experiment] = field(default_factory=list)
    known: list[ExperimentRecord] = field(default_factory=list)
    under_way: str = ""
    forgiven: set[str] = field(default_factory=set)
    holding: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        journal = self.bench.journal
        for study_id in same_studies(journal, self.bench.study_id):
            self.known += journal.experiments(study_id)

    # Questions

    def question(
        self,
        baseline: Variant,
        treatment: Variant,
        *,
        kind: str = "try",
        rule: Rule | None = None,
        plan: Plan | None = None,
        rhythm: Rhythm | None = None,
    ) -> Question:
        """A question of this campaign, at saturation unless a plan says otherwise."""
        return Question(
            kind=kind,
            baseline=baseline,
            treatment=treatment,
            plan=plan or ClosedLoop(users=self.bench.study.users),
            rule=rule
            or Rule(objective=self.asked.objective, margin=self.asked.margin, screening=True),
            rhythm=rhythm or self.asked.rhythm,
            origin=self.origin,
            machine=f"{self.facts.hostname}, {self.facts.cpus} CPUs",
        )

    def begun(self, question: Question) -> Experiment:
        """The experiment of a question, gone on with where the journal has it already."""
        experiment = begin(self.bench, question, self.history, reopens=False)
        if experiment.gathered.blocks:  # all looks at them are adjusted alike, whatever came since
            experiment.history = read_history(
                self.bench.journal, self.bench.study_id, self.facts, before=experiment.record.at
            )
        if experiment.is_recorded:
            self.journaled.add(experiment.record.id)
        self.judge(experiment)
        return experiment

    def settle(self, experiment: Experiment, decision: Decision) -> None:
        """A verdict is final, and goes into the journal, once."""
        self.decisions[experiment.record.id] = decision
        if experiment.record.id not in self.journaled:
            settle(self.bench, experiment, decision)
            self.journaled.add(experiment.record.id)

    def is_known(self, question: Question) -> bool:
        """Whether an earlier sitting asked this."""
        return any(question.is_asked_by(record) for record in self.known)

    def with_levels(self, key: Key) -> Variant:
        """The incumbent with a change."""
        return Variant.of({**dict(self.incumbent.assignment), **dict(key)})

    def experiment_of(self, key: Key, *, if_known: bool = False) -> Experiment | None:
        """The experiment of a change against the incumbent; with ``if_known``, only if there
        is one already.
        """
        place = (key, self.incumbent.name)
        if place not in self.experiments:
            question = self.question(self.incumbent, self.with_levels(key))
            if if_known and not self.is_known(question):
                return None
            self.experiments[place] = self.begun(question)
        return self.experiments[place]

    def recall(self) -> None:
        """Take up again what earlier sittings asked of this incumbent."""
        keys = {each.key for each in self.candidates}
        for record in self.known:
            levels = dict(self.incumbent.assignment)
            key: Key = tuple(
                each for each in record.treatment.assignment if levels.get(each[0]) != each[1]
            )
            is_ours = record.baseline == self.incumbent and keys.issuperset(key)
            if record.kind == "try" and key and is_ours and not self.is_settled(key):
                self.experiment_of(key, if_known=True)

    def decision_of(self, experiment: Experiment) -> Decision:
        """What the rule says of it now."""
        return self.decisions[experiment.record.id]

    def tell_asked(self, experiment: Experiment) -> None:
        """Tell which question the next epoch goes to, where it is not the last one's."""
        if self.under_way == experiment.record.id:
            return
        self.under_way = experiment.record.id
        self.bench.tell(
            Asked(
                question=experiment.question,
                experiment_id=experiment.record.id,
                blocks=len(experiment.gathered.blocks),
            )
        )

    def judge(self, experiment: Experiment) -> Decision:
        """Ask the rule after an epoch."""
        decision = judged(experiment, self.headroom_per_s)
        self.decisions[experiment.record.id] = decision
        return decision

    # What was found of a change

    def of_key(self, key: Key) -> list[Experiment]:
        """Every experiment of a change, in the order of the incumbents that it met."""
        return [each for (mine, _), each in self.experiments.items() if mine == key]

    def is_settled(self, key: Key) -> bool:
        """Whether a change needs no more asking: taken, refused, or answered."""
        taken = {each.key for step in self.steps for each in step.candidates}
        if key in self.refused or taken.issuperset(key):
            return True
        return any(
            self.decision_of(each).verdict not in {None, Verdict.IMPROVED}
            for each in self.of_key(key)
        )

    def bound(self, key: Key) -> float:
        """The most that a change could give the incumbent; no objective but throughput has one."""
        if self.asked.objective != THROUGHPUT:
            return 1.0
        bounds = [self.shares.bound(each.knob) for each in self.candidates_of(key)]
        return math.prod(1 + each for each in bounds) - 1

    def hope(self, key: Key) -> float:
        """What a change may be expected to give where it helps, a ratio."""
        return math.prod(1 + self._hope(each) for each in self.candidates_of(key)) - 1

    def _hope(self, candidate: Candidate) -> float:
        """Of a number of workers, what it promises over the present one, within its bound."""
        knob = candidate.knob
        now = dict(self.incumbent.assignment).get(knob.name, candidate.change.before)
        if not self.crew.counts(knob) or not isinstance(now, int):
            return self.shares.hope(knob)
        promised = self.crew.gain(now, int(candidate.level))
        return min(max(0.0, promised), self.shares.bound(knob))

    def oriented(self, experiment: Experiment) -> list[float]:
        """Its values so far, signed so that up is better."""
        sample = experiment.sample(self.asked.objective.name)
        sign = 1.0 if self.asked.objective.better is Better.HIGHER else -1.0
        return [] if sample is None else [sign * float(each) for each in sample.log_ratios]

    # The budget

    @property
    def sd(self) -> float:
        """Deviation of a data point in the A/A experiment, in logs."""
        noise = self.before.noise
        found = next(each for each in noise.metrics if each.metric == THROUGHPUT.name)
        return max(math.log1p(found.sd_ratio), LEAST_SD)

    @property
    def point_s(self) -> float:
        """Seconds of an epoch: of this campaign's, else of the A/A experiment's."""
        spent = [
            restart_s + block.took_s
            for each in self._all()
            for restart_s, block in zip(
                each.restart_s[-3:], each.gathered.blocks[-3:], strict=False
            )
        ]
        noise = self.before.noise
        guess = noise.restart_s + noise.block_s
        return (guess + sum(spent)) / (1 + len(spent))

    @property
    def confirming_epochs(self) -> int:
        """How many epochs the confirmation will have: fixed by the budget and the baseline."""
        noise = self.before.noise
        each_s = noise.restart_s + noise.block_s + self.open_block_s
        free_s = self.asked.budget_s - self.before.elapsed_s - AFTER_S
        fitting = int(CONFIRMING_RATIO * free_s / each_s)
        return min(EPOCHS, max(LEAST_EPOCHS, fitting))

    @property
    def open_rhythm(self) -> Rhythm:
        """How the open loop of the confirmation is measured, on the same boots."""
        rhythm = self.asked.rhythm
        return replace(rhythm, slice_s=max(OPEN_SLICE_S, rhythm.slice_s), blocks_per_epoch=1)

    @property
    def open_block_s(self) -> float:
        """Seconds of its block; none where the objective itself is a latency."""
        rhythm = self.open_rhythm
        is_asked = self.asked.objective not in LATENCIES
        return SLICES * (rhythm.discard_s + rhythm.slice_s) if is_asked else 0.0

    @property
    def reserve_s(self) -> float:
        """What must be left for removals, the confirmation and the last look."""
        return self._reserve_s(0)

    def _reserve_s(self, coming: int) -> float:
        """The same when so many knobs more are accepted: of all but one the removal is due.

        Of knobs accepted together each that is dropped has the others checked anew.
        """
        unchecked = len(dict(self.incumbent.assignment).keys() - self.removals.keys())
        due = coming * (coming + 1) // 2
        removals = max(0, unchecked + due - 1) * first_look(0.05)
        return (
            removals * self.point_s
            + self.confirming_epochs * (self.point_s + self.open_block_s)
            + AFTER_S
        )

    @property
    def means(self) -> Means:
        """What screening may spend from now on."""
        return self.means_of(1)

    def means_of(self, coming: int) -> Means:
        """What may be spent on a question that may bring so many knobs more into the set."""
        left_s = max(0.0, self.spending.left_s - self._reserve_s(coming))
        return Means(sd=self.sd, point_s=self.point_s, left_s=left_s)

    @property
    def gain(self) -> float:
        """The steps' gains at stopping, multiplied: claimed, not confirmed. A ratio."""
        effects = [step.experiment.effect(self.asked.objective.name) for step in self.steps]
        return math.prod(1 + each.point for each in effects if each is not None) - 1

    def _all(self) -> Iterable[Experiment]:
        yield from self.experiments.values()
        yield from self.removals.values()

    def candidates_of(self, key: Key) -> tuple[Candidate, ...]:
        """The candidates that a change is made of."""
        return tuple(each for each in self.candidates if each.key in key)
