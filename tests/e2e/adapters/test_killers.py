"""Three ways to end an engine of vLLM's by its LoRA API, none of which works here."""

import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from serve_app.demo.lexicon import who_answered
from tests.e2e.adapters.calls import CHEF, MUSIC, TRAVEL, call, engines, register, speaks, stream
from tests.e2e.contents import write_content
from tests.harness import RunningApp

pytestmark = pytest.mark.e2e


def test_adapters_that_fell_out_of_the_engine_come_back_though_their_sources_are_gone(
    app: RunningApp, folder: Path
) -> None:
    """vLLM reads an adapter again from where it was, inside a step, and dies if it is not there."""
    before, voices = engines(app), {}
    for number in range(18):  # two engines hold eight each
        name, voice = f"many-{number:02}", (CHEF, MUSIC, TRAVEL)[number % 3]
        path = write_content(folder / name, voice, name)
        register(app, name, path)
        shutil.rmtree(path)
        voices[name] = voice
    for _ in range(2):
        assert {name: speaks(app, name) for name in voices} == {n: {v} for n, v in voices.items()}
    assert engines(app) == before


def test_one_name_with_two_contents_in_flight_and_a_third_adapter_beside(
    app: RunningApp, folder: Path
) -> None:
    """vLLM knows adapters by name alone, and two ids under one name end it."""
    before = engines(app)
    voices = (CHEF, MUSIC)
    contents = {voice: write_content(folder / f"twice-{voice}", voice, "t") for voice in voices}
    texts: dict[str, str] = {}

    def read(key: str, chunks: Any) -> None:
        texts[key] = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)

    reading = []
    for voice in voices:
        register(app, "twice", contents[voice])
        reading += [
            threading.Thread(target=read, args=(f"{voice} {n}", stream(app, "twice", 600)))
            for n in range(2)
        ]
    for thread in reading:
        thread.start()
    assert speaks(app, TRAVEL) == {TRAVEL}
    register(app, "twice", contents[CHEF])
    assert (speaks(app, "twice"), speaks(app, TRAVEL)) == (frozenset({CHEF}), frozenset({TRAVEL}))
    for thread in reading:
        thread.join()
    assert {key: who_answered(text) for key, text in texts.items()} == {
        f"{voice} {n}": {voice} for voice in voices for n in range(2)
    }
    assert engines(app) == before


def test_pinned_adapters_always_leave_room_for_another(app: RunningApp, folder: Path) -> None:
    """With every slot pinned, one more adapter ends vLLM when it is used."""
    before, pinned = engines(app), []
    for number in range(9):
        path = write_content(folder / f"pin-{number}", CHEF, f"pin-{number}")
        name = f"pin-{number}"
        answer = call(app, "POST", "/v1/lora/register", lora_name=name, lora_path=path, pin=True)
        if answer.status_code != 200:
            break
        pinned.append(name)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "too_many_pinned")
    assert len(pinned) == 7, "an engine holds eight, and one place stays free"
    for name in (*pinned, MUSIC, *pinned, TRAVEL):
        assert len(speaks(app, name)) == 1
    for name in pinned:
        assert call(app, "DELETE", f"/v1/lora/{name}").status_code == 200
    assert engines(app) == before
