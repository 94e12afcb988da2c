"""Documents: canonical, finite, without secrets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcoat.errors import JournalError
from labcoat.journal import rows
from labcoat.journal.documents import dumped, fingerprint, loaded, masked, study_document
from labcoat.model.experiment import Arm
from labcoat.model.stats import Decision, LabWarning, Verdict
from labcoat.model.study import Study
from labcoat.testing.journal import SECRET, a_study


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://shop:hunter2@db:5432/shop", "postgresql://shop:***@db:5432/shop"),
        ("redis://:hunter2@cache/0", "redis://:***@cache/0"),
        ("see http://127.0.0.1:8080/@me", "see http://127.0.0.1:8080/@me"),
        ("GET /login?token=hunter2&x=1", "GET /login?token=***&x=1"),
        ("DB_PASSWORD = hunter2", "DB_PASSWORD = ***"),
        ("api-key=hunter2;", "api-key=***;"),
        ("author=me compass=north processes=4", "author=me compass=north processes=4"),
        ("http://auth:8000/", "http://auth:8000/"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, expected: str) -> None:
    assert masked(text) == expected


def test_no_secret_of_a_study_reaches_its_document() -> None:
    text = dumped(study_document(a_study()), where="study")
    assert SECRET not in text
    request = json.loads(text)["workload"]["requests"][0]
    assert request["headers"] == [["Authorization", "***"], ["Accept", "text/html"]]
    assert request["path"] == "/login?token=***"
    assert "body" not in request


def test_a_secret_under_its_own_name_is_masked() -> None:
    text = dumped({"env": {"SECRET_KEY": "hunter2", "DEBUG": "1"}, "auth": 3}, where="x")
    assert json.loads(text) == {"env": {"SECRET_KEY": "***", "DEBUG": "1"}, "auth": 3}


def test_the_same_study_has_the_same_fingerprint_and_another_has_not() -> None:
    def of(study: Study) -> str:
        return fingerprint(dumped(study_document(study), where="study"))

    study = a_study()
    assert of(study) == of(a_study())
    for changed in (
        replace(study, users=33),
        replace(study, margin=0.03),
        replace(study, root=Path("/other")),
        replace(study, components=()),
    ):
        assert of(changed) != of(study)


def test_nouns_paths_and_numbers_of_numpy_are_kept_plain() -> None:
    warning = LabWarning(code="a", message="b", remedy="c")
    document = {"w": (warning,), "arm": Arm.BASELINE, "p": Path("/x"), "n": np.float64(0.5)}
    assert json.loads(dumped(document, where="x")) == {
        "w": [{"code": "a", "message": "b", "remedy": "c"}],
        "arm": "baseline",
        "p": "/x",
        "n": 0.5,
    }


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet="xyz"), inner),
)


@given(st.dictionaries(st.text(alphabet="xyz"), PLAIN))
def test_plain_documents_come_back(document: dict[str, Any]) -> None:
    assert loaded(dumped(document, where="x"), where="x") == document


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, {1: 2}, b"x", object()])
def test_what_json_does_not_have_is_refused(value: object) -> None:
    with pytest.raises(JournalError):
        dumped({"value": value}, where="finding 'x'")


def test_a_damaged_document_is_told() -> None:
    with pytest.raises(JournalError, match="damaged") as caught:
        loaded("{", where="finding 'x'")
    assert caught.value.where == "finding 'x'"


def test_a_reason_that_quotes_a_log_holds_no_secret() -> None:
    reason = "the treatment does not stand: no database at postgres://shop:hunter2@db/shop"
    decision = Decision(verdict=Verdict.INVALID, reason=reason, n=0)
    values = rows.verdict_values(decision, Verdict.INVALID, None)
    assert "hunter2" not in values["reason"]
