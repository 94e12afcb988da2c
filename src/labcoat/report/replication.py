"""What ``labcoat replicate`` found: as text, and as a section of docs/replications.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from labcoat.model.finding import ExperimentFinding
from labcoat.model.replication import ClaimFinding, ReplicationFinding
from labcoat.report.format import clock, counted, effect, moment, percent, rate, size

MARKS = {"confirmed": "✓", "refuted": "✗", "undecided": "~"}
WIDTH = 100


def replication_text(found: ReplicationFinding) -> str:
    """Everything, plain text: each claim with its verdict first."""
    lines = [
        f"labcoat replicate · {found.protocol} · {found.title} · {clock(found.elapsed_s)} min",
        *wrap(found.about, WIDTH),
        "",
        _noise(found.aa),
        "",
    ]
    for claim in found.claims:
        lines += [*_claim_lines(claim), ""]
    lines.append(_count(found))
    if found.is_interrupted:
        lines.append("interrupted: the same command goes on from here")
    return "\n".join(lines) + "\n"


def _claim_lines(claim: ClaimFinding) -> Iterator[str]:
    mark = MARKS[claim.outcome]
    yield f"{mark} {claim.outcome.upper():<9}  {claim.step} ({claim.mode}): {_levels(claim)}"
    yield f"    published  {claim.published}  [{claim.source}]"
    measured = measured_text(claim)
    if measured:
        yield f"    here       {measured}"
    for line in wrap(claim.reason, WIDTH - 15):
        yield f"    because    {line}"
    for line in claim.explains:
        yield f"    seen       {line}"
    if claim.would_decide:
        yield f"    to decide  {claim.would_decide}"


def _levels(claim: ClaimFinding) -> str:
    return ", ".join(claim.levels) or "the origin"


def measured_text(claim: ClaimFinding) -> str:
    """The effect measured, the rates of both arms, and the size beside the published one."""
    found = claim.experiment
    compared = None
    if found is not None:
        compared = next((each for each in found.compared if each.metric == claim.objective), None)
    if found is None or compared is None:
        return ""
    unit = {"throughput": "req/s"}.get(claim.objective, claim.objective.replace("_", " "))
    words = (
        f"{effect(compared.effect_ratio, compared.low_ratio, compared.high_ratio)} · "
        f"{_amount(claim.objective, compared.baseline)} →"
        f" {_amount(claim.objective, compared.treatment)} {unit} · "
        f"{counted(found.blocks, 'block')}"
    )
    if claim.size:
        words += f" · {claim.size}"
        words += "" if claim.size == "as published" else " than published"
    return words


def _amount(objective: str, value: float) -> str:
    if objective == "throughput":
        return rate(value)
    return size(value) if objective == "memory" else f"{1e6 * value:.1f} µs"


def _noise(aa: ExperimentFinding | None) -> str:
    compared = None
    if aa is not None:
        compared = next((each for each in aa.compared if each.metric == "throughput"), None)
    if aa is None or compared is None:
        return "noise: the stack was not compared with itself"
    return (
        "noise: the stack against itself"
        f" {effect(compared.effect_ratio, compared.low_ratio, compared.high_ratio)}"
        f" ({aa.verdict.replace('_', ' ')}, {counted(aa.blocks, 'block')}"
        + ("" if aa.noise_ratio is None else f", sd {percent(aa.noise_ratio)}")
        + ("" if aa.steal_ratio is None else f", steal {percent(aa.steal_ratio)}")
        + ")"
    )


def _count(found: ReplicationFinding) -> str:
    counts = {name: sum(each.outcome == name for each in found.claims) for name in MARKS}
    told = ", ".join(f"{n} {name}" for name, n in counts.items() if n)
    return f"{counted(len(found.claims), 'claim')}: {told or 'nothing was asked'}"


def replication_markdown(found: ReplicationFinding) -> str:
    """A section: facts, noise, a table of the claims, what explains them, doubts."""
    facts = found.facts
    programs = ", ".join(f"{name} {version}" for name, version in found.programs)
    lines = [
        f"## {found.protocol}",
        "",
        f"**{found.title}.** {found.about}",
        "",
        f"{moment(found.at)}, {clock(found.elapsed_s)} min of {clock(found.budget_s)}; {programs};"
        f" {facts.cpus} × {facts.cpu_model}, {size(facts.ram_bytes)}, Linux {facts.kernel}"
        + (f", {facts.virtualised}" if facts.virtualised else "")
        + f". {_noise(found.aa)[:1].upper()}{_noise(found.aa)[1:]}.",
        "",
        "| step | levels | published | claim | here | verdict |",
        "|---|---|---|---|---|---|",
        *(_row(each) for each in found.claims),
        "",
        f"{_count(found)}{' (interrupted)' if found.is_interrupted else ''}.",
        "",
        *_explanations(found.claims),
    ]
    if found.doubts:
        lines += ["What the source left open: " + "; ".join(found.doubts) + ".", ""]
    return "\n".join(lines)


def _row(claim: ClaimFinding) -> str:
    cells = (
        f"{claim.step} ({claim.mode})",
        ", ".join(f"`{each}`" for each in claim.levels) or "origin",
        f"{claim.published} ({claim.source})",
        claim.claim,
        measured_text(claim) or claim.reason,
        f"**{claim.outcome}**" if claim.outcome != "undecided" else claim.outcome,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _explanations(claims: Sequence[ClaimFinding]) -> Iterator[str]:
    for claim in claims:
        words = [claim.reason]
        if claim.outcome == "refuted":
            words += [claim.why] if claim.why else []
            words += claim.explains
        elif claim.outcome == "undecided":
            words += [f"to decide: {claim.would_decide}"] if claim.would_decide else []
        elif claim.mode == "seen":
            words += claim.explains
        else:
            continue
        yield f"* *{claim.step} ({claim.mode}), {claim.outcome}*: {'; '.join(words)}"
    yield ""
