"""What is removed is really gone. Real Ray Serve, real vLLM."""

from pathlib import Path

import pytest

from serve_app.adapters.version import DIGEST_CHARS
from tests.e2e.adapters.calls import ADMIN, CHEF, IGNORE_EOS, call, register, speaks
from tests.e2e.contents import write_content
from tests.harness import RunningApp, eventually

pytestmark = pytest.mark.e2e


def test_a_removed_adapter_leaves_every_engine_and_the_disk(app: RunningApp, folder: Path) -> None:
    record = register(app, "leaving", write_content(folder / "leaving", CHEF, "leaving"))
    assert speaks(app, "leaving") == {CHEF}
    assert call(app, "DELETE", "/v1/lora/leaving").status_code == 200
    gone = call(app, "POST", "/v1/completions", model="leaving", prompt="x")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "model_not_found")
    name = f"leaving@{record['digest'][:DIGEST_CHARS]}"

    def is_freed() -> bool:
        replicas = call(app, "GET", "/admin/v1/fleet").json()["replicas"]
        return all(
            name not in one["adapters"] and len(one["adapters"]) == one["engine_lists"]
            for one in replicas
        )

    eventually(is_freed, 10, "no engine holds it")
    eventually(
        lambda: call(app, "GET", "/v1/lora/leaving").status_code == 404, 20, "its record is gone"
    )
    kept = app.data / "adapters" / record["digest"]
    eventually(lambda: not kept.exists(), 20, "its files are gone")
    assert call(app, "DELETE", "/v1/lora/leaving").status_code == 404


def test_a_stream_on_a_removed_adapter_is_drained_for_a_while_then_ended(
    app: RunningApp, folder: Path
) -> None:
    register(app, "drained", write_content(folder / "drained", CHEF, "drained"))
    client = app.client(ADMIN)
    streams = [
        client.completions.create(
            model="drained",
            prompt="x",
            max_tokens=tokens,
            stream=True,
            extra_body=IGNORE_EOS,
        )
        for tokens in (60, 1900)
    ]
    for stream in streams:
        next(iter(stream))
    assert call(app, "DELETE", "/v1/lora/drained").status_code == 200
    short, long = streams
    assert list(short)[-1].choices[0].finish_reason == "length"
    with pytest.raises(Exception, match="removed"):
        list(long)
