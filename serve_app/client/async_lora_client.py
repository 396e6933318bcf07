"""The client of one application, to be awaited."""

import os
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Self, Unpack

from openai import AsyncOpenAI

from serve_app.client import experiment_requests, lora_requests
from serve_app.client.answers import ChatAnswer, Messages, chat_answer, chat_request
from serve_app.client.asking import ask_async, every_async
from serve_app.client.async_experiments import AsyncExperiments
from serve_app.client.experiment_records import Feedback
from serve_app.client.lora_requests import Terms
from serve_app.client.records import Lora, LoraVersion
from serve_app.client.site import DEFAULT_URL, api_url, key_of
from serve_app.client.streams import AsyncTextStream, Clock


class AsyncLoraClient:
    """``LoraClient``, to be awaited; its methods, arguments and errors are the same."""

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        api_key: str | None = None,
        *,
        clock: Clock = time.perf_counter,
        **options: Any,
    ) -> None:
        key = key_of(api_key, os.environ)
        self.openai = AsyncOpenAI(base_url=api_url(base_url), api_key=key, **options)
        self.experiments = AsyncExperiments(self.openai)
        self._clock = clock

    async def chat(self, lora_name: str, messages: Messages, **params: Any) -> ChatAnswer:
        """A whole answer of an adapter."""
        request = chat_request(lora_name, messages, params)
        sent = self._clock()
        response = await self.openai.chat.completions.with_raw_response.create(**request)
        completion = response.parse()
        return chat_answer(completion, response.headers, self._clock() - sent)

    def stream(self, lora_name: str, messages: Messages, **params: Any) -> AsyncTextStream:
        """The same, delta by delta. Nothing is sent before the first one is asked for."""
        request = chat_request(lora_name, messages, params, stream=True)
        create = self.openai.chat.completions.with_raw_response.create
        return AsyncTextStream(lambda: create(**request), self._clock)

    async def list_available_loras(self) -> list[Lora]:
        """The adapters this key may use and that answer now, by name."""
        return [lora async for lora in self.loras() if lora.is_live]

    def loras(self) -> AsyncIterator[Lora]:
        """Every adapter this key may see, of any state, by name."""
        return every_async(self.openai, lora_requests.every())

    async def lora(self, lora_name: str) -> Lora:
        """One adapter."""
        return await ask_async(self.openai, lora_requests.one(lora_name))

    async def register_lora(self, lora_name: str, lora_path: str, **terms: Unpack[Terms]) -> Lora:
        """Register an adapter, or new content for one, which makes its next version."""
        return await ask_async(self.openai, lora_requests.register(lora_name, lora_path, terms))

    async def unregister_lora(self, lora_name: str) -> Lora:
        """Remove an adapter: it stops answering at once, and is deleted when nobody uses it."""
        return await ask_async(self.openai, lora_requests.unregister(lora_name))

    async def versions(self, lora_name: str) -> list[LoraVersion]:
        """Every version an adapter has had that you may know of, newest first."""
        return list((await ask_async(self.openai, lora_requests.versions(lora_name))).data)

    async def rollback(self, lora_name: str, version: int | str | None = None) -> Lora:
        """Put a version in force: by number, ``v1`` or digest; the one before, if None."""
        return await ask_async(self.openai, lora_requests.rollback(lora_name, version))

    async def set_alias(self, lora_name: str, alias: str, version: int | str | None = None) -> Lora:
        """Let a further name mean one version; that in force, if None."""
        return await ask_async(self.openai, lora_requests.set_alias(lora_name, alias, version))

    async def remove_alias(self, lora_name: str, alias: str) -> Lora:
        """Take a further name away."""
        return await ask_async(self.openai, lora_requests.remove_alias(lora_name, alias))

    async def feedback(
        self,
        request_id: str,
        score: float | None = None,
        *,
        preferred_over: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Feedback:
        """What somebody thought of an answer, which replaces what was said of it before."""
        request = experiment_requests.feedback(request_id, score, preferred_over, labels)
        return await ask_async(self.openai, request)

    async def close(self) -> None:
        """Close its connections."""
        await self.openai.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()
