"""What is secret of an app's environment, and which variable an app misses."""

from __future__ import annotations

from pathlib import Path

import pytest

from labcoat.errors import RenderError
from labcoat.model.study import App, Interface
from labcoat.stack.blame import missing_variable, way_out_of
from labcoat.stack.environment import filled, secrets_of


def app(**env: str) -> App:
    return App(
        interface=Interface.WSGI,
        target="a:b",
        directory=Path("/x"),
        python=Path("/usr/bin/python3"),
        env=tuple(env.items()),
    )


def test_values_and_passwords_are_secret_and_plain_words_are_not() -> None:
    secrets = secrets_of(
        app(
            KEY="hunter22",
            BRACES="pa{ss}wo{r.d}",
            MODE="production",
            DEBUG="True",
            N="12",
            URL="redis://:p%40ssword@cache:6379/0",
            DB="postgresql+psycopg://{database.location}",
        )
    )
    assert set(secrets) == {
        "hunter22", "pa{ss}wo{r.d}", "redis://:p%40ssword@cache:6379/0", "p%40ssword", "p@ssword",
    }  # fmt: skip
    assert [len(one) for one in secrets] == sorted(map(len, secrets), reverse=True)


def test_braces_of_the_apps_own_stay_and_those_of_the_stack_are_filled() -> None:
    values = {"database.url": "postgresql://x"}
    assert filled(app(A="{database.url}", B="{a.b} {c}"), values) == {
        "A": "postgresql://x",
        "B": "{a.b} {c}",
    }
    with pytest.raises(RenderError, match="nothing fills"):
        filled(app(A="{database.url}"), {})


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("KeyError: 'SECRET_KEY'", "SECRET_KEY"),
        ("KeyError: 'name'", None),
        ("django.core.exceptions.ImproperlyConfigured: Set the DB_URL environment variable",
         "DB_URL"),
        ("django.core.exceptions.ImproperlyConfigured: The SECRET_KEY setting must not be empty.",
         "SECRET_KEY"),
        ('environs.exceptions.EnvError: Environment variable "API_KEY" not set', "API_KEY"),
        ("decouple.UndefinedValueError: TOKEN_A not found. Declare it as envvar or define a "
         "default value.", "TOKEN_A"),
        ("KeyError: \"Config 'SECRET' is missing, and has no default.\"", "SECRET"),
        ("RuntimeError: missing environment variable: STRIPE_KEY", "STRIPE_KEY"),
        ("RuntimeError: SMTP_HOST is not set", "SMTP_HOST"),
        ("ImportError: No module named flask", None),
    ],
)  # fmt: skip
def test_the_variable_that_an_app_misses_is_named(line: str, name: str | None) -> None:
    log = ["Traceback (most recent call last):", line, "worker exiting"]
    assert missing_variable(log) == name
    assert (f"the variable {name}" in way_out_of(log)) is (name is not None)


def test_a_field_of_pydantic_settings_is_a_variable() -> None:
    log = ["1 validation error for Settings", "secret_key", "  Field required [type=missing, ..."]
    assert missing_variable(log) == "SECRET_KEY"
