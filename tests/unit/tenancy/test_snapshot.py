from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.adapters.catalog import Catalog, Entry
from serve_app.errors import (
    ApiError,
    InvalidApiKey,
    ModelNotFound,
    NoAdapterConfigured,
    PermissionDenied,
    TenantDisabled,
)
from serve_app.tenancy.keys import Key, Keyring, Scope, fingerprint
from serve_app.tenancy.snapshot import Snapshot, Target
from serve_app.tenancy.tenant import EVERY_ADAPTER, Tenant
from tests.unit.fakes import a_version

PEPPER = b"pepper"
BASE = "demo-llama"
NOW = 1_800_000_000.0


def _tenant(id_: str, *adapters: str, default: str | None = None, base: bool = False) -> Tenant:
    return Tenant(id_, frozenset(adapters), default, base, cache_salt="salt")


BARE = _tenant("bare", "acme")
DEFAULTED = _tenant("defaulted", "acme", "legal", default="acme", base=True)
BASED = _tenant("based", base=True)
ROOT = _tenant("root", EVERY_ADAPTER, base=True)
NOBODY = _tenant("nobody")
TENANTS = (BARE, DEFAULTED, BASED, ROOT, NOBODY)
VERSIONS = {name: a_version(name) for name in ("medical", "acme", "legal")}
ENTRIES = {
    name: Entry(name, {1: version}, 1, aliases={f"{name}-stable": 1}, created=1_700_000_000)
    for name, version in VERSIONS.items()
}
SNAPSHOT = Snapshot(
    base=BASE,
    keyring=Keyring({fingerprint(f"sk-{t.id}", PEPPER): Key(t.id, t.id) for t in TENANTS}, PEPPER),
    tenants={tenant.id: tenant for tenant in TENANTS},
    catalog=Catalog.of(ENTRIES),
)


@pytest.mark.parametrize(
    "header", ["Bearer sk-bare", "bearer sk-bare", "BEARER sk-bare", "Bearer   sk-bare "]
)
def test_the_holder_of_a_key_is_recognised(header: str) -> None:
    assert SNAPSHOT.authenticate(header, NOW).tenant is BARE


@pytest.mark.parametrize(
    "header",
    [
        *(None, "", "Bearer", "Bearer ", "sk-bare", "Basic sk-bare", "Bearersk-bare"),
        *("Bearer sk-none", "Bearer sk-bare,sk-root", "Bearer sk-bare sk-root", "Bearer \xff"),
    ],
)
def test_nobody_else_is(header: str | None) -> None:
    with pytest.raises(InvalidApiKey) as refused:
        SNAPSHOT.authenticate(header, NOW)
    assert refused.value.status == 401
    assert refused.value.headers["WWW-Authenticate"] == "Bearer"


@given(st.text(max_size=40))
def test_a_refused_key_is_never_repeated(key: str) -> None:
    with pytest.raises(InvalidApiKey) as refused:
        SNAPSHOT.authenticate(f"Bearer zq{key}", NOW)
    assert f"zq{key}" not in refused.value.message


def _with(tenant: Tenant, **key: Any) -> Snapshot:
    ring = Keyring({fingerprint("sk-x", PEPPER): Key("x", tenant.id, **key)}, PEPPER)
    return Snapshot(BASE, ring, {tenant.id: tenant}, Catalog())


def test_a_key_is_good_until_it_expires_and_then_as_one_nobody_holds() -> None:
    snapshot = _with(BARE, expires=int(NOW))
    assert snapshot.authenticate("Bearer sk-x", NOW - 1).key.id == "x"
    refusals = []
    for header in ("Bearer sk-x", "Bearer sk-nobody"):
        with pytest.raises(InvalidApiKey) as refused:
            snapshot.authenticate(header, NOW)
        refusals.append((refused.value.envelope(), refused.value.headers))
    assert refusals[0] == refusals[1]


def test_the_key_of_a_tenant_that_is_not_there_is_no_key() -> None:
    snapshot = Snapshot(BASE, SNAPSHOT.keyring, {}, Catalog())
    with pytest.raises(InvalidApiKey):
        snapshot.authenticate("Bearer sk-bare", NOW)


def test_a_disabled_tenant_is_told_so() -> None:
    with pytest.raises(TenantDisabled) as refused:
        _with(replace(BARE, enabled=False)).authenticate("Bearer sk-x", NOW)
    assert (refused.value.status, refused.value.code) == (403, "tenant_disabled")


def test_a_key_is_for_its_scopes_alone() -> None:
    reader = _with(BARE, scopes=frozenset({Scope.USAGE_READ})).authenticate("Bearer sk-x", NOW)
    reader.must(Scope.USAGE_READ)
    reader.must(Scope.INFERENCE, Scope.USAGE_READ)
    for scope in (Scope.INFERENCE, Scope.ADAPTERS_MANAGE, Scope.ADMIN):
        with pytest.raises(PermissionDenied, match=scope.value):
            reader.must(scope)


@pytest.mark.parametrize("scope", Scope)
def test_the_scope_admin_has_all_others_in_it(scope: Scope) -> None:
    _with(BARE, scopes=frozenset({Scope.ADMIN})).authenticate("Bearer sk-x", NOW).must(scope)


