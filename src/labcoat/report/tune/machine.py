"""Where it was measured, how to do it again, and the trials behind every number."""

from __future__ import annotations

from collections.abc import Iterator

from labcoat.model.host import Facts
from labcoat.model.tune import TuneFinding
from labcoat.report.format import clock, counted, moment, size
from labcoat.report.paper import Cell, Code, Part, Prose, Section, Table, Terms, Trials, cells
from labcoat.report.trials import Background, ExperimentTrials
from labcoat.report.tune.words import effect_rows

KINDS = {
    "aa": "A/A: the stack against itself",
    "guard": "guardrail",
    "sweep": "throughput against users",
    "account": "where the time goes",
    "open loop": "latency at a rate",
}


def machine(found: TuneFinding, background: Background) -> Section:
    """The facts of the host, and the versions of what was measured."""
    facts = background.facts
    parts: list[Part] = [
        Prose("No facts of the machine are in the journal.", "warning")
        if facts is None
        else Terms(tuple((Cell(name), (told,)) for name, told in _facts(facts))),
        Table(
            caption="The stack, front to back",
            head=("layer", "version", "from", "processes", "memory before"),
            align="lllrr",
            rows=tuple(
                cells(
                    layer.name,
                    layer.version,
                    layer.source,
                    f"{layer.processes:,}",
                    size(layer.pss_bytes),
                )
                for layer in found.before.layers
            ),
        ),
    ]
    if facts is not None and facts.programs:
        parts.append(
            Table(
                caption="Programs that were at hand",
                head=("program", "version"),
                align="ll",
                rows=tuple(cells(name, version) for name, version in facts.programs),
            )
        )
    if found.before.rewired:
        parts.append(Prose("Rewired in the sandbox: " + "; ".join(found.before.rewired) + "."))
    return Section(name="machine", title="The machine and the versions", parts=tuple(parts))


def _facts(facts: Facts) -> Iterator[tuple[str, str]]:
    quota = "" if facts.cpu_quota is None else f", quota {facts.cpu_quota:g}"
    yield "Host", f"{facts.hostname}, {facts.machine}, kernel {facts.kernel}"
    yield "CPUs", f"{facts.cpus} usable of {facts.cpus_online}{quota}: {facts.cpu_model}"
    yield "Frequency governor", facts.governor or "not to be seen"
    yield "Virtualised", facts.virtualised or "no sign of it"
    yield "Memory", size(facts.ram_bytes)
    yield (
        "Limits",
        (
            f"somaxconn {facts.somaxconn:,}, open files {facts.nofile:,},"
            f" ports {facts.port_range[0]} to {facts.port_range[1]}, cgroup v{facts.cgroup}"
        ),
    )
    yield "Python", f"{facts.python}{', as root' if facts.is_root else ''}"


def reproduce(found: TuneFinding, background: Background) -> Section:
    """The command, the seed, and what else it takes."""
    told = {
        "labcoat": background.labcoat or "version not known",
        "Study": f"{found.study}, {found.study_id} in the journal",
        "Seed": f"{found.seed}: the same seed draws the same order",
        "Ended": moment(found.at),
        "Took": f"{clock(found.spent_s)} min over all sittings",
    }
    return Section(
        name="reproduce",
        title="How to do it again",
        parts=(
            Code("In the study's folder", found.command, "console"),
            Terms(tuple((Cell(name), (text,)) for name, text in told.items())),
            Prose(
                "This report is made from the journal alone: `labcoat report` makes it again, and"
                " `labcoat report --journal FILE` from a journal that was sent to you. The numbers"
                " will differ on another machine, and by their intervals on this one."
            ),
        ),
    )


def trials(found: TuneFinding, background: Background) -> Section:
    """The appendix: what every number rests on."""
    titles = {each.id: _kind(each) for each in background.experiments}
    titles |= {
        row.experiment_id: f"{row.label} ({row.role})" for row in effect_rows(found)
    }  # fmt: skip
    blocks = sum(each.paired for each in background.experiments)
    told = counted(sum(each.trials for each in background.experiments), "trial")
    return Section(
        name="trials",
        title="The trials behind the numbers",
        parts=(
            Prose(
                f"{counted(len(background.experiments), 'experiment')}, {counted(blocks, 'block')},"
                f" {told}. A trial is one arm measured for one slice; four make a block, in an"
                " order that a coin drew; only blocks are compared. Void blocks were drawn anew."
                " Every request of every trial is in the journal."
            ),
            Trials(background.experiments, titles),
        ),
    )


def _kind(each: ExperimentTrials) -> str:
    title = KINDS.get(each.kind, each.kind)
    return f"{title}: {each.asks}" if each.asks else title
