"""Adapters declared in the configuration: staged once, changed in place, removed with it."""

import asyncio
from pathlib import Path

import pytest

from serve_app.adapters.version import CONFIG_FILE, WEIGHTS_FILE
from serve_app.errors import AdapterRefused, ConfigError
from serve_app.tenancy.keys import cache_salt, fingerprint
from tests.unit.control.bench import ACME, ADMIN, PEPPER, Bench, a_directory, code_of, declared
from tests.unit.fakes import until


async def test_what_is_declared_becomes_live(bench: Bench) -> None:
    await bench.declare(declared("a", preload=True, pin=True, owner="acme", grants=["x"]))
    shown = (await bench.show("a")).body
    assert (shown["state"], shown["declared"], shown["owner"]) == ("live", True, "acme")
    assert (shown["preload"], shown["pin"], shown["grants"]) == (True, True, ["x"])
    assert bench.stager.staged == []


async def test_what_did_not_change_is_not_read_again(bench: Bench) -> None:
    for _ in range(2):
        await bench.declare(declared("a"))
    await bench.restart()
    await bench.declare(declared("a"))
    assert bench.trusted.staged == [("a", "s3://b/a")]


async def test_files_that_changed_are_read_again(bench: Bench, tmp_path: Path) -> None:
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        (tmp_path / name).write_text("x")
    await bench.declare(declared("a", str(tmp_path)))
    await bench.declare(declared("a", str(tmp_path)))
    assert len(bench.trusted.staged) == 1
    (tmp_path / WEIGHTS_FILE).write_text("other")
    await bench.declare(declared("a", str(tmp_path)))
    assert len(bench.trusted.staged) == 2


async def test_a_relative_path_is_read_where_control_stands(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await bench.declare(declared("a", "adapters/a"))
    assert bench.trusted.staged == [("a", f"{tmp_path}/adapters/a")]


async def test_new_terms_are_in_force_without_reading_the_content(bench: Bench) -> None:
    await bench.declare(declared("a"))
    await bench.declare(declared("a", preload=True, owner="acme"))
    entry = bench.control.entries["a"]
    assert (entry.preload, entry.owner) == (True, "acme")
    assert len(bench.trusted.staged) == 1


async def test_a_pin_that_comes_later_needs_room_too(bench: Bench) -> None:
    pinned = [declared(f"a{n}", f"s3://b/{n}", pin=True) for n in range(3)]
    await bench.declare(*pinned, declared("a"))
    await bench.declare(*pinned, declared("a", pin=True))
    assert not bench.control.entries["a"].pin
    assert (await bench.show("a")).body["registration"]["error"]["code"] == "too_many_pinned"


async def test_terms_that_change_while_the_content_is_on_its_way_are_in_force(
    bench: Bench,
) -> None:
    gate = bench.trusted.gates["s3://b/a"] = asyncio.Event()
    await bench.control.reconfigure(a_directory(declared("a")))
    await until(lambda: bench.trusted.staged)
    await bench.control.reconfigure(a_directory(declared("a", pin=True)))
    gate.set()
    await bench.control.settled()
    assert bench.control.entries["a"].pin


async def test_one_that_fails_shows_why_and_the_others_go_on(bench: Bench) -> None:
    bench.trusted.failing["s3://b/bad"] = AdapterRefused("DoRA", code="adapter_dora")
    await bench.declare(declared("bad", "s3://b/bad"), declared("good"))
    shown = (await bench.show("bad")).body
    assert (shown["state"], shown["declared"]) == ("failed", True)
    assert shown["registration"]["error"]["code"] == "adapter_dora"
    assert list(bench.control.entries) == ["good"]
    bench.trusted.failing.clear()
    await bench.declare(declared("bad", "s3://b/bad"), declared("good"))
    assert set(bench.control.entries) == {"bad", "good"}


async def test_new_content_that_fails_leaves_the_old_in_force(bench: Bench) -> None:
    await bench.declare(declared("a"))
    bench.trusted.failing["s3://b/2"] = AdapterRefused("bad")
    await bench.declare(declared("a", "s3://b/2"))
    assert (await bench.show("a")).body["version"] == 1


async def test_what_is_declared_no_more_is_removed_what_was_registered_stays(
    bench: Bench,
) -> None:
    await bench.register("mine", "/mine")
    await bench.declare(declared("a"), declared("b"))
    await bench.declare(declared("b"))
    assert set(bench.control.entries) == {"mine", "b"}
    assert (await bench.show("a")).body["state"] == "retiring"


async def test_one_on_its_way_that_is_declared_no_more_never_comes(bench: Bench) -> None:
    bench.trusted.gates["s3://b/a"] = asyncio.Event()
    await bench.control.reconfigure(a_directory(declared("a")))
    await until(lambda: bench.trusted.staged)
    await bench.declare()
    assert bench.control.entries == {}
    assert (await bench.show("a")).status == 404


async def test_the_api_cannot_remove_what_is_declared(bench: Bench) -> None:
    await bench.declare(declared("a", owner="acme"))
    for actor in (ACME, ADMIN):
        answer = await bench.remove("a", actor)
        assert (answer.status, code_of(answer)) == (409, "adapter_declared")
    assert "a" in bench.control.entries


async def test_a_registration_over_a_declaration_stays_until_that_changes(bench: Bench) -> None:
    await bench.declare(declared("a"))
    await bench.register("a", "/newer")
    await bench.declare(declared("a"))
    assert (await bench.show("a")).body["version"] == 2
    await bench.declare(declared("a", "s3://b/3"))
    assert (await bench.show("a")).body["version"] == 3


async def test_a_declared_name_that_means_the_base_is_refused(bench: Bench) -> None:
    with pytest.raises(ConfigError, match="demo"):
        await bench.declare(declared("demo"))


async def test_too_many_pins_fail_one_by_one(bench: Bench) -> None:
    await bench.declare(*(declared(f"a{n}", f"s3://b/{n}", pin=True) for n in range(5)))
    assert len(bench.control.entries) == 3
    failed = (await bench.show("a4")).body["registration"]["error"]["code"]
    assert failed == "too_many_pinned"


async def test_tenants_reach_followers_with_keys_as_fingerprints(bench: Bench) -> None:
    updates = bench.control.follow(tenants=True)
    await bench.declare()
    told = await anext(updates)
    key, tenant = told.keys[fingerprint("sk-acme", PEPPER)], told.tenants["acme"]
    assert key is not None
    assert key.tenant == "acme"
    assert tenant is not None
    assert tenant.cache_salt == cache_salt("acme", PEPPER)
    assert "sk-" not in repr(told)
