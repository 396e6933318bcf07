import asyncio

from serve_app.adapters.catalog import Catalog, Entry
from serve_app.adapters.version import Version
from serve_app.control.broadcast import PART, Broadcast
from serve_app.feed import Update
from serve_app.tenancy.keys import Key
from serve_app.tenancy.tenant import Tenant

ACME = Tenant("acme", frozenset(), None, base=True, cache_salt="salt")
KEY = Key("k", "acme")


def _entry(name: str, number: int = 1) -> Entry:
    return Entry(name, {number: Version(name, number, f"{number:064x}", 8, 1)}, number)


async def test_a_follower_hears_everything_first_then_changes() -> None:
    broadcast = Broadcast()
    broadcast.tell(Update(1, entries={"a": _entry("a")}))
    updates = broadcast.updates(tenants=False)
    first = await anext(updates)
    assert (first.revision, first.whole, dict(first.entries)) == (1, True, {"a": _entry("a")})
    broadcast.tell(Update(2, entries={"b": _entry("b"), "a": None}))
    second = await anext(updates)
    assert (second.revision, second.whole) == (2, False)
    assert dict(second.entries) == {"b": _entry("b"), "a": None}


async def test_a_slow_follower_hears_only_how_things_ended() -> None:
    broadcast = Broadcast()
    updates = broadcast.updates(tenants=False)
    catalog = Catalog.of(dict((await anext(updates)).entries))  # type: ignore[arg-type]
    for revision in range(1, 1000):
        broadcast.tell(Update(revision, entries={"a": _entry("a", revision)}))
    update = await anext(updates)
    assert (update.revision, len(update.entries)) == (999, 1)
    assert catalog.changed(update.entries).entries == broadcast.entries


async def test_without_a_change_there_is_a_beat() -> None:
    broadcast = Broadcast(beat_s=0.001)
    broadcast.tell(Update(3, entries={}))
    updates = broadcast.updates(tenants=False)
    await anext(updates)
    beat = await anext(updates)
    assert (beat.revision, bool(beat)) == (3, False)


async def test_tenants_are_told_to_those_who_ask_for_them_alone() -> None:
    broadcast = Broadcast()
    broadcast.tell(Update(1, tenants={"acme": ACME}, keys={b"x": KEY}))
    broadcast.declared()
    gateway, replica = broadcast.updates(tenants=True), broadcast.updates(tenants=False)
    first = await anext(gateway)
    assert (dict(first.tenants), dict(first.keys)) == ({"acme": ACME}, {b"x": KEY})
    assert not (await anext(replica)).tenants
    broadcast.tell(Update(2, keys={b"x": None}))
    told = await anext(gateway)
    assert (dict(told.tenants), dict(told.keys)) == ({}, {b"x": None})
    assert not (await anext(replica)).keys


async def test_who_asks_for_tenants_waits_until_they_are_declared() -> None:
    broadcast = Broadcast()
    first = asyncio.ensure_future(anext(broadcast.updates(tenants=True)))
    await asyncio.sleep(0.01)
    assert not first.done()
    broadcast.tell(Update(1, tenants={"acme": ACME}))
    broadcast.declared()
    assert (await first).tenants == {"acme": ACME}


async def test_what_is_too_much_for_one_message_comes_in_parts() -> None:
    broadcast = Broadcast()
    many = {f"a{number}": _entry(f"a{number}") for number in range(2 * PART + 1)}
    broadcast.tell(Update(1, entries=many))
    updates = broadcast.updates(tenants=False)
    parts = [await anext(updates) for _ in range(3)]
    assert [(part.whole, part.more, len(part.entries)) for part in parts] == [
        (True, True, PART),
        (True, True, PART),
        (True, False, 1),
    ]
    assert parts[0].then(parts[1]).then(parts[2]) == Update(1, True, entries=many)


async def test_a_follower_that_left_is_not_kept() -> None:
    broadcast = Broadcast()
    updates = broadcast.updates(tenants=False)
    await anext(updates)
    assert broadcast.followers == 1
    await updates.aclose()  # type: ignore[attr-defined]
    assert broadcast.followers == 0


async def test_another_catalog_is_told_as_what_changed() -> None:
    broadcast = Broadcast()
    broadcast.tell(Update(1, entries={"a": _entry("a"), "b": _entry("b")}))
    updates = broadcast.updates(tenants=False)
    await anext(updates)
    broadcast.become(Update(9, entries={"b": _entry("b"), "c": _entry("c")}))
    update = await anext(updates)
    assert (update.revision, dict(update.entries)) == (9, {"a": None, "c": _entry("c")})
