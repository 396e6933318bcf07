"""Experiments and feedback of both clients: what they ask, and what they make of the answers."""

import inspect
from typing import Any

import httpx
import openai
import pytest

from serve_app.client import (
    Arm,
    AsyncExperiments,
    Experiment,
    ExperimentDeleted,
    ExperimentResults,
    Experiments,
    Feedback,
    ShadowAnswer,
    UnknownAnswer,
)
from serve_app.client.experiment_requests import Arms
from tests.unit.client.experiment_wire import (
    ANSWER,
    ANSWERS,
    DELETED,
    EXPERIMENT,
    FEEDBACK,
    RESULTS,
)
from tests.unit.client.wire import HEADERS, Application, a_refusal, a_stream, an_answer

AT = "/v1/experiments/tone-test"
A, B = ({"name": name, "weight": 1.0, "shadow": 0.0} for name in "ab")
ARMS = [A | {"model": "finance@v1"}, B | {"model": "finance@v2"}]
NEW = {"name": "tone-test", "arms": ARMS}
MODELS = {"a": "finance@v1", "b": "finance@v2"}
Case = tuple[str, tuple[Any, ...], dict[str, Any], tuple[str, str, Any]]

CHANGES: dict[str, Case] = {
    "a new one": ("create", ("tone-test", MODELS), {}, ("POST", "/v1/experiments", NEW)),
    "a new one in every way": (
        "create",
        ("tone-test", MODELS),
        {
            "goal": "tokens_per_s",
            "min_effect": 0,
            "description": "",
            "owner": "acme",
            "start": True,
        },
        (
            *("POST", "/v1/experiments"),
            NEW
            | {"goal": "tokens_per_s", "min_effect": 0, "description": ""}
            | {"owner": "acme", "start": True},
        ),
    ),
    "one": ("get", ("a/../b",), {}, ("GET", "/v1/experiments/a%2F..%2Fb", None)),
    "a start": ("start", ("tone-test",), {}, ("POST", f"{AT}/start", None)),
    "a pause": ("pause", ("tone-test",), {}, ("POST", f"{AT}/pause", None)),
    "weights": (
        *("set_weights", ("tone-test", {"b": 2.0}), {}),
        ("PATCH", AT, {"weights": {"b": 2.0}}),
    ),
    "a ramp": (
        *("ramp", ("tone-test", "b", 0.0), {}),
        ("POST", f"{AT}/ramp", {"arm": "b", "share": 0.0}),
    ),
    "an end": ("stop", ("tone-test",), {}, ("POST", f"{AT}/stop", None)),
    "a chosen end": ("stop", ("tone-test", "b"), {}, ("POST", f"{AT}/stop", {"winner": "b"})),
    "the better arm": ("promote", ("tone-test",), {}, ("POST", f"{AT}/promote", None)),
    "an arm by a name of its own": (
        *("promote", ("tone-test", "b"), {"alias": "finance-prod"}),
        ("POST", f"{AT}/promote", {"arm": "b", "alias": "finance-prod"}),
    ),
}


async def both(
    method: str, args: tuple[Any, ...], named: dict[str, Any], body: Any
) -> tuple[Any, Any, list[tuple[str, str, Any]]]:
    """What either client makes of an answer, and what they asked."""
    application = Application(httpx.Response(200, json=body), httpx.Response(200, json=body))
    found = getattr(application.client().experiments, method)(*args, **named)
    also = await getattr(application.async_client().experiments, method)(*args, **named)
    return found, also, application.asked


@pytest.mark.parametrize("case", CHANGES)
async def test_the_application_is_asked_for(case: str) -> None:
    method, args, named, asked = CHANGES[case]
    found, also, both_asked = await both(method, args, named, EXPERIMENT)
    assert both_asked == [asked, asked]
    assert found == also == Experiment.model_validate(EXPERIMENT)


async def test_results_are_figures_and_what_is_found_of_each_arm() -> None:
    found, also, asked = await both("results", ("tone-test",), {}, RESULTS)
    assert asked == [("GET", f"{AT}/results", None)] * 2
    assert isinstance(found, ExperimentResults)
    assert found == also
    assert [(arm.name, arm.figures["score"].mean) for arm in found.arms] == [
        *(("a", 0.41), ("b", 0.61), ("c", None))
    ]
    better, early = found.verdicts
    assert (better.arm, better.finding, better.difference.low) == ("b", "better", 0.1)
    assert (early.finding, early.difference.low, early.more_units) == ("too_early", None, None)
    assert (found.leader, found.mismatch.alarm) == ("b", False)


async def test_one_that_is_deleted_is_told_as_such() -> None:
    found, also, asked = await both("delete", ("tone-test",), {}, DELETED)
    assert asked == [("DELETE", AT, None)] * 2
    assert found == also == ExperimentDeleted.model_validate(DELETED)


