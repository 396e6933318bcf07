import json

import pytest

from serve_app.bench.derive import Target
from serve_app.bench.plan import Load
from serve_app.bench.requests import (
    WrongAnswer,
    is_output,
    must_be,
    prepare,
    streamed_tokens,
    whole_tokens,
)

TARGETS = [Target("k1", "a", "/a"), Target("k2", "b", "/b")]
LAST = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":17}}\n\n'
DONE = b"data: [DONE]\n\n"


def test_requests_share_the_adapters_evenly_each_with_its_key() -> None:
    prepared = [prepare(Load(4, 1, 8), TARGETS, number) for number in range(4)]
    assert [json.loads(one.body)["model"] for one in prepared] == ["a", "b", "a", "b"]
    assert [one.headers["Authorization"] for one in prepared[:2]] == ["Bearer k1", "Bearer k2"]


def test_a_request_fixes_how_many_tokens_it_generates() -> None:
    body = json.loads(prepare(Load(1, 1, 8), TARGETS, 0).body)
    assert (body["max_tokens"], body["ignore_eos"]) == (8, True)
    assert body["stream_options"] == {"include_usage": True}


def test_a_request_in_one_piece_has_no_stream_options() -> None:
    body = json.loads(prepare(Load(1, 1, 1, streamed=False), TARGETS, 0).body)
    assert body["stream"] is False
    assert "stream_options" not in body


def test_tokens_of_a_stream_are_read_from_its_last_event() -> None:
    assert streamed_tokens(b'cut off at the front"}\n\n' + LAST + DONE) == 17


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(LAST, id="no end"),
        pytest.param(DONE, id="no usage event"),
        pytest.param(b'data: {"choices":[]}\n\n' + DONE, id="an event without usage"),
        pytest.param(b'data: {"error":{"message":"lost"}}\n\n' + DONE, id="an error"),
        pytest.param(b"data: {\n\n" + DONE, id="not JSON"),
    ],
)
def test_a_stream_that_does_not_end_with_usage_is_a_wrong_answer(tail: bytes) -> None:
    with pytest.raises(WrongAnswer):
        streamed_tokens(tail)


def test_tokens_of_a_whole_answer_are_read_from_its_usage() -> None:
    assert whole_tokens(b'{"usage":{"completion_tokens":1}}') == 1


def test_other_than_the_tokens_asked_for_is_a_wrong_answer() -> None:
    must_be(Load(1, 1, 8), 8)
    with pytest.raises(WrongAnswer, match="asked for 8 tokens, got 7"):
        must_be(Load(1, 1, 8), 7)


def test_a_comment_that_keeps_a_stream_open_is_no_output() -> None:
    assert not is_output(b": keep-alive\n\n")
    assert is_output(b": keep-alive\n\n" + LAST)
