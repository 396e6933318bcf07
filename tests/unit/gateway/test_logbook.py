"""One id, one line in the log and one count for every request."""

import json
import logging
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from serve_app.routing.messages import Call, Reply, Usage
from tests.unit.fake_gateway import ACME_KEY, CHAT, ROOT_KEY, Site, a_site, a_snapshot
from tests.unit.fakes import FakeReplicas, a_version

SECRET = "the quarter's secret"


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with a_site() as site:
        yield site


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "ray.serve")
    return caplog


def _lines(log: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [record.__dict__["access"] for record in log.records if record.msg == "access"]


def _line(log: pytest.LogCaptureFixture) -> dict[str, Any]:
    (line,) = _lines(log)
    return line


@pytest.mark.parametrize("id_", ["a", "A-b_c.9", "x" * 64])
async def test_a_client_s_own_request_id_is_kept(
    site: Site, log: pytest.LogCaptureFixture, id_: str
) -> None:
    response = await site.post(headers={"x-request-id": id_})
    assert response.headers.get_list("x-request-id") == [id_]
    assert _line(log)["request_id"] == id_


async def test_a_request_without_an_id_gets_one(site: Site, log: pytest.LogCaptureFixture) -> None:
    ids = [(await site.post()).headers.get_list("x-request-id") for _ in range(2)]
    assert [[line["request_id"]] for line in _lines(log)] == ids
    assert ids[0] != ids[1]


@pytest.mark.parametrize("id_", ["a b", "x" * 65, 'a"b', "a;b", ""])
async def test_an_unfit_request_id_is_neither_logged_nor_passed_on(
    site: Site, log: pytest.LogCaptureFixture, id_: str
) -> None:
    await site.post(headers={"x-request-id": id_})
    made = _line(log)["request_id"]
    assert re.fullmatch(r"[0-9a-f]{32}", made)
    assert site.replicas.calls[0].request_id == made


async def test_an_answer_is_one_line_with_who_what_where_and_how_much(
    site: Site, log: pytest.LogCaptureFixture
) -> None:
    response = await site.post(messages=[{"role": "user", "content": SECRET}])
    line = _line(log)
    assert line == {
        "request_id": response.headers["x-request-id"],
        "path": CHAT,
        "status": 200,
        "tenant": "acme",
        "key": "key-acme",
        "operation": "chat",
        "adapter": a_version("finance").name,
        "version": 1,
        "replica": site.replicas.routed[0],
        "placement": "home",
        "prompt_tokens": 3,
        "cached_tokens": 0,
        "completion_tokens": 2,
        "first_byte_s": line["first_byte_s"],
        "duration_s": line["duration_s"],
        "error": None,
        "finish": "",
        "streamed": False,
        "arm": None,
    }
    assert 0 <= line["first_byte_s"] <= line["duration_s"] < 5
    assert site.metrics.requests == [("acme", "ok", 3, 2, line["first_byte_s"])]
    assert site.metrics.placements == ["home"]


async def test_neither_prompts_nor_answers_nor_keys_are_logged(
    log: pytest.LogCaptureFixture,
) -> None:
    async def answer(_call: Call, _replica: str) -> Reply:
        return Reply(200, json.dumps({"text": SECRET}).encode(), Usage(1, 1))

    async with a_site(FakeReplicas("r1", answer=answer)) as site:
        await site.post(messages=[{"role": "user", "content": SECRET}])
        await site.post(model=f"base@{SECRET}")
        await site.post(key="sk-wrong-secret")
        await site.client.get(f"/v1/models?api_key={ACME_KEY}")
    assert len(_lines(log)) == 4
    logged = json.dumps([{k: str(v) for k, v in r.__dict__.items()} for r in log.records])
    assert SECRET not in logged
    for key in (ACME_KEY, "sk-wrong-secret"):
        assert key not in logged


REFUSED: dict[str, tuple[dict[str, Any], int, str | None, str]] = {
    "a wrong key": ({"key": "sk-nobody"}, 401, None, "invalid_api_key"),
    "a forbidden model": ({"model": "legal"}, 404, "acme", "model_not_found"),
    "a bad field": ({"n": "x"}, 400, "acme", "invalid_value"),
    "a page that is not there": ({"path": "/v1/nothing"}, 404, None, "unknown_url"),
}


@pytest.mark.parametrize(("request_", "status", "tenant", "code"), REFUSED.values(), ids=REFUSED)
async def test_a_refusal_is_one_line_with_its_code_for(
    site: Site,
    log: pytest.LogCaptureFixture,
    request_: dict[str, Any],
    status: int,
    tenant: str | None,
    code: str,
) -> None:
    await site.post(**request_)
    line = _line(log)
    assert (line["status"], line["tenant"], line["error"]) == (status, tenant, code)
    assert site.metrics.requests == [(tenant, code, 0, 0, None)]


async def test_a_replica_s_refusal_is_logged_by_its_code_and_its_place(
    log: pytest.LogCaptureFixture,
) -> None:
    async def refuse(_call: Call, _replica: str) -> Reply:
        return Reply(400, b'{"error":{"message":"m","type":"t","param":null,"code":"bad_thing"}}')

    async with a_site(FakeReplicas("r1", answer=refuse)) as site:
        await site.post()
        line = _line(log)
        assert (line["status"], line["error"], line["replica"]) == (400, "bad_thing", "r1")
        assert site.metrics.requests[0][1] == "bad_thing"


async def test_a_call_that_failed_is_logged_with_where_it_went(
    log: pytest.LogCaptureFixture,
) -> None:
    async def die(_call: Call, _replica: str) -> Reply:
        raise ConnectionError("gone")

    async with a_site(FakeReplicas("r1", answer=die)) as site:
        await site.post()
        line = _line(log)
        assert (line["status"], line["error"]) == (503, "replica_lost")
        assert (line["replica"], line["adapter"]) == ("r1", a_version("finance").name)


async def test_a_failure_of_the_server_is_one_line_with_its_status(
    site: Site, log: pytest.LogCaptureFixture
) -> None:
    site.gateway.registry.snapshot = replace(a_snapshot(), catalog=None)  # type: ignore[arg-type]
    response = await site.post()
    line = _line(log)
    assert (line["status"], line["error"]) == (500, "internal_error")
    assert line["request_id"] == response.headers["x-request-id"]
    assert [request[1] for request in site.metrics.requests] == ["internal_error"]
    assert [record for record in log.records if record.exc_info], "the cause is in the log"


@pytest.mark.parametrize("path", ["/health", "/ready"])
async def test_probes_are_not_logged(site: Site, log: pytest.LogCaptureFixture, path: str) -> None:
    await site.client.get(path)
    assert _lines(log) == []
    assert site.metrics.requests == []


async def test_a_request_of_the_base_is_logged_without_an_adapter(
    site: Site, log: pytest.LogCaptureFixture
) -> None:
    await site.post(key=ROOT_KEY, model="base")
    assert _line(log)["adapter"] is None
