"""Sends what an application is asked, and reads what it answers."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

from openai import AsyncOpenAI, OpenAI

from serve_app.client.records import Page, T, read
from serve_app.client.request import Request


def ask(openai: OpenAI, request: Request[T]) -> T:
    """What is answered.

    Raises:
        openai.APIError: nobody answers, or it is refused.
        UnknownAnswer: something else answers.
    """
    return read(_sent(openai, request), request.kind)


async def ask_async(openai: AsyncOpenAI, request: Request[T]) -> T:
    """As ``ask``."""
    return read(await _sent(openai, request), request.kind)


def every(openai: OpenAI, request: Request[Page[T]]) -> Iterator[T]:
    """All of a list, which is asked for page by page. Raises as ``ask``."""
    more: Request[Page[T]] | None = request
    while more is not None:
        page = ask(openai, more)
        yield from page.data
        more = _next(more, page)


async def every_async(openai: AsyncOpenAI, request: Request[Page[T]]) -> AsyncIterator[T]:
    """As ``every``."""
    more: Request[Page[T]] | None = request
    while more is not None:
        page = await ask_async(openai, more)
        for one in page.data:
            yield one
        more = _next(more, page)


def _next(request: Request[Page[T]], page: Page[T]) -> Request[Page[T]] | None:
    return request.after(page.last_id) if page.has_more and page.last_id is not None else None


def _sent(openai: OpenAI | AsyncOpenAI, request: Request[Any]) -> Any:
    """The answer's body; to be awaited, if the client is."""
    send = getattr(openai, request.method)
    body = {} if request.body is None else {"body": request.body}
    return send(request.path, cast_to=str, options={"params": request.query}, **body)
