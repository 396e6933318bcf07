"""``serve-app experiment results``: once, or again and again until Ctrl-C."""

import openai
from rich.console import Console, RenderableType

from serve_app.cli import experiment_tables, sdk, watching
from serve_app.cli.admin import Site
from serve_app.cli.watching import Manner, Watched
from serve_app.client import ExperimentResults, LoraClient


def results(site: Site, name: str, manner: Manner) -> int:
    """Show what an experiment shows.

    Returns:
        The exit code.
    """

    def work(console: Console) -> None:
        with sdk.lora_client(site) as client:
            watching.show(watched(client, site, name, console), manner, console)

    return watching.until_interrupted(work)


def watched(
    client: LoraClient, site: Site, name: str, console: Console
) -> Watched[ExperimentResults]:
    """An experiment's results, as a console has room for them."""

    def next_page() -> ExperimentResults:
        try:
            return client.experiments.results(name)
        except openai.OpenAIError as error:
            raise sdk.trouble(error, site.url) from None

    def screen(page: ExperimentResults) -> RenderableType:
        return experiment_tables.screen(page, console.width)

    return Watched(next_page, screen)
