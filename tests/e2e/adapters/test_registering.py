"""Registering, listing, owning. Real Ray Serve, real vLLM."""

import json
from pathlib import Path
from typing import Any

import pytest

from serve_app.adapters.version import digest_of
from tests.e2e.adapters.calls import ACME, ADMIN, CHEF, MUSIC, OWNER, call, register, show, speaks
from tests.e2e.contents import write_content
from tests.harness import RunningApp, eventually

pytestmark = pytest.mark.e2e


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


def listed(app: RunningApp) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = call(app, "GET", "/v1/lora").json()["data"]
    return data


def test_pages_of_the_list_make_the_whole(app: RunningApp) -> None:
    eventually(
        lambda: all(one["state"] != "retiring" for one in listed(app)),
        20,
        "what was removed is gone",
    )
    whole = [one["id"] for one in listed(app)]
    paged, after = [], ""
    while True:
        page = call(app, "GET", f"/v1/lora?limit=3{after}").json()
        paged += [one["id"] for one in page["data"]]
        if not page["has_more"]:
            break
        after = f"&after={page['last_id']}"
    assert paged == whole == sorted(whole)


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


def test_who_did_what_can_be_read(app: RunningApp) -> None:
    entries = call(app, "GET", "/admin/v1/audit?limit=1000").json()["data"]
    did = {(one["actor"], one["action"], one["subject"]) for one in entries}
    assert ("admin", "register", "first") in did
    assert ("owner", "remove", "owned") in did
    assert ADMIN not in json.dumps(entries)
