"""Experiments in the registry: who may do what to them, how they go on, and what is observed."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from serve_app.adapters.commands import Actor
from serve_app.experiments.commands import (
    Create,
    Delete,
    ExperimentCommand,
    ListExperiments,
    Pause,
    Promote,
    Ramp,
    Reweigh,
    ShowExperiment,
    ShowResults,
    Start,
    Stop,
)
from serve_app.experiments.experiment import Arm
from serve_app.tenancy.usage import Batch
from tests.unit.control.bench import ACME, ADMIN, OTHER, Bench, code_of
from tests.unit.control.desk import a_record, known

READER = Actor("acme")
ARMS = (Arm("a", "finance@v1"), Arm("b", "finance"))
TONE = Create(ACME, "tone", ARMS, start=True)


@pytest.fixture
async def site(bench: Bench) -> Bench:
    """Two versions of acme's ``finance``, and ``legal``, which is nobody's."""
    await bench.declare()
    await bench.register("finance", "/a", owner="acme")
    await bench.register("finance", "/b", owner="acme")
    await bench.register("legal", "/c")
    return bench


async def done(site: Bench, command: ExperimentCommand) -> dict[str, Any]:
    answer = await site.control.manage(command)
    assert answer.status < 300, answer.body
    return answer.body


async def refused(site: Bench, command: ExperimentCommand) -> str:
    answer = await site.control.manage(command)
    assert answer.status >= 400, answer.body
    return f"{answer.status} {code_of(answer)}"


async def test_an_experiment_outlives_control_and_reaches_who_follows(site: Bench) -> None:
    made = await done(site, TONE)
    await done(site, Ramp(ACME, "tone", "b", 0.2))
    await site.restart()
    await site.declare()
    shown = await done(site, ShowExperiment(ACME, "tone"))
    assert (shown["state"], shown["started"]) == ("running", made["started"])
    assert [arm["share"] for arm in shown["arms"]] == [0.8, pytest.approx(0.2)]
    experiment = (await known(site)).experiments["tone"]
    assert (experiment.epoch, experiment.owner) == (2, "acme")
    await done(site, Delete(ACME, "tone"))
    assert (await known(site)).experiments == {}


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (replace(TONE, actor=READER), "403 permission_denied"),
        (replace(TONE, owner="root"), "403 permission_denied"),
        (replace(TONE, actor=ADMIN, owner="nobody"), "400 invalid_value"),
        (replace(TONE, name="finance"), "409 adapter_name_taken"),
        (replace(TONE, name="live"), "409 adapter_name_taken"),
        (replace(TONE, name="base"), "400 invalid_value"),
        (replace(TONE, name="Not a name"), "400 invalid_value"),
        (replace(TONE, arms=ARMS[:1]), "400 invalid_value"),
        (replace(TONE, arms=(ARMS[0], Arm("b/c", "finance"))), "400 invalid_value"),
        (replace(TONE, arms=(ARMS[0], Arm("b", "legal"))), "404 model_not_found"),
        (replace(TONE, arms=(ARMS[0], Arm("b", "finance@v9"))), "404 model_not_found"),
        (replace(TONE, arms=(ARMS[0], Arm("b", "base"))), "404 model_not_found"),
        (replace(TONE, arms=(ARMS[0], Arm("b", "nowhere"))), "404 model_not_found"),
    ],
)
async def test_what_is_no_experiment_is_refused(site: Bench, command: Create, code: str) -> None:
    await site.alias("finance", "live")
    assert await refused(site, command) == code
    assert (await done(site, ListExperiments(ADMIN)))["data"] == []


async def test_a_name_is_an_experiments_or_an_adapters(site: Bench) -> None:
    await done(site, TONE)
    assert await refused(site, TONE) == "409 adapter_name_taken"
    assert code_of(await site.register("tone")) == "adapter_name_taken"
    assert code_of(await site.alias("finance", "tone")) == "adapter_name_taken"
    await done(site, Delete(ACME, "tone"))
    assert (await site.register("tone")).status == 200


COMMANDS = (
    *(Start(ACME, "tone"), Pause(ACME, "tone"), Stop(ACME, "tone"), Promote(ACME, "tone", "b")),
    *(Ramp(ACME, "tone", "b", 0.2), Reweigh(ACME, "tone", {"b": 3}), Delete(ACME, "tone")),
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: type(one).__name__)
async def test_it_is_its_tenants_alone(site: Bench, command: Any) -> None:
    await done(site, TONE)
    nowhere = await site.control.manage(replace(command, actor=OTHER, name="nowhere"))
    anothers = await site.control.manage(replace(command, actor=OTHER))
    assert str(anothers.body).replace("tone", "nowhere") == str(nowhere.body)
    assert await refused(site, replace(command, actor=READER)) == "403 permission_denied"
    assert (await done(site, ListExperiments(OTHER)))["data"] == []
    await done(site, command)


async def test_what_is_over_stays_over(site: Bench) -> None:
    await done(site, TONE)
    assert (await done(site, Stop(ACME, "tone", "b")))["winner"] == "b"
    revision = site.control.revision
    await done(site, Stop(ACME, "tone", "b"))
    assert site.control.revision == revision, "it is so already"
    for command in (Start(ACME, "tone"), Ramp(ACME, "tone", "b", 0.5), Stop(ACME, "tone", "a")):
        assert await refused(site, command) == "409 experiment_conflict"


async def test_an_alias_moves_to_the_winner_from_wherever_it_was(site: Bench) -> None:
    await site.register("finance-2", "/d", owner="acme")
    await site.alias("finance", "live", "v1")
    arms = (Arm("a", "live"), Arm("b", "finance-2"))
    assert (await done(site, replace(TONE, arms=arms)))["arms"][0]["model"] == "finance@v1"
    await done(site, Promote(ACME, "tone", "b", "live"))
    assert (await site.show("finance")).body["aliases"] == {}
    assert (await site.show("finance-2")).body["aliases"] == {"live": 1}
    await site.restart()
    assert (await site.show("finance-2")).body["aliases"] == {"live": 1}
    assert (await site.actions())[-1] == "promote"


@pytest.mark.parametrize(
    ("alias", "code"),
    [
        ("legal", "409 adapter_name_taken"),
        ("law", "409 adapter_name_taken"),
        ("tone", "409 adapter_name_taken"),
        ("base", "400 "),
    ],
)
async def test_an_alias_that_is_not_to_be_had_ends_nothing(
    site: Bench, alias: str, code: str
) -> None:
    await done(site, TONE)
    await site.alias("legal", "law")
    assert (await refused(site, Promote(ACME, "tone", "b", alias))).startswith(code)
    assert (await done(site, ShowExperiment(ACME, "tone")))["state"] == "running"


async def _observe(site: Bench, number: int, *told: tuple[str, str, Any]) -> None:
    """A batch of requests: unit, arm, and what else is said of each."""
    salt = site.control.book.studies["tone"].experiment.salt
    records = [
        a_record(experiment=salt, unit=unit, arm=f"tone/{arm}", **({"epoch": 1} | terms))
        for unit, arm, terms in told
    ]
    await site.control.record(Batch("g", number, tuple(records)))


async def test_what_is_observed_adds_up_over_batches_and_restarts(site: Bench) -> None:
    await done(site, TONE)
    whole: dict[str, Any] = {"finish": "stop"}
    cut = {"failed": True, "outcome": "replica_lost", "first_token_s": None}
    streamed = {"streamed": True, "finish": "length", "first_token_s": 0.25}
    await _observe(site, 1, ("u1", "a", whole), ("u2", "b", streamed), ("u1", "a", cut))
    await _observe(site, 2, ("u1", "a", streamed), ("u3", "b", whole), ("u2", "a", {"epoch": 2}))
    await _observe(site, 2, ("u1", "a", streamed), ("u3", "b", whole), ("u2", "a", {"epoch": 2}))
    await site.restart()
    await site.declare()
    told = await done(site, ShowResults(ACME, "tone"))
    a, b = told["arms"]
    assert (a["units"], a["requests"], a["errors"]) == (2, 4, 1)
    assert (b["units"], b["requests"], b["errors"]) == (2, 2, 0)
    assert a["finish_reasons"] == {"stop": 1, "length": 1}
    assert b["finish_reasons"] == {"length": 1, "stop": 1}
    assert a["figures"]["error_rate"] == {"mean": 0.25, "low": None, "high": None, "count": 4}
    assert a["figures"]["first_token_s"] | {"low": 0, "high": 0} == {
        "mean": 0.25, "low": 0, "high": 0, "count": 1,
    }  # fmt: skip
    assert b["figures"]["tokens_per_s"]["mean"] == 2.5, "five tokens in two seconds"
    assert b["figures"]["completion_tokens"]["mean"] == 5
    assert told["verdicts"][0]["finding"] == "too_early"


async def test_arrivals_that_are_not_as_the_weights_say_raise_the_alarm(site: Bench) -> None:
    await done(site, TONE)
    await _observe(site, 1, *((f"u{n}", "a" if n % 4 else "b", {}) for n in range(400)))
    told = await done(site, ShowResults(ACME, "tone"))
    assert told["mismatch"]["alarm"]
    assert told["verdicts"][0]["finding"] == "mismatch"
    assert told["winner"] is None


async def test_a_new_experiment_knows_nothing_of_one_that_had_its_name(site: Bench) -> None:
    await done(site, TONE)
    await _observe(site, 1, ("u1", "a", {"finish": "stop"}))
    await done(site, Delete(ACME, "tone"))
    await done(site, TONE)
    told = await done(site, ShowResults(ACME, "tone"))
    assert [arm["requests"] for arm in told["arms"]] == [0, 0]
    await _observe(site, 2, ("u1", "b", {}))
    await site.passes(120)
    told = await done(site, ShowResults(ACME, "tone"))
    assert [arm["requests"] for arm in told["arms"]] == [0, 1]


async def test_the_versions_of_its_arms_stay_however_many_come_after_them(
    make: Callable[..., Any],
) -> None:
    site: Bench = await make(keep=2)
    await site.declare()
    for source in "ab":
        await site.register("finance", source, owner="acme")
    await done(site, TONE)
    for source in "cde":
        await site.register("finance", source)
    answering = {"live", "staged"}
    states = await site.states("finance")
    assert {n for n, state in states.items() if state in answering} == {1, 2, 5}
    await done(site, Stop(ACME, "tone", "b"))
    await site.register("finance", "f")
    states = await site.states("finance")
    assert {n for n, state in states.items() if state in answering} == {2, 6}
