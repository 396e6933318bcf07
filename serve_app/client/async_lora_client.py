"""The client of one application, to be awaited."""

import os
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Self, Unpack

from openai import AsyncOpenAI

from serve_app.client import records
from serve_app.client.answers import ChatAnswer, Messages, chat_answer, chat_request
from serve_app.client.records import Lora, LoraPage, LoraVersion, LoraVersionPage, Terms, read
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

    async def loras(self) -> AsyncIterator[Lora]:
        """Every adapter this key may see, of any state, by name."""
        after: str | None = None
        more = True
        while more:
            page = read(await self._get(records.path(), records.page_query(after)), LoraPage)
            for lora in page.data:
                yield lora
            after, more = page.last_id, page.has_more

    async def lora(self, lora_name: str) -> Lora:
        """One adapter."""
        return read(await self._get(records.path(lora_name)), Lora)

    async def register_lora(self, lora_name: str, lora_path: str, **terms: Unpack[Terms]) -> Lora:
        """Register an adapter, or new content for one, which makes its next version."""
        body = records.registration(lora_name, lora_path, terms)
        return read(await self._post(records.path("register"), body), Lora)

    async def unregister_lora(self, lora_name: str) -> Lora:
        """Remove an adapter: it stops answering at once, and is deleted when nobody uses it."""
        return read(await self._delete(records.path(lora_name)), Lora)

    async def versions(self, lora_name: str) -> list[LoraVersion]:
        """Every version an adapter has had that you may know of, newest first."""
        return list(
            read(await self._get(records.path(lora_name, "versions")), LoraVersionPage).data
        )

    async def rollback(self, lora_name: str, version: int | str | None = None) -> Lora:
        """Put a version in force: by number, ``v1`` or digest; the one before, if None."""
        path = records.path(lora_name, "rollback")
        return read(await self._post(path, records.which(version)), Lora)

    async def set_alias(self, lora_name: str, alias: str, version: int | str | None = None) -> Lora:
        """Let a further name mean one version; that in force, if None."""
        path, body = records.path(lora_name, "aliases", alias), records.which(version)
        return read(await self.openai.put(path, cast_to=str, body=body), Lora)

    async def remove_alias(self, lora_name: str, alias: str) -> Lora:
        """Take a further name away."""
        return read(await self._delete(records.path(lora_name, "aliases", alias)), Lora)

    async def close(self) -> None:
        """Close its connections."""
        await self.openai.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def _get(self, path: str, query: Mapping[str, object] | None = None) -> str:
        return await self.openai.get(path, cast_to=str, options={"params": query or {}})

    async def _post(self, path: str, body: Mapping[str, Any] | None) -> str:
        return await self.openai.post(path, cast_to=str, body=body)

    async def _delete(self, path: str) -> str:
        return await self.openai.delete(path, cast_to=str)
