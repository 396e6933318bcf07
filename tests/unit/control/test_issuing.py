"""Keys, on real databases."""

from serve_app.control.account import KEPT_S
from serve_app.tenancy.commands import (
    ChangeKey,
    ListKeys,
    RevokeKey,
    RotateKey,
    ShowKey,
    ShowTenant,
)
from serve_app.tenancy.keys import Keyring, Scope, fingerprint
from serve_app.tenancy.limits import Limits
from serve_app.tenancy.usage import Batch
from tests.unit.control.bench import ADMIN, PEPPER, Bench
from tests.unit.control.desk import NEWCO, a_key, a_record, done, known, refused


async def test_a_key_opens_its_tenant_until_it_is_revoked(bench: Bench) -> None:
    await bench.declare()
    await done(bench, NEWCO, 201)
    made = await a_key(bench, scopes=frozenset({Scope.USAGE_READ}), label="bill")
    updates = bench.control.follow(tenants=True)
    ring = Keyring({}, PEPPER).changed((await anext(updates)).keys)
    found = ring.find(made["key"])
    assert found is not None
    assert (found.id, found.tenant, found.scopes) == (
        made["id"],
        "newco",
        frozenset({Scope.USAGE_READ}),
    )
    await done(bench, RevokeKey(ADMIN, made["id"]))
    ring = ring.changed((await anext(updates)).keys)
    assert ring.find(made["key"]) is None
    assert ring.find("sk-acme") is not None
    assert (await done(bench, RevokeKey(ADMIN, made["id"])))["state"] == "revoked"
    await bench.restart()
    await bench.declare()
    assert fingerprint(made["key"], PEPPER) not in (await known(bench)).keys


async def test_a_key_is_shown_once_and_kept_nowhere(bench: Bench) -> None:
    await bench.declare()
    await done(bench, NEWCO, 201)
    made = await a_key(bench)
    shown = await done(bench, ShowKey(ADMIN, made["id"]))
    assert shown == {name: value for name, value in made.items() if name != "key"}
    told = await bench.control.manage(ListKeys(ADMIN))
    secret = made["key"].rpartition("-")[2]
    assert secret not in repr(told.body)
    assert secret not in repr(bench.control.book.issued)
    assert made["key"].split("-")[1] == made["id"]


async def test_a_rotated_key_goes_on_for_its_overlap(bench: Bench) -> None:
    await bench.declare()
    await done(bench, NEWCO, 201)
    first = await a_key(bench, label="app", limits=Limits(concurrent_requests=3))
    second = await done(bench, RotateKey(ADMIN, first["id"], overlap_s=60), 201)
    assert second["key"] != first["key"]
    assert (second["label"], second["limits"], second["rotated_from"]) == (
        "app",
        {"concurrent_requests": 3},
        first["id"],
    )
    ending = (await known(bench)).keys[fingerprint(first["key"], PEPPER)]
    assert ending.expires == bench.clock.now + 60
    await bench.passes(61)
    assert (await done(bench, ShowKey(ADMIN, first["id"])))["state"] == "expired"
    assert await refused(bench, RotateKey(ADMIN, first["id"])) == "409 key_expired"


async def test_the_terms_of_a_key_can_be_changed(bench: Bench) -> None:
    await bench.declare()
    await done(bench, NEWCO, 201)
    made = await a_key(bench, expires_in_s=100)
    terms = ChangeKey(ADMIN, made["id"], "other", frozenset({Scope.ADMIN}))
    changed = await done(bench, terms)
    assert (changed["scopes"], changed["expires"]) == (["admin"], None)
    assert (await known(bench)).keys[fingerprint(made["key"], PEPPER)].allows(Scope.ADMIN)


async def test_last_use_is_written_down_and_no_change_of_revision(bench: Bench) -> None:
    await bench.declare()
    await done(bench, NEWCO, 201)
    made = await a_key(bench)
    before = bench.control.revision
    for number, at in enumerate((1_000_500, 1_000_400)):
        used = a_record(key=made["id"], at=at), a_record(key="declared-x")
        await bench.control.record(Batch("g", number, used))
    await bench.passes(1)
    assert bench.control.revision == before
    await bench.restart()
    await bench.declare()
    assert (await done(bench, ShowKey(ADMIN, made["id"])))["last_used"] == 1_000_500


async def test_keys_no_longer_good_are_listed_for_a_month(bench: Bench) -> None:
    await bench.declare()
    await done(bench, NEWCO, 201)
    made = await a_key(bench)
    await done(bench, RevokeKey(ADMIN, made["id"]))
    await bench.passes(KEPT_S - 10)
    assert (await done(bench, ShowKey(ADMIN, made["id"])))["state"] == "revoked"
    await bench.passes(20)
    assert await refused(bench, ShowKey(ADMIN, made["id"])) == "404 key_not_found"


async def test_declared_keys_are_listed_and_changed_in_the_configuration(bench: Bench) -> None:
    await bench.declare()
    page = await done(bench, ListKeys(ADMIN, "acme"))
    (key,) = page["data"]
    assert (key["declared"], key["state"], key["tenant"]) == (True, "active", "acme")
    assert await refused(bench, RevokeKey(ADMIN, key["id"])) == "409 key_declared"
    made = await a_key(bench, "acme")
    assert (await done(bench, ShowTenant(ADMIN, "acme")))["keys"] == 2
    await done(bench, RevokeKey(ADMIN, made["id"]))