async def test_a_list_is_every_page() -> None:
    other = EXPERIMENT | {"id": "verbs"}
    pages = [
        {"object": "list", "data": [EXPERIMENT], "has_more": True, "last_id": "tone-test"},
        {"object": "list", "data": [other], "has_more": False, "last_id": "verbs"},
    ]
    application = Application(*(httpx.Response(200, json=page) for page in pages * 2))
    assert [one.id for one in application.client().experiments.list()] == ["tone-test", "verbs"]
    also = [one.id async for one in application.async_client().experiments.list()]
    assert also == ["tone-test", "verbs"]
    paths = ["/v1/experiments?limit=100", "/v1/experiments?limit=100&after=tone-test"]
    assert [path for _, path, _ in application.asked] == paths * 2


async def test_answers_of_shadows_are_a_list_too() -> None:
    application = Application(*(httpx.Response(200, json=ANSWERS) for _ in range(2)))
    told = list(application.client().experiments.answers("t", "dark"))
    also = [one async for one in application.async_client().experiments.answers("t")]
    assert told == also == [ShadowAnswer.model_validate(ANSWER)]
    paths = ["/v1/experiments/t/answers?limit=100&arm=dark", "/v1/experiments/t/answers?limit=100"]
    assert [path for _, path, _ in application.asked] == paths


SHADOWED: dict[str, Arms] = {
    "arms": [Arm("a", "x"), Arm("b", "y", weight=0.2), Arm("c", "z", shadow=0.05)],
    "mappings": [
        {"name": "a", "model": "x"},
        {"name": "b", "model": "y", "weight": 0.2},
        {"name": "c", "model": "z", "shadow": 0.05},
    ],
}


@pytest.mark.parametrize("given", SHADOWED)
def test_arms_have_weights_and_a_shadow_has_none(given: str) -> None:
    application = Application(httpx.Response(201, json=EXPERIMENT))
    application.client().experiments.create("t", SHADOWED[given])
    assert application.asked[0][2]["arms"] == [
        {"name": "a", "model": "x", "weight": 1.0, "shadow": 0.0},
        {"name": "b", "model": "y", "weight": 0.2, "shadow": 0.0},
        {"name": "c", "model": "z", "weight": 0.0, "shadow": 0.05},
    ]


def test_an_arm_with_a_misspelt_field_is_not_sent() -> None:
    application = Application()
    with pytest.raises(TypeError, match="wieght"):
        application.client().experiments.create("t", [{"name": "a", "model": "x", "wieght": 2}])
    assert application.asked == []


FEEDBACKS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a score": ({"score": 0}, {"score": 0}),
    "a preference": ({"preferred_over": "req-2"}, {"preferred_over": "req-2"}),
    "labels": (
        {"score": 1, "labels": {"by": "user"}},
        {"score": 1, "labels": {"by": "user"}},
    ),
}


@pytest.mark.parametrize("case", FEEDBACKS)
async def test_feedback_tells_of_an_answer(case: str) -> None:
    named, said = FEEDBACKS[case]
    application = Application(*(httpx.Response(200, json=FEEDBACK) for _ in range(2)))
    found = application.client().feedback("req-1", **named)
    assert await application.async_client().feedback("req-1", **named) == found
    assert application.asked == [("POST", "/v1/feedback", {"request_id": "req-1", **said})] * 2
    assert found == Feedback.model_validate(FEEDBACK)


@pytest.mark.parametrize("named", [{}, {"score": 1, "preferred_over": "req-2"}])
async def test_feedback_is_one_thing_or_the_other(named: dict[str, Any]) -> None:
    application = Application()
    with pytest.raises(ValueError, match="either a score or preferred_over"):
        application.client().feedback("req-1", **named)
    with pytest.raises(ValueError, match="either a score or preferred_over"):
        await application.async_client().feedback("req-1", **named)
    assert application.asked == []


def test_an_answer_says_which_arm_gave_it() -> None:
    headers = {"x-serve-experiment": "tone-test", "x-serve-arm": "b"}
    answer, stream = an_answer(), a_stream("up")
    answer.headers.update(headers)
    stream.headers.update(headers)
    client = Application(answer, stream).client()
    chat, streamed = client.chat("tone-test", "x"), client.stream("tone-test", "x")
    assert (chat.experiment, chat.arm) == ("tone-test", "b")
    assert list(streamed) == ["up"]
    assert (streamed.metrics.experiment, streamed.metrics.arm) == ("tone-test", "b")
    assert streamed.metrics.request_id == HEADERS["x-request-id"]


def test_without_an_experiment_no_arm_is_told() -> None:
    answer = Application(an_answer()).client().chat("finance", "x")
    assert (answer.experiment, answer.arm) == (None, None)


async def test_refusals_and_strangers_are_errors_of_the_openai_package() -> None:
    with pytest.raises(openai.ConflictError):
        Application(a_refusal(409)).client().experiments.promote("tone-test")
    with pytest.raises(openai.NotFoundError):
        await Application(a_refusal(404)).async_client().feedback("req-1", 1)
    with pytest.raises(UnknownAnswer, match="ExperimentResults"):
        Application(httpx.Response(200, json={})).client().experiments.results("tone-test")


def test_both_kinds_can_do_the_same() -> None:
    assert _signatures(Experiments) == _signatures(AsyncExperiments)


def _signatures(kind: type) -> dict[str, list[str]]:
    return {
        name: [str(one) for one in inspect.signature(method).parameters.values()]
        for name, method in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }
