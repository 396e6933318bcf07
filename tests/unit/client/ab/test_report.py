"""The report: one file, all in it, and nothing that a model said is more than text."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from serve_app.client.ab.report import report, write_report
from serve_app.client.ab.summary import middle, sides
from tests.unit.client.ab.samples import a_comparison, a_reply, a_test

PNG = b"\x89PNG\r\n\x1a\n"
EVIL = "<script>alert(1)</script><img src=http://evil/x onerror='alert(2)'>{{ 7*7 }}"


class Tags(HTMLParser):
    """What a browser would see of a page: its elements, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_file_needs_nothing_beside_it(tmp_path: Path) -> None:
    write_report(a_test(5, 2, 1), tmp_path / "out.html", "regex:x")
    page = Tags((tmp_path / "out.html").read_text())
    sources = [attrs["src"] or "" for tag, attrs in page.seen if tag == "img"]
    assert len(sources) == 2
    for source in sources:
        encoded = source.removeprefix("data:image/png;base64,")
        assert base64.b64decode(encoded).startswith(PNG)
    assert not [tag for tag, _ in page.seen if tag in ("script", "link", "iframe")]
    assert not any("href" in attrs for _, attrs in page.seen)
    policy = next(a["content"] for t, a in page.seen if t == "meta" and "http-equiv" in a)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@pytest.mark.parametrize("where", ["prompt", "response", "error", "name", "judge"])
def test_what_models_and_people_say_is_text(where: str) -> None:
    reply = a_reply(EVIL if where == "name" else "finance", EVIL if where == "response" else "x")
    failed = a_reply("legal", error=EVIL if where == "error" else "gone")
    comparison = a_comparison(None, EVIL if where == "prompt" else "p", reply, failed)
    page = Tags(report([comparison], EVIL if where == "judge" else "human"))
    assert EVIL in page.text
    assert not [tag for tag, _ in page.seen if tag == "script"]
    assert all((a["src"] or "").startswith("data:") for t, a in page.seen if t == "img")


def test_it_says_who_won_and_shows_every_answer() -> None:
    page = Tags(report(a_test(9, 1), "human"))
    assert "A (finance) is preferred by this judge on prompts such as these." in page.text
    assert "55.5% to 99.7%" in page.text
    assert page.text.count("preferred\n") == 10
    assert page.text.count("breach") == 10
    assert "judge: human" in page.text


def test_without_a_judge_nothing_is_said_of_who_won() -> None:
    page = report([a_comparison(None)])
    assert "Nobody has judged" in page
    assert len(re.findall("<img", page)) == 1


def test_sides_that_never_answered_are_shown_with_their_errors() -> None:
    failed = a_reply("legal", error="no room")
    page = Tags(report([a_comparison(None, b=failed)]))
    assert "no room" in page.text


def test_figures_are_of_the_answers_that_came() -> None:
    failed = a_reply("legal", error="no room")
    a, b = sides([a_comparison(None), a_comparison(None, b=failed)])
    assert (a.answers, a.errors, b.answers, b.errors) == (2, 0, 1, 1)
    assert (b.name, middle(b.latency_s), middle(a.latency_s)) == ("legal", 0.8, 0.5)
    assert a.adapters == ["finance@5533a83906f4"]


def test_nothing_compared_is_no_report() -> None:
    with pytest.raises(ValueError, match="nothing was compared"):
        report([])
