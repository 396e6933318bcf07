"""The options of ``serve-app simulate``; ``simulating``, imported when it is run, does the rest."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from serve_app.cli.exits import MACHINE_UNFIT
from serve_app.cli.options import Output


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for; units as in the help. None is what was left to the machine's file."""

    workload: str
    rate: float
    duration_s: float
    adapters: int
    zipf: float
    base_share: float
    prompt: int
    answer: int
    spread: float
    trace: Path | None
    speed: float
    limit: int
    replicas: list[int]
    max_loras: list[int]
    max_cpu_loras: list[int]
    policy: list[str]
    gateways: int
    shed: bool
    machine: Path | None
    gpu: str | None
    rank: list[int]
    adapter_rank: int
    first_token_s: float
    per_token_s: float
    goal: float | None
    most: int
    seeds: int
    warm_up: float
    jobs: int
    out: Path
    output: Output


TRAFFIC, TRACE = "Traffic, made up", "Traffic, recorded"
FLEET, MACHINE, GOAL, RUN = "Fleet (repeat for a table)", "Machine", "Goal", "Run"

Workload = Annotated[
    str,
    typer.Option(
        help="steady, bursty, flash-crowd, shifting, noisy-tenant or uniform.",
        rich_help_panel=TRAFFIC,
    ),
]
Rate = Annotated[float, typer.Option(min=0.001, help="Requests a second.", rich_help_panel=TRAFFIC)]
Duration = Annotated[
    float, typer.Option(min=1.0, help="Seconds for which they come.", rich_help_panel=TRAFFIC)
]
Adapters = Annotated[
    int, typer.Option(min=1, help="Adapters there are to ask for.", rich_help_panel=TRAFFIC)
]
Zipf = Annotated[
    float,
    typer.Option(min=0.0, help="Exponent of their popularity; 0: equal.", rich_help_panel=TRAFFIC),
]
BaseShare = Annotated[
    float,
    typer.Option(min=0.0, max=1.0, help="Share that asks the base.", rich_help_panel=TRAFFIC),
]
Prompt = Annotated[
    int, typer.Option(min=1, help="Median tokens of a prompt.", rich_help_panel=TRAFFIC)
]
Answer = Annotated[
    int, typer.Option(min=1, help="Median tokens of an answer.", rich_help_panel=TRAFFIC)
]
Spread = Annotated[
    float,
    typer.Option(min=0.0, help="Deviation of both lengths' logarithm.", rich_help_panel=TRAFFIC),
]
TraceFile = Annotated[
    Path | None,
    typer.Option(
        help="An access log (JSON lines), or an Azure or BurstGPT trace (CSV), which has no "
        "adapters: each request gets one by --adapters, --zipf and --base-share.",
        rich_help_panel=TRACE,
    ),
]
Speed = Annotated[
    float, typer.Option(min=0.001, help="Times as fast as recorded.", rich_help_panel=TRACE)
]
Limit = Annotated[int, typer.Option(min=1, help="Requests to read.", rich_help_panel=TRACE)]
Replicas = Annotated[
    list[int] | None, typer.Option(min=1, help="Replicas, one GPU each.", rich_help_panel=FLEET)
]
MaxLoras = Annotated[
    list[int] | None, typer.Option(min=1, help="LoRA slots.", rich_help_panel=FLEET)
]
MaxCpuLoras = Annotated[
    list[int] | None,
    typer.Option(min=1, help="Adapters in host memory.", rich_help_panel=FLEET),
]
PolicyName = Annotated[
    list[str] | None,
    typer.Option(
        help="Routing policy, or all; those of make bench-routing.", rich_help_panel=FLEET
    ),
]
Gateways = Annotated[int, typer.Option(min=1, help="Gateways.", rich_help_panel=FLEET)]
Shed = Annotated[
    bool, typer.Option(help="Refuse requests that would wait long.", rich_help_panel=FLEET)
]
MachineFile = Annotated[
    Path | None,
    typer.Option(help="A replica as serve-app calibrate measured it.", rich_help_panel=MACHINE),
]
GpuOption = Annotated[
    str | None,
    typer.Option(
        help="h100 (default), a100, l40s, a10g or l4, with Llama 3.1 8B: estimated.",
        rich_help_panel=MACHINE,
    ),
]
Rank = Annotated[
    list[int] | None,
    typer.Option(min=1, help="max_lora_rank (default 16); may repeat.", rich_help_panel=MACHINE),
]
AdapterRank = Annotated[
    int, typer.Option(min=1, help="Rank adapters really have.", rich_help_panel=MACHINE)
]
FirstToken = Annotated[
    float, typer.Option(min=0.001, help="Seconds to the first token.", rich_help_panel=GOAL)
]
PerToken = Annotated[
    float, typer.Option(min=0.001, help="Seconds a token after it.", rich_help_panel=GOAL)
]
Share = Annotated[
    float | None,
    typer.Option(
        "--goal",
        min=0.01,
        max=1.0,
        help="Find the fewest replicas that serve this share of requests so.",
        rich_help_panel=GOAL,
    ),
]
Most = Annotated[int, typer.Option(min=1, help="Replicas to try at most.", rich_help_panel=GOAL)]
Seeds = Annotated[int, typer.Option(min=1, max=100, help="Means of as many.", rich_help_panel=RUN)]
WarmUp = Annotated[
    float,
    typer.Option(min=0.0, max=0.9, help="Share of time not counted.", rich_help_panel=RUN),
]
Jobs = Annotated[int, typer.Option(min=0, help="Processes; 0: one a core.", rich_help_panel=RUN)]
Out = Annotated[Path, typer.Option(help="Where CSV and picture go.", rich_help_panel=RUN)]
OutputOption = Annotated[Output, typer.Option(help="What to print.", rich_help_panel=RUN)]


