"""Asks the admin API of a running application, and shows what it answers."""

import csv
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from serve_app.cli.address import NoAnswer, checked_url, connected
from serve_app.cli.exits import AWAY, CONFIG_REFUSED, DENIED, REFUSED, STOPPED, UNKNOWN_ANSWER
from serve_app.cli.options import KEY_VARIABLE, Output
from serve_app.client.printable import printable

Json = dict[str, Any]
Show = Callable[[Console, Json], None]
_INVALID, _UNAUTHORIZED, _FORBIDDEN, _SERVER = 400, 401, 403, 500


@dataclass(frozen=True)
class Site:
    """A running application, and how to show what it says.

    Attributes:
        transport: in place of the network.
    """

    url: str
    api_key: str
    output: Output = Output.TEXT
    transport: Any = None


class Admin:
    """The admin API of one application.

    Raises:
        NoAnswer: the URL or the key is none.
    """

    def __init__(self, site: Site) -> None:
        if not site.api_key:
            raise NoAnswer(
                f"give an admin's key with --api-key, or set {KEY_VARIABLE}; that of "
                "configs/demo.yaml is sk-admin-demo",
                CONFIG_REFUSED,
            )
        url = checked_url(site.url)
        self._url = str(url).rstrip("/")
        self._http = connected(url, site.api_key, site.transport)

    def ask(self, method: str, path: str, body: Json | None = None, **params: Any) -> Json:
        """What it answers.

        Raises:
            NoAnswer: nobody answers, the key or what is asked is refused, or something else
                answers.
        """
        chosen = {name: value for name, value in params.items() if value is not None}
        try:
            answer = self._http.request(
                method, f"{self._url}/admin/v1{path}", json=body, params=chosen
            )
        except httpx.HTTPError as error:
            said = str(error) or type(error).__name__
            raise NoAnswer(
                f"nothing answers at {self._url} ({said}): start it with `serve-app up CONFIG`, or "
                "name another with --url",
                AWAY,
            ) from None
        return self._read(answer)

    def find(self, path: str) -> Json | None:
        """What is there; None if nothing is.

        Raises:
            NoAnswer: as ``ask``.
        """
        try:
            return self.ask("GET", path)
        except NoAnswer as error:
            if error.exit_code != REFUSED:
                raise
            return None

    def all(self, path: str, **params: Any) -> Json:
        """Every page of a list as one."""
        page = whole = self.ask("GET", path, limit=1000, **params)
        while page["has_more"]:
            page = self.ask("GET", path, limit=1000, after=page["last_id"], **params)
            whole["data"] += page["data"]
        return whole | {"has_more": False, "last_id": page["last_id"]}

    def sums(self, **params: Any) -> Json:
        """Every page of usage as one."""
        page = whole = self.ask("GET", "/usage", limit=10_000, **params)
        while page["has_more"]:
            offset = page["next_offset"]
            page = self.ask("GET", "/usage", limit=10_000, offset=offset, **params)
            whole["data"] += page["data"]
        return whole | {"has_more": False, "next_offset": None}

    def _read(self, answer: httpx.Response) -> Json:
        status = answer.status_code
        try:
            body = answer.json()
            problem = body.get("error") if status >= _INVALID else None
            message = problem["message"] if problem else ""
        except (ValueError, AttributeError, KeyError, TypeError):
            message, body = "", None
        if status in (_UNAUTHORIZED, _FORBIDDEN) and message:
            raise NoAnswer(f"{self._url} refused the key: {message}", DENIED)
        if status >= _SERVER:
            raise NoAnswer(f"{self._url} cannot answer now ({status}); try again", AWAY)
        if message:
            raise NoAnswer(message, CONFIG_REFUSED if status == _INVALID else REFUSED)
        if not isinstance(body, dict) or "object" not in body:
            raise NoAnswer(
                f"what answers at {self._url} ({status}) is no admin API of a serve_app of this "
                "version: is the URL right?",
                UNKNOWN_ANSWER,
            )
        return body


def path(*parts: str) -> str:
    """Where something is; what a person gave as a name stays one part of it.

    Raises:
        typer.BadParameter: one is empty, or would lead elsewhere.
    """
    for part in parts:
        if part in ("", ".", ".."):
            raise typer.BadParameter(f"{part!r} is no name")
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def run(site: Site, work: Callable[[Admin], Json], show: Show) -> int:
    """Do it and show what came of it; the exit code."""
    return shown(site.output, lambda: work(Admin(site)), show)


def shown(output: Output, work: Callable[[], Json], show: Show) -> int:
    """Show what comes of ``work``, or why nothing does; the exit code."""
    try:
        answer = work()
    except NoAnswer as error:
        return complain(error)
    if output is Output.JSON:
        print(json.dumps(answer))  # noqa: T201 - for programs
    else:
        show(Console(), answer)
    return STOPPED


def complain(error: NoAnswer) -> int:
    """Say on standard error why there is nothing to show; the exit code."""
    Console(stderr=True).print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
    return error.exit_code


def tell(site: Site, show: Show, method: str, path: str, body: Json | None = None) -> int:
    """Ask one thing and show the answer; the exit code."""
    return run(site, lambda api: api.ask(method, path, body), show)


def tell_all(site: Site, show: Show, path: str, **params: Any) -> int:
    """Show every page of a list; the exit code."""
    return run(site, lambda api: api.all(path, **params), show)


def as_table(title: str, columns: Mapping[str, str]) -> Show:
    """Shows a list as a table of ``columns``: names of fields, and what they are called."""

    def show(console: Console, answer: Json) -> None:
        table = Table(title=title, title_justify="left")
        for field, name in columns.items():
            numbers = any(type(row.get(field)) in (int, float) for row in answer["data"])
            table.add_column(name, justify="right" if numbers and field not in _TIMES else "left")
        for row in answer["data"]:
            table.add_row(*(_cell(field, row.get(field)) for field in columns))
        console.print(table)

    return show


def as_record(console: Console, answer: Json) -> None:
    """Shows one thing, a line a field."""
    table = Table(show_header=False, box=None)
    for field, value in answer.items():
        if field != "object":
            table.add_row(field, _cell(field, value))
    console.print(table)


def as_csv(_console: Console, answer: Json) -> None:
    """Writes a list as CSV, for spreadsheets and programs, under a line of names."""
    rows = answer["data"]
    writer = csv.DictWriter(sys.stdout, list(rows[0]) if rows else [], lineterminator="\n")
    if rows:
        writer.writeheader()
    writer.writerows(rows)


def as_word(word: str) -> Show:
    """Says that it was done."""
    return lambda console, _answer: console.print(word, markup=False, highlight=False)


_TIMES = frozenset(
    {"created", "updated", "expires", "revoked", "last_used", "start", "end", "started", "ended"}
)


def _cell(field: str, value: Any) -> Text:
    """A value as mere text, whoever gave it: no markup, and nothing that steers the terminal."""
    return Text(printable(_shown(field, value)))


def _shown(field: str, value: Any) -> str:
    if value is None or value == []:
        return "-"
    if field in _TIMES and isinstance(value, int):
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={amount}" for name, amount in value.items()) or "-"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
