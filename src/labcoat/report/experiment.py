"""What ``labcoat try`` found as text: the verdict first, then what explains it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from labcoat.model.domain import spelled
from labcoat.model.finding import Compared, ExperimentFinding, LayerCompared, TryFinding
from labcoat.model.metric import METRICS
from labcoat.report.format import (
    clock,
    counted,
    effect,
    evidence,
    percent,
    rate,
    seconds,
    size,
    table,
)

MARKS = {
    "improved": "✓",
    "regressed": "✗",
    "equivalent": "=",
    "not_better": "✗",
    "inconclusive": "~",
    "invalid": "!",
}
VERDICTS = {
    "improved": "IMPROVED",
    "regressed": "REGRESSED",
    "equivalent": "EQUIVALENT",
    "not_better": "NOT BETTER",
    "inconclusive": "INCONCLUSIVE",
    "invalid": "INVALID",
}
_UNKNOWN = "nothing is known yet, least of all that both are equal; asked again, it goes on"
_TITLES = {metric.name: metric.title for metric in METRICS}


def try_text(found: TryFinding) -> str:
    """Everything that was found, plain text."""
    sections = [[f"labcoat try · {found.study} · {clock(found.elapsed_s)} min"]]
    if len(found.experiments) > 1:
        sections.append(list(_race(found.experiments)))
    for each in found.experiments:
        sections += [
            list(part(each))
            for part in (_verdict, _comparison, _layers, _counters, _guardrails, _trust)
        ]
    sections.append(list(_warnings(found.experiments)))
    return "\n\n".join("\n".join(section) for section in sections if section) + "\n"


def change_text(found: ExperimentFinding) -> str:
    """The question in few words: ``uwsgi.processes 1 → 4``."""
    if found.knob is None:
        return "A/A: the stack against itself"
    said = "" if found.origin_is_said or found.origin_level is None else " (default)"
    return f"{found.knob} {spelled(found.origin_level)}{said} → {spelled(found.level)}"


def _objective(found: ExperimentFinding) -> Compared | None:
    return next((each for each in found.compared if each.metric == found.objective), None)


def _change(each: Compared | None) -> str:
    if each is None:
        return "not measured"
    return effect(each.effect_ratio, each.low_ratio, each.high_ratio)


def _race(experiments: Sequence[ExperimentFinding]) -> Iterator[str]:
    noun = "levels" if len({each.knob for each in experiments}) == 1 else "questions"
    yield f"{len(experiments)} {noun}, each against the same baseline"
    rows = [
        (
            f"{MARKS[each.verdict]} {VERDICTS[each.verdict]}",
            change_text(each),
            _change(_objective(each)),
            counted(each.blocks, "block"),
        )
        for each in experiments
    ]
    yield from table(rows, left=3)
    if sum(each.verdict == "improved" for each in experiments) > 1:
        yield "  which of the improved ones is better than the others was not asked: where their"
        yield "  intervals overlap, take the smaller change"


def _verdict(found: ExperimentFinding) -> Iterator[str]:
    objective = _objective(found)
    known = ""
    if objective is not None and objective.effect_ratio is not None:
        known = f" · {_TITLES[found.objective]} {_change(objective)}"
    yield f"{MARKS[found.verdict]} {VERDICTS[found.verdict]}  {change_text(found)}{known}"
    yield from (f"  {line}" for line in _because(found))
    voids = found.voids_baseline + found.voids_treatment
    if not found.blocks and not voids:
        return
    yield (
        f"  {counted(found.blocks, 'block')}, {counted(found.epochs, 'restart')} of each arm,"
        f" {voids} void, {clock(found.measured_s)} min;"
        f" margin {percent(found.margin_ratio)}"
        + ("" if found.noise_ratio is None else f", noise {percent(found.noise_ratio)}")
    )


def _because(found: ExperimentFinding) -> Iterator[str]:
    """Why this verdict: the evidence where it decided, else the reason that ended it."""
    is_guarded = any(each.answer == "broken" for each in found.guardrails)
    is_decided = found.verdict in {"improved", "regressed"} and not is_guarded
    is_open = found.verdict == "inconclusive"
    if not is_decided or found.evidence is None:
        yield found.reason
    if found.evidence is None or not (is_decided or is_open):
        if is_open:
            yield _UNKNOWN
        return
    so_far = "" if is_decided else " so far"
    needed = found.evidence_needed or 0.0
    yield f"evidence {evidence(found.evidence)}{so_far}, {needed:.0f} needed; {_points(found)}"
    if found.kind == "aa":
        yield (
            "both arms are the same, so this verdict is false: it is what noise does here"
            if is_decided
            else "no difference was shown, as it should be: both arms are the same"
        )
    elif not is_decided:
        yield _UNKNOWN
    elif found.online:
        yield "it also holds among all questions of this study (e-LOND)"
    else:
        yield "it is not enough yet among all questions of this study (e-LOND)"


def _points(found: ExperimentFinding) -> str:
    side = "of the second arm " if found.knob is None else ""
    return (
        f"{_TITLES[found.objective]} {side}was higher in {found.points_up} of"
        f" {counted(found.points, 'restart')}"
    )


def _value(unit: str, value: float) -> str:
    if unit == "1/s":
        return f"{rate(value)}/s"
    return seconds(value) if unit == "s" else size(value)


def _arms(found: ExperimentFinding) -> tuple[str, str]:
    return ("first", "second") if found.knob is None else ("baseline", "treatment")


def _comparison(found: ExperimentFinding) -> Iterator[str]:
    if not found.compared:
        return
    rows = [("", *_arms(found), "change")]
    for each in found.compared:
        title = _TITLES[each.metric]
        if each.metric.startswith("latency"):
            title += "" if found.latency_loop == "open" else " *"
        values = (_value(each.unit, each.baseline), _value(each.unit, each.treatment))
        rows.append((title, *values, _change(each)))
    yield from table(rows)
    if found.latency_loop != "open":
        yield "  * closed loop: it asks less of a slower stack, so this is not what users see"
        return
    at = next((rate(e.rate_per_s) for e in found.guardrails if e.rate_per_s is not None), None)
    at = "one rate" if at is None else f"{at} req/s"
    yield f"  latency from the intended start, Poisson arrivals at {at} on both arms"


def _layers(found: ExperimentFinding) -> Iterator[str]:
    if not found.layers:
        return
    yield "Layers: CPU of a request, and memory"
    rows = [
        (
            layer.name,
            seconds(layer.baseline_cpu_per_request_s),
            seconds(layer.treatment_cpu_per_request_s),
            _ratio(layer.baseline_cpu_per_request_s, layer.treatment_cpu_per_request_s),
            size(layer.baseline_pss_bytes),
            size(layer.treatment_pss_bytes),
            _ratio(layer.baseline_pss_bytes, layer.treatment_pss_bytes),
        )
        for layer in found.layers
    ]
    yield from table([("", *_arms(found), "change", *_arms(found), "change"), *rows])


def _ratio(before: float, after: float) -> str:
    return percent(after / before - 1, signed=True) if before else "–"


def _counters(found: ExperimentFinding) -> Iterator[str]:
    """The components' own counters, where the arms differ."""
    rows = [row for layer in found.layers for row in _differing(layer)]
    if rows:
        yield "Counters that differ by more than a tenth, in the last epoch"
        yield from table([("", *_arms(found)), *rows])


