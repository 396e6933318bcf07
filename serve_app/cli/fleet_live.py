"""``serve-app fleet``: once, or again and again until Ctrl-C."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from serve_app.cli import fleet_tables
from serve_app.cli.exits import AWAY, STOPPED
from serve_app.cli.fleet_source import NoPage, Source
from serve_app.cli.fleet_sum import Pages
from serve_app.gateway.fleet_schema import FleetPage

WIDTH = 150
"""Columns of the tables where no terminal says how many there are."""
_LINES_BESIDE = 12
"""Of a screen: the headline, what is wrong, two tables' heads, what is left out."""

NextPage = Callable[[], FleetPage]


@dataclass(frozen=True, slots=True)
class Look:
    """Whom to ask, as what, and for what."""

    url: str
    api_key: str
    adapter: str | None = None


@dataclass(frozen=True, slots=True)
class Manner:
    """How to show it: whether to go on, how often to look, and whether in JSON."""

    watch: bool = False
    every_s: float = 1.0
    json: bool = False


def fleet(look: Look, manner: Manner) -> int:
    """Show it.

    Returns:
        The exit code.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    try:
        show(Source(look.url, look.api_key, look.adapter).page, look, manner, console)
    except NoPage as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(
            f"error: {error}", style="red", markup=False
        )
        return error.exit_code
    except KeyboardInterrupt:
        pass
    return STOPPED


def show(
    next_page: NextPage,
    look: Look,
    manner: Manner,
    console: Console,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Print the page, or keep it on the screen.

    Raises:
        NoPage: there is none, or is none any more for another reason than that nobody answers.
    """
    whole = look.adapter is not None
    if manner.json:
        _print_json(next_page, manner, console, sleep)
    elif manner.watch:
        _keep(_screens(next_page, whole, manner.every_s, console, sleep), console)
    else:
        console.print(fleet_tables.screen(next_page(), console.width, whole=whole))


def _print_json(
    next_page: NextPage, manner: Manner, console: Console, sleep: Callable[[float], None]
) -> None:
    while True:
        console.file.write(next_page().model_dump_json() + "\n")
        console.file.flush()
        if not manner.watch:
            return
        sleep(manner.every_s)


def _keep(screens: Iterator[RenderableType], console: Console) -> None:
    """One after the other: in its place on a terminal, below it where there is none."""
    if not console.is_terminal:
        for screen in screens:
            console.print(screen)
        return
    with Live(console=console, screen=True, auto_refresh=False) as live:
        for screen in screens:
            live.update(screen, refresh=True)


def _screens(
    next_page: NextPage,
    whole: bool,
    every_s: float,
    console: Console,
    sleep: Callable[[float], None],
) -> Iterator[RenderableType]:
    """Without end. An application that goes away is waited for, under its last page."""
    pages = Pages()
    page = pages.with_(next_page())
    trouble: str | None = None
    while True:
        yield _screen(page, whole, trouble, console)
        sleep(every_s)
        try:
            page, trouble = pages.with_(next_page()), None
        except NoPage as error:
            if error.exit_code != AWAY:
                raise
            trouble = str(error)


def _screen(page: FleetPage, whole: bool, trouble: str | None, console: Console) -> RenderableType:
    room = max(3, console.height - _LINES_BESIDE - len(page.replicas))
    rows = room if console.is_terminal else None
    shown = fleet_tables.screen(page, console.width, rows, whole)
    if trouble is None:
        return shown
    return Group(Text(f" {trouble}", "bold red"), shown)
