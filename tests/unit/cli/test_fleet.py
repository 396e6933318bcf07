"""`serve-app fleet`: what it shows, and how it fails."""

import io
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import pytest
from rich.console import Console
from typer.testing import CliRunner

from serve_app.cli.exits import AWAY, CONFIG_REFUSED, DENIED, UNKNOWN_ANSWER
from serve_app.cli.fleet_live import Look, watched
from serve_app.cli.fleet_source import NoPage, Source
from serve_app.cli.main import app
from serve_app.cli.options import KEY_VARIABLE
from serve_app.cli.watching import Manner, show
from serve_app.gateway.fleet_schema import FleetPage
from tests.harness import free_port
from tests.unit.fake_fleet import EXAMPLE, a_page, a_replica

URL = "http://127.0.0.1:8000"

Handler = Callable[[httpx.Request], httpx.Response]


def a_source(handler: Handler, **of: Any) -> Source:
    return Source(
        of.pop("url", URL),
        of.pop("api_key", "sk-admin"),
        transport=httpx.MockTransport(handler),
        **of,
    )


def test_the_page_is_asked_for_with_the_key_and_the_adapter() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=EXAMPLE | {"of_a_later_version": 1})

    source = a_source(answer, url="http://127.0.0.1:8000/", adapter="acme finance")
    assert source.page() == a_page()
    assert str(asked[0].url) == f"{URL}/admin/v1/fleet?adapter=acme+finance"
    assert asked[0].headers["authorization"] == "Bearer sk-admin"


FAILURES: dict[str, tuple[httpx.Response, int, str]] = {
    "a wrong key": (httpx.Response(401), DENIED, "nobody holds this key"),
    "a tenant's key": (httpx.Response(403), DENIED, "not an admin's"),
    "no gateway": (httpx.Response(503, text="<html>"), AWAY, "cannot answer now (503)"),
    "a bad name": (httpx.Response(400, json={}), CONFIG_REFUSED, "--adapter"),
    "another server": (httpx.Response(200, text="<html>"), UNKNOWN_ANSWER, "is the URL right?"),
    "no such page": (httpx.Response(404, json={}), UNKNOWN_ANSWER, "is the URL right?"),
    "an older one": (
        httpx.Response(200, json={"gateway": "g", "replicas": []}),
        UNKNOWN_ANSWER,
        "of this version",
    ),
}


@pytest.mark.parametrize(("response", "exit_code", "said"), FAILURES.values(), ids=FAILURES)
def test_what_is_no_page_says_what_to_do(
    response: httpx.Response, exit_code: int, said: str
) -> None:
    with pytest.raises(NoPage) as failure:
        a_source(lambda _: response).page()
    assert failure.value.exit_code == exit_code
    assert said in str(failure.value)
    assert "sk-admin" not in str(failure.value)


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://a", "http://", "http://a:x"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(NoPage, match="--url must be like") as failure:
        a_source(lambda _: httpx.Response(200), url=url)
    assert failure.value.exit_code == CONFIG_REFUSED


@pytest.mark.parametrize("api_key", ["sk\n", "schlüssel"])
def test_a_key_no_header_can_hold_is_refused(api_key: str) -> None:
    with pytest.raises(NoPage, match="--api-key"):
        a_source(lambda _: httpx.Response(200), api_key=api_key)


def test_without_an_application_the_command_says_how_to_start_one() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    away = CliRunner().invoke(app, ["fleet", "--url", url], env={KEY_VARIABLE: "sk-admin"})
    assert away.exit_code == AWAY
    assert away.stdout == ""
    assert f"nothing answers at {url}" in away.stderr
    assert "serve-app up" in away.stderr


def test_without_a_key_the_command_says_where_it_takes_one_from() -> None:
    refused = CliRunner().invoke(app, ["fleet"], env={KEY_VARIABLE: ""})
    assert refused.exit_code == CONFIG_REFUSED
    assert KEY_VARIABLE in refused.stderr


class Script:
    """Pages and failures in turn, and then Ctrl-C."""

    def __init__(self, *steps: FleetPage | NoPage) -> None:
        self._steps: Iterator[FleetPage | NoPage] = iter(steps)
        self.slept: list[float] = []

    def next_page(self) -> FleetPage:
        step = next(self._steps, None)
        if step is None:
            raise KeyboardInterrupt
        if isinstance(step, NoPage):
            raise step
        return step

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def shown(script: Script, manner: Manner, console: Console) -> None:
    fleet = watched(script.next_page, Look(URL, "k"), manner, console)
    show(fleet, manner, console, script.sleep)


def seen(script: Script, manner: Manner, terminal: bool = False) -> str:
    file = io.StringIO()
    console = Console(file=file, width=150, height=24, force_terminal=terminal, highlight=False)
    with pytest.raises(KeyboardInterrupt):
        shown(script, manner, console)
    return file.getvalue()


def in_flight(counts: Sequence[int]) -> list[FleetPage]:
    return [a_page(replicas=[a_replica(in_flight=count)]) for count in counts]


def test_it_goes_on_until_it_is_interrupted() -> None:
    script = Script(*in_flight([1, 2, 3]))
    text = seen(script, Manner(watch=True, every_s=2.0))
    assert re.findall(r"(\d) in flight", text) == ["1", "2", "3"]
    assert script.slept == [2.0] * 3


def test_on_a_terminal_the_next_page_takes_the_place_of_the_last() -> None:
    text = seen(Script(*in_flight([1, 2])), Manner(watch=True), terminal=True)
    assert text.startswith("\x1b[?1049h")
    assert text.endswith("\x1b[?25h\x1b[?1049l")


def test_an_application_that_goes_away_is_waited_for_under_its_last_page() -> None:
    first, last = in_flight([1, 2])
    text = seen(Script(first, NoPage("gone for now", AWAY), last), Manner(watch=True))
    assert re.findall(r"gone for now|\d in flight", text) == [
        *("1 in flight", "gone for now", "1 in flight", "2 in flight")
    ]


def test_a_key_that_is_refused_meanwhile_ends_it() -> None:
    script = Script(a_page(), NoPage("revoked", DENIED))
    with pytest.raises(NoPage, match="revoked"):
        shown(script, Manner(watch=True), Console(quiet=True))


def test_json_is_a_page_a_line() -> None:
    text = seen(Script(*in_flight([1, 2])), Manner(watch=True, json=True))
    pages = [FleetPage.model_validate_json(line) for line in text.splitlines()]
    assert pages == in_flight([1, 2])


def test_without_watch_it_is_shown_once() -> None:
    console = Console(file=io.StringIO(), width=150)
    script = Script(a_page())
    shown(script, Manner(), console)
    json_script = Script(a_page())
    shown(json_script, Manner(json=True), console)
    assert script.slept == json_script.slept == []
