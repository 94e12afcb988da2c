"""A whole report from a journal: of a campaign, or of what there is without one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from labcoat.errors import JournalError
from labcoat.journal import Journal
from labcoat.model.journal import FindingRecord, StudyRecord
from labcoat.report.baseline import baseline_text
from labcoat.report.experiment import try_text
from labcoat.report.findings import read_baseline, read_try, read_tune
from labcoat.report.forms.html import as_html
from labcoat.report.forms.markdown import as_markdown
from labcoat.report.forms.text import as_text
from labcoat.report.paper import Code, Paper, Prose, Section
from labcoat.report.trials import read_background
from labcoat.report.tune.campaign import tune_paper

FORMS: Mapping[str, Callable[[Paper], str]] = {
    "html": as_html,
    "text": as_text,
    "md": as_markdown,
}
"""How a report is told; ``json`` is the document itself, and no paper."""

LESSER = ("try", "baseline")
"""What is told where no campaign was finished."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The study that a report is of, and the last finding that it is made from."""

    study: StudyRecord
    finding: FindingRecord


def choose(journal: Journal, studies: Sequence[StudyRecord]) -> Chosen:
    """The latest campaign of these studies; where there is none, the latest of what there is.

    Raises: JournalError if nothing was measured to its end.
    """
    for names in (("tune",), LESSER):
        chosen = list(_found(journal, studies, names))
        if chosen:
            return max(chosen, key=lambda each: each.finding.id)
    raise JournalError(
        "nothing was measured to its end yet, so there is nothing to report",
        where=repr(journal)[len("<Journal ") : -1],
        way_out="labcoat tune, or first labcoat baseline; what was interrupted goes on",
    )


def _found(
    journal: Journal, studies: Sequence[StudyRecord], names: tuple[str, ...]
) -> Iterable[Chosen]:
    for study in studies:
        for name in names:
            finding = journal.finding(study.id, name)
            if finding is not None:
                yield Chosen(study, finding)


def report(journal: Journal, chosen: Chosen, form: str) -> str:
    """The report in one of the FORMS. Raises: JournalError for what is of another version."""
    study_id = chosen.study.id
    if chosen.finding.name != "tune":
        return FORMS[form](_lesser(journal, chosen))
    # Only the page tells each trial; to read them all takes a while.
    background = read_background(journal, study_id, in_full=form == "html")
    return FORMS[form](tune_paper(read_tune(journal, study_id), background))


def document(journal: Journal, chosen: Chosen) -> dict[str, Any]:
    """The finding as JSON has it. Raises: JournalError for what is of another version."""
    study_id = chosen.study.id
    match chosen.finding.name:
        case "tune":
            return asdict(read_tune(journal, study_id))
        case "try":
            return asdict(read_try(journal, study_id))
        case _:
            return asdict(read_baseline(journal, study_id)[0])


def _lesser(journal: Journal, chosen: Chosen) -> Paper:
    """What was found without a campaign: the last try and the last baseline, as they are told."""
    sections = []
    study_id = chosen.study.id
    if journal.finding(study_id, "try") is not None:
        text = Code("", try_text(read_try(journal, study_id)))
        sections.append(_told("try", "What was tried last", text))
    if journal.finding(study_id, "baseline") is not None:
        found, facts = read_baseline(journal, study_id)
        text = Code("", baseline_text(found, facts))
        sections.append(_told("baseline", "The baseline", text))
    missing = Prose(
        "No campaign was finished in this study yet, so this is a report of what there is."
        " `labcoat tune` makes the whole one.",
        "warning",
    )
    first = Section(name="summary", title="No campaign yet", parts=(missing,), is_core=True)
    return Paper(
        title=f"labcoat: {chosen.study.name}",
        made=chosen.finding.at.isoformat(),
        outcome="~ NO CAMPAIGN YET",
        tone="inconclusive",
        sections=(first, *sections),
    )


def _told(name: str, title: str, text: Code) -> Section:
    return Section(name=name, title=title, parts=(text,), is_core=True)
