"""Answers that come in deltas, and how fast they came."""

import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
    Mapping,
)
from contextlib import contextmanager
from typing import Any, Self

import httpx
from openai import APIConnectionError, APITimeoutError, AsyncStream, Stream
from openai.types.chat import ChatCompletionChunk

from serve_app.client.answers import origin_of
from serve_app.client.metrics import Meter, StreamMetrics

Clock = Callable[[], float]
CUT = "The stream ended before the answer did."


@contextmanager
def _breaks_told_as_openais(request: Any) -> Iterator[None]:
    """A connection that breaks within a stream is the HTTP library's error to openai before 3."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise APITimeoutError(request) from error
    except httpx.HTTPError as error:
        raise APIConnectionError(message=CUT, request=request) from error


class _Measured:
    """What both kinds of stream tell."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._meter: Meter | None = None
        self._metrics: StreamMetrics | None = None

    @property
    def text(self) -> str:
        """What has come so far."""
        return self._meter.text if self._meter else ""

    @property
    def metrics(self) -> StreamMetrics:
        """How fast the answer came.

        Raises:
            RuntimeError: it has not come to its end.
        """
        if self._metrics is None:
            raise RuntimeError("the metrics of a stream are there when it has ended")
        return self._metrics

    def _begin(self) -> Meter:
        self._meter = Meter(self._clock())
        return self._meter

    def _end(self, meter: Meter, headers: Mapping[str, str], request: Any) -> None:
        if meter.finish_reason is None:
            raise APIConnectionError(message=CUT, request=request)
        self._metrics = meter.metrics(self._clock(), origin_of(headers))


class TextStream(_Measured):
    """The text of an answer, delta by delta; ``metrics`` when it has ended.

    The request is sent when the first delta is asked for, so that only waiting is measured. A
    caller who is slower to take deltas than the server is to send them measures itself. Whoever
    does not read to the end closes it, or leaves its context, or the server goes on.

    Args:
        send: sends the request; its answer's headers and chunks.
        clock: seconds.

    Raises:
        openai.APIError: the request was refused, or the stream was cut.
    """

    def __init__(self, send: Callable[[], Any], clock: Clock = time.perf_counter) -> None:
        super().__init__(clock)
        self._send = send
        self._deltas = self._read()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return next(self._deltas)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the answer up, if it has not ended; the server stops generating."""
        self._deltas.close()

    def _read(self) -> Generator[str]:
        meter = self._begin()
        response = self._send()
        chunks: Stream[ChatCompletionChunk] = response.parse()
        with chunks, _breaks_told_as_openais(response.http_request):
            for chunk in chunks:
                if text := meter.take(chunk, self._clock()):
                    yield text
        self._end(meter, response.headers, response.http_request)


class AsyncTextStream(_Measured):
    """As ``TextStream``, to be awaited."""

    def __init__(
        self, send: Callable[[], Awaitable[Any]], clock: Clock = time.perf_counter
    ) -> None:
        super().__init__(clock)
        self._send = send
        self._deltas = self._read()

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        return await anext(self._deltas)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the answer up, if it has not ended; the server stops generating."""
        await self._deltas.aclose()

    async def _read(self) -> AsyncGenerator[str]:
        meter = self._begin()
        response = await self._send()
        chunks: AsyncStream[ChatCompletionChunk] = response.parse()
        async with chunks:
            with _breaks_told_as_openais(response.http_request):
                async for chunk in chunks:
                    if text := meter.take(chunk, self._clock()):
                        yield text
        self._end(meter, response.headers, response.http_request)