RESOLVED = {
    "an adapter by its bare name": (BARE, "acme", "acme"),
    "an adapter of the base": (BARE, "demo-llama@acme", "acme"),
    "an adapter in Ray's spelling": (BARE, "base:acme", "acme"),
    "no model, with a default": (DEFAULTED, None, "acme"),
    "an empty model, with a default": (DEFAULTED, "", "acme"),
    "the base, with a default": (DEFAULTED, "base", "acme"),
    "the base's own name, with a default": (DEFAULTED, BASE, "acme"),
    "another than the default": (DEFAULTED, "legal", "legal"),
    "no model, with the base": (BASED, None, None),
    "the base, granted": (BASED, "base", None),
    "the base's own name, granted": (ROOT, BASE, None),
    "any adapter, with a grant of all": (ROOT, "medical", "medical"),
    "a version by its number": (BARE, "demo-llama@acme@v1", "acme"),
    "a version by its digest": (BARE, VERSIONS["acme"].name, "acme"),
    "an alias": (BARE, "base:acme-stable", "acme"),
}


@pytest.mark.parametrize(("tenant", "model", "adapter"), RESOLVED.values(), ids=RESOLVED)
def test_a_model_resolves_to(tenant: Tenant, model: str | None, adapter: str | None) -> None:
    target = SNAPSHOT.resolve(tenant, model)
    assert target.adapter == adapter
    assert target.version is (VERSIONS[adapter] if adapter else None)
    assert target.model == (f"{BASE}@{adapter}" if adapter else BASE)


NOT_FOUND = {
    "an adapter of others": (BARE, "legal"),
    "an adapter of nobody": (BARE, "unheard-of"),
    "an adapter of nobody, with a grant of all": (ROOT, "unheard-of"),
    "the base, not granted": (BARE, "base"),
    "the base's own name, not granted": (BARE, BASE),
    "an empty adapter": (BARE, "base@"),
    "the grant itself": (ROOT, "*"),
    "a path": (ROOT, "../acme"),
    "another base": (ROOT, "other-llama@acme"),
    "an alias of others": (BARE, "legal-stable"),
    "a version of others": (BARE, VERSIONS["legal"].name),
    "a version there is not": (ROOT, "acme@v2"),
    "a digest nobody has": (ROOT, "acme@0123456789ab"),
    "a version of an alias": (ROOT, "acme-stable@v1"),
}


@pytest.mark.parametrize(("tenant", "model"), NOT_FOUND.values(), ids=NOT_FOUND)
def test_there_is_no_model_for(tenant: Tenant, model: str) -> None:
    with pytest.raises(ModelNotFound) as refused:
        SNAPSHOT.resolve(tenant, model)
    assert refused.value.status == 404


@pytest.mark.parametrize("model", [None, ""])
@pytest.mark.parametrize("tenant", [BARE, NOBODY])
def test_naming_nothing_with_nothing_to_fall_back_to_says_so(
    tenant: Tenant, model: str | None
) -> None:
    with pytest.raises(NoAdapterConfigured) as refused:
        SNAPSHOT.resolve(tenant, model)
    assert refused.value.code == "no_adapter_configured"


def _refusal(tenant: Tenant, model: str, versions: frozenset[str]) -> object:
    catalog = Catalog.of({name: ENTRIES[name] for name in versions})
    snapshot = Snapshot(BASE, SNAPSHOT.keyring, {}, catalog)
    try:
        return snapshot.resolve(tenant, model)
    except ApiError as error:
        return error.status, error.envelope(), error.headers


@given(
    model=st.sampled_from(["legal", "base@legal", "demo-llama:legal", "medical"]),
    others=st.frozensets(st.sampled_from(sorted(VERSIONS))),
)
def test_whether_others_have_an_adapter_never_shows(model: str, others: frozenset[str]) -> None:
    assert _refusal(BARE, model, others) == _refusal(BARE, model, frozenset())


VISIBLE = {
    "bare": ["demo-llama@acme"],
    "defaulted": ["demo-llama", "demo-llama@acme", "demo-llama@legal"],
    "based": ["demo-llama"],
    "root": ["demo-llama", "demo-llama@acme", "demo-llama@legal", "demo-llama@medical"],
    "nobody": [],
}


@pytest.mark.parametrize("tenant", TENANTS, ids=lambda tenant: tenant.id)
def test_a_tenant_sees_the_base_first_then_its_adapters_by_name(tenant: Tenant) -> None:
    assert [target.model for target in SNAPSHOT.visible_to(tenant)] == VISIBLE[tenant.id]


@pytest.mark.parametrize("tenant", [BARE, BASED, ROOT, NOBODY], ids=lambda tenant: tenant.id)
def test_what_a_tenant_sees_is_what_it_may_name(tenant: Tenant) -> None:
    for target in SNAPSHOT.visible_to(tenant):
        assert SNAPSHOT.resolve(tenant, target.model) == target


def test_a_tenant_with_a_grant_to_an_adapter_that_is_gone_sees_nothing_of_it() -> None:
    assert SNAPSHOT.visible_to(_tenant("late", "deleted")) == []


def test_a_target_knows_its_adapter() -> None:
    assert Target(BASE, None).adapter is None
    assert Target("x", VERSIONS["acme"]).adapter == "acme"
