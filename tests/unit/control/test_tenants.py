"""Tenants, keys and grants, on real databases."""

from dataclasses import replace

import pytest

from serve_app.adapters.commands import Actor
from serve_app.experiments.commands import Create, Delete
from serve_app.experiments.experiment import Arm
from serve_app.tenancy.allot import NOTHING, Claim, Report
from serve_app.tenancy.commands import (
    ChangeKey,
    ListGrants,
    ListKeys,
    ListTenants,
    MakeKey,
    PutGrant,
    PutLimits,
    PutTenant,
    RemoveGrant,
    RemoveTenant,
    RevokeKey,
    RotateKey,
    ShowLimits,
    ShowTenant,
    TenantCommand,
)
from serve_app.tenancy.keys import cache_salt, fingerprint
from serve_app.tenancy.limits import Limits
from serve_app.tenancy.usage import Batch
from tests.unit.control.bench import ADMIN, PEPPER, Bench
from tests.unit.control.desk import NEWCO, a_key, a_record, done, known, refused


async def test_a_tenant_that_is_made_reaches_gateways_and_outlives_control(bench: Bench) -> None:
    await bench.declare()
    record = await done(bench, NEWCO, 201)
    assert record["limits"] == {"requests_per_minute": 60}
    assert (record["declared"], record["keys"]) == (False, 0)
    for _ in range(2):
        tenant = (await known(bench)).tenants["newco"]
        assert tenant.adapters == {"finance", "legal"}
        assert tenant.cache_salt == cache_salt("newco", PEPPER)
        assert (tenant.weight, tenant.limits) == (2.5, Limits(requests_per_minute=60))
        await bench.restart()
        await bench.declare()
    assert await done(bench, ShowTenant(ADMIN, "newco")) == record


async def test_putting_a_tenant_again_changes_nothing_or_all_of_it(bench: Bench) -> None:
    await bench.declare()
    await done(bench, NEWCO, 201)
    before = bench.control.revision
    await done(bench, NEWCO)
    assert bench.control.revision == before
    record = await done(bench, PutTenant(ADMIN, "newco", enabled=False))
    assert (record["enabled"], record["weight"], record["adapters"]) == (False, 1.0, [])
    assert await bench.actions() == ["configure", "make_tenant", "change_tenant"]


async def test_a_removed_tenant_takes_its_keys_and_grants_along(bench: Bench) -> None:
    await bench.declare()
    await done(bench, NEWCO, 201)
    await bench.register("finance", owner="acme")
    await done(bench, PutGrant(ADMIN, "finance", "newco"))
    made = await a_key(bench)
    await done(bench, RemoveTenant(ADMIN, "newco"))
    told = await known(bench)
    assert "newco" not in told.tenants
    assert fingerprint(made["key"], PEPPER) not in told.keys
    assert bench.control.entries["finance"].grants == frozenset()
    assert await refused(bench, RemoveTenant(ADMIN, "newco")) == "404 tenant_not_found"
    await bench.restart()
    await bench.declare()
    assert "newco" not in (await known(bench)).tenants


async def test_a_tenant_that_owns_adapters_stays(bench: Bench) -> None:
    await bench.declare()
    await done(bench, NEWCO, 201)
    await bench.register("mine", owner="newco")
    assert await refused(bench, RemoveTenant(ADMIN, "newco")) == "409 tenant_owns_adapters"
    await bench.remove("mine")
    await done(bench, RemoveTenant(ADMIN, "newco"))


async def test_a_tenant_that_owns_experiments_stays(bench: Bench) -> None:
    """Whoever is a tenant of that id next would see what was observed and answered."""
    await bench.declare()
    await done(bench, NEWCO, 201)
    await bench.register("finance")
    arms = Arm("a", "finance"), Arm("b", "finance")
    assert (await bench.control.manage(Create(ADMIN, "tone", arms, owner="newco"))).status == 201
    assert await refused(bench, RemoveTenant(ADMIN, "newco")) == "409 tenant_owns_experiments"
    await bench.control.manage(Delete(ADMIN, "tone"))
    await done(bench, RemoveTenant(ADMIN, "newco"))


async def test_grants_come_and_go(bench: Bench) -> None:
    await bench.declare()
    await bench.register("finance", owner="root")
    for _ in range(2):
        await done(bench, PutGrant(ADMIN, "finance", "acme"))
    assert bench.control.entries["finance"].grants == {"acme"}
    for question in (
        ListGrants(ADMIN),
        ListGrants(ADMIN, "finance"),
        ListGrants(ADMIN, None, "acme"),
    ):
        page = await done(bench, question)
        assert [grant["id"] for grant in page["data"]] == ["finance/acme"]
    assert (await done(bench, ListGrants(ADMIN, None, "root")))["data"] == []
    for _ in range(2):
        await done(bench, RemoveGrant(ADMIN, "finance", "acme"))
    assert bench.control.entries["finance"].grants == frozenset()
    assert await bench.actions() == [
        *("configure", "register", "publish", "grant", "revoke_grant"),
    ]


