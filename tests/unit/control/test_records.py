"""Records, for those who may see all of them and for those who may not."""

import json

from serve_app.adapters.commands import List, ShowVersions
from tests.unit.control.bench import ADMIN, USER, Bench, digest_of

FIELDS = {
    *("id", "object", "path", "version", "digest", "state", "owner", "grants", "description"),
    *("labels", "aliases", "preload", "pin", "declared", "rank", "size_bytes", "created"),
    *("updated", "replicas", "registration"),
}


async def test_a_record_has_every_field_and_is_json(bench: Bench) -> None:
    await bench.register("a", "/a", owner="acme", grants=frozenset({"user"}))
    bench.report(bench.version("a", 1).name)
    record = (await bench.show("a")).body
    assert set(record) == FIELDS
    assert json.loads(json.dumps(record)) == record
    assert (record["object"], record["path"], record["rank"]) == ("lora", "/a", 8)
    assert record["replicas"] == [
        {
            "replica": "r1",
            "version": 1,
            "state": "resident",
            "leases": 2,
            "load_s": 0.5,
            "reason": None,
        }
    ]
    assert record["registration"] == {
        "state": "live",
        "source": "/a",
        "bytes": None,
        "error": None,
        "at": 1_000_000,
    }


async def test_who_merely_uses_an_adapter_sees_neither_paths_nor_others(bench: Bench) -> None:
    await bench.register("a", "/secret", owner="acme", grants=frozenset({"user", "rival"}))
    bench.report(bench.version("a", 1).name)
    record = (await bench.show("a", USER)).body
    assert set(record) == FIELDS
    assert (record["digest"], record["state"]) == (digest_of("/secret"), "live")
    versions = (await bench.ok(ShowVersions(USER, "a"))).body
    assert "secret" not in json.dumps([record, versions])
    assert "rival" not in json.dumps([record, versions])
    assert record["replicas"][0]["leases"] is None


async def test_versions_are_told_newest_first_with_what_means_them(bench: Bench) -> None:
    for source in ("/a", "/b"):
        await bench.register("a", source)
    await bench.alias("a", "old", "v1")
    page = (await bench.ok(ShowVersions(ADMIN, "a"))).body
    told = [(v["version"], v["current"], v["aliases"], v["path"]) for v in page["data"]]
    assert told == [(2, True, [], "/b"), (1, False, ["old"], "/a")]
    assert not page["has_more"]


async def test_pages_follow_one_another_by_name(bench: Bench) -> None:
    for name in ("c", "a", "e", "b", "d"):
        await bench.register(name, f"/{name}", owner="acme" if name in "ace" else None)
    page = (await bench.ok(List(ADMIN, 2))).body
    assert (page["object"], page["has_more"]) == ("list", True)
    assert (page["first_id"], page["last_id"]) == ("a", "b")
    assert await bench.names(limit=2, after="b") == ["c", "d"]
    last = (await bench.ok(List(ADMIN, 2, "d"))).body
    assert ([r["id"] for r in last["data"]], last["has_more"]) == (["e"], False)
    assert (await bench.ok(List(ADMIN, 2, "zz"))).body["first_id"] is None
