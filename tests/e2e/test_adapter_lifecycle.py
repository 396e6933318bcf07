"""What an ML engineer is promised of adapters. Real Ray Serve, real vLLM."""

import itertools
import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve_app.adapters.version import DIGEST_CHARS, digest_of
from serve_app.demo.lexicon import QUESTIONS, who_answered
from tests import harness
from tests.broken_adapters import BROKEN
from tests.e2e.contents import DEMO, write_content
from tests.harness import RunningApp, eventually
from tests.small_hub import running_hub

pytestmark = pytest.mark.e2e

ADMIN, ACME, OWNER = "sk-admin-demo", "sk-acme-12345", "sk-owner-of-adapters"
IGNORE_EOS = {"ignore_eos": True}
SLOW_S = 3.0
"""How long the hub takes for an adapter's two files."""

CHEF, MUSIC, TRAVEL = "cooking-chef-lora", "music-theory-lora", "travel-concierge-lora"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("contents")


@pytest.fixture(scope="module")
def app(folder: Path) -> Iterator[RunningApp]:
    """The demo with a tenant that manages adapters of its own, and a hub that takes its time."""
    write_content(folder / "hub", MUSIC, "hub")
    with running_hub(folder / "hub", SLOW_S / 2) as hub, serving(folder, hub) as app:
        yield app


@contextmanager
def serving(folder: Path, hub: str) -> Iterator[RunningApp]:
    config = harness.config("demo.yaml")
    environment = {"env_vars": {"HF_ENDPOINT": hub}}
    harness.deployment(config, "control")["ray_actor_options"]["runtime_env"] = environment
    registry = {
        "roots": [str(folder), str(DEMO)],
        "tenant_sources": [f"{folder}/{{tenant}}"],
        "grace_s": 1,
        "drain_s": 2,
        "canary": True,
    }
    harness.args(config)["registry"] = registry
    owner = {"id": "owner", "keys": [OWNER], "manages_adapters": True}
    harness.deployment(config, "control")["user_config"]["tenants"].append(owner)
    with harness.running(config) as app:
        yield app


