"""The page: whole, safe and readable before any browser has seen it."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs

from labcoat.journal import Journal
from labcoat.report.forms.html import FOLDER, as_html
from labcoat.report.trials import Background, read_background
from labcoat.report.tune.campaign import tune_paper
from labcoat.testing import tune

VOID = {"meta", "link", "br", "img", "input", "hr"}
COLOURS = re.compile(r"--([a-z]+): (#[0-9a-f]{6});")


class Reader(HTMLParser):
    """What a page is made of; refuses what is not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data

    def all(self, name: str) -> list[str]:
        """Every value of an attribute."""
        return [value for _, attrs in self.tags if (value := attrs.get(name)) is not None]


@cache
def page(name: str) -> str:
    bare = Background(facts=None, labcoat="", experiments=())
    return without_plotly(as_html(tune_paper(tune.CAMPAIGNS[name](), bare)))


def without_plotly(text: str) -> str:
    """The page without the library's five million letters, which must be there once."""
    before, library, after = text.partition(get_plotlyjs())
    assert library
    assert get_plotlyjs()[:100] not in after
    return f"{before}{after}"


@pytest.mark.slow
@pytest.mark.parametrize("name", tune.CAMPAIGNS)
def test_the_page_is_whole_and_asks_nobody_for_anything(name: str) -> None:
    text = page(name)
    reader = Reader(text)
    assert text.startswith("<!DOCTYPE html>")
    assert reader.all("src") == []
    assert [value for value in reader.all("href") if not value.startswith(("#", "data:"))] == []
    assert "@import" not in text.partition("</style>")[0]
    assert "default-src 'none'" in text
    assert len(text) < 1_000_000


@pytest.mark.slow
@pytest.mark.parametrize("name", tune.CAMPAIGNS)
def test_the_page_can_be_walked_by_ear(name: str) -> None:
    reader = Reader(page(name))
    ids = Counter(reader.all("id"))
    assert [each for each, times in ids.items() if times > 1] == []
    targets = [value[1:] for value in reader.all("href") if value.startswith("#")]
    labels = [each for value in reader.all("aria-labelledby") for each in value.split()]
    assert [each for each in targets + labels if each not in ids] == []
    assert ("html", {"lang": "en"}) in reader.tags
    levels = [int(tag[1]) for tag, _ in reader.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for tag, attrs in reader.tags:
        if attrs.get("role") in {"img", "region"} or tag == "nav":
            assert attrs.get("aria-label") or attrs.get("aria-labelledby"), attrs
        if tag == "th":
            assert attrs.get("scope") in {"col", "row", "rowgroup"}


@pytest.mark.slow
def test_what_others_wrote_is_text_and_nothing_else() -> None:
    ordinary, hostile = Reader(page("ordinary")), Reader(page("hostile"))
    assert len(hostile.scripts) == len(ordinary.scripts)
    assert not any(script.strip() == "alert(1)" for script in hostile.scripts)
    tags = [Counter(tag for tag, _ in reader.tags) for reader in (ordinary, hostile)]
    assert set(tags[1]) - set(tags[0]) == set()


@pytest.mark.slow
def test_every_number_that_rests_on_trials_leads_to_them(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.db") as journal:
        of = tune.record_campaign(journal, tune.interrupted(), blocks=1)
        text = without_plotly(as_html(tune_paper(of, read_background(journal, of.study_id))))
    reader = Reader(text)
    ids = set(reader.all("id"))
    linked = {value[1:] for value in reader.all("href") if value.startswith("#e-")}
    assert linked == {each for each in ids if each.startswith("e-")}
    assert len([each for each in ids if each.startswith("t-")]) == 4 * len(linked)


def palettes() -> dict[str, dict[str, str]]:
    """Light, dark and print: name -> colour."""
    style = (FOLDER / "page.css").read_text()
    light, dark, paper = (dict(COLOURS.findall(part)) for part in _roots(style))
    return {"light": light, "dark": dark, "print": paper}


def _roots(style: str) -> list[str]:
    return re.findall(r":root \{(.*?)\n\s*\}", style, re.DOTALL)


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", ["light", "dark", "print"])
def test_every_text_can_be_read_and_every_mark_be_seen(name: str) -> None:
    colours = palettes()[name]
    verdicts = ("improved", "regressed", "neutral", "open", "invalid")
    for text in ("ink", "muted", "accent", *verdicts):
        for ground in ("paper", "sheet"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for ground in ("added", "removed"):
        assert contrast(colours["ink"], colours[ground]) >= 4.5, ground


def test_light_dark_and_print_name_the_same_colours() -> None:
    one, *others = palettes().values()
    assert all(set(other) == set(one) for other in others)
    style = (FOLDER / "page.css").read_text()
    assert set(re.findall(r"var\(--([a-z]+)\)", style)) <= {*one, "band"}
