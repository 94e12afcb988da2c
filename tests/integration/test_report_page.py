"""The page in a real browser: on a phone and on a desk, light, dark and printed.

To look at it yourself: ``LABCOAT_KEEP_PAGES=folder`` keeps pages and screenshots there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labcoat.journal import Journal
from labcoat.report.forms.html import as_html
from labcoat.report.trials import Background, read_background
from labcoat.report.tune.campaign import tune_paper
from labcoat.testing import tune
from labcoat.testing.browser import Browser, Page
from labcoat.testing.host import FACTS

PHONE, DESK = 390, 1280
SHAPES = [(width, dark) for width in (PHONE, DESK) for dark in (False, True)]
BARE = Background(facts=FACTS, labcoat="0.1.0", experiments=())

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One page for each campaign; the ordinary one with its trials."""
    kept = os.environ.get("LABCOAT_KEEP_PAGES")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("pages")
    folder.mkdir(exist_ok=True)
    for name, make in tune.CAMPAIGNS.items():
        (folder / f"{name}.html").write_text(as_html(tune_paper(make(), BARE)))
    journal_file = tmp_path_factory.mktemp("journal") / "journal.db"
    with Journal.open(journal_file) as journal:
        of = tune.record_campaign(journal, tune.found(), blocks=2)
        text = as_html(tune_paper(of, read_background(journal, of.study_id)))
    (folder / "ordinary.html").write_text(text)
    return folder


@pytest.fixture(autouse=True)
def clean(browser: Browser) -> Iterator[None]:
    """No test sees another's pages."""
    yield
    browser.close_pages()


def opened(browser: Browser, pages: Path, name: str, width: int, **shape: Any) -> Page:
    page = browser.page(pages / f"{name}.html", width=width, **shape)
    if "LABCOAT_KEEP_PAGES" in os.environ:
        page.screenshot(pages / f"{name}-{width}-{'dark' if shape.get('dark') else 'light'}.png")
    return page


# Everything that stands on the page, every fold open.
OPEN_ALL = "document.querySelectorAll('details').forEach((each) => { each.open = true; })"


