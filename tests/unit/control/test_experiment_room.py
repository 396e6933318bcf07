"""How many experiments a tenant may have at a time, on real databases."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from serve_app.control.deployment import rules_of
from serve_app.experiments.commands import (
    Create,
    Delete,
    ExperimentCommand,
    Pause,
    Promote,
    Start,
    Stop,
)
from serve_app.experiments.experiment import Arm
from serve_app.settings import AppSettings
from tests.unit.control.bench import ACME, ADMIN, Bench, code_of

ARMS = (Arm("a", "finance@v1"), Arm("b", "finance"))
FULL = "409 too_many_experiments"

Make = Callable[..., Any]


def _new(name: str, **changes: Any) -> Create:
    return replace(Create(ACME, name, ARMS), **changes)


async def _said(bench: Bench, command: ExperimentCommand) -> str:
    answer = await bench.control.manage(command)
    return f"{answer.status} {code_of(answer)}" if answer.status >= 400 else str(answer.status)


async def _site(make: Make, experiments: int = 2) -> Bench:
    bench: Bench = await make(experiments=experiments)
    await bench.declare()
    for source in ("/a", "/b"):
        await bench.register("finance", source, owner="acme")
    return bench


async def test_one_more_than_a_tenant_may_have_is_refused_whoever_asks(make: Make) -> None:
    site = await _site(make)
    assert await _said(site, _new("one")) == "201"
    assert await _said(site, _new("two", start=True)) == "201"
    refused = await site.control.manage(_new("three"))
    assert (refused.status, refused.headers["x-should-retry"]) == (409, "false")
    error = refused.body["error"]
    assert (error["code"], error["type"]) == ("too_many_experiments", "invalid_request_error")
    assert error["message"] == (
        "The tenant `acme` has 2 experiments that are not stopped, and may have 2 "
        "(registry.max_experiments): stop one, or delete it, first."
    )
    assert await _said(site, _new("three", actor=ADMIN, owner="acme")) == FULL


async def test_another_tenants_experiments_are_its_own(make: Make) -> None:
    site = await _site(make, experiments=1)
    assert await _said(site, _new("one")) == "201"
    theirs = tuple(replace(arm, model="shared") for arm in ARMS)
    await site.register("shared", "/c", owner="root")
    assert await _said(site, _new("two", actor=ADMIN, arms=theirs)) == "201"
    assert await _said(site, _new("three")) == FULL


@pytest.mark.parametrize(
    "end",
    [Stop(ACME, "one"), Delete(ACME, "one"), Promote(ACME, "one", arm="b")],
    ids=lambda command: type(command).__name__,
)
async def test_one_that_has_ended_makes_room(make: Make, end: ExperimentCommand) -> None:
    site = await _site(make)
    for name in ("one", "two"):
        assert await _said(site, _new(name, start=True)) == "201"
    assert await _said(site, Pause(ACME, "one")) == "200"
    assert await _said(site, _new("three")) == FULL, "one that is paused may go on"
    assert await _said(site, end) == "200"
    assert await _said(site, _new("three")) == "201"
    assert await _said(site, _new("four")) == FULL


async def test_those_there_are_go_on_when_fewer_are_allowed(make: Make) -> None:
    before = await _site(make)
    for name in ("one", "two"):
        assert await _said(before, _new(name)) == "201"
    after: Bench = await make(experiments=1)
    await after.declare()
    assert await _said(after, Start(ACME, "one")) == "200"
    assert await _said(after, Stop(ACME, "one")) == "200"
    assert await _said(after, _new("three")) == FULL


def test_how_many_there_may_be_is_a_setting() -> None:
    engine = {"model": "m"}
    registry = {"max_experiments": 3}
    assert rules_of(AppSettings.model_validate({"engine": engine})).experiments == 100
    given = AppSettings.model_validate({"engine": engine, "registry": registry})
    assert rules_of(given).experiments == 3
