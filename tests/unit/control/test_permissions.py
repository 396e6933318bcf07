"""Who may do what, as a table; and that what is hidden looks like what is not there."""

from dataclasses import replace
from typing import Any

import pytest

from serve_app.adapters.commands import Actor, Register
from serve_app.adapters.version import Version
from serve_app.control.adapter import Adapter, Kept, State
from serve_app.control.book import Book
from serve_app.control.permissions import managed, may_see, registering, seen
from serve_app.errors import (
    AdapterConflict,
    AdapterNotFound,
    ApiError,
    InvalidRequest,
    PermissionDenied,
)
from tests.unit.control.bench import ACME, ADMIN, OTHER, USER

LIVE = Kept(Version("a", 1, "0" * 64, 8, 1), "/a", State.LIVE, 0, "acme")
MINE = Adapter("a", "acme", 0, 0, versions={1: LIVE}, current=1, last_number=1)
GRANTED = replace(MINE, grants=frozenset({"user", "other"}))
OPERATORS = replace(MINE, owner=None)
UNBORN = replace(GRANTED, versions={}, current=None)


def _may_use(actor: Actor, *names: str) -> Actor:
    return replace(actor, may_use=frozenset(names))


@pytest.mark.parametrize(
    ("actor", "adapter", "sees"),
    [
        (ADMIN, MINE, True),
        (ACME, MINE, True),
        (USER, MINE, False),
        (USER, GRANTED, True),
        (_may_use(USER, "a"), MINE, True),
        (_may_use(USER, "*"), MINE, True),
        (_may_use(USER, "b"), MINE, False),
        (ACME, OPERATORS, False),
        (ACME, UNBORN, True),
        (USER, UNBORN, False),
        (_may_use(USER, "*"), UNBORN, False),
    ],
)
def test_who_sees_an_adapter(actor: Actor, adapter: Adapter, sees: bool) -> None:
    assert may_see(actor, adapter) is sees


@pytest.mark.parametrize(
    ("actor", "adapter", "refusal"),
    [
        (ADMIN, MINE, None),
        (ACME, MINE, None),
        (replace(ACME, manages=False), MINE, PermissionDenied),
        (OTHER, MINE, AdapterNotFound),
        (OTHER, GRANTED, PermissionDenied),
        (USER, GRANTED, PermissionDenied),
        (ACME, None, AdapterNotFound),
    ],
)
def test_who_changes_an_adapter(
    actor: Actor, adapter: Adapter | None, refusal: type[ApiError] | None
) -> None:
    if refusal is None:
        assert managed(actor, adapter, "a") is adapter
    else:
        with pytest.raises(refusal):
            managed(actor, adapter, "a")


def test_hidden_and_missing_are_the_same() -> None:
    with pytest.raises(AdapterNotFound) as hidden:
        seen(USER, MINE, "a")
    with pytest.raises(AdapterNotFound) as missing:
        seen(USER, None, "a")
    assert hidden.value.envelope() == missing.value.envelope()


@pytest.mark.parametrize(
    ("actor", "options", "owner"),
    [
        (ADMIN, {}, None),
        (ADMIN, {"owner": "other", "pin": True, "preload": True}, "other"),
        (ACME, {}, "acme"),
        (ACME, {"owner": "acme", "grants": frozenset({"user"})}, "acme"),
        (ACME, {"pin": False}, "acme"),
    ],
)
def test_whose_a_new_adapter_is(actor: Actor, options: dict[str, Any], owner: str | None) -> None:
    assert registering(Register(actor, "new", "/n", **options), Book(), "demo") == owner


@pytest.mark.parametrize(
    ("actor", "name", "options", "refusal"),
    [
        (USER, "new", {}, PermissionDenied),
        (ACME, "new", {"owner": "other"}, PermissionDenied),
        (ACME, "new", {"pin": True}, PermissionDenied),
        (ACME, "new", {"preload": True}, PermissionDenied),
        (OTHER, "a", {}, AdapterConflict),
        (ACME, "new", {"grants": frozenset({"Not A Name"})}, InvalidRequest),
        (ADMIN, "new", {"owner": "../x"}, InvalidRequest),
        (ADMIN, "demo", {}, InvalidRequest),
        (ADMIN, "a/b", {}, InvalidRequest),
    ],
)
def test_what_may_not_be_registered(
    actor: Actor, name: str, options: dict[str, Any], refusal: type[ApiError]
) -> None:
    with pytest.raises(refusal):
        registering(Register(actor, name, "/n", **options), Book(1, [MINE]), "demo")


def test_an_admin_leaves_an_adapter_with_its_owner() -> None:
    assert registering(Register(ADMIN, "a", "/n"), Book(1, [MINE]), "demo") == "acme"


def test_a_tenant_does_not_undo_an_admins_pin_by_saying_nothing() -> None:
    pinned = Book(1, [replace(MINE, pin=True)])
    assert registering(Register(ACME, "a", "/n"), pinned, "demo") == "acme"
    with pytest.raises(PermissionDenied):
        registering(Register(ACME, "a", "/n", pin=False), pinned, "demo")
