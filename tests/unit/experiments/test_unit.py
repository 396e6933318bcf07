"""What requests are assigned by."""

from typing import Any

import orjson
import pytest

from serve_app.experiments.unit import MAX_CHARS, hidden, unit_of

SYSTEM = {"role": "system", "content": "Be kind."}
HELLO = {"role": "user", "content": "hello"}
BYE = {"role": "user", "content": "goodbye"}
REPLY = {"role": "assistant", "content": "Hello!"}


def unit(body: dict[str, Any], header: str | None = None, request_id: str = "r") -> str:
    return unit_of(header, body, request_id)


def test_a_header_comes_before_a_user_and_a_user_before_a_conversation() -> None:
    said = {"messages": [HELLO], "user": "ann"}
    others = {unit({"messages": [HELLO]}), unit(said), unit(said, "device-7")}
    assert len(others) == 3
    assert unit(said) == unit({"messages": [BYE], "user": "ann"})
    assert unit(said) == unit({"user": "ann"}, request_id="another")
    assert unit({"safety_identifier": "ann"}) == unit(said)
    assert unit(said, "device-7") == unit({}, "device-7")


def test_a_conversation_keeps_its_unit_as_it_goes_on() -> None:
    first = {"messages": [SYSTEM, HELLO]}
    later = {"messages": [SYSTEM, HELLO, REPLY, BYE]}
    assert unit(first) == unit(later, request_id="another")
    assert unit(first) != unit({"messages": [SYSTEM, BYE]})
    assert unit(first) != unit({"messages": [HELLO]})


@pytest.mark.parametrize(
    ("body", "other"),
    [
        ({"prompt": "p"}, {"prompt": "q"}),
        ({"prompt": [1, 2]}, {"prompt": [1, 3]}),
        ({"input": "p", "instructions": "i"}, {"input": "p", "instructions": "j"}),
        ({"input": [HELLO]}, {"input": [BYE]}),
    ],
)
def test_whatever_a_request_begins_with_tells_its_conversation(
    body: dict[str, Any], other: dict[str, Any]
) -> None:
    assert unit(body) == unit(dict(body), request_id="another") != unit(other)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": []},
        {"messages": None, "user": ""},
        {"user": 7},
        {"prompt": ""},
        {"messages": orjson.loads(b"[" * 900 + b"]" * 900)},
    ],
)
def test_a_request_that_tells_nothing_is_a_unit_of_its_own(body: dict[str, Any]) -> None:
    assert unit(body, request_id="a") != unit(body, request_id="b")


@pytest.mark.parametrize(
    "body", [{"messages": ["x"]}, {"messages": [[], 1]}, {"messages": "text"}, {"input": {"a": 1}}]
)
def test_what_is_no_conversation_is_still_a_unit(body: dict[str, Any]) -> None:
    assert unit(body) == unit(body, request_id="another")


def test_nobody_is_known_by_a_hidden_unit_and_no_one_unit_is_two() -> None:
    told = hidden("salt", "acme", "uann")
    assert len(told) == 16
    assert told == hidden("salt", "acme", "uann")
    assert len({told, hidden("other", "acme", "uann"), hidden("salt", "beta", "uann")}) == 3
    assert hidden("salt", "a", "cme") != hidden("salt", "ac", "me")
    assert hidden("salt", "acme", "u\ud800")


def test_a_unit_is_told_by_its_beginning_however_long_it_is() -> None:
    assert len(unit({"user": "x" * 10_000})) == MAX_CHARS + 1
