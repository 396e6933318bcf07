"""Streams: deltas as they come, then how fast they came."""

import httpx
import openai
import pytest

from serve_app.client import StreamMetrics, TokenUsage
from tests.unit.client.wire import (
    Application,
    Events,
    Ticks,
    a_refusal,
    a_stream,
    chunks,
    streamed,
)

# Sent at 10; the role at 11, "up" at 12, " 4%" at 13, the end at 14, the usage at 15, over at 16.
TIMES = (10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0)
METRICS = StreamMetrics(
    time_to_first_token_s=2.0,
    tokens_per_s=2.0,  # 4 of the 5 tokens after the first, from 12 to 14
    latency_s=6.0,
    deltas=2,
    finish_reason="stop",
    usage=TokenUsage(7, 5, 12, cached_tokens=4),
    model="demo-llama@finance",
    adapter="finance@5533a83906f4",
    replica="r1",
    placement="resident",
    request_id="req-1",
)


async def test_deltas_are_the_text_and_the_metrics_are_measured() -> None:
    application = Application(a_stream("up", " 4%"), a_stream("up", " 4%"))
    stream = application.client(Ticks(*TIMES)).stream("finance", "x", max_tokens=9)
    assert list(stream) == ["up", " 4%"]
    assert (stream.text, stream.metrics) == ("up 4%", METRICS)
    also = application.async_client(Ticks(*TIMES)).stream("finance", "x", max_tokens=9)
    assert [delta async for delta in also] == ["up", " 4%"]
    assert (also.text, also.metrics) == ("up 4%", METRICS)
    body = application.asked[0][2]
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}


def test_nothing_is_sent_and_no_time_runs_before_the_first_delta_is_asked_for() -> None:
    application = Application(a_stream("up"))
    clock = Ticks(10.0, 11.0, 12.0, 13.0, 14.0, 15.0)
    stream = application.client(clock).stream("finance", "x")
    assert application.asked == []
    assert next(stream) == "up"
    assert len(application.asked) == 1


async def test_metrics_are_not_there_before_the_end() -> None:
    stream = Application(a_stream("up", " 4%")).client().stream("finance", "x")
    next(stream)
    assert stream.text == "up"
    with pytest.raises(RuntimeError, match="ended"):
        _ = stream.metrics


def test_options_of_the_stream_may_be_added() -> None:
    application = Application(a_stream("up"))
    options = {"continuous_usage_stats": True}
    list(application.client().stream("finance", "x", stream_options=options))
    assert application.asked[0][2]["stream_options"] == {"include_usage": True} | options


def test_without_usage_no_rate_is_told() -> None:
    application = Application(a_stream("up", " 4%", usage=False))
    stream = application.client(Ticks(*TIMES)).stream("finance", "x")
    list(stream)
    assert (stream.metrics.tokens_per_s, stream.metrics.usage) == (None, None)
    assert stream.metrics.time_to_first_token_s == 2.0


def test_an_answer_without_text_has_no_first_token() -> None:
    stream = Application(a_stream()).client().stream("finance", "x")
    assert list(stream) == []
    assert stream.metrics.time_to_first_token_s is None
    assert stream.metrics.tokens_per_s is None


async def test_a_refusal_comes_with_the_first_delta() -> None:
    application = Application(a_refusal(404), a_refusal(404))
    with pytest.raises(openai.NotFoundError):
        next(application.client().stream("finance", "x"))
    with pytest.raises(openai.NotFoundError):
        await anext(application.async_client().stream("finance", "x"))


ERROR = b'data: {"error":{"message":"the engine died","type":"server_error","code":"x"}}\n\n'
CUTS: dict[str, Events] = {
    "an error event": Events([*chunks("up")[:2], ERROR, b"data: [DONE]\n\n"]),
    "an end before its time": Events(chunks("up", finish_reason=None, usage=False)[:2]),
    "a broken connection": Events(chunks("up")[:2], httpx.ReadError("gone")),
}


@pytest.mark.parametrize("case", CUTS)
async def test_a_stream_that_is_cut_is_an_error_by(case: str) -> None:
    for_async = Events(CUTS[case]._events, CUTS[case]._ends_with)
    stream = Application(streamed(CUTS[case])).client().stream("finance", "x")
    assert next(stream) == "up"
    with pytest.raises(openai.APIError):
        next(stream)
    with pytest.raises(RuntimeError):
        _ = stream.metrics
    also = Application(streamed(for_async)).async_client().stream("finance", "x")
    assert await anext(also) == "up"
    with pytest.raises(openai.APIError):
        await anext(also)


async def test_who_leaves_before_the_end_lets_the_server_stop() -> None:
    events, more = Events(chunks("up", " 4%")), Events(chunks("up", " 4%"))
    with Application(streamed(events)).client().stream("finance", "x") as stream:
        next(stream)
    assert events.closed
    async with Application(streamed(more)).async_client().stream("finance", "x") as also:
        await anext(also)
    assert more.closed
