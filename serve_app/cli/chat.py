"""The options of ``serve-app chat``; ``chatting``, imported when it is run, does the rest."""

from typing import Annotated

import typer

from serve_app.cli.options import URL, ApiKey, Output, Url

Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="An adapter, adapter@v2, an alias, or base.")
]
MaxTokens = Annotated[int | None, typer.Option(min=1, help="Tokens of an answer at most.")]
Temperature = Annotated[float | None, typer.Option(min=0, max=2, help="How much chance decides.")]
System = Annotated[str | None, typer.Option(help="A system prompt.")]


def chat(
    model: Model = "base",
    message: Annotated[
        str | None, typer.Option("--message", "-m", help="Ask this, print the answer, and end.")
    ] = None,
    system: System = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    url: Url = URL,
    api_key: ApiKey = "",
    output: Annotated[
        Output, typer.Option(help="json: a line for each answer, with its times and tokens.")
    ] = Output.TEXT,
) -> None:
    """Chat with MODEL; answers come as they are made. /new forgets what was said, /exit ends.

    Without a terminal, every line of standard input is a message. Ctrl-C breaks an answer off.
    Exit codes: 0 ended, 2 the command line is wrong, 4 nothing answers, 5 the key is refused,
    7 there is no such model.
    """
    from serve_app.cli import admin, chatting

    given = {"max_tokens": max_tokens, "temperature": temperature}
    params = {name: value for name, value in given.items() if value is not None}
    talk = chatting.Talk(model, system, params)
    raise typer.Exit(chatting.chat(admin.Site(url, api_key, output), talk, message))