def _differing(layer: LayerCompared) -> Iterator[tuple[str, ...]]:
    for name, before in layer.baseline_counters.items():
        after = layer.treatment_counters.get(name)
        # Totals follow the throughput; a small difference explains nothing.
        if after is not None and abs(after - before) > 0.1 * max(abs(before), abs(after)):
            yield (f"{layer.name} {name.replace('_', ' ')}", f"{before:,.0f}", f"{after:,.0f}")


def _guardrails(found: ExperimentFinding) -> Iterator[str]:
    if found.guardrails:
        yield "Guardrails"
        for each in found.guardrails:
            mark = {"held": "✓", "broken": "✗"}.get(each.answer, "~")
            yield f"  {mark} {_TITLES[each.metric]} {each.answer}: {each.reason}"


def _trust(found: ExperimentFinding) -> Iterator[str]:
    if not found.blocks:
        return
    told = [f"{counted(found.answers_compared, 'answer')} of each arm compared"]
    if found.evidence is not None:  # where answers differ, no evidence decides
        told[0] += ", none differs"
    if found.steal_ratio is not None:
        how = "taken out" if found.adjusted else "not taken out"
        told.append(f"steal {percent(found.steal_ratio)}, {how}")
    if found.headroom_ratio is not None:
        told.append(f"generator headroom {found.headroom_ratio:.0f} ×")
    yield "Trust: " + "; ".join(told)
    if found.voids_baseline or found.voids_treatment:
        yield (
            f"  void blocks: {found.voids_baseline} ended on the baseline,"
            f" {found.voids_treatment} on the treatment ({'; '.join(found.void_reasons[:3])})"
        )
    is_change = found.verdict in {"improved", "regressed"} and found.kind != "aa"
    if is_change and found.generator_share_ratio and found.true_gain_ratio is not None:
        yield (
            f"  the generator takes {percent(found.generator_share_ratio)} of a request's CPU:"
            " where the CPU is the limit, the change of the stack alone is"
            f" {percent(found.true_gain_ratio, signed=True)}"
        )


def _warnings(experiments: Sequence[ExperimentFinding]) -> Iterator[str]:
    """Each warning once, with the levels that it is of, unless it is of all."""
    levels: dict[str, list[str]] = {}
    for each in experiments:
        asked = "A/A" if each.knob is None else f"{each.knob}={spelled(each.level)}"
        for warning in each.warnings:
            levels.setdefault(f"{warning.message}; {warning.remedy}", []).append(asked)
    if levels:
        yield "Warnings"
    for text, of in levels.items():
        yield f"  {text}" if len(of) == len(experiments) else f"  {', '.join(of)}: {text}"