REFUSALS: dict[str, tuple[TenantCommand, str]] = {
    "a declared tenant changed": (PutTenant(ADMIN, "acme"), "409 tenant_declared"),
    "a declared tenant removed": (RemoveTenant(ADMIN, "acme"), "409 tenant_declared"),
    "limits of a declared tenant": (PutLimits(ADMIN, "acme", Limits()), "409 tenant_declared"),
    "limits of nobody": (PutLimits(ADMIN, "nobody", Limits()), "404 tenant_not_found"),
    "a tenant without a name": (PutTenant(ADMIN, "No Name"), "400 invalid_value"),
    "an adapter without a name": (
        PutTenant(ADMIN, "x", adapters=frozenset({"a b"})),
        "400 invalid_value",
    ),
    "a default without a name": (PutTenant(ADMIN, "x", default_adapter=".."), "400 invalid_value"),
    "a key for nobody": (MakeKey(ADMIN, "nobody"), "404 tenant_not_found"),
    "a key there is not": (RevokeKey(ADMIN, "nothing"), "404 key_not_found"),
    "a change of no key": (ChangeKey(ADMIN, "nothing"), "404 key_not_found"),
    "a rotation of no key": (RotateKey(ADMIN, "nothing"), "404 key_not_found"),
    "a grant of no adapter": (PutGrant(ADMIN, "nothing", "acme"), "404 adapter_not_found"),
    "grants of no adapter": (ListGrants(ADMIN, "nothing"), "404 adapter_not_found"),
    "keys of nobody": (ListKeys(ADMIN, "nobody"), "404 tenant_not_found"),
    "somebody who is no admin": (
        ListTenants(Actor("acme", manages=True)),
        "403 permission_denied",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_refused_is(sqlite: str, case: str) -> None:
    bench = await Bench(sqlite).start()
    try:
        await bench.declare()
        before = bench.control.revision
        command, expected = REFUSALS[case]
        assert await refused(bench, command) == expected
        assert bench.control.revision == before
    finally:
        await bench.control.close()


async def test_a_grant_to_nobody_is_refused(bench: Bench) -> None:
    await bench.declare()
    await bench.register("finance")
    assert await refused(bench, PutGrant(ADMIN, "finance", "nobody")) == "404 tenant_not_found"


async def test_what_is_declared_comes_before_what_was_made(bench: Bench) -> None:
    await bench.declare()
    await done(bench, NEWCO, 201)
    directory = {"tenants": [{"id": "newco", "keys": ["sk-n"], "weight": 7}]}
    await bench.configure(directory)
    assert (await known(bench)).tenants["newco"].weight == 7
    await bench.declare()
    assert (await known(bench)).tenants["newco"].weight == 2.5


async def test_lists_are_paged_by_id(bench: Bench) -> None:
    await bench.declare()
    for name in ("c", "b", "d"):
        await done(bench, PutTenant(ADMIN, name), 201)
    first = await done(bench, ListTenants(ADMIN, 2))
    assert [one["id"] for one in first["data"]] == ["acme", "b"]
    assert first["has_more"]
    rest = await done(bench, ListTenants(ADMIN, 10, first["last_id"]))
    assert [one["id"] for one in rest["data"]] == ["c", "d", "root"]


async def test_limits_are_put_by_themselves(bench: Bench) -> None:
    await bench.declare()
    await done(bench, NEWCO, 201)
    put = await done(bench, PutLimits(ADMIN, "newco", Limits(tokens_per_day=5)))
    assert put["limits"] == {"tokens_per_day": 5}
    assert await done(bench, ShowLimits(ADMIN, "newco")) == put
    assert (await done(bench, ShowTenant(ADMIN, "newco")))["weight"] == 2.5


async def test_limits_are_shown_with_what_is_used_of_them_on_all_gateways(bench: Bench) -> None:
    await bench.declare()
    await done(bench, replace(NEWCO, limits=Limits(requests_per_minute=9, tokens_per_day=50)), 201)
    await bench.control.record(Batch("g", 1, (a_record(at=int(bench.clock.now)),)))
    for number, gateway in enumerate(("one", "other")):
        claim = Claim((9, None, None, None), (2 + number, 40, 1, 0), NOTHING, NOTHING)
        await bench.control.share(Report(gateway, 1, {("tenant", "newco"): claim}))
    shown = await done(bench, ShowLimits(ADMIN, "newco"))
    assert shown["used"] == {"requests_per_minute": 5, "tokens_per_day": 15}
    assert shown["remaining"] == {"requests_per_minute": 4, "tokens_per_day": 35}
