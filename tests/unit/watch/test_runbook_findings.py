"""Runbooks that load, runbooks that are refused, and what is said of them, where."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent, indent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labcoat.watch.model.guards import Breaker, Rate, Rolling, Verify
from labcoat.watch.model.runbook import Match, Mode, Place, Plugin, Semantics, Shell
from labcoat.watch.model.schedule import EVERY_MINUTE
from labcoat.watch.model.secret import filled, names_in, scrubbed
from labcoat.watch.model.status import Status
from labcoat.watch.runbook.codes import BY_NAME, CODES
from labcoat.watch.runbook.defaults import Defaults
from labcoat.watch.runbook.keys import KEYS
from labcoat.watch.runbook.load import Loaded, load, load_without_facts
from labcoat.watch.runbook.mapping import Assigned, mapping_of, read_mapping
from labcoat.watch.runbook.source import read_source, source_of

FACTS = {
    "hostname": "db-prod1",
    "network": {"eth0": {"v4": ["10.0.0.7"]}},
    "services": {"nginx": "running"},
}
CHECK = "{execute_from: target, type: cmd, cmd: 'true'}"
ACTION = (
    "execute_from: target, type: cmd, cmd: 'true', trigger: 2, frequency: 300, call_on: [CRITICAL]"
)


def loaded(text: str, facts: dict[str, object] | None = None, target: str | None = "t") -> Loaded:
    source = source_of(dedent(text), path="r", file="r.yml")
    return load(source, FACTS if facts is None else facts, target=target)


def book(
    *, schedule: str = "", check: str = CHECK, action: str = f"{{{ACTION}}}", more: str = ""
) -> str:
    lines = ["name: r", more, schedule, "checks:", f"  c: {check}", "actions:", f"  a: {action}"]
    return "\n".join(line for line in lines if line) + "\n"


def codes(result: Loaded) -> list[str]:
    return [f"{finding.line}:{finding.code}" for finding in result.findings]


def test_a_plain_runbook_loads_without_a_word() -> None:
    result = loaded(book())
    assert result.findings == ()
    assert result.runbook is not None
    (action,) = result.runbook.actions
    assert result.runbook.schedule == EVERY_MINUTE
    assert result.runbook.semantics is Semantics.COMPAT
    assert (action.trigger, action.frequency_s, set(action.call_on)) == (
        2,
        300.0,
        {Status.CRITICAL},
    )
    assert (action.guards.verify, action.guards.breaker, action.guards.rate) == (None, None, None)


@pytest.mark.parametrize(
    "schedule", ["0 */2 * * *", '"*/5 * * * *"', "{second: '*/20'}", "0 9 * * mon-fri"]
)
def test_schedules_without_a_word(schedule: str) -> None:
    result = loaded(book(schedule=f"schedule: {schedule}"))
    assert result.findings == ()
    assert result.runbook is not None


# What is wrong, and the lines and codes that say so. A runbook with an E… does not load.
CORPUS = {
    "unquoted star": (book(schedule="schedule: {second: */20}"), ["2:E101"]),
    "unquoted cron": (book(schedule="schedule: */5 * * * *"), ["2:E101"]),
    "colon in a plain text": (book(check="\n    execute_from: target\n    type: cmd\n    cmd: echo threshold: 5"), ["6:E102"]),
    "tabs": ("name: r\nchecks:\n\tc: 1\n", ["3:E100"]),
    "unclosed flow": ("name: r\nchecks: {c: {\n", ["2:E100"]),
    "two documents": ("name: r\n---\nname: s\n", ["2:E100"]),
    "an alias within itself": ("name: r\nchecks: &a\n  c: *a\n", ["1:E100"]),
    "a python object": ("name: !!python/object/apply:os.system ['true']\nchecks: {}\n", ["1:E105"]),
    "an unknown tag": ("name: !thing x\nchecks: {}\n", ["1:E105"]),
    "a bad date": (book(more="group: 2026-13-45"), ["2:E100"]),
    "empty": ("", ["1:E112"]),
    "a list": ("- a\n- b\n", ["1:E112"]),
    "go templates": (book(check="{execute_from: target, type: cmd, cmd: \"docker inspect -f '{{.State}}' x\"}"), ["3:E103"]),
    "bash arrays": (book(check="{execute_from: target, type: cmd, cmd: 'test ${#a[@]} -gt 0'}"), ["3:E103"]),
    "an open if": ("name: r\n{% if facts['os'] %}\nchecks: {}\n", ["2:E103"]),
    "include": ("name: r\n{% include 'base.yml' %}\n", ["2:E106"]),
    "no name": (f"checks: {{c: {CHECK}}}\nactions: {{}}\n", ["1:E112"]),
    "a number as name": (f"name: 5\nchecks: {{c: {CHECK}}}\nactions: {{}}\n", ["1:E112"]),
    "no checks": ("name: r\nactions: {}\n", ["1:E112"]),
    "checks are empty": ("name: r\nchecks: {}\nactions: {}\n", ["2:E112"]),
    "checks are a list": ("name: r\nchecks: [a]\nactions: {}\n", ["2:E113"]),
    "a check is text": (book(check="uptime"), ["3:E113"]),
    "execute_from elsewhere": (book(check="{execute_from: here, type: cmd, cmd: 'true'}"), ["3:E110"]),
    "a check on a host": (book(check="{execute_from: host, type: cmd, cmd: 'true'}"), ["3:E110"]),
    "no type": (book(check="{execute_from: target, cmd: 'true'}"), ["3:E112"]),
    "cmd is yes": (book(check="{execute_from: target, type: cmd, cmd: yes}"), ["3:E112"]),
    "args are a time": (book(check="{execute_from: target, type: plugin, plugin: p, args: 10:30}"), ["3:E112"]),
    "plugin leaves": (book(check="{execute_from: target, type: plugin, plugin: ../p, args: ''}"), ["3:E108"]),
    "no trigger": (book(action="{execute_from: target, type: cmd, cmd: a, frequency: 1, call_on: [OK]}"), ["5:E112"]),
    "no call_on": (book(action="{execute_from: target, type: cmd, cmd: a, frequency: 1, trigger: 1}"), ["5:E112"]),
    "call_on of other words": (book(action="{" + ACTION.replace("CRITICAL", "CRITCAL") + "}"), ["5:E111"]),
    "call_on is empty": (book(action="{" + ACTION.replace("CRITICAL", "") + "}"), ["5:E111"]),
    "a negative trigger": (book(action="{" + ACTION.replace("trigger: 2", "trigger: -1") + "}"), ["5:E113"]),
    "a trigger of words": (book(action="{" + ACTION.replace("trigger: 2", "trigger: two") + "}"), ["5:E113"]),
    "a frequency of words": (book(action="{" + ACTION.replace("300", "often") + "}"), ["5:E113"]),
    "host without host": (book(action="{" + ACTION.replace("target", "host") + "}"), ["5:E112"]),
    "four fields": (book(schedule='schedule: "* * * *"'), ["2:E120"]),
    "minute 61": (book(schedule='schedule: "61 * * * *"'), ["2:E120"]),
    "31 February": (book(schedule='schedule: "0 0 31 2 *"'), ["2:E120"]),
    "a field out of bounds": (book(schedule='schedule: {minute: "60"}'), ["2:E121"]),
    "a field that is a list": (book(schedule="schedule: {minute: [1, 2]}"), ["2:E121"]),
    "a zone of nowhere": (book(more="timezone: Europe/Nowhere"), ["2:E122"]),
    "other semantics": (book(more="semantics: labcaot"), ["2:E113"]),
    "a rate of words": (book(more="semantics: labcoat", action=f"{{{ACTION}, rate: often}}"), ["6:E131"]),
    "a window too short": (book(more="semantics: labcoat", action=f"{{{ACTION}, verify: {{ok: 9, window: 20}}}}"), ["6:E131"]),
    "a check that is not there": (book(more="semantics: labcoat", action=f"{{{ACTION}, checks: [d]}}"), ["6:E132"]),
    "whom to tell is not there": (book(more="semantics: labcoat", action=f"{{{ACTION}, escalate: [page]}}"), ["6:E132"]),
    "after itself": (book(more="semantics: labcoat", action=f"{{{ACTION}, after: a}}"), ["6:E132"]),
    "a rollback unverified": (book(more="semantics: labcoat", action=f"{{{ACTION}, verify: false, rollback: {CHECK}}}"), ["6:E131"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CORPUS)
def test_what_cannot_be_loaded_is_told_with_its_line(case: str) -> None:
    text, expected = CORPUS[case]
    result = loaded(text)
    assert result.runbook is None
    assert codes(result) == expected
    assert all(finding.fix for finding in result.findings)


# Traps of the original: loaded, and warned of.
TRAPS = {
    "seconds": (book(schedule='schedule:\n  seconds: "*/30"'), ["3:W201"]),
    "week in flow": (book(schedule='schedule: {week: "1", minute: 5}'), ["2:W201"]),
    "ontarget": (book(check=CHECK.replace("target", "ontarget")), ["3:W202"]),
    "plugins": (book(check="{execute_from: remote, type: plugins, plugin: p, args: ''}"), ["3:W202"]),
    "six fields": (book(schedule='schedule: "* * * * * 2026"'), ["2:W203"]),
    "call_on in small letters": (book(action="{" + ACTION.replace("CRITICAL", "critical") + "}"), ["5:W207"]),
    "call_on is one word": (book(action="{" + ACTION.replace("[CRITICAL]", "CRITICAL") + "}"), ["5:W207"]),
    "no args": (book(check="{execute_from: target, type: plugin, plugin: p}"), ["3:W208"]),
    "a key misspelt": (book(action=f"{{{ACTION}, run_onec: true}}"), ["5:W210"]),
    "a key twice": (book(action=f"{{{ACTION}, trigger: 3}}"), ["5:W211"]),
    "no actions": (f"name: r\nchecks: {{c: {CHECK}}}\n", ["1:W213"]),
    "weekday 1": (book(schedule='schedule: "0 0 * * 1"'), ["2:W220"]),
    "weekdays 1-5": (book(schedule='schedule: "0 0 * * 1-5"'), ["2:W220"]),
    "a trigger in quotes": (book(action="{" + ACTION.replace("trigger: 2", "trigger: '2'") + "}"), ["5:W221"]),
    "a frequency in quotes": (book(action="{" + ACTION.replace("300", "'300'") + "}"), ["5:W221"]),
    "run_once in quotes": (book(action=f"{{{ACTION}, run_once: 'False'}}"), ["5:W221"]),
    "a guard in compat": (book(action=f"{{{ACTION}, cooldown: 5m}}"), ["5:W222"]),
    "run_once on OK": (book(more="semantics: labcoat", action="{" + ACTION.replace("CRITICAL", "OK") + ", run_once: true}"), ["6:W223"]),
    "a key in args": (book(check="{execute_from: remote, type: plugin, plugin: p, args: --apikey 0123456789abcdef}"), ["3:W231"]),
    "grep -q 0": (book(check="{execute_from: target, type: cmd, cmd: 'docker ps | wc -l | grep -q 0'}"), ["3:W240"]),
}  # fmt: skip


@pytest.mark.parametrize("case", TRAPS)
def test_traps_are_loaded_and_warned_of(case: str) -> None:
    text, expected = TRAPS[case]
    result = loaded(text)
    assert result.runbook is not None
    assert codes(result) == expected


def test_every_code_has_a_row_and_is_used() -> None:
    assert len(BY_NAME) == len(CODES)
    used = {
        code.split(":")[1] for _, found in (*CORPUS.values(), *TRAPS.values()) for code in found
    }
    elsewhere = {
        "E104",
        "E107",
        "E114",
        "E130",
        "W204",
        "W205",
        "W206",
        "W212",
        "W230",
        "W241",
        "W242",
    }
    assert used | elsewhere == set(BY_NAME)


def test_quoted_values_are_read_as_they_were_meant() -> None:
    text = book(action="{" + ACTION.replace("trigger: 2", "trigger: '2'") + ", run_once: 'False'}")
    result = loaded(text)
    assert result.runbook is not None
    assert (result.runbook.actions[0].trigger, result.runbook.actions[0].run_once) == (2, False)


def test_suggestions_name_what_was_meant() -> None:
    result = loaded(book(action=f"{{{ACTION}, run_onec: true}}"))
    (finding,) = result.findings
    assert str(finding) == (
        f"r.yml:5:{finding.column} W210 unknown key run_onec; "
        'did you mean "run_once"?; fix: write run_once'
    )


BRANCHED = """\
name: r
{% if facts['hostname'].startswith('db-prod') %}
schedule:
  second: */20
{% else %}
schedule: {minute: "*/5"}
{% endif %}
checks:
  c: {execute_from: target, type: cmd, cmd: 'true'}
