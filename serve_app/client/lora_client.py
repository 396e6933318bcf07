"""The client of one application."""

import os
import time
from collections.abc import Iterator, Mapping
from typing import Any, Self, Unpack

from openai import OpenAI

from serve_app.client import experiment_requests, lora_requests
from serve_app.client.answers import ChatAnswer, Messages, chat_answer, chat_request
from serve_app.client.asking import ask, every
from serve_app.client.experiment_records import Feedback
from serve_app.client.experiments import Experiments
from serve_app.client.lora_requests import Terms
from serve_app.client.records import Lora, LoraVersion
from serve_app.client.site import DEFAULT_URL, api_url, key_of
from serve_app.client.streams import Clock, TextStream


class LoraClient:
    """Chats with adapters, and manages them.

    Every method raises ``openai.APIError`` as the openai package does: ``AuthenticationError``,
    ``NotFoundError``, ``UnprocessableEntityError``, ``APIConnectionError``, ...

    Args:
        base_url: where the application answers, with or without ``/v1``.
        api_key: the environment's ``SERVE_APP_API_KEY``, if None.
        clock: seconds, for what is measured.
        options: any of ``openai.OpenAI``: ``timeout``, ``max_retries``, ``http_client``, ...

    Attributes:
        openai: the openai package's client of the application, for everything it can do.
        experiments: makes experiments, and tells what they show.

    Raises:
        openai.OpenAIError: there is no key.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        api_key: str | None = None,
        *,
        clock: Clock = time.perf_counter,
        **options: Any,
    ) -> None:
        key = key_of(api_key, os.environ)
        self.openai = OpenAI(base_url=api_url(base_url), api_key=key, **options)
        self.experiments = Experiments(self.openai)
        self._clock = clock

    def chat(self, lora_name: str, messages: Messages, **params: Any) -> ChatAnswer:
        """A whole answer of an adapter.

        Args:
            lora_name: an adapter, ``adapter@v2``, an alias, an experiment, or ``base``.
            messages: the conversation, or a text, which is the user's.
            params: any of ``chat.completions.create``: ``max_tokens``, ``user``, by which an
                experiment assigns, ``extra_headers``, ...
        """
        request = chat_request(lora_name, messages, params)
        sent = self._clock()
        response = self.openai.chat.completions.with_raw_response.create(**request)
        completion = response.parse()
        return chat_answer(completion, response.headers, self._clock() - sent)

    def stream(self, lora_name: str, messages: Messages, **params: Any) -> TextStream:
        """The same, delta by delta. Nothing is sent before the first one is asked for."""
        request = chat_request(lora_name, messages, params, stream=True)
        create = self.openai.chat.completions.with_raw_response.create
        return TextStream(lambda: create(**request), self._clock)

    def list_available_loras(self) -> list[Lora]:
        """The adapters this key may use and that answer now, by name."""
        return [lora for lora in self.loras() if lora.is_live]

    def loras(self) -> Iterator[Lora]:
        """Every adapter this key may see, of any state, by name."""
        return every(self.openai, lora_requests.every())

    def lora(self, lora_name: str) -> Lora:
        """One adapter."""
        return ask(self.openai, lora_requests.one(lora_name))

    def register_lora(self, lora_name: str, lora_path: str, **terms: Unpack[Terms]) -> Lora:
        """Register an adapter, or new content for one, which makes its next version.

        Args:
            lora_path: a directory or an address that the application takes adapters from.
            terms: any of ``Terms``; what is left out, or None, stays as it is.
        """
        return ask(self.openai, lora_requests.register(lora_name, lora_path, terms))

    def unregister_lora(self, lora_name: str) -> Lora:
        """Remove an adapter: it stops answering at once, and is deleted when nobody uses it."""
        return ask(self.openai, lora_requests.unregister(lora_name))

    def versions(self, lora_name: str) -> list[LoraVersion]:
        """Every version an adapter has had that you may know of, newest first."""
        return list(ask(self.openai, lora_requests.versions(lora_name)).data)

    def rollback(self, lora_name: str, version: int | str | None = None) -> Lora:
        """Put a version in force: by number, ``v1`` or digest; the one before, if None."""
        return ask(self.openai, lora_requests.rollback(lora_name, version))

    def set_alias(self, lora_name: str, alias: str, version: int | str | None = None) -> Lora:
        """Let a further name mean one version; that in force, if None."""
        return ask(self.openai, lora_requests.set_alias(lora_name, alias, version))

    def remove_alias(self, lora_name: str, alias: str) -> Lora:
        """Take a further name away."""
        return ask(self.openai, lora_requests.remove_alias(lora_name, alias))

    def feedback(
        self,
        request_id: str,
        score: float | None = None,
        *,
        preferred_over: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Feedback:
        """Say what somebody thought of an answer; said again, it replaces what was said before.

        Args:
            request_id: the answer's ``request_id``, or its own id, ``chatcmpl-...``.
            score: -1 to 1; more is better.
            preferred_over: the id of an answer to the same that it is better than.
            labels: up to 16, to be kept with it.

        Raises:
            ValueError: there is neither a score nor an answer it is better than, or both.
        """
        request = experiment_requests.feedback(request_id, score, preferred_over, labels)
        return ask(self.openai, request)

    def close(self) -> None:
        """Close its connections."""
        self.openai.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