@pytest.mark.parametrize(
    ("name", "width", "dark"),
    [
        (name, width, dark)
        for name in tune.CAMPAIGNS
        for width, dark in SHAPES
        if name == "ordinary" or not dark
    ],
)
def test_it_draws_without_a_complaint_or_a_request_and_fits(
    browser: Browser, pages: Path, name: str, width: int, dark: bool
) -> None:
    page = opened(browser, pages, name, width, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(
        "[...document.querySelectorAll('.canvas')].every((each) => each.querySelector('svg'))"
    )
    page.evaluate(OPEN_ALL)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.complaints() == []
    assert page.requests() == []
    assert page.evaluate("performance.getEntriesByType('resource').length") == 0


CONTRASTS = """
(() => {
  const channels = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((each) => {
      const part = each / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const [r, g, b, a = 1] = channels(getComputedStyle(each).backgroundColor);
      if (a > 0.99) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || element.closest("script, style, noscript")) continue;
    const style = getComputedStyle(element);
    const drawn = element.closest("svg") !== null;
    const ink = channels(drawn ? style.fill : style.color);
    if (style.visibility === "hidden" || style.display === "none" || ink.length < 3) continue;
    const [one, other] = [light(ink), light(ground(element.closest(".canvas") ?? element))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${walker.currentNode.textContent.trim().slice(0, 40)}`);
  }
  return found;
})()
"""


@pytest.mark.parametrize(("width", "dark"), SHAPES)
def test_every_text_stands_out_from_what_is_behind_it(
    browser: Browser, pages: Path, width: int, dark: bool
) -> None:
    """As WCAG 2 asks, 4.5 to 1, in charts too."""
    page = opened(browser, pages, "ordinary", width, dark=dark)
    page.evaluate(OPEN_ALL)
    assert page.evaluate(CONTRASTS) == []


def test_charts_follow_the_reader_into_the_dark_and_onto_paper(
    browser: Browser, pages: Path
) -> None:
    ink = "getComputedStyle(document.querySelector('.canvas .xtick text')).fill"
    page = opened(browser, pages, "ordinary", DESK)
    by_day = page.evaluate(ink)
    page.shape(width=DESK, dark=True)
    page.until(f"{ink} !== '{by_day}'")
    page.shape(width=DESK, dark=True, media="print")
    page.until(f"{ink} === 'rgb(68, 68, 68)'")
    assert page.complaints() == []


def test_charts_take_the_width_there_is(browser: Browser, pages: Path) -> None:
    page = opened(browser, pages, "ordinary", DESK)
    page.shape(width=PHONE)
    page.until("document.querySelector('.canvas svg').clientWidth < 390")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE


TREE = "Accessibility.getFullAXTree"


def test_a_screen_reader_is_told_every_chart_table_and_heading(
    browser: Browser, pages: Path
) -> None:
    page = opened(browser, pages, "ordinary", PHONE)
    page.evaluate(OPEN_ALL)
    nodes = [each for each in page.ask(TREE)["nodes"] if not each.get("ignored")]

    def named(role: str) -> list[str]:
        return [
            each.get("name", {}).get("value", "")
            for each in nodes
            if each.get("role", {}).get("value") == role
        ]

    charts = named("image")
    assert len(charts) == 6
    assert all(re.search(r"\d", each) for each in charts)
    assert len(named("heading")) == 13 + 1 + 6
    # On a phone rows become cards, and must still be told as tables.
    assert len(named("table")) == page.evaluate("document.querySelectorAll('table').length")
    assert named("table").count("") == 0
    assert len(named("columnheader")) > 50
    assert len(named("rowheader")) > 50
    for role in ("link", "region", "DisclosureTriangle"):
        assert named(role).count("") == 0, role
    assert {"main", "banner", "navigation", "contentinfo"} <= {
        each.get("role", {}).get("value") for each in nodes
    }


def test_it_can_be_walked_with_the_keyboard(browser: Browser, pages: Path) -> None:
    """Tab goes down the page, each stop is seen and named, and none is a trap."""
    page = opened(browser, pages, "ordinary", DESK)
    stops = []
    for _ in range(40):
        page.press("Tab")
        stops.append(
            page.evaluate(
                "(() => { const e = document.activeElement; const r = e.getBoundingClientRect();"
                " return [e.tagName, Math.round(r.top + scrollY), r.width > 0,"
                " getComputedStyle(e).outlineStyle !== 'none'] })()"
            )
        )
    first, *others = stops
    assert first[0] == "A"
    assert {tag for tag, *_ in stops} <= {"A", "SUMMARY", "DIV", "PRE"}
    assert all(is_seen and is_outlined for _, _, is_seen, is_outlined in stops)
    places = [place for _, place, *_ in others]
    assert places == sorted(places)
    assert len(set(map(tuple, stops))) > 30


def test_a_number_leads_to_its_trials_though_they_are_folded_away(
    browser: Browser, pages: Path
) -> None:
    page = opened(browser, pages, "ordinary", PHONE)
    target = "document.getElementById(location.hash.slice(1))"
    page.evaluate("document.querySelector('a[href^=\"#e-\"]').click()")
    page.until(f"{target}.closest('details').open")
    page.until(f"Math.abs({target}.getBoundingClientRect().top) < innerHeight")
    assert page.evaluate(f"{target}.closest('details').querySelectorAll('tr').length") > 8


def test_nothing_that_others_wrote_is_done(browser: Browser, pages: Path) -> None:
    page = opened(browser, pages, "hostile", DESK)
    assert page.evaluate("document.querySelectorAll('b').length") == 0
    assert page.evaluate("[...document.scripts].some((s) => s.text.trim() === 'alert(1)')") is False


def test_without_scripts_every_number_is_still_there(browser: Browser, pages: Path) -> None:
    page = browser.page(pages / "ordinary.html", width=PHONE)
    page.ask("Emulation.setScriptExecutionDisabled", value=True)
    page.ask("Page.reload")
    page.until("document.readyState === 'complete'")
    page.until("document.querySelectorAll('noscript p').length === 6")
    tables = page.evaluate("document.querySelectorAll('.plot table').length")
    assert tables == page.evaluate("document.querySelectorAll('.plot').length") == 6
