"""A client of one replica that times what it asks; prompts are of exact length."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Self

import httpx
import orjson

from serve_app.cli.exits import AWAY, DENIED, FAILED

_TEXT = (
    "Seven tall ships sailed at dawn, and nobody on the pier knew where they would go, how long "
    "it would take, or what they had on board; but a cook said: rice, salt, ten goats."
)
_TOKEN = b'"text"'
_TAIL_BYTES = 4096
_SILENCE_S = 120.0
_REFUSED = 503


class CannotMeasure(Exception):
    """The application is not there, or does not do what is asked.

    Attributes:
        code: exit code that says which.
    """

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer. Times are seconds since it was asked for; None if it was refused.

    Attributes:
        last_s: when its last token came.
        placement: why it went where it went, as ``x-serve-placement`` has it.
    """

    first_s: float | None
    last_s: float | None
    tokens: int = 0
    placement: str = ""

    @property
    def cold(self) -> bool:
        """Its adapter was not in the engine's memory."""
        return self.first_s is not None and self.placement not in ("resident", "")


class ReplicaClient:
    """Use as a context manager.

    Args:
        url: of the application.
        key: an API key.
        dice: prompts are random, so that none is in the prefix cache.
    """

    def __init__(self, url: str, key: str, dice: Random) -> None:
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(_SILENCE_S),
            limits=httpx.Limits(max_connections=None),
        )
        self._url = url
        self._dice = dice
        self._stack = AsyncExitStack()
        self._numbers = count()
        self._vocabulary: list[int] = []
        self.replicas: set[str] = set()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._http)
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    async def models(self) -> list[str]:
        """Names the key may ask for.

        Raises:
            CannotMeasure: nobody answers, or the key is refused.
        """
        listed = await self._ok("GET", "/v1/models")
        return [one["id"] for one in listed["data"]]

    async def learn(self, model: str) -> None:
        """Find tokens of the model's to make prompts of.

        Raises:
            CannotMeasure: nobody answers, or the key is refused.
        """
        found = await self._ok("POST", "/tokenize", {"model": model, "prompt": _TEXT})
        self._vocabulary = sorted(set(found["tokens"]))

    async def ask(self, model: str, prompt: int, output: int) -> Seen:
        """Have ``output`` tokens generated from ``prompt`` random ones.

        Raises:
            CannotMeasure: it does not answer, or not with so many tokens.
        """
        body = orjson.dumps(
            {
                "model": model,
                "prompt": self._dice.choices(self._vocabulary, k=prompt),
                "max_tokens": output,
                "ignore_eos": True,
                "temperature": 0,
                "stream": True,
                "stream_options": {"include_usage": True},
            }
        )
        try:
            return await self._stream(body, output)
        except httpx.HTTPError as error:
            raise CannotMeasure(f"{self._url}: {error!r}") from error

    async def at_once(self, models: Sequence[str], prompt: int, output: int) -> list[Seen]:
        """One request for each of ``models``, all at the same time."""
        return await asyncio.gather(*(self.ask(model, prompt, output) for model in models))

    async def _stream(self, body: bytes, output: int) -> Seen:
        began, first, last, tail = time.perf_counter(), None, None, b""
        headers = {"Content-Type": "application/json"}
        async with self._http.stream(
            "POST", "/v1/completions", content=body, headers=headers
        ) as answer:
            if answer.status_code == _REFUSED:
                return Seen(None, None)
            if answer.status_code != 200:
                raise _problem(self._url, answer.status_code, await answer.aread())
            async for chunk in answer.aiter_raw():
                if _TOKEN in chunk:
                    last = time.perf_counter() - began
                    first = last if first is None else first
                tail = (tail + chunk)[-_TAIL_BYTES:]
        self.replicas.add(answer.headers.get("x-serve-replica", ""))
        tokens = _tokens(tail)
        if tokens != output:
            raise CannotMeasure(f"asked for {output} tokens, got {tokens}: {tail[-300:]!r}")
        return Seen(first, last, tokens, answer.headers.get("x-serve-placement", ""))

    async def _ok(self, method: str, path: str, body: dict[str, str] | None = None) -> dict:  # type: ignore[type-arg]
        try:
            answer = await self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise CannotMeasure(f"nothing answers at {self._url}: {error!r}", AWAY) from error
        if answer.status_code != 200:
            raise _problem(self._url, answer.status_code, answer.content)
        found: dict = answer.json()  # type: ignore[type-arg]
        return found


def _problem(url: str, status: int, content: bytes) -> CannotMeasure:
    text = content[:500].decode(errors="replace")
    if status in (401, 403):
        return CannotMeasure(f"{url} refuses the key; give another with --api-key", DENIED)
    return CannotMeasure(f"{url} answers with status {status}: {text}")


def _tokens(tail: bytes) -> int:
    """As the usage in a stream's last event says; 0 if it does not."""
    for event in reversed(tail.split(b"\n\n")):
        if b'"usage"' in event and b'"completion_tokens"' in event:
            usage = orjson.loads(event.removeprefix(b"data: "))["usage"]
            return int(usage["completion_tokens"])
    return 0
