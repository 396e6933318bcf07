"""Sources that are broken, slow, or gone. Real Ray Serve, real vLLM."""

import itertools
import shutil
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.broken_adapters import BROKEN
from tests.e2e.adapters.calls import (
    ADMIN,
    CHEF,
    IGNORE_EOS,
    MUSIC,
    SLOW_S,
    TRAVEL,
    call,
    engines,
    register,
    show,
    speaks,
)
from tests.e2e.contents import DEMO, write_content
from tests.harness import RunningApp, eventually

pytestmark = pytest.mark.e2e


def broken(app: RunningApp, folder: Path, kind: str) -> httpx.Response:
    """What is answered to an adapter that is broken in this way."""
    into = folder / f"broken-{list(BROKEN).index(kind)}"
    BROKEN[kind](DEMO / CHEF, into)
    return call(app, "POST", "/v1/lora/register", lora_name="broken", lora_path=str(into))


def test_every_kind_of_broken_adapter_is_refused_with_its_reason_and_harms_nobody(
    app: RunningApp, folder: Path
) -> None:
    before = engines(app)
    codes = set()
    for kind in BROKEN:
        refused = broken(app, folder, kind)
        assert refused.status_code == 422, f"{kind}: {refused.text}"
        assert refused.headers["x-should-retry"] == "false"
        codes.add(refused.json()["error"]["code"])
        if len(codes) % 10 == 0:
            assert speaks(app, CHEF) == {CHEF}
    print(f"{len(BROKEN)} kinds, {len(codes)} codes")
    assert len(BROKEN) >= 15
    assert speaks(app, CHEF) == {CHEF}
    assert call(app, "GET", "/v1/models/broken").status_code == 404
    assert engines(app) == before


def test_a_source_that_vanishes_after_registration_is_not_missed(
    app: RunningApp, folder: Path
) -> None:
    path = write_content(folder / "vanishing", TRAVEL, "vanishing")
    register(app, "vanishing", path)
    shutil.rmtree(path)
    assert speaks(app, "vanishing") == {TRAVEL}


def test_a_stream_hardly_notices_that_a_slow_source_is_registered_and_loaded(
    app: RunningApp,
) -> None:
    """With an adapter of which one file takes 3 s, a bare engine's streams stop for 3 s."""
    arrivals: list[float] = []

    def listen() -> None:
        while not loaded.is_set():
            stream = app.client(ADMIN).completions.create(
                model=CHEF, prompt="x", max_tokens=1900, stream=True, extra_body=IGNORE_EOS
            )
            next(iter(stream))
            mark = len(arrivals)
            arrivals.extend(time.monotonic() for _ in stream)
            gaps.extend(b - a for a, b in itertools.pairwise(arrivals[mark:]))

    loaded, gaps = threading.Event(), list[float]()
    listening = threading.Thread(target=listen)
    listening.start()
    began = time.monotonic()
    record = register(app, "slow", "hf://org/name@v1")
    took_s = time.monotonic() - began
    assert speaks(app, "slow") == {MUSIC}
    loaded.set()
    listening.join()
    eventually(lambda: show(app, "slow")["replicas"], 5, "a replica says that it holds it")
    load_s = max(one["load_s"] or 0 for one in show(app, "slow")["replicas"])
    median = sorted(gaps)[len(gaps) // 2]
    print(f"registered in {took_s:.2f} s; gaps: median {median:.4f} s, largest {max(gaps):.4f} s")
    print(f"a local load took {load_s:.4f} s")
    assert record["state"] == "live"
    assert took_s >= SLOW_S
    assert max(gaps) < SLOW_S / 2, "a stream waited for the source"
