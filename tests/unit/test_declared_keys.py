"""Keys as a config file declares them: a text, or a mapping with terms of its own."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from serve_app.configuration import parse
from serve_app.directory import Directory, KeySettings, ScopeName
from serve_app.errors import ConfigError
from serve_app.tenancy.keys import Scope

KEY = "sk-secret-12345"
HERE = "user_config.tenants.0.keys.0"


def _keys(*keys: Any) -> tuple[KeySettings, ...]:
    tenants = [{"id": "acme", "keys": list(keys)}]
    return tuple(parse(Directory, {"tenants": tenants}, "user_config").tenants[0].keys)


def test_the_names_of_scopes_are_those_there_are() -> None:
    assert get_args(ScopeName) == tuple(Scope)


def test_a_text_is_a_key_with_nothing_said_of_it() -> None:
    assert _keys(KEY) == _keys({"key": KEY})
    (key,) = _keys(KEY)
    assert key.key.get_secret_value() == KEY
    assert (key.label, key.scopes, key.expires_at) == ("", None, None)


def test_a_key_may_say_what_it_is_for() -> None:
    text = f"""
    key: {KEY}
    label: ci
    scopes: [inference, "usage:read"]
    expires_at: "2027-01-31T01:00:00+01:00"
    limits: {{requests_per_minute: 60}}
    """
    (key,) = _keys(yaml.safe_load(text))
    assert key.key.get_secret_value() == KEY
    assert (key.label, key.scopes) == ("ci", ["inference", "usage:read"])
    assert key.expires_at == datetime(2027, 1, 31, tzinfo=UTC)
    assert key.limits.requests_per_minute == 60


def test_its_word_comes_from_the_environment_or_a_file_as_that_of_a_text_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ACME_KEY", "sk-of-environment")
    (tmp_path / "key").write_text("sk-of-file\n")
    keys = _keys({"key": "${ACME_KEY}"}, {"key": f"file:{tmp_path / 'key'}"})
    assert [one.key.get_secret_value() for one in keys] == ["sk-of-environment", "sk-of-file"]


def test_a_word_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_KEY", "${OTHER_KEY}")
    for written in ("${ACME_KEY}", {"key": "${ACME_KEY}"}):
        assert _keys(written)[0].key.get_secret_value() == "${OTHER_KEY}"


REFUSED: dict[str, tuple[Any, str]] = {
    "no word": ({"label": "ci"}, ".key: Field required"),
    "an empty word": ({"key": ""}, ".key: "),
    "a word no header can carry": ({"key": f"{KEY} "}, ".key: "),
    "a word that is none": ({"key": [KEY]}, ".key: "),
    "an unset variable": ({"key": "${SERVE_APP_NO_SUCH_KEY}"}, ".key: "),
    "a file that is not there": ({"key": "file:/nowhere/key"}, ".key: "),
    "a number": (12345, ": Value error, must be a text, or a mapping of key, label"),
    "nothing": (None, ": Value error, must be a text, or a mapping of key, label"),
    "a list": ([KEY], ": Value error, must be a text, or a mapping of key, label"),
    "a name there is not": (
        {"key": KEY, "lable": "ci"},
        ": Value error, holds a name that is not known here; known are key, label, scopes",
    ),
    "its word for a name": ({KEY: "ci"}, ": Value error, holds a name that is not known here"),
    "a label that is none": ({"key": KEY, "label": 3}, ".label: "),
    "a label that is long": ({"key": KEY, "label": "x" * 256}, ".label: "),
    "a label of two lines": ({"key": KEY, "label": "a\nb"}, ".label: "),
    "half a character": ({"key": KEY, "label": "\ud800"}, ".label: "),
    "no scope": ({"key": KEY, "scopes": []}, ".scopes: "),
    "a scope by itself": ({"key": KEY, "scopes": "inference"}, ".scopes: "),
    "a scope there is not": (
        {"key": KEY, "scopes": ["inference", "all"]},
        ".scopes.1: Input should be 'inference', 'adapters:manage', 'usage:read' or 'admin'",
    ),
    "a time with no timezone": (
        {"key": KEY, "expires_at": "2027-01-31T00:00:00"},
        ".expires_at: Value error, has no timezone: end it with Z for UTC",
    ),
    "a day": (
        {"key": KEY, "expires_at": "2027-01-31"},
        ".expires_at: Value error, has no timezone",
    ),
    "a time that is none": (
        {"key": KEY, "expires_at": "next year"},
        '.expires_at: Value error, must be a time such as "2027-01-31T00:00:00Z"',
    ),
    "seconds": ({"key": KEY, "expires_at": 1_800_000_000}, ".expires_at: Value error, must be a"),
    "seconds in a text": ({"key": KEY, "expires_at": "1800000000"}, ".expires_at: Value error, mu"),
    "a time that is not in quotes": (
        {"key": KEY, "expires_at": yaml.safe_load("2027-01-31T00:00:00Z")},
        '.expires_at: Value error, must be in quotes, as "2027-01-31T00:00:00Z"',
    ),
    "a day that is not in quotes": (
        {"key": KEY, "expires_at": date(2027, 1, 31)},
        ".expires_at: Value error, must be in quotes",
    ),
    "a limit there is not": (
        {"key": KEY, "limits": {"wishes": 3}},
        ".limits.wishes: unknown key; known here are requests_per_minute",
    ),
    "a limit below nothing": (
        {"key": KEY, "limits": {"tokens_per_day": -1}},
        ".limits.tokens_per_day: ",
    ),
}


@pytest.mark.parametrize(("key", "said"), REFUSED.values(), ids=REFUSED)
def test_a_key_is_refused_by_its_path_and_never_shown_for(key: Any, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        _keys(key)
    assert HERE + said in str(refused.value)
    assert KEY not in str(refused.value)


@pytest.mark.parametrize("other", [KEY, {"key": KEY, "label": "x"}, {"key": "${SAME}"}])
def test_one_word_is_no_two_keys_however_it_is_written(
    monkeypatch: pytest.MonkeyPatch, other: Any
) -> None:
    monkeypatch.setenv("SAME", KEY)
    with pytest.raises(ConfigError) as refused:
        _keys({"key": KEY}, "sk-b", other)
    assert "tenants.0.keys.0 and tenants.0.keys.2 hold the same key" in str(refused.value)
    assert KEY not in str(refused.value)


def test_a_key_for_inference_is_the_first_that_is_good_for_it() -> None:
    reader, admin = {"key": "sk-a", "scopes": ["usage:read"]}, {"key": "sk-b", "scopes": ["admin"]}
    tenants = [
        {"id": "one", "keys": [reader, admin, "sk-c"]},
        {"id": "two", "keys": ["sk-d"]},
        {"id": "three", "keys": [{**reader, "key": "sk-e"}]},
        {"id": "four"},
    ]
    directory = parse(Directory, {"tenants": tenants}, "user_config")
    assert [one.inference_key for one in directory.tenants] == ["sk-b", "sk-d", None, None]
