"""``serve-app fleet``: once, or again and again until Ctrl-C."""

from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console, RenderableType

from serve_app.cli import fleet_tables, watching
from serve_app.cli.fleet_source import Source
from serve_app.cli.fleet_sum import Pages
from serve_app.cli.watching import Manner, Watched
from serve_app.gateway.fleet_schema import FleetPage

_LINES_BESIDE = 12
"""Of a screen: the headline, what is wrong, two tables' heads, what is left out."""


@dataclass(frozen=True, slots=True)
class Look:
    """Whom to ask, as what, and for what."""

    url: str
    api_key: str
    adapter: str | None = None


def fleet(look: Look, manner: Manner) -> int:
    """Show it.

    Returns:
        The exit code.
    """

    def work(console: Console) -> None:
        source = Source(look.url, look.api_key, look.adapter)
        watching.show(watched(source.page, look, manner, console), manner, console)

    return watching.until_interrupted(work)


def watched(
    next_page: Callable[[], FleetPage], look: Look, manner: Manner, console: Console
) -> Watched[FleetPage]:
    """The fleet, and as much of it on a screen that is kept as has room there."""
    met, whole = Pages(), look.adapter is not None

    def screen(page: FleetPage) -> RenderableType:
        room = max(3, console.height - _LINES_BESIDE - len(page.replicas))
        rows = room if manner.watch and console.is_terminal else None
        return fleet_tables.screen(met.with_(page), console.width, rows, whole)

    return Watched(next_page, screen)
