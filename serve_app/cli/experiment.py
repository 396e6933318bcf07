"""``serve-app experiment``; ``sdk`` and ``experiments``, imported when it is run, do the rest."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from serve_app.cli.arms import arms_of, numbers_of, share_of
from serve_app.cli.options import URL, ApiKey, Form, Output, Url, Yes, sure

if TYPE_CHECKING:
    from collections.abc import Callable

    from serve_app.client import Experiment, Experiments

experiment = typer.Typer(help="Models compared on real requests.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The experiment's name.")]
ArmName = Annotated[str, typer.Argument(metavar="ARM", help="The arm's name.")]
Share = Annotated[
    float, typer.Argument(metavar="SHARE", help="Such as 20% or 0.2.", parser=share_of)
]


class Goal(StrEnum):
    """What arms are compared by."""

    SCORE = "score"
    FIRST_TOKEN = "first_token_s"  # noqa: S105 - a figure's name
    TOKENS = "tokens_per_s"


@experiment.command("create")
def create_experiment(
    name: Name,
    arm: Annotated[
        list[str],
        typer.Option(
            metavar="ARM=MODEL", help="Repeat it; the others are compared with the first."
        ),
    ],
    weight: Annotated[
        list[str] | None,
        typer.Option(metavar="ARM=NUMBER", help="Its part of the units; 1, if not."),
    ] = None,
    shadow: Annotated[
        list[str] | None,
        typer.Option(metavar="ARM=SHARE", help="It answers nobody; it gets copies of requests."),
    ] = None,
    goal: Annotated[
        Goal | None,
        typer.Option(help="What arms are compared by; score, which is feedback, if not."),
    ] = None,
    min_effect: Annotated[
        float | None, typer.Option(min=0, help="The least difference that anybody cares for.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="Words about it.")] = None,
    owner: Annotated[str | None, typer.Option(help="The tenant whose it is; for admins.")] = None,
    start: Annotated[bool, typer.Option("--start", help="Share out units at once.")] = False,
    url: Url = URL,
    api_key: ApiKey = "",
    output: Form = Output.TEXT,
) -> None:
    """Make an experiment: a name to give as model, which its arms answer to."""
    arms = arms_of(arm, weight or (), shadow or ())

    def work(experiments: "Experiments") -> "Experiment":
        return experiments.create(
            name,
            arms,
            goal=goal,
            min_effect=min_effect,
            description=description,
            owner=owner,
            start=start,
        )

    raise _told(work, url, api_key, output)


@experiment.command("ls")
def list_experiments(url: Url = URL, api_key: ApiKey = "", output: Form = Output.TEXT) -> None:
    """The experiments you may see."""
    from serve_app.cli import admin, experiments, sdk

    site = admin.Site(url, api_key, output)
    raise typer.Exit(
        sdk.run(
            site, lambda client: experiments.page(client.experiments.list()), experiments.as_table
        )
    )


@experiment.command("show")
def show_experiment(
    name: Name, url: Url = URL, api_key: ApiKey = "", output: Form = Output.TEXT
) -> None:
    """One experiment and its arms."""
    raise _told(lambda experiments: experiments.get(name), url, api_key, output)


@experiment.command("start")
def start_experiment(
    name: Name, url: Url = URL, api_key: ApiKey = "", output: Form = Output.TEXT
) -> None:
    """Share out units from now on; after a pause they have the arms they had."""
    raise _told(lambda experiments: experiments.start(name), url, api_key, output)


@experiment.command("pause")
def pause_experiment(
    name: Name, url: Url = URL, api_key: ApiKey = "", output: Form = Output.TEXT
) -> None:
    """Let the first arm answer everybody until it is started again."""
    raise _told(lambda experiments: experiments.pause(name), url, api_key, output)


@experiment.command("weights")
def set_weights(
    name: Name,
    weight: Annotated[
        list[str], typer.Argument(metavar="ARM=NUMBER...", help="Arms not named keep theirs.")
    ],
    url: Url = URL,
    api_key: ApiKey = "",
    output: Form = Output.TEXT,
) -> None:
    """Share out units by other weights; as few of them move as can be."""
    weights = numbers_of(weight, "ARM=NUMBER")
    raise _told(lambda experiments: experiments.set_weights(name, weights), url, api_key, output)


@experiment.command("ramp")
def ramp_arm(
    name: Name,
    arm: ArmName,
    share: Share,
    url: Url = URL,
    api_key: ApiKey = "",
    output: Form = Output.TEXT,
) -> None:
    """Give one arm a share of all units; what is left, the others share as they did."""
    raise _told(lambda experiments: experiments.ramp(name, arm, share), url, api_key, output)


@experiment.command("results")
def show_results(
    name: Name,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on until Ctrl-C.")] = False,
    every: Annotated[
        float, typer.Option(min=0.1, max=3600, help="Seconds from one look to the next.")
    ] = 2.0,
    url: Url = URL,
    api_key: ApiKey = "",
    output: Annotated[
        Output, typer.Option(help="json: what the application answers, a look a line.")
    ] = Output.TEXT,
) -> None:
    """What an experiment shows by now; to look often does no harm."""
    from serve_app.cli import admin, experiment_live, watching

    manner = watching.Manner(watch, every, output is Output.JSON)
    raise typer.Exit(experiment_live.results(admin.Site(url, api_key, output), name, manner))


@experiment.command("answers")
def show_answers(
    name: Name,
    arm: Annotated[str | None, typer.Option(help="Of this shadow alone.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="So many at most.")] = 20,
    url: Url = URL,
    api_key: ApiKey = "",
    output: Form = Output.TEXT,
) -> None:
    """What shadow arms answered to copies of requests, the newest first."""
    from itertools import islice

    from serve_app.cli import admin, experiments, sdk

    raise typer.Exit(
        sdk.run(
            admin.Site(url, api_key, output),
            lambda client: experiments.page(islice(client.experiments.answers(name, arm), limit)),
            experiments.as_answers,
        )
    )


@experiment.command("promote")
def promote_arm(
    name: Name,
    arm: Annotated[
        str | None, typer.Argument(metavar="[ARM]", help="That which was found better, if not.")
    ] = None,
    alias: Annotated[
        str | None, typer.Option(help="A name that means its version from now on.")
    ] = None,
    url: Url = URL,
    api_key: ApiKey = "",
    output: Form = Output.TEXT,
) -> None:
    """End an experiment for good: its best arm answers everybody."""
    raise _told(lambda experiments: experiments.promote(name, arm, alias), url, api_key, output)


@experiment.command("stop")
def stop_experiment(
    name: Name,
    winner: Annotated[
        str | None, typer.Option(metavar="ARM", help="Answers everybody; the first arm, if not.")
    ] = None,
    url: Url = URL,
    api_key: ApiKey = "",
    output: Form = Output.TEXT,
) -> None:
    """End an experiment for good, whatever it shows."""
    raise _told(lambda experiments: experiments.stop(name, winner), url, api_key, output)


@experiment.command("rm")
def remove_experiment(
    name: Name,
    yes: Yes = False,
    url: Url = URL,
    api_key: ApiKey = "",
    output: Form = Output.TEXT,
) -> None:
    """Take an experiment away, with what it has observed; its name answers no longer."""
    from serve_app.cli import admin, experiments, sdk

    sure(f"Remove experiment {name} and what it has observed", yes)
    site, done = admin.Site(url, api_key, output), admin.as_word(f"{name} is removed")
    raise typer.Exit(
        sdk.run(site, lambda client: experiments.told(client.experiments.delete(name)), done)
    )


def _told(
    work: "Callable[[Experiments], Experiment]", url: str, api_key: str, output: Output
) -> typer.Exit:
    """Do it and show the experiment as it then is."""
    from serve_app.cli import admin, experiments, sdk

    site = admin.Site(url, api_key, output)
    return typer.Exit(
        sdk.run(
            site, lambda client: experiments.told(work(client.experiments)), experiments.as_record
        )
    )
