import asyncio

import orjson
import pytest
from ray.exceptions import RayError
from ray.serve.exceptions import BackPressureError

from serve_app.errors import (
    AdapterLoading,
    ClientTooSlow,
    DeadlineExceeded,
    Overloaded,
)
from serve_app.routing.messages import Call, Reply
from tests.unit.fake_exchange import R1, STREAMED, WHOLE, all_of, hanging, replying
from tests.unit.fakes import FakeReplicas, FakeResponse, a_version, until

BUSY = Reply(503, orjson.dumps(AdapterLoading("no room").envelope()))


async def test_a_whole_answer_is_the_reply() -> None:
    bench = replying(WHOLE)
    with bench.exchange() as exchange:
        assert await exchange.whole() is WHOLE
        assert bench.buses.fleet.outstanding() == 1
    assert bench.keys == [a_version().name]


async def test_a_stream_is_over_when_its_end_and_its_reply_have_come() -> None:
    bench = replying(STREAMED)
    with bench.exchange() as exchange:
        mailbox = bench.buses.mailboxes[0]
        for data in (b"a", b"b", None):
            mailbox.put(data)
        assert await all_of(exchange) == b"ab"
        assert exchange.reply is STREAMED


async def test_a_reply_that_overtakes_its_last_output_waits_for_it() -> None:
    bench = replying(STREAMED)
    with bench.exchange() as exchange:
        mailbox = bench.buses.mailboxes[0]
        mailbox.put(b"a")
        assert await exchange.next(5) == b"a"
        await until(exchange._replying.done)
        reading = asyncio.ensure_future(all_of(exchange))
        await asyncio.sleep(0.01)
        assert not reading.done()
        mailbox.put(b"b")
        mailbox.put(None)
        assert await reading == b"b"


async def test_without_output_the_time_asked_for_passes() -> None:
    bench = hanging()
    with bench.exchange() as exchange:
        assert await exchange.next(0.001) == b""
        assert await exchange.next(0.001) == b""


async def test_the_deadline_ends_a_call_and_cancels_it() -> None:
    bench = hanging()
    with bench.exchange(timeout_s=0.01) as exchange, pytest.raises(DeadlineExceeded):
        await exchange.whole()
    assert bench.replicas.responses[0].cancelled


@pytest.mark.parametrize("refusal", [BUSY, Reply(422, b'{"error":{}}'), Reply(500, b"{}")])
async def test_a_refusal_is_the_reply_and_is_not_retried(refusal: Reply) -> None:
    bench = replying(refusal)
    with bench.exchange() as exchange:
        assert await exchange.next(5) is None
        assert exchange.reply is refusal
    assert len(bench.attempts) == 1


async def test_ray_s_own_back_pressure_is_an_overload() -> None:
    bench = replying(BackPressureError(num_queued_requests=1, max_queued_requests=1))
    with bench.exchange() as exchange, pytest.raises(Overloaded):
        await exchange.whole()


async def test_a_client_that_reads_too_slowly_is_cut_off_and_not_retried() -> None:
    bench = hanging()
    with bench.exchange(max_bytes=10) as exchange:
        await until(lambda: bench.attempts)
        bench.buses.mailboxes[0].put(b"x" * 6)
        bench.buses.mailboxes[0].put(b"x" * 6)
        assert await exchange.next(5) == b"x" * 6
        with pytest.raises(ClientTooSlow):
            await exchange.next(5)
    assert bench.replicas.responses[0].cancelled


async def test_closing_ends_the_call_and_gives_everything_back() -> None:
    bench = hanging()
    with bench.exchange() as exchange:
        await until(lambda: bench.attempts)
        exchange.close()
        assert bench.replicas.responses[0].cancelled
        assert bench.buses.open_calls == set()
        assert bench.buses.fleet.outstanding() == 0


async def test_a_call_that_ray_cannot_cancel_gives_everything_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def cancel(_response: FakeResponse) -> None:
        raise RayError("the actor died")

    monkeypatch.setattr(FakeResponse, "cancel", cancel)
    bench = hanging()
    with bench.exchange() as exchange:
        await until(lambda: bench.attempts)
        exchange.close()
        assert bench.buses.open_calls == set()
        assert bench.buses.fleet.outstanding() == 0


async def test_a_call_that_is_over_is_not_cancelled() -> None:
    bench = replying(WHOLE)
    with bench.exchange() as exchange:
        await exchange.whole()
    assert not bench.replicas.responses[0].cancelled


async def test_a_call_that_cannot_even_be_sent_leaves_nothing() -> None:
    class Closed(FakeReplicas):
        def _generate(self, call: Call) -> "FakeReplicas":  # type: ignore[override]
            raise RuntimeError("the application is being deleted")

    bench = hanging()
    bench.replicas = Closed(R1)
    with pytest.raises(RuntimeError), bench.exchange():
        pass
    assert bench.buses.open_calls == set()
