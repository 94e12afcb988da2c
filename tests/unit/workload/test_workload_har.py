"""HAR files: the order, the pauses, and nothing of who recorded them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from labcoat.errors import UsageError
from labcoat.workload.draft import Draft
from labcoat.workload.har import read_har
from labcoat.workload.toml import workload_text

JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.x"


def entry(url: str, at: float, *, status: int = 200, method: str = "GET", **more: Any) -> Any:
    headers = [
        {"name": "cookie", "value": "session=hidden"},
        {"name": "Authorization", "value": "Bearer hidden"},
        {"name": "accept", "value": "text/html"},
        {"name": "User-Agent", "value": "hidden"},
        {"name": "Content-Type", "value": "application/json"},
    ]
    return {
        "startedDateTime": f"2026-11-24T23:14:{at:06.3f}Z",
        "time": 500.0,
        "request": {"method": method, "url": url, "headers": headers, "bodySize": 0, **more},
        "response": {"status": status},
    }


def read(folder: Path, *entries: Any, host: str | None = None) -> Draft:
    (folder / "it.har").write_text(json.dumps({"log": {"entries": entries}}))
    return read_har(folder / "it.har", host=host)


def posted(kind: str, text: str) -> dict[str, Any]:
    return {"method": "POST", "postData": {"mimeType": kind, "text": text}, "bodySize": len(text)}


def test_requests_in_order_with_their_pauses(tmp_path: Path) -> None:
    draft = read(
        tmp_path,
        entry("https://shop.test/b?x={1}", 3.0),
        entry("https://shop.test/", 0.0, status=304),
        entry("https://cdn.test/a.js", 0.1),
        entry("https://shop.test/b?x={1}", 9.0),
        entry("https://shop.test/gone", 9.6, status=404),
    )
    assert [(r.path, r.weight, r.expect.statuses) for r in draft.requests] == [
        ("/", 1.0, (200,)),
        ("/b?x={{1}}", 2.0, (200,)),
    ]
    assert draft.requests[0].headers == (("Accept", "text/html"),)
    assert draft.facts == {"host": "shop.test", "pauses_s": [2.5, 5.5]}
    assert [(each.route, each.why) for each in draft.left_out] == [
        ("requests to cdn.test", "another host"),
        ("GET /gone", "it was answered with 404"),
    ]
    assert (
        read(
            tmp_path,
            entry("https://cdn.test/a.js", 0),
            entry("https://shop.test/", 1),
            host="shop.test",
        )
        .requests[0]
        .path
        == "/"
    )


def test_nothing_of_who_recorded_it_is_kept(tmp_path: Path) -> None:
    draft = read(
        tmp_path,
        entry(f"https://me:hidden@shop.test/?token=hidden&x={JWT}&q=a", 0.0),
        entry(
            "https://shop.test/login",
            1.0,
            **posted(
                "application/x-www-form-urlencoded; charset=utf-8",
                f"name=jo&password=hidden&x={JWT}&b=%7B",
            ),
        ),
        entry(
            "https://shop.test/api",
            2.0,
            **posted("application/json", json.dumps({"user": {"secret": "hidden"}, "n": [1, JWT]})),
        ),
    )
    text = workload_text(draft)
    assert "hidden" not in text
    assert JWT not in text
    assert dict(draft.dropped) == {
        "token": 1, "x": 1, "header Cookie": 3, "header Authorization": 3,
        "field password": 1, "field x": 1, "field secret": 1, "field n": 1,
    }  # fmt: skip
    assert [request.body for request in draft.requests] == [
        None, "name=jo&password=&x=&b=%7B", '{{"user": {{"secret": ""}}, "n": [1, ""]}}',
    ]  # fmt: skip


def test_a_body_that_is_missing_is_told(tmp_path: Path) -> None:
    lacking = entry("https://shop.test/up", 1.0, method="POST")
    lacking["request"]["bodySize"] = 7
    draft = read(tmp_path, entry("https://shop.test/", 0.0), lacking)
    assert [(each.route, each.why) for each in draft.left_out] == [
        ("POST /up", "the recording lacks its body")
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "this is no HAR file"),
        ("[]", "this is no HAR file"),
        ('{"log": {"entries": {}}}', "log.entries is no list"),
        ('{"log": {"entries": []}}', "no request that can be sent"),
        ('{"log": {"entries": [{}]}}', r"not as HAR 1.2 has it: KeyError\('request'\)"),
        ('{"log": {"entries": [{"request": 1, "response": 2}]}}', "not as HAR 1.2 has it"),
    ],
)
def test_bad_recordings_are_said(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "it.har").write_text(text)
    with pytest.raises(UsageError, match=said):
        read_har(tmp_path / "it.har", host=None)
