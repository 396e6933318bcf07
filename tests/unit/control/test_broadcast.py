from serve_app.adapters.catalog import Catalog, Entry
from serve_app.adapters.version import Version
from serve_app.control.broadcast import Broadcast
from serve_app.feed import Tenants

NOBODY = Tenants({}, {})


def _entry(name: str, number: int = 1) -> Entry:
    return Entry(name, {number: Version(name, number, f"{number:064x}", 8, 1)}, number)


async def test_a_follower_hears_everything_first_then_changes() -> None:
    broadcast = Broadcast()
    broadcast.tell(1, {"a": _entry("a")})
    updates = broadcast.updates(tenants=False)
    first = await anext(updates)
    assert (first.revision, first.whole, dict(first.entries)) == (1, True, {"a": _entry("a")})
    broadcast.tell(2, {"b": _entry("b"), "a": None})
    second = await anext(updates)
    assert (second.revision, second.whole) == (2, False)
    assert dict(second.entries) == {"b": _entry("b"), "a": None}


async def test_a_slow_follower_hears_only_how_things_ended() -> None:
    broadcast = Broadcast()
    updates = broadcast.updates(tenants=False)
    catalog = Catalog.of(dict((await anext(updates)).entries))  # type: ignore[arg-type]
    for revision in range(1, 1000):
        broadcast.tell(revision, {"a": _entry("a", revision)})
    update = await anext(updates)
    assert (update.revision, len(update.entries)) == (999, 1)
    assert catalog.changed(update.entries).entries == broadcast.entries


async def test_without_a_change_there_is_a_beat() -> None:
    broadcast = Broadcast(beat_s=0.001)
    broadcast.tell(3, {})
    updates = broadcast.updates(tenants=False)
    await anext(updates)
    beat = await anext(updates)
    assert (beat.revision, beat.whole, beat.entries, beat.tenants) == (3, False, {}, None)


async def test_tenants_are_told_to_those_who_ask_for_them_alone() -> None:
    broadcast = Broadcast()
    broadcast.tell(1, {}, NOBODY)
    gateway, replica = broadcast.updates(tenants=True), broadcast.updates(tenants=False)
    assert (await anext(gateway)).tenants is NOBODY
    assert (await anext(replica)).tenants is None
    renewed = Tenants({}, {b"x": "acme"})
    broadcast.tell(2, {}, renewed)
    assert (await anext(gateway)).tenants is renewed
    assert (await anext(replica)).tenants is None
    broadcast.tell(3, {"a": _entry("a")})
    assert (await anext(gateway)).tenants is None


async def test_a_follower_that_left_is_not_kept() -> None:
    broadcast = Broadcast()
    updates = broadcast.updates(tenants=False)
    await anext(updates)
    assert broadcast.followers == 1
    await updates.aclose()  # type: ignore[attr-defined]
    assert broadcast.followers == 0


async def test_another_catalog_is_told_as_what_changed() -> None:
    broadcast = Broadcast()
    broadcast.tell(1, {"a": _entry("a"), "b": _entry("b")})
    updates = broadcast.updates(tenants=False)
    await anext(updates)
    broadcast.become(9, {"b": _entry("b"), "c": _entry("c")})
    update = await anext(updates)
    assert (update.revision, dict(update.entries)) == (9, {"a": None, "c": _entry("c")})
