"""A test as one HTML file that needs nothing beside it. Needs the extra ``report``.

Everything that models, prompts and servers said is text there: the template escapes all it is
given, and the page's own policy lets no script run and nothing be fetched.
"""

import base64
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from serve_app.client.ab.comparison import Comparison
from serve_app.client.ab.plots import drawn_distributions, drawn_wins
from serve_app.client.ab.summary import middle, sides, won
from serve_app.client.ab.wins import verdict, wins

TEMPLATE = "report.html"


def write_report(comparisons: Sequence[Comparison], path: Path | str, judge: str = "") -> None:
    """Write the report of a test.

    Args:
        judge: who judged, in a few words.

    Raises:
        ValueError: there are no comparisons.
    """
    Path(path).write_text(report(comparisons, judge), encoding="utf-8")


def report(comparisons: Sequence[Comparison], judge: str = "") -> str:
    """The HTML of a test. Raises as ``write_report``."""
    both, found = sides(comparisons), wins(comparisons)
    said = verdict(found, both[0].name, both[1].name)
    return (
        _environment()
        .get_template(TEMPLATE)
        .render(
            sides=both,
            wins=found,
            verdict=said,
            judge=judge,
            comparisons=comparisons,
            first=comparisons[0],
            wins_picture=_data_uri(drawn_wins(found)) if found.judged else None,
            distributions_picture=_data_uri(drawn_distributions(both)),
        )
    )


def _environment() -> Environment:
    loader = PackageLoader("serve_app.client.ab", "")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"middle": middle, "won": won, "s": _seconds, "day": _day}
    return environment


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f} s"


def _day(iso: str) -> str:
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M} UTC"


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
