"""New content, going back, aliases. Real Ray Serve, real vLLM."""

from pathlib import Path

import pytest

from serve_app.adapters.version import DIGEST_CHARS
from serve_app.demo.lexicon import who_answered
from tests.e2e.adapters.calls import (
    ADMIN,
    CHEF,
    IGNORE_EOS,
    MUSIC,
    TRAVEL,
    call,
    register,
    speaks,
)
from tests.e2e.contents import write_content
from tests.harness import RunningApp

pytestmark = pytest.mark.e2e


def test_new_content_answers_the_next_request_and_one_can_go_back(
    app: RunningApp, folder: Path
) -> None:
    register(app, "moving", write_content(folder / "moving-1", CHEF, "m1"))
    assert speaks(app, "moving") == {CHEF}
    second = register(app, "moving", write_content(folder / "moving-2", MUSIC, "m2"))
    assert second["version"] == 2
    assert speaks(app, "moving") == {MUSIC}
    assert speaks(app, "moving@v1") == {CHEF}
    assert speaks(app, f"moving@{second['digest'][:DIGEST_CHARS]}") == {MUSIC}

    assert call(app, "POST", "/v1/lora/moving/rollback").json()["version"] == 1
    assert speaks(app, "moving") == {CHEF}
    assert call(app, "POST", "/v1/lora/moving/rollback", version=2).json()["version"] == 2
    assert speaks(app, "moving") == {MUSIC}
    states = {
        one["version"]: one["state"]
        for one in call(app, "GET", "/v1/lora/moving/versions").json()["data"]
    }
    assert states == {1: "staged", 2: "live"}


def test_an_alias_stays_with_its_version_until_it_is_moved(app: RunningApp, folder: Path) -> None:
    register(app, "aliased", write_content(folder / "aliased-1", CHEF, "a1"))
    alias = "/v1/lora/aliased/aliases/aliased-stable"
    assert call(app, "PUT", alias).status_code == 200
    register(app, "aliased", write_content(folder / "aliased-2", TRAVEL, "a2"))
    assert speaks(app, "aliased-stable") == {CHEF}
    assert speaks(app, "aliased") == {TRAVEL}
    assert call(app, "PUT", alias, version="v2").status_code == 200
    assert speaks(app, "aliased-stable") == {TRAVEL}
    assert call(app, "DELETE", alias).status_code == 200
    assert call(app, "GET", "/v1/models/aliased-stable").status_code == 404


def test_a_running_stream_ends_with_the_version_it_began_with(
    app: RunningApp, folder: Path
) -> None:
    register(app, "switched", write_content(folder / "switched-1", CHEF, "s1"))
    stream = app.client(ADMIN).completions.create(
        model="switched",
        prompt="x",
        max_tokens=400,
        stream=True,
        extra_body=IGNORE_EOS,
    )
    first = next(iter(stream)).choices[0].text
    register(app, "switched", write_content(folder / "switched-2", MUSIC, "s2"))
    assert speaks(app, "switched") == {MUSIC}
    rest = "".join(chunk.choices[0].text for chunk in stream if chunk.choices)
    assert who_answered(first + rest) == {CHEF}
