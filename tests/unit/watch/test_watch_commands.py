"""``labcoat watch init`` and ``watch check``: what is written, said, and returned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labcoat.cli.door import answer
from labcoat.watch.decide.explaining import explained
from labcoat.watch.decide.standing import Standing
from labcoat.watch.model.runbook import Mode, Semantics
from labcoat.watch.model.status import Status
from labcoat.watch.runbook.checking import check_file, check_site
from labcoat.watch.runbook.defaults import Defaults
from labcoat.watch.runbook.fixing import fixed
from labcoat.watch.runbook.load import load
from labcoat.watch.runbook.site_file import SiteFile, find_site, read_site, site_of
from labcoat.watch.runbook.site_watch import KEYS
from labcoat.watch.runbook.source import source_of
from labcoat.watch.shipped import SITE, files

Capture = pytest.CaptureFixture[str]

CLEAN = """\
name: r
checks:
  c: {execute_from: target, type: cmd, cmd: 'true'}
actions: {}
"""
ODD = """\
name: r
schedule:
  seconds: "*/30"
checks:
  c: {execute_from: ontarget, type: cmd, cmd: 'docker ps | wc -l | grep -q 0'}
actions:
  a: {execute_from: target, type: cmd, cmd: a, trigger: "2", frequency: 3, call_on: critical}
"""
CURED = """\
name: r
schedule:
  second: "*/30"
checks:
  c: {execute_from: target, type: cmd, cmd: 'docker ps | wc -l | grep -qx 0'}
actions:
  a: {execute_from: target, type: cmd, cmd: a, trigger: 2, frequency: 3, call_on: [CRITICAL]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_example_site_is_clean_and_only_advises(folder: Path, capsys: Capture) -> None:
    assert answer(["watch", "init"]) == 0
    assert answer(["watch", "check", "--strict"]) == 0
    assert "0 errors, 0 warnings in 2 runbooks" in capsys.readouterr().err
    site = read_site(folder / "config.yml")
    assert (site.watch.mode, site.semantics) == (Mode.ADVISE, Semantics.LABCOAT)
    assert site.findings == ()
    for name in files():
        assert (folder / name).read_bytes() == (SITE / name).read_bytes()
    for script in (folder / "plugins" / "actions" / "notify").iterdir():
        assert script.stat().st_mode & 0o111


def test_init_overwrites_nothing(folder: Path, capsys: Capture) -> None:
    (folder / "config.yml").write_text("mine\n")
    assert answer(["watch", "init"]) == 3
    assert (folder / "config.yml").read_text() == "mine\n"
    assert not (folder / "runbooks").exists()
    assert "none was written" in capsys.readouterr().err
    assert answer(["watch", "init", "elsewhere"]) == 0


@pytest.mark.parametrize(
    ("text", "options", "code"),
    [
        (CLEAN, [], 0),
        (CLEAN, ["--strict"], 0),
        (ODD, [], 1),
        (ODD, ["--strict"], 2),
        ("name: r\n", [], 2),
        ("name: [\n", [], 2),
        ("", [], 2),
    ],
)
def test_exit_codes_of_check(folder: Path, text: str, options: list[str], code: int) -> None:
    (folder / "r.yml").write_text(text)
    assert answer(["watch", "check", "r.yml", *options]) == code


@pytest.mark.parametrize(
    "argv", [["r.yml"], [], ["--facts", "gone.json"], ["--config", "gone.yml"]]
)
def test_what_is_not_there_is_told(folder: Path, argv: list[str], capsys: Capture) -> None:
    assert not list(folder.iterdir())
    assert answer(["watch", "check", *argv]) == (2 if "--config" in argv else 3)
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    assert "gone" in captured.out + captured.err or "there is no" in captured.err


@pytest.mark.parametrize("facts", ["nonsense", "[]", "{}"])
def test_facts_that_are_none_are_told(folder: Path, facts: str, capsys: Capture) -> None:
    (folder / "r.yml").write_text(CLEAN)
    (folder / "facts.json").write_text(facts)
    assert answer(["watch", "check", "r.yml", "--facts", "facts.json"]) == 3
    assert "facts.json" in capsys.readouterr().err


def test_findings_as_json(folder: Path, capsys: Capture) -> None:
    (folder / "r.yml").write_text(ODD)
    assert answer(["watch", "check", "--json", "r.yml"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["schema"], document["errors"], document["warnings"]) == (1, 0, 5)
    assert document["findings"][0]["code"] == "W201"
    assert document["findings"][0]["line"] == 3


def test_fix_prints_a_diff_and_edits_nothing(folder: Path, capsys: Capture) -> None:
    (folder / "r.yml").write_text(ODD)
    assert answer(["watch", "check", "--fix", "r.yml"]) == 1
    out = capsys.readouterr().out
    assert '-  seconds: "*/30"\n+  second: "*/30"\n' in out
    assert (folder / "r.yml").read_text() == ODD


def test_what_is_fixed_is_clean() -> None:
    source = source_of(ODD, path="r.yml", file="r.yml")
    assert fixed(source.text, load(source, {}).findings) == CURED
    assert load(source_of(CURED, path="r.yml", file="r.yml"), {}).findings == ()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("schedule: {second: */20, minute: 5}", 'schedule: {second: "*/20", minute: 5}'),
        ("schedule: */5 * * * *", 'schedule: "*/5 * * * *"'),
        ("cmd: echo threshold: 5", "cmd: |-\n  echo threshold: 5"),
    ],
)
def test_what_does_not_parse_is_fixed_too(before: str, after: str) -> None:
    findings = load(source_of(before, path="r", file="r"), {}).findings
    assert fixed(before, findings) == after


