"""A campaign's report as text and markdown, against files that are reviewed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from labcoat.errors import JournalError
from labcoat.journal import Journal
from labcoat.model.stats import Verdict
from labcoat.model.tune import TuneFinding
from labcoat.report.findings import read_tune
from labcoat.report.forms.markdown import as_markdown, escaped
from labcoat.report.forms.text import as_text
from labcoat.report.paper import Paper, Prose, Table, cells
from labcoat.report.plots.drawn import VERDICTS as LOOKS
from labcoat.report.plots.ladder import rungs
from labcoat.report.trials import Background, BlockRow, ExperimentTrials, TrialRow
from labcoat.report.tune.campaign import OUTCOMES, tune_paper
from labcoat.report.tune.ladder import ladder_text
from labcoat.report.tune.trust import false_verdicts, trust
from labcoat.report.tune.words import EffectRow, all_experiments, effect_rows, marked
from labcoat.testing import tune
from labcoat.testing.baseline import two_routes
from labcoat.testing.host import FACTS

GOLDEN = Path(__file__).parents[2] / "golden" / "tune"
TRIALS = ExperimentTrials(
    id="x-processes",
    at=datetime(2026, 1, 1, tzinfo=UTC),
    kind="tune",
    asks="uwsgi.processes as it was → 2",
    blocks=(
        BlockRow(
            id="b0",
            index=0,
            attempt=0,
            epoch=0,
            order="ABBA",
            void="61% of the CPU was stolen",
            trials=(),
        ),
        BlockRow(
            id="b1",
            index=0,
            attempt=1,
            epoch=0,
            order="BAAB",
            void=None,
            trials=tuple(
                TrialRow(id=f"t{place}", arm=arm, slot=place % 2, position=place)
                for place, arm in enumerate(("treatment", "baseline", "baseline", "treatment"))
            ),
        ),
    ),
)
BACKGROUND = Background(
    facts=replace(FACTS, programs=(("nginx", "1.27.3 (/usr/sbin/nginx)"),)),
    labcoat="0.1.0",
    experiments=(TRIALS,),
)
BARE = Background(facts=None, labcoat="", experiments=())
NAMES = [name for name in tune.CAMPAIGNS if name != "many"]


@cache
def found(name: str) -> TuneFinding:
    return tune.CAMPAIGNS[name]()


def paper(name: str) -> Paper:
    return tune_paper(found(name), BARE if name == "one-block" else BACKGROUND)


GOLDENS: dict[str, Callable[[], str]] = {
    **{f"{name}.txt": lambda name=name: as_text(paper(name)) for name in NAMES},  # type: ignore[misc] # of a lambda's default
    **{
        f"{name}.md": lambda name=name: as_markdown(paper(name))  # type: ignore[misc] # as above
        for name in ("ordinary", "hostile", "nothing")
    },
    **{
        f"{name}.ladder.txt": lambda name=name: ladder_text(found(name))  # type: ignore[misc] # as above
        for name in ("ordinary", "nothing", "unconfirmed", "interrupted", "one-block")
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", GOLDENS)
def test_it_is_told_as_reviewed(name: str) -> None:
    """To accept a change: ``LABCOAT_WRITE_GOLDEN=1``, and read the difference."""
    told = GOLDENS[name]()
    golden = GOLDEN / name
    if "LABCOAT_WRITE_GOLDEN" in os.environ:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(told)
    assert told == golden.read_text()


def test_no_golden_file_is_left_over() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == set(GOLDENS)


@pytest.mark.slow
def test_no_form_says_none_or_nan() -> None:
    for make in GOLDENS.values():
        told = make()
        assert re.findall(r"\bnan\b|\binf\b|\bNone(?![ .]| would)", told) == []
        assert [line for line in told.splitlines() if line != line.rstrip()] == []


def test_the_parts_come_in_the_order_of_the_design() -> None:
    names = [section.name for section in paper("ordinary").sections]
    assert names == [
        "summary", "change", "ladder", "effects", "time", "latency", "concurrency", "rest",
        "guardrails", "trust", "machine", "reproduce", "trials",
    ]  # fmt: skip


def test_every_outcome_has_its_word() -> None:
    assert {make().outcome for make in tune.CAMPAIGNS.values()} == set(OUTCOMES)


def test_every_verdict_is_told_apart_by_mark_and_word_and_shape() -> None:
    values = [verdict.value for verdict in Verdict]
    assert len({marked(value) for value in values}) == len(values)
    assert len({(LOOKS[value].symbol, LOOKS[value].dash) for value in values}) == len(values)


def test_what_is_undecided_never_stands_where_nothing_matters() -> None:
    (rest,) = [each for each in paper("ordinary").sections if each.name == "rest"]
    first, *others = [part for part in rest.parts if isinstance(part, Table)]
    assert "did not matter" in first.caption
    told = {cell.text for row in first.rows for cell in row}
    assert not {text for text in told if "INCONCLUSIVE" in text or "UNDECIDED" in text}
    (open_,) = [each for each in others if "could not be decided" in each.caption]
    assert len(open_.rows) == 1
    assert any("never asked" in each.caption for each in others)
    assert any(
        isinstance(part, Prose) and "not findings of no effect" in part.text for part in rest.parts
    )


def test_every_experiment_is_told_once_and_the_confirmation_first() -> None:
    of = found("ordinary")
    ids = [row.experiment_id for row in effect_rows(of)]
    assert ids[0] == "x-confirm"
    assert sorted(ids) == sorted({each.experiment_id for each in all_experiments(of)})
    assert len(ids) == len(set(ids)) == 13


def test_a_removal_that_is_the_experiment_itself_is_no_second_row() -> None:
    of = found("ordinary")
    last = replace(of.steps[-1], removal=of.steps[-1].experiment)
    again = effect_rows(replace(of, steps=(*of.steps[:-1], last)))
    assert [row.role for row in again if row.experiment_id == "x-logging"] == ["kept"]


def test_only_a_confirmed_confirmation_has_improved() -> None:
    assert effect_rows(found("ordinary"))[0].verdict == "improved"
    assert effect_rows(found("unconfirmed"))[0].verdict == "inconclusive"


def test_the_ladder_rises_by_what_is_kept_alone() -> None:
    first, dropped, last = rungs(found("ordinary"))
    assert dropped.before == dropped.after == first.after
    assert last.before == first.after
    assert last.after == pytest.approx((1 + first.own) * (1 + last.own) - 1)


def test_false_verdicts_are_counted_among_controls_that_have_one() -> None:
    of = found("ordinary")
    right, other = of.controls
    wrong = replace(right, verdict="regressed", experiment_id="x-wrong")
    void = replace(other, verdict="invalid", experiment_id="x-void")
    several = replace(of, controls=(right, wrong, void))
    assert false_verdicts(several) == (1, 2)
    told = [part.text for part in trust(several, BARE).parts if isinstance(part, Prose)]
    assert any("1 false verdict of 2" in text and "1.3 % to 99 %" in text for text in told)
    none = [
        part.text for part in trust(found("interrupted"), BARE).parts if isinstance(part, Prose)
    ]
    assert any(text.startswith("Controls: none.") for text in none)


def test_a_short_form_says_where_the_rest_is() -> None:
    of = found("ordinary")
    told = ladder_text(of, report="elsewhere.html", patch=None)
    assert "elsewhere.html" in told
    assert "patch" not in told
    assert "claimed" in told
    assert "confirmed" in told


def test_a_row_reads_as_it_is_told_elsewhere() -> None:
    row = EffectRow(
        label="x", role="kept", verdict="improved", reason="", experiment_id="x", point=0.062,
        low=-0.008, high=0.13, blocks=7, online=None,
    )  # fmt: skip
    assert row.text == "+6.2 % [-0.8 %, +13 %]"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a|b", "a\\|b"),
        ("<b>", "&lt;b&gt;"),
        ("*x* ~y~ `z`", "\\*x\\* \\~y\\~ \\`z\\`"),
        ("worker_processes _x_", "worker_processes \\_x\\_"),
        ("[x](y)", "[x\\](y)"),
        ("+79 % [+77 %, +81 %]", "+79 % [+77 %, +81 %]"),
        ("# not a head\n- nor a list", "\\# not a head - nor a list"),
    ],
)
def test_markdown_takes_text_for_text(text: str, told: str) -> None:
    assert escaped(text) == told


def test_a_table_whose_columns_disagree_does_not_construct() -> None:
    with pytest.raises(ValueError, match="columns do not agree"):
        Table(caption="x", head=("a",), align="ll", rows=())
    with pytest.raises(ValueError, match="columns do not agree"):
        Table(caption="x", head=("a", "b"), align="pl", rows=(cells("1", "2"),))


@pytest.mark.slow
def test_a_campaign_comes_back_from_the_journal_as_it_was(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.db") as journal:
        study = journal.begin_study(two_routes(tmp_path))
        with pytest.raises(JournalError, match="no campaign was finished"):
            read_tune(journal, study.id)
        for name in tune.CAMPAIGNS:
            journal.record_finding(study.id, "tune", asdict(found(name)))
            assert read_tune(journal, study.id) == found(name)
        journal.record_finding(study.id, "tune", {"schema": 0})
        with pytest.raises(JournalError, match="another version of labcoat") as caught:
            read_tune(journal, study.id)
        assert caught.value.way_out == "tune again: labcoat tune"
