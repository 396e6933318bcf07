import asyncio
import json
from pathlib import Path

import pytest

from serve_app.adapters.version import Version
from serve_app.engine.bus import NewsDesk
from serve_app.engine.interface import EngineDead, Whole
from serve_app.engine.replica import Replica
from serve_app.errors import AdapterRefused, InvalidRequest
from serve_app.routing.messages import Call, Reply
from tests.unit.fake_engine import USAGE
from tests.unit.fake_replica import Endless, a_replica, on_disk
from tests.unit.fakes import a_call, a_version, news_of, until


@pytest.fixture
def version(tmp_path: Path) -> Version:
    return on_disk(tmp_path, a_version("acme"))


def _error(reply: Reply) -> dict[str, str]:
    error: dict[str, str] = json.loads(reply.body)["error"]
    return error


async def test_a_whole_answer_is_the_reply_itself(version: Version, tmp_path: Path) -> None:
    replica, engine = await a_replica(tmp_path)
    cold = await replica.generate(a_call(version))
    warm = await replica.generate(a_call(version))
    assert (cold.status, cold.usage) == (200, USAGE)
    assert cold.cold_load_s is not None
    assert warm.cold_load_s is None
    assert engine.violations == []


async def test_the_base_answers_without_a_load(tmp_path: Path) -> None:
    replica, engine = await a_replica(tmp_path)
    assert (await replica.generate(a_call())).cold_load_s is None
    assert engine.loads == []


@pytest.mark.parametrize(
    ("failure", "status", "code", "retryable"),
    [
        (EngineDead("x"), 503, "replica_lost", True),
        (InvalidRequest("x", param="n"), 400, "invalid_value", False),
        (AdapterRefused("x", code="adapter_bad"), 422, "adapter_bad", False),
        (ZeroDivisionError("secret detail"), 500, "internal_error", False),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_failure_before_any_output_is_a_reply(
    failure: Exception, status: int, code: str, retryable: bool, tmp_path: Path
) -> None:
    replica, engine = await a_replica(tmp_path)

    async def fail(_call: Call) -> Whole:
        raise failure

    engine.script = fail
    reply = await replica.generate(a_call())
    assert (reply.status, _error(reply)["code"], reply.retryable) == (status, code, retryable)
    assert b"secret detail" not in reply.body


async def test_a_cancelled_call_closes_its_stream_and_leaves_its_adapter(
    version: Version, tmp_path: Path
) -> None:
    replica, engine = await a_replica(tmp_path)
    engine.script = endless = Endless()
    answering = asyncio.create_task(replica.generate(a_call(version, gateway="g")))
    await until(lambda: replica._news().in_flight)
    await until(lambda: engine.holding)
    await asyncio.sleep(0.01)
    answering.cancel()
    await asyncio.wait([answering])
    assert endless.closed
    assert replica._news().in_flight == {}
    assert replica._news().holds == {version.name}


async def test_a_replica_is_as_healthy_as_its_engine(tmp_path: Path) -> None:
    replica, engine = await a_replica(tmp_path)
    await replica.check_health()
    engine.alive = False
    with pytest.raises(EngineDead):
        await replica.check_health()


async def test_an_engine_ends_with_its_replica(tmp_path: Path) -> None:
    replica, engine = await a_replica(tmp_path)
    replica.__del__()
    assert engine.stopped


async def test_a_replica_whose_engine_never_started_ends_quietly() -> None:
    Replica.__new__(Replica).__del__()


def test_news_are_given_out_at_most_once_an_interval() -> None:
    desk = NewsDesk(news_of, 3600)
    assert desk.due() == news_of()
    assert desk.due() is None