def simulate(
    workload: Workload = "steady",
    rate: Rate = 20.0,
    duration_s: Duration = 60.0,
    adapters: Adapters = 50,
    zipf: Zipf = 1.0,
    base_share: BaseShare = 0.05,
    prompt: Prompt = 250,
    answer: Answer = 100,
    spread: Spread = 0.8,
    trace: TraceFile = None,
    speed: Speed = 1.0,
    limit: Limit = 20_000,
    replicas: Replicas = None,
    max_loras: MaxLoras = None,
    max_cpu_loras: MaxCpuLoras = None,
    policy: PolicyName = None,
    gateways: Gateways = 2,
    shed: Shed = True,
    machine: MachineFile = None,
    gpu: GpuOption = None,
    rank: Rank = None,
    adapter_rank: AdapterRank = 16,
    first_token_s: FirstToken = 1.0,
    per_token_s: PerToken = 0.05,
    goal: Share = None,
    most: Most = 64,
    seeds: Seeds = 1,
    warm_up: WarmUp = 0.2,
    jobs: Jobs = 0,
    out: Out = Path(".bench"),
    output: OutputOption = Output.TEXT,
) -> None:
    """How would a fleet serve this traffic? Simulated, with production's own routing.

    Gives a table of every combination of --replicas, --max-loras, --max-cpu-loras, --rank and
    --policy, or with --goal the GPUs that each needs. Exit codes: 2 something given is wrong,
    3 matplotlib is missing.
    """
    asked = dict(locals())
    if find_spec("matplotlib") is None:
        typer.echo("error: pictures need matplotlib: pip install 'serve-app[bench]'", err=True)
        raise typer.Exit(MACHINE_UNFIT)
    from serve_app.cli import simulating

    lists = ("replicas", "max_loras", "max_cpu_loras", "policy", "rank")
    asked |= {name: asked[name] or [] for name in lists}
    raise typer.Exit(simulating.simulate(Options(**asked)))
