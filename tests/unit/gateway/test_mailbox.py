import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.gateway.mailbox import BusLost, Mailbox, TooSlow


@pytest.fixture
async def mailbox() -> Mailbox:
    return Mailbox(max_bytes=100)


async def test_nothing_is_in_a_new_mailbox(mailbox: Mailbox) -> None:
    assert mailbox.take() == b""


async def test_all_that_has_arrived_is_taken_at_once(mailbox: Mailbox) -> None:
    mailbox.put(b"a")
    mailbox.put(b"b")
    assert mailbox.take() == b"ab"
    assert mailbox.take() == b""


async def test_the_end_comes_after_the_last_output_and_stays(mailbox: Mailbox) -> None:
    mailbox.put(b"a")
    mailbox.put(None)
    assert [mailbox.take() for _ in range(3)] == [b"a", None, None]


async def test_what_arrived_before_a_bus_broke_is_still_given_out(mailbox: Mailbox) -> None:
    mailbox.put(b"a")
    mailbox.fail(BusLost())
    assert mailbox.take() == b"a"
    for _ in range(2):
        with pytest.raises(BusLost):
            mailbox.take()


async def test_an_answer_that_ended_is_not_lost_with_the_bus(mailbox: Mailbox) -> None:
    mailbox.put(b"a")
    mailbox.put(None)
    mailbox.fail(BusLost())
    assert mailbox.take() == b"a"
    assert mailbox.take() is None


async def test_a_client_that_reads_too_slowly_is_given_up(mailbox: Mailbox) -> None:
    mailbox.put(b"x" * 100)
    mailbox.put(b"y")
    mailbox.take()
    with pytest.raises(TooSlow):
        mailbox.take()


async def test_a_client_that_keeps_up_may_be_sent_any_amount(mailbox: Mailbox) -> None:
    for _ in range(10):
        mailbox.put(b"x" * 90)
        assert mailbox.take() == b"x" * 90


async def test_nothing_more_is_kept_for_a_client_that_was_given_up(mailbox: Mailbox) -> None:
    for _ in range(50):
        mailbox.put(b"x" * 60)
    kept = mailbox.take()
    assert kept is not None
    assert len(kept) <= 160


async def test_the_first_thing_that_went_wrong_is_what_is_told(mailbox: Mailbox) -> None:
    mailbox.fail(BusLost())
    mailbox.fail(TooSlow())
    with pytest.raises(BusLost):
        mailbox.take()


@asynccontextmanager
async def _woken(mailbox: Mailbox) -> AsyncIterator[None]:
    waiting = asyncio.ensure_future(mailbox.arrived())
    await asyncio.sleep(0)
    assert not waiting.done()
    yield
    async with asyncio.timeout(1):
        await waiting


async def test_the_reader_wakes_for_output_for_its_end_for_a_failure_and_for_the_reply(
    mailbox: Mailbox,
) -> None:
    async with _woken(mailbox):
        mailbox.put(b"a")
    mailbox.take()
    async with _woken(mailbox):
        mailbox.poke()
    mailbox.take()
    async with _woken(mailbox):
        mailbox.put(None)
    mailbox.take()
    async with _woken(mailbox):
        mailbox.fail(BusLost())


async def test_a_reader_that_took_the_last_output_is_told_of_the_end_without_waiting(
    mailbox: Mailbox,
) -> None:
    mailbox.put(b"a")
    mailbox.put(None)
    mailbox.take()
    async with asyncio.timeout(1):
        await mailbox.arrived()


async def _read_all(mailbox: Mailbox) -> tuple[bytes, bool]:
    """All output and whether it was complete."""
    read = bytearray()
    while True:
        async with asyncio.timeout(5):
            await mailbox.arrived()
        try:
            data = mailbox.take()
        except BusLost:
            return bytes(read), False
        if data is None:
            return bytes(read), True
        read += data


async def _write_all(mailbox: Mailbox, steps: list[int], broken_after: int | None) -> bytes:
    written = bytearray()
    for number, size in enumerate(steps):
        if number == broken_after:
            mailbox.fail(BusLost())
            return bytes(written)
        if size == 0:
            mailbox.poke()
            await asyncio.sleep(0)
            continue
        data = bytes([number % 251]) * size
        written += data
        mailbox.put(data)
    mailbox.put(None)
    return bytes(written)


@given(st.lists(st.integers(0, 5), max_size=30), st.none() | st.integers(0, 30))
def test_every_byte_is_read_once_and_in_order(steps: list[int], broken_after: int | None) -> None:
    async def story() -> None:
        mailbox = Mailbox(max_bytes=1000)
        reading = asyncio.ensure_future(_read_all(mailbox))
        written = await _write_all(mailbox, steps, broken_after)
        assert await reading == (written, broken_after is None or broken_after >= len(steps))

    asyncio.run(story())
