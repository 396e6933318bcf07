"""The ``serve-app`` command line. Each command lives in its own module, imported when it is run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serve_app import __version__
from serve_app.cli.ab import ab
from serve_app.cli.calibrate import calibrate
from serve_app.cli.chat import chat
from serve_app.cli.exits import CONFIG_REFUSED, MACHINE_UNFIT
from serve_app.cli.experiment import experiment
from serve_app.cli.feedback import feedback
from serve_app.cli.fleet import fleet
from serve_app.cli.keys import key
from serve_app.cli.limits import limits
from serve_app.cli.lora import lora
from serve_app.cli.missing import Commands
from serve_app.cli.simulate import simulate
from serve_app.cli.tenants import grant, tenant
from serve_app.cli.usage import usage

if TYPE_CHECKING:
    from rich.console import Console

    from serve_app.cli.check import Finding
    from serve_app.cli.config_file import ConfigFile, Ours

app = typer.Typer(
    name="serve-app",
    cls=Commands,
    help="One base model, many LoRA adapters, many tenants, on Ray Serve and vLLM.",
    epilog="Exit codes: 0 done, 1 the application failed, 2 the command line or config is wrong, "
    "3 the machine is unfit, 4 nothing answers, 5 the key is refused, 6 something else answers, "
    "7 it would not do it.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)

Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="A Ray Serve config file (YAML).")]
Port = Annotated[int | None, typer.Option(help="Serve on this port, not on the file's.")]


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if show:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def up(
    config: Config,
    port: Port = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Serve's own proxy in front, without HAProxy.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Let the logs of Ray and Serve through.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Start although a check found something.")
    ] = False,
) -> None:
    """Serve CONFIG in the foreground until Ctrl-C, with HAProxy and gRPC in the data path.

    Starts a Ray cluster of its own on this machine and ends every process of it afterwards,
    however this command ends. Exit codes: 0 stopped as asked, 1 the application failed, 2 the
    config is refused, 3 the machine is not fit.
    """
    from serve_app.cli import check
    from serve_app.cli import up as starting

    console = _console()
    file = _read(config, port)
    findings = check.machine(file)
    _report(findings, console)
    if any(one.fatal for one in findings) and not force:
        raise typer.Exit(MACHINE_UNFIT)
    raise typer.Exit(starting.up(file, starting.Options(plain, verbose), console))


@app.command()
def demo(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="A config whose adapters the demo trained.")
    ] = Path("configs/demo.yaml"),
    port: Port = None,
) -> None:
    """Serve CONFIG, let every tenant ask its adapter twice, print the answers, stop.

    Exit codes: as of `up`; 1 also when an answer has another adapter's words.
    """
    from serve_app.cli import demo as asking

    raise typer.Exit(asking.demo(_read(config, port), _console()))


@app.command()
def down() -> None:
    """End every process that a run of `serve-app up` has on this machine, and nothing else."""
    from serve_app.cli import down as ending

    raise typer.Exit(ending.down(_console()))


@app.command()
def check(
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG", help="A Ray Serve config file (YAML).")
    ] = None,
    port: Port = None,
    machine_only: Annotated[
        bool, typer.Option("--machine-only", help="Look at this machine alone.")
    ] = False,
) -> None:
    """Say whether CONFIG is right and this machine could serve it. Starts nothing."""
    from serve_app.cli import check as checks

    if config is None and not machine_only:
        raise typer.BadParameter("name a config file, or --machine-only", param_hint="CONFIG")
    file = None if config is None or machine_only else _read(config, port)
    findings = checks.machine(file)
    if file is not None and file.ours is not None:
        findings += _adapters(file.ours)
    _report(findings, _console())
    if any(one.fatal for one in findings):
        raise typer.Exit(MACHINE_UNFIT)
    typer.echo("ok" if file is None else f"{file.path} is right, and this machine can serve it")


app.command()(chat)
app.command()(simulate)
app.command()(calibrate)
app.command()(feedback)
app.command()(fleet)
app.command()(usage)
app.add_typer(lora, name="lora")
app.add_typer(ab, name="ab")
app.add_typer(experiment, name="experiment")
app.add_typer(tenant, name="tenant")
app.add_typer(grant, name="grant")
app.add_typer(key, name="key")
app.add_typer(limits, name="limits")


def _adapters(ours: "Ours") -> "list[Finding]":
    from serve_app.cli import check as checks
    from serve_app.errors import ConfigError

    try:
        return checks.adapters(ours)
    except ConfigError as error:
        return [checks.Finding(str(error))]


def _read(path: Path, port: int | None) -> "ConfigFile":
    from serve_app.cli import config_file
    from serve_app.errors import ConfigError

    try:
        return config_file.read(path, port)
    except ConfigError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(CONFIG_REFUSED) from None


def _report(findings: "list[Finding]", console: "Console") -> None:
    for one in findings:
        style, word = ("bold red", "error:") if one.fatal else ("yellow", "warning:")
        console.print(word, style=style, end=" ")
        console.print(one.message, markup=False, highlight=False, soft_wrap=True)


def _console() -> "Console":
    """Everything said to a person goes to standard error."""
    from rich.console import Console

    return Console(stderr=True)