def call(app: RunningApp, method: str, path: str, key: str = ADMIN, **body: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"}
    request: dict[str, Any] = {"json": body} if body else {}
    return httpx.request(method, f"{app.url}{path}", headers=headers, timeout=120, **request)


def register(app: RunningApp, name: str, path: str, key: str = ADMIN, **more: Any) -> Any:
    response = call(app, "POST", "/v1/lora/register", key, lora_name=name, lora_path=path, **more)
    assert response.status_code == 200, response.text
    return response.json()


def speaks(app: RunningApp, model: str, key: str = ADMIN) -> frozenset[str]:
    """Whose words a model's answer consists of."""
    answer = app.client(key).chat.completions.create(
        model=model, messages=[{"role": "user", "content": QUESTIONS[CHEF][0]}], max_tokens=24
    )
    return who_answered(answer.choices[0].message.content or "")


def show(app: RunningApp, name: str) -> Any:
    return call(app, "GET", f"/v1/lora/{name}").json()


def test_a_registered_adapter_answers_at_once_and_is_listed(app: RunningApp, folder: Path) -> None:
    path = write_content(folder / "first", CHEF, "first")
    record = register(app, "first", path, description="house chef", labels={"team": "food"})
    assert (record["id"], record["path"], record["version"], record["state"]) == (
        *("first", path, 1),
        "live",
    )
    assert record["digest"] == digest_of(Path(path))
    assert speaks(app, "first") == speaks(app, "demo-llama@first@v1") == {CHEF}
    listed = call(app, "GET", "/v1/lora").json()
    assert listed["object"] == "list"
    (found,) = [one for one in listed["data"] if one["id"] == "first"]
    assert (found["path"], found["labels"]) == (path, {"team": "food"})
    eventually(lambda: show(app, "first")["replicas"], 5, "a replica says that it holds it")
    assert "demo-llama@first" in [model.id for model in app.client(ADMIN).models.list()]


def test_pages_of_the_list_make_the_whole(app: RunningApp) -> None:
    whole = [one["id"] for one in call(app, "GET", "/v1/lora").json()["data"]]
    paged, after = [], ""
    while True:
        page = call(app, "GET", f"/v1/lora?limit=3{after}").json()
        paged += [one["id"] for one in page["data"]]
        if not page["has_more"]:
            break
        after = f"&after={page['last_id']}"
    assert paged == whole == sorted(whole)


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


def test_vllms_own_calls_do_the_same(app: RunningApp, folder: Path) -> None:
    path = write_content(folder / "vllm", MUSIC, "vllm")
    loaded = call(app, "POST", "/v1/load_lora_adapter", lora_name="as-vllm", lora_path=path)
    assert loaded.text == "Success: LoRA adapter 'as-vllm' added successfully."
    assert speaks(app, "as-vllm") == {MUSIC}
    unloaded = call(app, "POST", "/v1/unload_lora_adapter", lora_name="as-vllm")
    assert unloaded.status_code == 200
    assert call(app, "GET", "/v1/models/as-vllm").status_code == 404


def test_a_tenant_manages_its_own_adapters_and_no_others(app: RunningApp, folder: Path) -> None:
    path = write_content(folder / "owner" / "owned", CHEF, "owned")
    assert register(app, "owned", path, OWNER)["owner"] == "owner"
    assert speaks(app, "owned", OWNER) == {CHEF}
    assert call(app, "GET", "/v1/models/owned", ACME).status_code == 404
    unseen = call(app, "GET", "/v1/lora/owned", ACME)
    unknown = call(app, "GET", "/v1/lora/none00", ACME)
    assert unseen.status_code == unknown.status_code == 404
    assert unseen.text.replace("owned", "none00") == unknown.text
    assert call(app, "DELETE", "/v1/lora/owned", ACME).status_code in (403, 404)
    anothers = write_content(folder / "other" / "secret", MUSIC, "secret")
    stolen = call(app, "POST", "/v1/lora/register", OWNER, lora_name="stolen", lora_path=anothers)
    assert (stolen.status_code, stolen.json()["error"]["code"]) == (422, "source_not_allowed")
    taken = call(
        app, "POST", "/v1/lora/register", OWNER, lora_name="acme-finance-lora", lora_path=path
    )
    assert taken.status_code == 409
    seen = call(app, "GET", "/v1/lora", OWNER).json()["data"]
    assert {one["id"]: one["state"] for one in seen} == {"owned": "live", "stolen": "failed"}
    register(app, "owned", path, OWNER, grants=["tenant_acme_corp"])
    assert speaks(app, "owned", ACME) == {CHEF}
    assert call(app, "DELETE", "/v1/lora/owned", OWNER).status_code == 200


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


def test_who_did_what_can_be_read(app: RunningApp) -> None:
    entries = call(app, "GET", "/admin/v1/audit?limit=1000").json()["data"]
    did = {(one["actor"], one["action"], one["subject"]) for one in entries}
    assert ("admin", "register", "first") in did
    assert ("owner", "remove", "owned") in did
    assert ADMIN not in json.dumps(entries)


def broken(app: RunningApp, folder: Path, kind: str) -> httpx.Response:
    """What is answered to an adapter that is broken in this way."""
    into = folder / f"broken-{list(BROKEN).index(kind)}"
    BROKEN[kind](DEMO / CHEF, into)
    return call(app, "POST", "/v1/lora/register", lora_name="broken", lora_path=str(into))


def test_every_kind_of_broken_adapter_is_refused_with_its_reason_and_harms_nobody(
    app: RunningApp, folder: Path
) -> None:
    engines = {process.pid for process in app.processes("VLLM::EngineCore")}
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
    assert {process.pid for process in app.processes("VLLM::EngineCore")} == engines