actions: {}
"""


def test_an_error_in_a_branch_refuses_the_targets_that_render_it() -> None:
    prod = loaded(BRANCHED, {"hostname": "db-prod1"})
    assert prod.runbook is None
    assert "4:E101" in codes(prod)


def test_an_error_in_another_branch_is_told_and_the_target_is_served() -> None:
    other = loaded(BRANCHED, {"hostname": "web1"})
    assert other.runbook is not None
    assert codes(other) == ["4:E101"]
    assert other.findings[0].target is None


def test_without_facts_both_sides_of_a_condition_are_read() -> None:
    text = BRANCHED.replace("*/20", '"*/20"').replace('minute: "*/5"', 'minutes: "*/5"')
    source = source_of(text, path="r", file="r.yml")
    result = load_without_facts(source, defaults=Defaults())
    assert result.runbook is not None
    assert codes(result) == ["6:W201"]


def test_w201_is_told_even_where_nothing_parses() -> None:
    text = """\
    name: r
    schedule:
      seconds: "*/30"
    checks:
      idle:
        execute_from: target
        type: cmd
        cmd: awk '{print threshold: $1}'
    """
    assert codes(loaded(text)) == ["3:W201", "8:E102"]


def test_lines_are_those_of_the_source_through_branches_and_loops() -> None:
    text = """\
    name: r
    {% for port in [80, 443] -%}
    {# a comment
       of two lines #}
    {% endfor %}
    checks:
    {% for port in [80, 443] %}
      port_{{ port }}: {execute_from: target, type: cmd, cmd: 'true'}
      odd_{{ port }}: {execute_from: ontarget, type: cmd, cmd: 'true'}
    {%- endfor %}

    actions:
      a: {execute_from: target, type: cmd, cmd: 'true', trigger: x, frequency: 1, call_on: [OK]}
    """
    assert codes(loaded(text)) == ["9:W202", "13:E113"]


def test_a_missing_fact_prints_nothing_and_is_told() -> None:
    text = book(check="{execute_from: target, type: cmd, cmd: 'ping {{ facts[\"nope\"] }}'}")
    result = loaded(text)
    assert codes(result) == ["3:W212"]
    assert result.runbook is not None
    assert result.runbook.checks[0].body.what == Shell("ping ")


def test_a_template_without_an_end_is_ended() -> None:
    loop = "{% for i in range(99999) %}{% for j in range(99999) %}xxxxxxxx{% endfor %}{% endfor %}"
    result = loaded(f"name: r\n{loop}\n")
    assert codes(result) == ["1:E104"]
    assert "more than 1,048,576 characters" in result.findings[0].message


def test_a_missing_parent_refuses_this_target_only() -> None:
    text = book(check="{execute_from: target, type: cmd, cmd: 'ping {{ facts.net.eth9 }}'}")
    result = loaded(text)
    assert codes(result) == ["3:E104"]
    assert result.findings[0].target == "t"
    assert loaded(text, {"net": {"eth9": "x"}}).runbook is not None


@pytest.mark.parametrize(
    "fact",
    ["a; reboot", "$(reboot)", "`reboot`", "a\nb", "a'b", 'a"b', "a|b", "a & b", "a > b", "x, cmd: y", "a: b", "a:", "a #b", "{a}", "*a", "-rf", "‹secret:N›", "a\\b", "a\u2028b"],
)  # fmt: skip
def test_hostile_facts_are_refused_unless_quoted(fact: str) -> None:
    text = "name: r\nchecks:\n  c:\n    execute_from: target\n    type: cmd\n    cmd: lb {{ %s }}\nactions: {}\n"
    plain = loaded(text % "facts.hostname", {"hostname": fact})
    assert plain.runbook is None
    assert codes(plain) == ["6:E130"]


@pytest.mark.parametrize(
    "fact", ["web-1.example.org", "10.0.0.1", "fe80::1", "6.1.0~bpo1", "Debian 12", "a,b"]
)
def test_harmless_facts_pass(fact: str) -> None:
    text = "name: r\nchecks:\n  c:\n    execute_from: target\n    type: cmd\n    cmd: lb {{ facts.x }}\nactions: {}\n"
    result = loaded(text, {"x": fact})
    assert result.runbook is not None
    assert result.runbook.checks[0].body.what == Shell(f"lb {fact}")


def test_a_quoted_fact_is_one_word_of_the_shell() -> None:
    text = "name: r\nchecks:\n  c:\n    execute_from: target\n    type: cmd\n    cmd: |-\n      lb {{ facts.x | quote }}\nactions: {}\n"
    result = loaded(text, {"x": "a; reboot"})
    assert result.runbook is not None
    assert result.runbook.checks[0].body.what == Shell("lb 'a; reboot'")


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=30))
def test_no_fact_changes_more_than_one_text(fact: str) -> None:
    text = "name: r\nchecks:\n  c: {execute_from: target, type: cmd, cmd: lb {{ facts.x }}, timeout: 7}\nactions: {}\n"
    result = loaded(text, {"x": fact})
    if result.runbook is None:
        return
    (check,) = result.runbook.checks
    assert (check.name, check.body.place, check.body.timeout_s) == ("c", Place.TARGET, 7.0)
    assert isinstance(check.body.what, Shell)
    assert not re.search(r"[;&|$`<>()'\"\\\n]", check.body.what.cmd)


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet="abc:{}[]%#\"'|>&*!- \n,0/x", max_size=80))
def test_no_text_makes_the_loader_raise(text: str) -> None:
    result = loaded(text)
    assert result.runbook is None
    assert result.findings
    assert any(finding.is_error for finding in result.findings)


def test_aliases_of_aliases_end() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert codes(loaded("\n".join(lines))) == ["1:E100"]


def test_anchors_and_merges_work() -> None:
    text = """\
    name: r
    base: &base {execute_from: target, type: cmd, cmd: 'true', timeout: 5}
    checks:
      c:
        <<: *base
        cmd: 'false'
    actions: {}
    """
    result = loaded(text)
    assert result.runbook is not None
    assert result.runbook.checks[0].body.what == Shell("false")
    assert result.runbook.checks[0].body.timeout_s == 5.0


def test_secrets_are_placeholders_until_they_are_filled() -> None:
    text = book(
        check="{execute_from: remote, type: plugin, plugin: p, args: \"-k {{ secret('DNS') }}\"}"
    )
    result = loaded(text)
    assert result.findings == ()
    assert result.runbook is not None
    what = result.runbook.checks[0].body.what
    assert what == Plugin("p", "-k ‹secret:DNS›")
    assert isinstance(what, Plugin)
    assert names_in(what.args) == ("DNS",)
    assert filled(what.args, {"DNS": "a b"}) == "-k 'a b'"
    assert scrubbed("error: a b is wrong", {"DNS": "a b"}) == "error: ‹secret:DNS› is wrong"


LABCOAT = f"""\
name: r
semantics: labcoat
mode: act
group: web
spread: 0
checks:
  http: {CHECK}
  rss: {CHECK}
actions:
  cure: {{{ACTION}, become: sudo, timeout: 1m, checks: http, verify: {{delay: 5, ok: 3}},
    rollback: {CHECK}, cooldown: 2m, rate: 4/1h, breaker: {{failures: 2, reset: 1h}},
    rolling: {{max: 10%, canary: 2}}, escalate: page}}
  back: {{{ACTION.replace("CRITICAL", "OK")}, on_recovery: true, verify: false, breaker: false, rate: false}}
  last: {{{ACTION}, after: cure, match: all, rolling: {{max: 3}}}}
  page: {{{ACTION}, manual: true}}
"""


def test_labcoat_mode_reads_every_guard() -> None:
    result = loaded(LABCOAT)
    assert result.findings == ()
    assert result.runbook is not None
    runbook = result.runbook
    cure, back, last, page = runbook.actions
    assert (runbook.mode, runbook.group, runbook.spread_s) == (Mode.ACT, "web", 0.0)
    assert (cure.body.become, cure.body.timeout_s, cure.checks) == (True, 60.0, ("http",))
    assert cure.guards.verify == Verify(delay_s=5.0, ok=3)
    assert cure.rollback is not None
    assert cure.guards.cooldown_s == 120.0
    assert cure.guards.rate == Rate(count=4, period_s=3600.0)
    assert cure.guards.breaker == Breaker(failures=2, reset_s=3600.0)
    assert cure.guards.rolling == Rolling(max_ratio=0.1, canary=2)
    assert cure.guards.escalate == ("page",)
    assert (back.match, back.on_recovery) == (Match.ALL, True)
    assert (back.guards.verify, back.guards.breaker, back.guards.rate) == (None, None, None)
    assert (last.after, last.match, last.guards.rolling.max_count) == ("cure", Match.ALL, 3)
    assert page.guards.manual


def test_the_sites_semantics_hold_where_a_runbook_says_nothing() -> None:
    source = source_of(book(), path="r", file="r.yml")
    result = load(source, {}, defaults=Defaults(semantics=Semantics.LABCOAT))
    assert result.runbook is not None
    assert result.runbook.actions[0].guards.verify == Verify()


def test_keys_have_one_row_each() -> None:
    rows = [(key.level, key.name) for key in KEYS]
    assert len(rows) == len(set(rows))


SPECIFICATION = """\
# 5 replica.yml: facts; action on another host
name: replication lag
{% if facts['hostname'].startswith('db-prod') %}
schedule: {second: "*/30"}
{% else %}
schedule: {second: 0, minute: "*/10", hour: 8-18, day_of_week: mon-fri}
{% endif %}
checks:
  lag: {execute_from: remote, type: plugin, plugin: pg/lag.py, args: "--host {{ facts['network']['eth0']['v4'][0] }} -w 10 -c 60"}
actions:
  drain: {execute_from: host, host: lb1, type: cmd, cmd: "lbctl drain {{ facts['hostname'] }}", trigger: 2, frequency: 900, call_on: [CRITICAL]}
  health: {execute_from: target, type: cmd, cmd: "docker inspect -f '{% raw %}{{.State.Health.Status}}{% endraw %}' api | grep -qx healthy", trigger: 5, frequency: 900, call_on: [OK]}
"""


def test_facts_raw_blocks_and_other_hosts() -> None:
    result = loaded(SPECIFICATION)
    assert result.findings == ()
    assert result.runbook is not None
    drain, health = result.runbook.actions
    assert result.runbook.schedule.seconds == (0, 30)
    assert result.runbook.checks[0].body.what == Plugin("pg/lag.py", "--host 10.0.0.7 -w 10 -c 60")
    assert (drain.body.place, drain.body.host) == (Place.HOST, "lb1")
    assert isinstance(health.body.what, Shell)
    assert "'{{.State.Health.Status}}'" in health.body.what.cmd


def test_globs_give_each_path_once_under_the_first_glob() -> None:
    mapped = mapping_of("'*': [load, disk.yml]\n'web*': [nginx, load]\n'Web*': [other]\n")
    assert mapped.findings == ()
    assert mapped.for_target("web1") == (
        Assigned("load", "*"), Assigned("disk.yml", "*"), Assigned("nginx", "web*"),
    )  # fmt: skip
    assert mapped.group_sizes(["web1", "web2", "db1"]) == {"*": 3, "web*": 2, "Web*": 0}


@pytest.mark.parametrize(
    ("text", "expected", "paths"),
    [
        ("*: [load]\n", ["E101"], ()),
        ("'*':\n", ["W204"], ()),
        ("'*': load\n", ["W205"], ("load",)),
        ("'*': [../load, /etc/x, nginx]\n", ["E108", "E108"], ("nginx",)),
        ("- load\n", ["E113"], ()),
        ("'*': [{{ facts.x.y }}]\n", ["E104"], ()),
    ],
)
def test_mistakes_in_init_yml(text: str, expected: list[str], paths: tuple[str, ...]) -> None:
    mapped = mapping_of(text.replace(", /etc", ",\n  /etc"))
    assert [finding.code for finding in mapped.findings] == expected
    assert tuple(a.path for a in mapped.for_target("t")) == paths


def test_paths_of_runbooks(tmp_path: Path) -> None:
    (tmp_path / "nginx").mkdir()
    (tmp_path / "nginx" / "init.yml").write_text(book())
    (tmp_path / "disk.yml").write_text(book())
    (tmp_path / "load.yaml").write_text(book())
    (tmp_path / "bad.yml").write_bytes(b"name: \xff\n")
    (tmp_path / "out.yml").symlink_to("/etc/hostname")
    files = {
        path: read_source(tmp_path, path).file for path in ("nginx", "disk.yml", "disk", "load")
    }
    assert files == {
        "nginx": "nginx/init.yml",
        "disk.yml": "disk.yml",
        "disk": "disk.yml",
        "load": "load.yaml",
    }
    for path, code in (
        ("nope", "E107"),
        ("bad.yml", "E107"),
        ("out.yml", "E108"),
        ("../x", "E108"),
    ):
        source = read_source(tmp_path, path)
        assert source.template is None
        assert [finding.code for finding in source.findings] == [code]
    assert [f.code for f in read_mapping(tmp_path).findings] == ["E107"]


def test_plugins_are_looked_at(tmp_path: Path) -> None:
    checks = tmp_path / "checks"
    checks.mkdir()
    elf = bytearray(64)
    elf[:6], elf[18:20] = b"\x7fELF\x02\x01", (0xFFFF).to_bytes(2, "little")
    (checks / "foreign").write_bytes(elf)
    (checks / "needy").write_text("#!/bin/sh\n. $PROGPATH/utils.sh\n")
    (checks / "fine").write_text("#!/bin/sh\nexit 0\n")
    defaults = Defaults(plugin_path=tmp_path)
    found = {}
    for name in ("foreign", "needy", "fine", "gone"):
        check = f"{{execute_from: target, type: plugin, plugin: {name}, args: ''}}"
        result = load(source_of(book(check=check), path="r", file="r.yml"), {}, defaults=defaults)
        found[name] = codes(result)
        assert (result.runbook is None) == (name == "gone")
    assert found == {"foreign": ["3:W241"], "needy": ["3:W242"], "fine": [], "gone": ["3:E114"]}
    remote = "{execute_from: remote, type: plugin, plugin: needy, args: ''}"
    assert (
        codes(load(source_of(book(check=remote), path="r", file="r.yml"), {}, defaults=defaults))
        == []
    )


def test_indented_source_keeps_its_columns() -> None:
    text = "name: r\nchecks:\n" + indent(f"c: {CHECK}\n", "  ") + "actions:\n  a:\n    trigger: x\n"
    result = loaded(text)
    (finding,) = [each for each in result.findings if each.code == "E113"]
    assert (finding.line, finding.column) == (6, 5)
