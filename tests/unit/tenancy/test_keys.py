import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.tenancy.keys import Key, Keyring, cache_salt, fingerprint

PEPPER = b"pepper"


def _ring(*keys: str, pepper: bytes = PEPPER) -> Keyring:
    return Keyring({fingerprint(key, pepper): Key(key, "acme") for key in keys}, pepper)


def test_a_key_opens_its_own_tenant() -> None:
    ring = _ring("sk-a", "sk-b")
    assert ring.find("sk-a") == Key("sk-a", "acme")
    assert ring.find("sk-b") == Key("sk-b", "acme")


@pytest.mark.parametrize("key", ["", "sk-", "sk-a ", "SK-A", "sk-aa", "sk-\xe4", fingerprint])
def test_a_key_nobody_holds_opens_nothing(key: object) -> None:
    stored = fingerprint("sk-a", PEPPER).hex()
    assert _ring("sk-a").find(stored if callable(key) else str(key)) is None


def test_a_key_taken_out_opens_nothing_and_the_ring_before_is_as_it_was() -> None:
    ring = _ring("sk-a", "sk-b")
    changed = ring.changed({fingerprint("sk-a", PEPPER): None})
    assert (changed.find("sk-a"), changed.find("sk-b")) == (None, Key("sk-b", "acme"))
    assert ring.find("sk-a") == Key("sk-a", "acme")


def test_keys_are_worth_nothing_under_another_pepper() -> None:
    assert fingerprint("sk-a", b"one") != fingerprint("sk-a", b"two")


def test_neither_keys_nor_pepper_show_in_a_keyring() -> None:
    shown = repr(_ring("sk-secret-key", pepper=b"secret-pepper"))
    assert "sk-secret-key" not in shown
    assert "secret-pepper" not in shown


@given(tenant=st.text(max_size=80), pepper=st.binary(max_size=80))
def test_a_cache_salt_is_what_vllm_takes(tenant: str, pepper: bytes) -> None:
    salt = cache_salt(tenant, pepper)
    assert 1 <= len(salt) <= 128
    assert not set(salt) & set("@/\\\0")
    assert salt.isascii()


@given(a=st.text(max_size=8), b=st.text(max_size=8))
def test_two_tenants_never_share_a_cache_salt(a: str, b: str) -> None:
    assert (cache_salt(a, PEPPER) == cache_salt(b, PEPPER)) == (a == b)


def test_a_cache_salt_is_the_same_in_every_gateway_and_unlike_any_key() -> None:
    assert cache_salt("acme", PEPPER) == cache_salt("acme", PEPPER)
    assert cache_salt("acme", PEPPER) != cache_salt("acme", b"another pepper")
    assert cache_salt("acme", PEPPER) != fingerprint("acme", PEPPER).hex()
    assert "acme" not in cache_salt("acme", PEPPER)
