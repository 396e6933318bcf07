"""A replica under control: what it hears it does, what it holds it reports."""

import asyncio
import json
from pathlib import Path

import pytest

from serve_app.adapters.catalog import Entry
from serve_app.adapters.report import Held, Residence
from serve_app.adapters.version import FILES, Version
from serve_app.engine.interface import EngineDead, Whole
from serve_app.engine.replica import Replica
from serve_app.errors import InvalidRequest
from serve_app.routing.messages import Call, Probe
from tests.unit.fake_engine import USAGE
from tests.unit.fake_replica import Control, Endless, a_replica, on_disk, settings_in
from tests.unit.fakes import a_call, a_version, until

V1, V2 = a_version("acme", 1), a_version("acme", 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for version in (V1, V2):
        on_disk(tmp_path, version)
    return tmp_path


def _entry(*versions: Version, preload: bool = False, pin: bool = False) -> Entry:
    """The last of them is in force."""
    numbered = {version.number: version for version in versions}
    return Entry("acme", numbered, versions[-1].number, preload=preload, pin=pin)


def _heard(replica: Replica, revision: int) -> bool:
    return replica._adapters._follower.revision >= revision


async def test_a_replica_serves_what_is_on_its_node_while_control_is_away(folder: Path) -> None:
    replica, engine = await a_replica(folder)
    assert (await replica.generate(a_call(V1))).status == 200
    assert engine.names == {V1.name}


async def test_files_a_node_lacks_come_from_control(tmp_path: Path) -> None:
    control = Control()
    version = control.keep("acme", tmp_path)
    replica, _ = await a_replica(tmp_path / "node", control)
    assert (await replica.generate(a_call(version))).status == 200
    assert control.reads == [(version.digest, file) for file in FILES]
    directory = settings_in(tmp_path / "node").registry.artifacts_dir / version.digest
    assert sorted(path.name for path in directory.iterdir()) == sorted(FILES)


async def test_files_nobody_can_give_now_are_a_503_that_says_when_to_come_back(
    tmp_path: Path,
) -> None:
    replica, engine = await a_replica(tmp_path)
    reply = await replica.generate(a_call(V1))
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (503, "adapter_loading")
    assert "Retry-After" in reply.headers
    assert engine.loads == []


async def test_a_version_another_took_over_from_leaves_when_it_is_idle(folder: Path) -> None:
    control = Control(acme=_entry(V1))
    replica, engine = await a_replica(folder, control)
    await until(lambda: _heard(replica, 1))
    engine.script = endless = Endless()
    using = asyncio.create_task(replica.generate(a_call(V1)))
    await until(lambda: engine.names)
    control.publish(acme=_entry(V1, V2))
    await until(lambda: _heard(replica, 2))
    assert engine.names == {V1.name}
    await asyncio.sleep(0.01)
    using.cancel()
    await asyncio.wait([using])
    await until(lambda: not engine.names)
    assert endless.closed


async def test_requests_of_a_removed_adapter_are_aborted_when_its_time_is_over(
    folder: Path,
) -> None:
    control = Control(acme=_entry(V1))
    replica, engine = await a_replica(folder, control, drain_s=0.01)
    await until(lambda: _heard(replica, 1))
    engine.script = Endless()
    using = asyncio.create_task(replica.generate(a_call(V1)))
    await until(lambda: engine.names)
    control.publish(acme=None)
    reply = await using
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (410, "adapter_removed")
    assert not reply.retryable
    await until(lambda: not engine.names)


async def test_a_version_to_preload_is_there_before_anybody_asks(folder: Path) -> None:
    control = Control(acme=_entry(V1, preload=True))
    _, engine = await a_replica(folder, control)
    await until(lambda: engine.names == {V1.name})
    control.publish(acme=_entry(V1, V2, preload=True))
    await until(lambda: engine.names == {V2.name})


async def test_a_pinned_version_stays_whatever_comes(folder: Path) -> None:
    control = Control(acme=_entry(V1, pin=True))
    replica, engine = await a_replica(folder, control)
    await until(lambda: _heard(replica, 1))
    for version in (V1, *(on_disk(folder, a_version(name)) for name in "bcd")):
        await replica.generate(a_call(version))
    assert V1.name in engine.names
    assert engine.loads.count(V1.name) == 1


async def test_control_hears_what_is_held_and_which_revision_was_taken_in(folder: Path) -> None:
    control = Control(acme=_entry(V1))
    replica, _ = await a_replica(folder, control)
    await until(lambda: control.reports and control.reports[-1].revision == 1)
    await replica.generate(a_call(V1))
    await until(lambda: control.reports[-1].held)
    (held,) = control.reports[-1].held
    assert (held.name, held.state, held.leases) == (V1.name, Residence.RESIDENT, 0)
    control.publish(acme=None)
    await until(lambda: control.reports[-1].revision == 2)
    assert control.reports[-1].held == () or control.reports[-1].held[0].state is (
        Residence.LEAVING
    )
    await until(lambda: control.reports[-1].held == ())
    assert {report.replica for report in control.reports} == {"r1"}


async def test_no_report_lacks_a_version_that_the_engine_still_holds(folder: Path) -> None:
    control = Control(acme=_entry(V1))
    replica, engine = await a_replica(folder, control)
    await replica.generate(a_call(V1))
    engine.gates[V1.name] = asyncio.Event()
    control.publish(acme=None)
    await until(lambda: control.reports and control.reports[-1].revision == 2)
    assert [held.name for held in control.reports[-1].held] == [V1.name]
    engine.gates[V1.name].set()
    await until(lambda: not control.reports[-1].held)


async def test_a_replica_follows_again_when_control_is_back(folder: Path) -> None:
    control = Control(acme=_entry(V1))
    replica, engine = await a_replica(folder, control)
    await until(lambda: _heard(replica, 1))
    await replica.generate(a_call(V1))
    control.away = True
    control.breaks()
    control.change(acme=None)
    assert (await replica.generate(a_call(V1))).status == 200
    control.away = False
    await until(lambda: not engine.names)


async def test_a_probe_is_answered_and_the_candidate_stays(folder: Path) -> None:
    replica, engine = await a_replica(folder)
    reply = await replica.probe(Probe(V1))
    assert (reply.status, reply.usage) == (200, USAGE)
    assert engine.names == {V1.name}


async def test_a_candidate_whose_answer_is_not_finite_is_refused_and_leaves(folder: Path) -> None:
    async def not_a_number(_call: Call) -> Whole:
        return Whole(200, b'{"choices":[{"logprobs":{"token_logprobs":[null]}}]}', USAGE)

    replica, engine = await a_replica(folder)
    engine.script = not_a_number
    reply = await replica.probe(Probe(V1))
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (422, "adapter_probe_failed")
    await until(lambda: not engine.names)


@pytest.mark.parametrize(
    ("failure", "status", "retryable"),
    [(EngineDead("x"), 503, True), (InvalidRequest("x"), 400, False)],
    ids=lambda value: type(value).__name__,
)
async def test_a_probe_that_fails_says_whether_another_replica_may_do_better(
    folder: Path, failure: Exception, status: int, retryable: bool
) -> None:
    async def fail(_call: Call) -> Whole:
        raise failure

    replica, engine = await a_replica(folder)
    engine.script = fail
    reply = await replica.probe(Probe(V1))
    assert (reply.status, reply.retryable) == (status, retryable)


async def test_news_tell_what_is_loading_and_what_is_in_use(folder: Path) -> None:
    replica, engine = await a_replica(folder)
    engine.script = Endless()
    engine.gates[V2.name] = asyncio.Event()
    users = [asyncio.create_task(replica.generate(a_call(v))) for v in (V1, V2)]
    await until(lambda: engine.names == {V1.name} and V2.name in engine.loads)
    news = replica._news()
    assert news.holds == {V1.name, V2.name}
    assert news.loading == {V2.name}
    assert news.active == {V1.name}
    assert news.load_s > 0
    engine.gates[V2.name].set()
    for user in users:
        user.cancel()
    await asyncio.wait(users)


async def test_a_replica_whose_engine_keeps_an_adapter_is_replaced(folder: Path) -> None:
    replica, engine = await a_replica(folder)
    await replica.generate(a_call(V1))
    engine.keeping.add(V1.name)
    replica._residency.retire(V1.name)
    await until(lambda: not replica._news().alive)
    with pytest.raises(EngineDead):
        await replica.check_health()
    assert replica._residency.held() == (
        Held(V1.name, Residence.LEAVING, 0, replica._residency.held()[0].load_s),
    )
