"""What arms are observed to do, however odd it is, can be written down and asked for."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import event

from serve_app.experiments.commands import (
    Delete,
    GiveFeedback,
    Goal,
    ListAnswers,
    Promote,
    ShowExperiment,
    ShowResults,
)
from serve_app.experiments.experiment import Arm
from serve_app.tenancy.usage import Batch
from tests.unit.control.bench import ACME, Bench
from tests.unit.control.desk import a_record
from tests.unit.control.test_experiments import ARMS, TONE, done, refused

DARK = Arm("dark", "finance", weight=0, shadow=1.0)
SHADOWED = replace(TONE, arms=(*ARMS, DARK))


@pytest.fixture
async def site(bench: Bench) -> Bench:
    """Acme's ``finance`` in two versions."""
    await bench.declare()
    await bench.register("finance", "/a", owner="acme")
    await bench.register("finance", "/b", owner="acme")
    return bench


async def observe(site: Bench, number: int, *told: tuple[str, str, dict[str, Any]]) -> None:
    """A batch of requests of acme's to ``tone``: unit, arm, and what else is said of each."""
    salt = site.control.book.studies["tone"].experiment.salt
    usual = {"tenant": "acme", "experiment": salt, "epoch": 1}
    records = [
        a_record(**usual | {"unit": u, "arm": f"tone/{arm}"} | more) for u, arm, more in told
    ]
    await site.control.record(Batch("g", number, tuple(records)))


async def judge(site: Bench, request_id: str, score: float) -> None:
    answer = await site.control.manage(GiveFeedback(ACME, request_id, score))
    assert answer.status == 200, answer.body


async def test_an_answer_may_say_anything(site: Bench) -> None:
    await done(site, SHADOWED)
    await observe(site, 1, ("u1", "dark", {"epoch": 0, "answer": "one\0two"}))
    (kept,) = (await done(site, ListAnswers(ACME, "tone")))["data"]
    assert kept["answer"] == "one\ufffdtwo"


async def test_a_shadow_is_never_the_winner(site: Bench) -> None:
    await done(site, replace(SHADOWED, goal=Goal.SPEED))
    took = {"a": 2.0, "b": 1.0, "dark": 0.5}
    await observe(
        site,
        1,
        *(
            (
                f"u{n}",
                arm,
                {"duration_s": took[arm] * (1 + n % 7 / 10), "epoch": int(arm != "dark")},
            )
            for n in range(200)
            for arm in ("dark", "ab"[n % 2])
        ),
    )
    assert (await done(site, ShowResults(ACME, "tone")))["leader"] == "b"
    assert (await done(site, Promote(ACME, "tone")))["winner"] == "b"


async def test_what_one_experiment_showed_promotes_nothing_in_the_next_of_its_name(
    site: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await done(site, TONE)

    async def made_anew(_study: object) -> SimpleNamespace:
        await done(site, Delete(ACME, "tone"))
        await done(site, TONE)
        return SimpleNamespace(leader="b")

    monkeypatch.setattr(site.control._experimenting, "_results", made_anew)
    assert await refused(site, Promote(ACME, "tone")) == "409 experiment_conflict"
    assert (await done(site, ShowExperiment(ACME, "tone")))["state"] == "running"


@pytest.mark.parametrize("score", [5e-324, 1e-155])
async def test_scores_may_be_as_small_as_anybody_likes(site: Bench, score: float) -> None:
    await done(site, TONE)
    requests = [(f"u{n}", "ab"[n % 2], {"request_id": f"r{n}"}) for n in range(120)]
    await observe(site, 1, *requests)
    for n in range(120):
        await judge(site, f"r{n}", score * (n % 4 == 1) if n % 2 else 1.0)
    told = await done(site, ShowResults(ACME, "tone"))
    assert told["verdicts"][0]["difference"]["estimate"] == pytest.approx(-1)


async def test_feedback_on_a_request_says_nothing_of_others_of_its_id(site: Bench) -> None:
    await done(site, TONE)
    await observe(site, 1, ("u1", "a", {"request_id": "again"}))
    await judge(site, "again", 1.0)
    await observe(site, 2, ("u2", "b", {"request_id": "again"}))
    for score in (0.5, -1.0):
        await judge(site, "again", score)
    scores = [
        arm["figures"]["score"] for arm in (await done(site, ShowResults(ACME, "tone")))["arms"]
    ]
    assert [(score["count"], score["mean"]) for score in scores] == [(1, 1.0), (1, -1.0)]


async def test_a_batch_of_many_units_is_written_in_as_many_statements_as_one_of_few(
    site: Bench,
) -> None:
    """Control is to have written it before the gateway sends it again."""
    await done(site, TONE)
    said: list[str] = []
    engine = site.control._store._engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *told: said.append(told[2]))
    statements = []
    for number, units in enumerate((1, 2, 2, 300, 300)):
        said.clear()
        await observe(site, number, *((f"{units}-{n}", "a", {}) for n in range(units)))
        statements.append(len(said))
    _first_of_the_hour, *others = statements
    assert len(set(others)) == 1, others
