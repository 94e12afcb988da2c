"""``labcoat report``: what it finds in a journal, where it puts it, what it says when there is none."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from labcoat.cli.door import answer
from labcoat.cli.report import write_whole
from labcoat.journal import Journal
from labcoat.lab.study.study_file import read_study
from labcoat.model.tune import TuneFinding
from labcoat.report.tune.words import marked
from labcoat.testing import tune
from labcoat.testing.host import FACTS

Capture = pytest.CaptureFixture[str]
STUDY = """\
[app]
wsgi = "tiny:app"
[stack]
gunicorn = true
[workload]
users = {users}
requests = [{{ path = "/" }}]
"""

pytestmark = pytest.mark.slow


def write_study(folder: Path, *, users: int = 5, file: str = "labcoat.toml") -> Path:
    (folder / "tiny.py").write_text("app = None\n")
    (folder / file).write_text(STUDY.format(users=users))
    return folder / file


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_study(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def journal_in(folder: Path) -> Journal:
    return Journal.open(folder / ".labcoat" / "journal.db")


def recorded(folder: Path, of: TuneFinding, file: str = "labcoat.toml") -> TuneFinding:
    with journal_in(folder) as journal:
        return tune.record_campaign(journal, of, study=read_study(folder / file), blocks=1)


def said(argv: list[str], capsys: Capture, code: int = 0) -> str:
    assert answer(["report", *argv]) == code, capsys.readouterr().err
    captured = capsys.readouterr()
    return captured.err if code else captured.out


def test_the_page_lies_beside_the_journal_and_its_path_is_printed(
    project: Path, capsys: Capture
) -> None:
    of = recorded(project, tune.found())
    page = Path(said([], capsys).strip())
    assert page == project / ".labcoat" / "report.html"
    text = page.read_text()
    assert text.startswith("<!DOCTYPE html>")
    assert of.steps[0].experiment.experiment_id in text
    assert [each.name for each in page.parent.iterdir() if each.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("form", "begin"), [("text", "labcoat tune: shop\n"), ("md", "## labcoat")]
)
def test_other_forms_go_to_standard_output(
    project: Path, capsys: Capture, form: str, begin: str
) -> None:
    recorded(project, tune.found())
    assert said(["--format", form], capsys).startswith(begin)
    assert not (project / ".labcoat" / "report.html").exists()


def test_json_is_the_document_itself(project: Path, capsys: Capture) -> None:
    of = recorded(project, tune.found())
    document = json.loads(said(["--format", "json"], capsys))
    assert document == json.loads(json.dumps(asdict(of)))
    out = project / "there.json"
    assert said(["--format", "json", "--out", str(out)], capsys).strip() == str(out)
    assert json.loads(out.read_text()) == document


def test_out_names_a_file_or_standard_output(project: Path, capsys: Capture) -> None:
    recorded(project, tune.interrupted())
    out = project / "deep" / "there.md"
    assert said(["--format", "md", "--out", str(out)], capsys).strip() == str(out)
    assert out.read_text().startswith("## labcoat tune")
    assert said(["--out", "-"], capsys).startswith("<!DOCTYPE html>")


def test_the_last_campaign_is_told_whichever_study_file_it_was_of(
    project: Path, capsys: Capture
) -> None:
    write_study(project, users=9, file="other.toml")
    recorded(project, replace(tune.nothing(), sentence="The first."))
    recorded(project, replace(tune.nothing(), sentence="The last."), "other.toml")
    assert "The last." in said(["--format", "text"], capsys)
    assert "The first." in said(["--format", "text", "--study", "labcoat.toml"], capsys)


def test_a_study_file_that_was_edited_since_is_still_the_same_study(
    project: Path, capsys: Capture
) -> None:
    recorded(project, replace(tune.nothing(), sentence="The first."))
    write_study(project, users=6)
    assert "The first." in said(["--format", "text", "--study", "labcoat.toml"], capsys)


def test_a_mistake_in_the_study_file_does_not_hide_what_was_found(
    project: Path, capsys: Capture
) -> None:
    recorded(project, replace(tune.nothing(), sentence="It was so."))
    (project / "labcoat.toml").write_text("[app\n")
    assert "It was so." in said(["--format", "text"], capsys)


def test_an_id_names_an_earlier_study(project: Path, capsys: Capture) -> None:
    first = recorded(project, replace(tune.nothing(), sentence="The first."))
    write_study(project, users=7)
    recorded(project, replace(tune.nothing(), sentence="The last."))
    assert "The first." in said(["--format", "text", "--id", first.study_id], capsys)
    assert "there is no study 'gone'" in said(["--id", "gone"], capsys, code=1)


def test_a_journal_that_was_sent_needs_no_study(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:  # fmt: skip
    recorded(project, tune.nothing())
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    sent = elsewhere / "sent.db"
    sent.write_bytes((project / ".labcoat" / "journal.db").read_bytes())
    monkeypatch.chdir(elsewhere)
    assert said(["--journal", str(sent)], capsys).strip() == str(elsewhere / "report.html")


def test_without_a_campaign_there_is_what_there_is(project: Path, capsys: Capture) -> None:
    with journal_in(project) as journal:
        study = journal.begin_study(read_study(project / "labcoat.toml"))
        journal.record_facts(study.id, FACTS)
        journal.record_finding(study.id, "baseline", asdict(tune.baseline()))
        only = tune.steps()[0].experiment
        tried = {
            "schema": 1,
            "study": "shop",
            "study_id": study.id,
            "at": tune.AT,
            "elapsed_s": 9.0,
        }
        text = said(["--format", "text"], capsys)
        assert "No campaign yet" in text
        assert "Where the time goes" in text
        assert "labcoat try" not in text
        journal.record_finding(study.id, "try", {**tried, "experiments": [asdict(only)]})
        text = said(["--format", "text"], capsys)
    assert marked("improved") in text
    assert "Where the time goes" in text
    assert "labcoat tune" in said(["--format", "md"], capsys)
    assert json.loads(said(["--format", "json"], capsys))["experiments"][0]["verdict"] == "improved"
    assert Path(said([], capsys).strip()).read_text().startswith("<!DOCTYPE html>")


ERRORS = [
    ([], "there is no journal yet", "labcoat tune, or first labcoat baseline", 1),
    (["--journal", "gone.db"], "there is no journal yet", "labcoat tune", 1),
    (["--open", "--format", "md"], "only a page in a file can be shown", "leave out --open", 2),
    (["--open", "--out", "-"], "only a page in a file can be shown", "leave out --open", 2),
    (["--format", "pdf"], "'pdf' is not one of", "labcoat report --help", 2),
]


@pytest.mark.parametrize(("argv", "what", "way_out", "code"), ERRORS)
def test_what_cannot_be_told_is_said_with_the_way_out(
    project: Path, capsys: Capture, argv: list[str], what: str, way_out: str, code: int
) -> None:
    told = said(argv, capsys, code=code)
    assert what in told
    assert way_out in told


def test_an_empty_journal_is_said_to_be_empty(project: Path, capsys: Capture) -> None:
    with journal_in(project):
        pass
    told = said([], capsys, code=1)
    assert "nothing was measured to its end yet" in told
    assert "journal.db" in told
    assert "labcoat tune, or first labcoat baseline" in told


def test_outside_a_project_it_says_how_to_name_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "name one with --study FILE" in said([], capsys, code=2)


@pytest.mark.parametrize("opened", [True, False])
def test_the_page_is_shown_in_a_browser(
    project: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, opened: bool
) -> None:
    recorded(project, tune.nothing())
    shown: list[str] = []

    def show(url: str) -> bool:
        shown.append(url)
        return opened

    monkeypatch.setattr("webbrowser.open", show)
    assert answer(["report", "--open"]) == 0
    assert shown == [(project / ".labcoat" / "report.html").as_uri()]
    assert ("open the page by hand" in capsys.readouterr().err) is not opened


def test_a_page_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    write_whole(page, "before")
    with pytest.raises(UnicodeEncodeError):
        write_whole(page, "half of it\ud800")
    assert page.read_text() == "before"
    assert list(tmp_path.iterdir()) == [page]
