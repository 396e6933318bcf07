"""A page of a running application: shown once, or again and again until Ctrl-C."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from serve_app.cli.address import NoAnswer
from serve_app.cli.admin import complain
from serve_app.cli.exits import AWAY, STOPPED

WIDTH = 150
"""Columns of tables where no terminal says how many there are."""

P = TypeVar("P", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Manner:
    """How to show it: whether to go on, how often to look, and whether in JSON."""

    watch: bool = False
    every_s: float = 1.0
    json: bool = False


@dataclass(frozen=True, slots=True)
class Watched(Generic[P]):
    """What there is a page of.

    Attributes:
        next_page: what it is like now; raises NoAnswer where it cannot be known.
        screen: the same for people.
    """

    next_page: Callable[[], P]
    screen: Callable[[P], RenderableType]


def until_interrupted(work: Callable[[Console], None]) -> int:
    """Do it, and say why it cannot be done.

    Returns:
        The exit code.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    try:
        work(console)
    except NoAnswer as error:
        return complain(error)
    except KeyboardInterrupt:
        pass
    return STOPPED


def show(
    watched: Watched[P],
    manner: Manner,
    console: Console,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Print the page, or keep it on the screen.

    Raises:
        NoAnswer: there is none, or is none any more for another reason than that nobody answers.
    """
    if manner.json:
        _print_json(watched, manner, console, sleep)
    elif manner.watch:
        _keep(_screens(watched, manner.every_s, sleep), console)
    else:
        console.print(watched.screen(watched.next_page()))


def _print_json(
    watched: Watched[P], manner: Manner, console: Console, sleep: Callable[[float], None]
) -> None:
    while True:
        console.file.write(watched.next_page().model_dump_json() + "\n")
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
    watched: Watched[P], every_s: float, sleep: Callable[[float], None]
) -> Iterator[RenderableType]:
    """Without end. An application that goes away is waited for, under its last page."""
    shown = watched.screen(watched.next_page())
    trouble: str | None = None
    while True:
        yield shown if trouble is None else Group(Text(f" {trouble}", "bold red"), shown)
        sleep(every_s)
        try:
            shown, trouble = watched.screen(watched.next_page()), None
        except NoAnswer as error:
            if error.exit_code != AWAY:
                raise
            trouble = str(error)
