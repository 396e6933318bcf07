import json

import pytest

from serve_app.adapters.version import Version
from serve_app.control.probing import Canary
from serve_app.errors import AdapterRefused, envelope
from serve_app.routing.messages import Probe, Reply

CANDIDATE = Version("a", 0, "0" * 64, 8, 1)
OK = Reply(200, b"{}")
AWAY = Reply(503, json.dumps(envelope("lost", type_="t", param=None, code="c")).encode())
BAD = Reply(422, json.dumps(envelope("not finite", type_="t", param=None, code="c")).encode())


class Replicas:
    """Answer probes one after another as they are told to."""

    def __init__(self, *replies: Reply) -> None:
        self._replies = list(replies)
        self.asked: list[Version] = []

    async def send(self, probe: Probe) -> Reply:
        self.asked.append(probe.version)
        return self._replies.pop(0)


async def test_a_candidate_that_answers_may_go_live() -> None:
    replicas = Replicas(OK)
    await Canary(replicas.send, pause_s=0).probe(CANDIDATE)
    assert replicas.asked == [CANDIDATE]


async def test_a_candidate_that_does_not_answer_is_refused_with_the_reason() -> None:
    with pytest.raises(AdapterRefused, match="not finite") as refused:
        await Canary(Replicas(BAD).send).probe(CANDIDATE)
    assert refused.value.code == "adapter_canary_failed"


async def test_a_replica_lost_on_the_way_is_no_fault_of_the_candidates() -> None:
    await Canary(Replicas(AWAY, OK).send, pause_s=0).probe(CANDIDATE)


@pytest.mark.parametrize("reply", [AWAY, Reply(503, b"not json")])
async def test_a_candidate_that_replicas_are_lost_with_is_tried_on_two_at_most(
    reply: Reply,
) -> None:
    replicas = Replicas(reply, reply, OK)
    with pytest.raises(AdapterRefused):
        await Canary(replicas.send, pause_s=0).probe(CANDIDATE)
    assert len(replicas.asked) == 2
