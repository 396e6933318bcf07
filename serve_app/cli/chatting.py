"""``serve-app chat`` at work: read, ask, print as it comes."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

import openai
from openai.types.chat import ChatCompletionMessageParam
from rich.console import Console

from serve_app.cli import sdk
from serve_app.cli.address import NoAnswer
from serve_app.cli.admin import Site, complain
from serve_app.cli.exits import REFUSED, STOPPED
from serve_app.cli.options import Output
from serve_app.client import LoraClient, StreamMetrics
from serve_app.client.printable import printable

EXIT, NEW = "/exit", "/new"


@dataclass(frozen=True)
class Talk:
    """With whom to speak, and how."""

    model: str
    system: str | None
    params: Mapping[str, Any]


def chat(site: Site, talk: Talk, message: str | None) -> int:
    """Ask the one message, or one after another until the end of the input; the exit code."""
    try:
        with sdk.lora_client(site) as client:
            chat = Chat(client, talk, site)
            if message is not None:
                chat.say(message)
            else:
                _converse(chat, talk)
    except NoAnswer as error:
        return complain(error)
    return STOPPED


class Chat:
    """A conversation: answers go to standard output, all else to standard error."""

    def __init__(self, client: LoraClient, talk: Talk, site: Site) -> None:
        self._client = client
        self._talk = talk
        self._site = site
        self._err = Console(stderr=True, highlight=False)
        self._said: list[ChatCompletionMessageParam] = []
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        system = self._talk.system
        self._said = [] if system is None else [{"role": "system", "content": system}]

    def say(self, text: str) -> None:
        """Say it and print the answer. What is not answered to the end is as if not said.

        Raises:
            NoAnswer: there is no answer, or no more of it.
        """
        asked: ChatCompletionMessageParam = {"role": "user", "content": text}
        messages = [*self._said, asked]
        stream = self._client.stream(self._talk.model, messages, **self._talk.params)
        try:
            with stream:
                self._print(stream)
        except openai.OpenAIError as error:
            raise sdk.trouble(error, self._site.url) from None
        self._said = [*messages, {"role": "assistant", "content": stream.text}]
        self._tell(stream.text, stream.metrics)

    def _print(self, deltas: Iterator[str]) -> None:
        with self._err.status(f"waiting for {self._talk.model}"):
            first = next(deltas, "")
        if self._site.output is Output.JSON:
            for _ in deltas:
                pass
            return
        for delta in chain((first,), deltas, ("\n",)):
            sys.stdout.write(printable(delta) if sys.stdout.isatty() else delta)
            sys.stdout.flush()

    def _tell(self, text: str, metrics: StreamMetrics) -> None:
        if self._site.output is Output.JSON:
            line = json.dumps({"content": text} | asdict(metrics))
            print(line)  # noqa: T201 - for programs
        elif sys.stdout.isatty():
            self._err.print(account(metrics), style="dim", markup=False)


def account(metrics: StreamMetrics) -> str:
    """Who answered, how much, and how fast."""
    parts = [metrics.adapter or metrics.model or "?"]
    if metrics.arm is not None:
        parts.append(f"arm {metrics.arm} of {metrics.experiment}")
    if metrics.usage is not None:
        parts.append(f"{metrics.usage.completion_tokens} tokens")
    if metrics.time_to_first_token_s is not None:
        parts.append(f"first after {metrics.time_to_first_token_s:.2f} s")
    if metrics.tokens_per_s is not None:
        parts.append(f"{metrics.tokens_per_s:.0f} tokens/s")
    if metrics.finish_reason == "length":
        parts.append("cut at the limit")
    return " · ".join(parts)


def _converse(chat: Chat, talk: Talk) -> None:
    """A person goes on after a refusal; a program does not."""
    for line in _lines(talk):
        if line == NEW:
            chat.forget()
            continue
        try:
            chat.say(line)
        except KeyboardInterrupt:
            Console(stderr=True).print("\nbroken off", style="dim")
        except NoAnswer as error:
            if error.exit_code != REFUSED or not sys.stdin.isatty():
                raise
            complain(error)


def _lines(talk: Talk) -> Iterator[str]:
    """What is said, until /exit or the end of it; empty lines are nothing."""
    if sys.stdin.isatty():
        with suppress(ImportError):
            import readline  # noqa: F401 - gives `input` a history
        welcome = f"{talk.model}. /new begins anew, /exit ends."
        Console(stderr=True).print(welcome, markup=False, highlight=False)
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            line = (input("> ") if sys.stdin.isatty() else _line()).strip()
            if line == EXIT:
                return
            if line:
                yield line


def _line() -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line
