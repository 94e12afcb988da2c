"""What is handed over: the patch, the short diff that the journal keeps, and the words."""

from __future__ import annotations

import stat
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from labcoat.errors import HostError, RenderError
from labcoat.journal import documents
from labcoat.lab.handover import unified
from labcoat.lab.handover.digests import digest, digests_of
from labcoat.lab.handover.patch import hand_over, keep_patch
from labcoat.model.study import ComponentSpec, Study
from labcoat.model.tune import FileChange
from labcoat.model.variant import ORIGIN, Level, Variant
from labcoat.testing.stack import tiny_study

UWSGI = "[uwsgi]\n; the shop\nenv = SECRET=hunter2\nprocesses = 1 ; token hunter2\nmaster = true\n"
NGINX = """\
events {}
http {
    server { listen 80; proxy_set_header Authorization "Basic hunter2"; gzip off; # hunter2
        location / { uwsgi_pass 127.0.0.1:1; }
    }
}
"""


@pytest.fixture
def study(tmp_path: Path) -> Study:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "uwsgi.ini").write_text(UWSGI)
    (tmp_path / "nginx.conf").write_text(NGINX)
    stack = (
        ComponentSpec(name="nginx", file=tmp_path / "nginx.conf"),
        ComponentSpec(name="uwsgi", file=tmp_path / "deploy" / "uwsgi.ini"),
    )
    return tiny_study(tmp_path, stack)


def test_a_handover_is_a_patch_and_a_short_diff(study: Study) -> None:
    variant = Variant.of({"uwsgi.threads": 2, "python.PYTHONMALLOC": "malloc"})
    digests = digests_of(study)
    handed, patch = hand_over(study, variant, digests)
    assert handed.assignment == variant.assignment
    assert handed.files == (FileChange(path="deploy/uwsgi.ini", lines=1),)
    assert handed.digests == digests
    assert handed.diff == (
        "--- a/deploy/uwsgi.ini\n+++ b/deploy/uwsgi.ini\n@@ -5,0 +6 @@\n+threads = 2\n"
    )
    assert patch == (
        f"# by hand: {handed.by_hand[0]}\n"
        "--- a/deploy/uwsgi.ini\n+++ b/deploy/uwsgi.ini\n@@ -3,3 +3,4 @@\n"
        " env = SECRET=hunter2\n processes = 1 ; token hunter2\n master = true\n+threads = 2\n"
    )


def test_what_is_journaled_holds_no_secret_of_a_file(study: Study) -> None:
    levels: dict[str, Level] = {"uwsgi.processes": 4, "uwsgi.threads": 2, "nginx.gzip": True}
    handed, patch = hand_over(study, Variant.of(levels), digests_of(study))
    assert "hunter2" in patch
    assert "hunter2" not in str(asdict(handed))
    assert handed.diff.splitlines()[2:5] == [
        "@@ -3 +3 @@",
        "-    … gzip off; …",
        "+    … gzip on; …",
    ]
    assert handed.diff.splitlines()[-5:] == [
        "@@ -4 +4 @@", "-processes = 1 ; …", "+processes = 4", "@@ -5,0 +6 @@", "+threads = 2",
    ]  # fmt: skip
    assert documents.masked(handed.diff) == handed.diff


def test_of_the_apps_environment_the_pool_alone_is_shown(study: Study) -> None:
    study = replace(study, app=replace(study.app, pool="POOL"))
    study.file.write_text("[app]\nenv = { SECRET = 'hunter2', POOL = '8' }\n")
    handed, patch = hand_over(study, Variant.of({"app.pool": 4}), digests_of(study))
    assert handed.diff.splitlines()[-2:] == ["-… POOL = '8' }", '+… POOL = "4" }']
    assert "hunter2" in patch
    assert handed.files == (FileChange(path="labcoat.toml", lines=2),)


def test_nothing_is_handed_over_for_the_origin(study: Study) -> None:
    handed, patch = hand_over(study, ORIGIN, digests_of(study))
    assert (handed.diff, handed.files, handed.by_hand, patch) == ("", (), (), "")


def test_a_file_that_has_changed_since_is_refused(study: Study, tmp_path: Path) -> None:
    digests = digests_of(study)
    (tmp_path / "nginx.conf").write_text(NGINX + "# more\n")
    with pytest.raises(RenderError, match="not those that were measured") as caught:
        hand_over(study, Variant.of({"uwsgi.threads": 2}), digests)
    assert caught.value.log == ("nginx.conf: changed since",)
    assert "labcoat tune" in (caught.value.way_out or "")
    with pytest.raises(RenderError) as caught:
        hand_over(study, Variant.of({"uwsgi.threads": 2}), (("gone.conf", "0"), *digests[1:]))
    assert caught.value.log == (
        "gone.conf: no longer part of the stack", "nginx.conf: was not part of the stack",
    )  # fmt: skip


def test_digests_are_keyed_and_name_files_from_the_studys_folder(
    study: Study, tmp_path: Path
) -> None:
    assert [name for name, _ in digests_of(study)] == ["nginx.conf", "deploy/uwsgi.ini"]
    key = (tmp_path / ".labcoat" / "key").read_bytes()
    assert dict(digests_of(study))["nginx.conf"] == digest(key, NGINX.encode())
    assert digest(b"other", NGINX.encode()) != digest(key, NGINX.encode())
    assert stat.S_IMODE((tmp_path / ".labcoat" / "key").stat().st_mode) == 0o600


