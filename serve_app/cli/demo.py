"""``serve-app demo``: every tenant of a config asks twice, and each answer is checked.

It starts the application for real, speaks to it with the plain openai client, and stops it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from openai import OpenAI
from rich.console import Console
from rich.table import Table

from serve_app.cli.config_file import ConfigFile
from serve_app.cli.exits import FAILED, STOPPED
from serve_app.cli.served import NotStarted, served
from serve_app.demo.lexicon import QUESTIONS, who_answered
from serve_app.directory import TenantSettings

ROUNDS = ("first round: nobody has loaded anything", "second round: every adapter is resident")
MAX_TOKENS = 40
WIDTH = 150
"""Columns of the tables where no terminal says how many there are."""


@dataclass(frozen=True)
class Answer:
    """What one tenant got.

    Attributes:
        adapter: the tenant's own.
        answered: whose words the text consists of.
        first_token_s: seconds from asking to the first words.
    """

    tenant: str
    adapter: str
    replica: str
    placement: str
    first_token_s: float
    text: str

    @property
    def right(self) -> bool:
        return who_answered(self.text) == {self.adapter}

    @property
    def warm(self) -> bool:
        return self.placement == "resident"


def demo(config: ConfigFile, console: Console) -> int:
    """Serve ``config``, ask, print, stop.

    Returns:
        The exit code: ``FAILED`` if the application does not start, an answer is another adapter's,
        or a second one is not warm.
    """
    assert config.ours is not None
    if not console.is_terminal:
        console.width = WIDTH
    tenants = [t for t in config.ours.directory.tenants if t.default_adapter in QUESTIONS]
    try:
        with served(config.url, [str(config.path), "--port", str(config.port)]):
            first, second = ([_ask(config.url, one, n) for one in tenants] for n in range(2))
            rounds = (first, second)
            _show_one_whole(config.url, tenants[0], console)
    except NotStarted as error:
        console.print(f"error: {error}", style="bold red")
        return FAILED
    for title, answers in zip(ROUNDS, rounds, strict=True):
        console.print(_table(title, answers))
    return _verdict(rounds, console)


def _ask(url: str, tenant: TenantSettings, number: int) -> Answer:
    """One streamed question of a tenant's, as its developer would ask it."""
    adapter = tenant.default_adapter or ""
    questions = QUESTIONS[adapter]
    asked_at = time.monotonic()
    response = _client(url, tenant).chat.completions.with_raw_response.create(
        model="base",
        messages=[{"role": "user", "content": questions[number % len(questions)]}],
        max_tokens=MAX_TOKENS,
        temperature=0,
        stream=True,
    )
    words, first_token_s = [], 0.0
    for chunk in response.parse():
        word = chunk.choices[0].delta.content if chunk.choices else None
        if word:
            first_token_s = first_token_s or time.monotonic() - asked_at
            words.append(word)
    headers = response.headers
    return Answer(
        tenant.id,
        adapter,
        headers["x-serve-replica"],
        headers["x-serve-placement"],
        first_token_s,
        "".join(words).strip(),
    )


def _show_one_whole(url: str, tenant: TenantSettings, console: Console) -> None:
    """An answer that is not streamed says of itself who gave it."""
    whole = _client(url, tenant).chat.completions.create(
        messages=[{"role": "user", "content": QUESTIONS[tenant.default_adapter or ""][0]}],
        model="base",
        max_tokens=MAX_TOKENS,
    )
    console.print(f"not streamed: model {whole.model}, metadata {whole.metadata}", highlight=False)


def _client(url: str, tenant: TenantSettings) -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key=tenant.inference_key or "")


def _table(title: str, answers: Sequence[Answer]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in ("tenant", "adapter", "replica", "", "first token", "answer"):
        table.add_column(column, overflow="fold")
    for answer in answers:
        table.add_row(
            answer.tenant,
            answer.adapter,
            answer.replica,
            "[green]warm[/]" if answer.warm else f"[yellow]cold[/] ({answer.placement})",
            f"{1000 * answer.first_token_s:.0f} ms",
            answer.text if answer.right else f"[red]{answer.text}[/]",
        )
    return table


def _verdict(rounds: tuple[Sequence[Answer], Sequence[Answer]], console: Console) -> int:
    wrong = [answer for answers in rounds for answer in answers if not answer.right]
    cold = [answer for answer in rounds[1] if not answer.warm]
    for answer in wrong:
        spoke = ", ".join(sorted(who_answered(answer.text))) or "nobody known"
        console.print(f"[bold red]wrong:[/] {answer.tenant} was answered by {spoke}")
    for answer in cold:
        console.print(f"[bold red]cold:[/] {answer.adapter} was not resident the second time")
    if wrong or cold:
        return FAILED
    console.print("[bold green]every tenant was answered by its own adapter[/]")
    return STOPPED