TWO = {"web1": {"hostname": "web1"}, "db1": {"hostname": "db1"}}
BRANCHED = CLEAN.replace(
    "name: r", "name: {% if facts.hostname == 'db1' %}[r]{% else %}r{% endif %}"
)


def test_each_target_is_rendered_with_its_own_facts(folder: Path, capsys: Capture) -> None:
    (folder / "r.yml").write_text(BRANCHED)
    (folder / "facts.json").write_text(json.dumps(TWO))
    assert answer(["watch", "check", "r.yml", "--facts", "facts.json"]) == 2
    out = capsys.readouterr().out
    assert "(target db1)" in out
    assert "web1" not in out
    (folder / "facts.json").write_text(json.dumps(TWO["web1"]))
    assert answer(["watch", "check", "r.yml", "--facts", "facts.json"]) == 0


def test_a_site_is_looked_through_by_its_globs(tmp_path: Path) -> None:
    (tmp_path / "init.yml").write_text("'web*': [one, two, gone]\n'db*': [two]\n")
    (tmp_path / "one.yml").write_text(CLEAN)
    (tmp_path / "two.yml").write_text(CLEAN)
    checked = check_site(tmp_path, TWO, Defaults())
    assert [f"{finding.file}:{finding.code}" for finding in checked.findings] == [
        "gone:E107",
        "two.yml:W206",
    ]


def test_a_folder_is_a_runbook(tmp_path: Path) -> None:
    (tmp_path / "nginx").mkdir()
    (tmp_path / "nginx" / "init.yml").write_text("name: r\n")
    checked = check_file(tmp_path / "nginx", {}, Defaults())
    assert {finding.file for finding in checked.findings} == {f"{tmp_path}/nginx/init.yml"}


def site_of_text(tmp_path: Path, text: str) -> SiteFile:
    file = tmp_path / "config.yml"
    file.write_text(text)
    return read_site(file)