def test_a_key_that_cannot_be_kept_is_an_error(study: Study, tmp_path: Path) -> None:
    (tmp_path / ".labcoat").write_text("a file")
    with pytest.raises(HostError, match="cannot keep the project's key"):
        digests_of(study)


def test_a_file_outside_the_studys_folder_is_told_not_patched(tmp_path: Path) -> None:
    (tmp_path / "uwsgi.ini").write_text(UWSGI)
    folder = tmp_path / "study"
    folder.mkdir()
    study = tiny_study(folder, (ComponentSpec(name="uwsgi", file=folder / ".." / "uwsgi.ini"),))
    handed, patch = hand_over(study, Variant.of({"uwsgi.threads": 2}), digests_of(study))
    outside = str(tmp_path / "uwsgi.ini")
    assert [name for name, _ in handed.digests] == [outside]
    assert handed.files == (FileChange(path=outside, lines=1),)
    assert handed.by_hand[0].startswith(f"{outside} lies outside {folder}")
    assert all(line.startswith("# by hand: ") for line in patch.splitlines())


def test_the_patch_is_kept_for_its_owner_alone(study: Study, tmp_path: Path) -> None:
    for text in ("first\n", "second ñ\n"):
        path = keep_patch(study, text)
        assert path == tmp_path / ".labcoat" / "tuned.patch"
        assert path.read_bytes() == text.encode()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in (tmp_path / ".labcoat").iterdir()] == ["tuned.patch"]


def test_a_patch_that_cannot_be_kept_is_an_error(study: Study, tmp_path: Path) -> None:
    (tmp_path / ".labcoat").write_text("a file")
    with pytest.raises(HostError, match="cannot keep the patch") as caught:
        keep_patch(study, "x")
    assert caught.value.way_out


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a.conf", "--- a/a.conf\n+++ b/a.conf\n"),
        ("my own.conf", "--- a/my own.conf\t\n+++ b/my own.conf\t\n"),
        ('q"\\\t.c', '--- "a/q\\"\\\\\\t.c"\n+++ "b/q\\"\\\\\\t.c"\n'),
        ("\x01 é", '--- "a/\\001 é"\t\n+++ "b/\\001 é"\t\n'),
    ],
)
def test_names_are_spelled_as_git_spells_them(name: str, header: str) -> None:
    assert unified.patch(name, "1\n", "2\n") == f"{header}@@ -1 +1 @@\n-1\n+2\n"


@pytest.mark.parametrize(
    ("before", "after", "hunk"),
    [
        ("1", "2\n", "-1\n\\ No newline at end of file\n+2\n"),
        ("1\r\n", "2\r\n", "-1\r\n+2\r\n"),
        ("a\x0cb\u2028c\n", "2\n", "-a\x0cb\u2028c\n+2\n"),
    ],
)
def test_lines_end_where_lines_end(before: str, after: str, hunk: str) -> None:
    assert unified.patch("f", before, after).partition("@@\n")[2] == hunk


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("threads = 4", "threads = 4"),
        ("\tthreads 4;", "\tthreads 4;"),
        ("threads = 4  # secret", "threads = 4  …"),
        ("a = 'secret'; threads = 4; b = 2", "… threads = 4; …"),
        ("# threads = secret", "…"),
        ("x = { threads = 4, password = 'secret' }", "… threads = 4, …"),
        ("x = { password = 'secret', threads = '4' }", "… threads = '4' }"),
        ("threads = int(os.environ.get('secret'))", "threads = int(…"),
        ("threads = 1 if 'secret' else 2", "threads = 1 if …"),
        ("my-threads = secret", "…"),
        ("uwsgi.threads = secret", "…"),
        ("gunicorn = 'secret'", "…"),
        ("secret = '#'; threads = 4", "… threads = 4"),
        ("ours", "ours"),
        ("", ""),
    ],
)
def test_a_line_is_cut_to_its_directive(line: str, told: str) -> None:
    diff = unified.short("f", "", line + "\n", directives=["threads"], ours=["ours"])
    assert diff.splitlines()[3:] == [f"+{told}"]


def test_nothing_is_shown_where_nothing_is_known_or_changed() -> None:
    assert unified.short("f", "a = 1\n", "a = 1\n", directives=["a"]) == ""
    assert unified.short("f", "", "a = 1\n", directives=[]).splitlines()[3:] == ["+…"]


@pytest.mark.parametrize(
    ("levels", "lines"),
    [
        ({"nginx.listen.backlog": 64}, ["-    … listen 80; …", "+    … listen 80 backlog=64; …"]),
        ({"nginx.proxy_set_header.Connection": '""'}, ['+    proxy_set_header Connection "";']),
    ],
)
def test_parameters_are_shown_with_their_directive(
    study: Study, levels: dict[str, Level], lines: list[str]
) -> None:
    handed, _ = hand_over(study, Variant.of(levels), digests_of(study))
    shown = [line for line in handed.diff.splitlines() if line[0] in "+-" and line[1] not in "+-"]
    assert shown == lines
