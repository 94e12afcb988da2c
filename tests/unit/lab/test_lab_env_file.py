"""Env files, as dotenv libraries read them."""

from __future__ import annotations

import pytest

from labcoat.lab.study.env_file import NotAnEnvFile, read


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A=1\nB=two words\n", {"A": "1", "B": "two words"}),
        ("\ufeff# c\n\nexport A = 1 # c\r\nB='x # y'\r\n", {"A": "1", "B": "x # y"}),
        ('A="line\\none"\nB="two\nlines"\nC=""\n', {"A": "line\none", "B": "two\nlines", "C": ""}),
        ("A=p4ss#word\nB=", {"A": "p4ss#word", "B": ""}),
        ("H=db\nURL=postgres://u:${PW}@${H}/x\nP=${NO:-5}\nL='${H}'\n",
         {"H": "db", "URL": "postgres://u:s3cret@db/x", "P": "5", "L": "${H}"}),
        ("A=1\nA=2", {"A": "2"}),
        ("", {}),
    ],
)  # fmt: skip
def test_variables(text: str, said: dict[str, str]) -> None:
    assert read(text, {"PW": "s3cret"}) == said


@pytest.mark.parametrize(
    ("text", "line"), [("A=1\nwhat\n", 2), ("A='open\n", 1), ('\nA="x" y\n', 2), ("=1", 1)]
)
def test_what_is_none_is_told_by_its_line_alone(text: str, line: int) -> None:
    with pytest.raises(NotAnEnvFile) as caught:
        read(text, {})
    assert caught.value.line == line
    assert "what" not in str(caught.value)