def test_automatrons_own_configuration_is_read(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    file = tmp_path / "config" / "config.yml"
    file.write_text(
        "runbook_path: config/runbooks\nplugin_path: plugins/\n"
        "ssh:\n  user: root\n  gateway: False\n  key: |\n    -----BEGIN RSA PRIVATE KEY-----\n"
        "monitoring:\n  upload_path: /var/tmp\ndiscovery:\n  plugins:\n    webping: {port: 8000}\n"
        "    roster:\n      hosts: [10.0.0.1, web2]\ndatastore: {engine: redis}\n"
    )
    assert find_site(tmp_path) == file
    site = read_site(file)
    assert site.runbook_path == tmp_path / "config" / "runbooks"
    assert (site.hosts, site.upload_path_monitoring) == (("10.0.0.1", "web2"), "/var/tmp")
    login = site.credentials["default"]
    assert (login.user, login.gateway) == ("root", None)
    assert login.key is not None
    assert "PRIVATE" not in repr(site)
    assert [finding.code for finding in site.findings] == ["W230"]


def test_ssh_wins_over_the_default_credentials(tmp_path: Path) -> None:
    site = site_of_text(
        tmp_path,
        "credentials:\n  default: {user: a}\n  docker: {user: d, key_file: k, gateway: b}\nssh: {user: s}\n",
    )
    assert site.credentials["default"].user == "s"
    docker = site.credentials["docker"]
    assert (docker.user, docker.key_file, docker.gateway) == ("d", tmp_path / "k", "b")


WATCH = """\
watch:
  mode: act
  modes: {"db*": advise}
  semantics: labcoat
  spread: 5
  rate: 10/1h
  sentinels: [192.0.2.1, 192.0.2.2]
  maintenance:
    - {targets: "db*", schedule: "0 3 * * sun", duration: 2h, timezone: UTC}
    - {quiet: no-check, from: 2027-01-05T22:00:00Z, until: 2027-01-06T02:00:00Z}
  discovery: {command: ./targets.sh, every: 10m}
"""


def test_the_watchs_own_section(tmp_path: Path) -> None:
    site = site_of_text(tmp_path, WATCH)
    assert site.findings == ()
    cron, interval = site.watch.maintenance
    assert (cron.glob, cron.duration_s) == ("db*", 7200.0)
    assert interval.ends_s is not None
    assert interval.starts_s is not None
    assert interval.ends_s - interval.starts_s == 4 * 3600
    assert (site.watch.command, site.watch.every_s) == ("./targets.sh", 600.0)
    rules = site_of(site, targets=3, group_sizes={"*": 3})
    assert (rules.mode, rules.modes) == (Mode.ACT, (("db*", Mode.ADVISE),))
    assert rules.rate is not None
    assert rules.rate.count == 10


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("watch: 5\n", ["E113"]),
        ("- a\n", ["E113"]),
        ("watch: {mdoe: act}\n", ["W210"]),
        ("watch: {mode: acting}\n", ["E113"]),
        ("watch: {rate: often}\n", ["E131"]),
        ("watch: {maintenance: [x]}\n", ["E113"]),
        ("watch: {maintenance: [{targets: a}]}\n", ["E113"]),
        ("watch: {maintenance: [{from: soon, until: 2027-01-01}]}\n", ["E113"]),
        ("watch: {sentinels: {a: b}}\n", ["E113"]),
        ("a: [\n", ["E100"]),
        ("", []),
    ],
)
def test_mistakes_of_the_configuration(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert [finding.code for finding in site_of_text(tmp_path, text).findings] == expected


def test_explain_tells_slots_rules_and_guards(folder: Path, capsys: Capture) -> None:
    assert answer(["watch", "init"]) == 0
    capsys.readouterr()
    assert answer(["watch", "explain", "web1", "gunicorn.yml"]) == 0
    told = capsys.readouterr().out
    assert "the app answers (gunicorn.yml) on web1, semantics labcoat\ndue second */15, " in told
    assert told.count("\n  ") > 12
    assert "  when any of http was CRITICAL, UNKNOWN for 3 rounds in a row\n" in told
    assert (
        "  cured by 3 all-OK rounds in a row, from 5 s after its end, every 5 s, within 60 s\n"
        in told
    )
    assert "‹secret:CHAT_URL›" in told
    assert answer(["watch", "explain", "web1", "gunicorn.yml", "page"]) == 0
    assert "action restart" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["db1", "gunicorn.yml"], "db1 does not get 'gunicorn.yml'"),
        (["web1", "gunicorn.yml", "gone"], "there is no action 'gone'"),
    ],
)
def test_what_explain_does_not_find(
    folder: Path, argv: list[str], said: str, capsys: Capture
) -> None:
    assert folder.exists()
    assert answer(["watch", "init"]) == 0
    assert answer(["watch", "explain", *argv]) == 3
    assert said in capsys.readouterr().err


def test_explain_of_a_refused_runbook_tells_its_findings(folder: Path, capsys: Capture) -> None:
    assert answer(["watch", "init"]) == 0
    (folder / "runbooks" / "disk.yml").write_text("name: r\n")
    assert answer(["watch", "explain", "db1", "disk.yml"]) == 3
    assert "disk.yml:1:1 E112 checks is missing" in capsys.readouterr().err


def test_explain_in_compat_with_counters() -> None:
    loaded = load(source_of(CURED, path="r", file="r.yml"), {})
    assert loaded.runbook is not None
    standing = Standing(counts={Status.CRITICAL: 1}, last={"c": Status.CRITICAL})
    told = list(explained(loaded.runbook, "t", 1_800_000_000.0, standing=standing))
    assert "  when one of CRITICAL counts 2, and no check says anything else" in told
    assert "  now: counters CRITICAL 1" in told
    assert any(line.endswith("; last CRITICAL") for line in told)


def test_every_key_of_the_watchs_section_is_documented() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "watch-site.md"
    section = page.read_text().partition("## watch\n")[2].partition("\n## ")[0]
    assert [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")] == list(
        KEYS
    )


@pytest.mark.parametrize("argv", [["watch", "gone"], ["watch", "check", "--bogus"]])
def test_what_cannot_be_told_is_unknown_and_no_warning(argv: list[str], capsys: Capture) -> None:
    assert answer(argv) == 3
    assert capsys.readouterr().err


def test_the_json_of_a_failure_has_the_exit_code(folder: Path, capsys: Capture) -> None:
    assert not list(folder.iterdir())
    assert answer(["watch", "check", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["error"]["exit_code"] == 3
