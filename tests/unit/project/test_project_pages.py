from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from labcoat.cli.rows import COMMANDS

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def headings(page: Path) -> list[str]:
    return re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text()), re.MULTILINE)


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = []
    for link in LINK.findall(FENCED.sub("", page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, fragment = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (
            fragment and fragment not in {anchor(heading) for heading in headings(target)}
        ):
            dead.append(link)
    assert dead == []


def test_every_page_is_reached_from_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / link).resolve() for link in LINK.findall(index.read_text())}
    pages = {page.resolve() for page in (ROOT / "docs").rglob("*.md")} - {index.resolve()}
    assert names(sorted(pages - linked)) == []


def test_every_command_has_a_heading() -> None:
    assert {row.name for row in COMMANDS} <= set(headings(ROOT / "docs/reference/commands.md"))


def test_every_decision_says_what_would_change_our_mind() -> None:
    sections = ["Context", "Decision", "Consequences", "What would change our mind"]
    for page in sorted((ROOT / "docs" / "adr").glob("*.md")):
        assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", page.name), page
        title, *rest = headings(page)
        assert title.startswith(page.name[:4] + " "), page
        assert rest == sections, page


def test_every_glossary_term_has_a_sentence() -> None:
    parts = re.split(r"^### (.+)$", (ROOT / "docs/glossary.md").read_text(), flags=re.MULTILINE)
    terms = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert [term for term, text in terms.items() if not re.match(r"\s+\S.*\.\s", text)] == []
    words = """
        Study Experiment Block Trial Measurement Knob Domain Level Variant Origin Incumbent Baseline
        Treatment Arm Workload Arrival_plan Metric Objective Guardrail Margin Noise_floor Sample
        Effect Verdict Confirmation Stack Component Sandbox Host Facts Apply_cost Journal Event
        Finding Protocol Check Runbook Action
    """
    assert {word.replace("_", " ") for word in words.split()} - set(terms) == set()


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    page = (ROOT / "docs/adr/0009-dependencies.md").read_text()
    named = [re.split(r"[\[<>=~]", text)[0] for text in project["project"]["dependencies"]]
    assert re.findall(r"^\| ([a-z0-9-]+) \|", page, re.MULTILINE)[1:] == sorted(named)
    others = project["project"]["optional-dependencies"]["embedded"]
    others = [*others, *project["dependency-groups"]["dev"]]
    bare = [re.split(r"[\[<>=~]", text)[0] for text in others]
    assert [name for name in bare if name not in page] == []


def test_the_lock_holds_every_dependency_and_names_no_registry() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    locked = set(re.findall(r"^([a-z0-9._-]+)==", lock, re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    wanted += project["project"]["optional-dependencies"]["embedded"]
    assert {re.split(r"[\[<>=~]", text)[0].lower() for text in wanted} - locked == set()
    assert "://" not in lock


def test_changelog_fragments_have_a_slug_and_a_kind() -> None:
    fragments = sorted((ROOT / "changelog.d").iterdir())
    wrong = [
        path.name
        for path in fragments
        if not re.fullmatch(r"[a-z0-9-]+\.(added|changed|fixed|removed)\.md", path.name)
        or not path.read_text().strip()
    ]
    assert wrong == []


def test_the_readme_is_one_screenful() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 60


@pytest.mark.slow
def test_the_generated_pages_are_fresh() -> None:
    completed = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"],
        cwd=ROOT, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert (completed.returncode, completed.stdout, completed.stderr) == (0, "", "")
