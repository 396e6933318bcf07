import asyncio
from collections.abc import AsyncIterator

import pytest

from serve_app.adapters.commands import Actor, Answer, Command, Show
from serve_app.errors import RegistryUnavailable
from serve_app.gateway.registry import Registry
from tests.unit.fake_control import FakeControl
from tests.unit.fake_gateway import BASE, CHAT, PEPPER, ROOT_KEY, a_site, an_entry, the_roll
from tests.unit.fakes import until

COMMAND = Show(Actor("root", admin=True), "finance")


@pytest.fixture
def control() -> FakeControl:
    return FakeControl(the_roll(), {"finance": an_entry("finance")})


@pytest.fixture
async def registry(control: FakeControl) -> AsyncIterator[Registry]:
    registry = Registry(control, BASE, PEPPER)
    await until(lambda: registry.snapshot)
    yield registry
    await registry.close()


def names(registry: Registry) -> set[str]:
    assert registry.snapshot is not None
    return set(registry.snapshot.catalog.entries)


async def test_what_is_published_is_known_here(control: FakeControl, registry: Registry) -> None:
    assert names(registry) == {"finance"}
    control.publish(legal=an_entry("legal"))
    control.publish(finance=None)
    await until(lambda: names(registry) == {"legal"})


async def test_when_control_breaks_the_snapshot_stays_and_is_made_new_when_it_is_back(
    control: FakeControl, registry: Registry
) -> None:
    control.away = True
    control.breaks()
    await until(lambda: len(control.streams) > 1)
    assert names(registry) == {"finance"}
    control.change(finance=None, legal=an_entry("legal"))
    control.away = False
    await until(lambda: names(registry) == {"legal"})


async def test_an_answer_comes_when_its_effect_can_be_seen_here(
    control: FakeControl, registry: Registry
) -> None:
    async def write(_command: Command) -> Answer:
        control.change(legal=an_entry("legal"))
        asyncio.get_running_loop().call_later(0.02, lambda: control.tell(legal=an_entry("legal")))
        return Answer(200, {}, control.current)

    control.answer = write
    await registry.manage(COMMAND)
    assert "legal" in names(registry)


async def test_a_command_to_a_control_that_is_away_is_refused(
    control: FakeControl, registry: Registry
) -> None:
    control.away = True
    with pytest.raises(RegistryUnavailable) as refused:
        await registry.manage(COMMAND)
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "2")


async def test_however_many_miss_a_name_control_is_asked_once_or_twice(
    control: FakeControl, registry: Registry
) -> None:
    control.change(legal=an_entry("legal"))
    asyncio.get_running_loop().call_later(0.02, lambda: control.tell(legal=an_entry("legal")))
    assert all(await asyncio.gather(*(registry.caught_up() for _ in range(100))))
    assert control.asked <= 2, "once for those that came before it was asked, once for the rest"


async def test_there_is_nothing_to_catch_up_with_when_nothing_changed(
    control: FakeControl, registry: Registry
) -> None:
    assert not await registry.caught_up()
    assert control.asked == 1


async def test_control_that_is_away_is_not_asked_by_every_request(
    control: FakeControl, registry: Registry
) -> None:
    control.away = True
    for _ in range(20):
        assert not await registry.caught_up()
    assert control.asked == 1


async def test_a_name_another_gateway_has_just_registered_is_not_refused() -> None:
    async with a_site() as site:
        site.control.change(fresh=an_entry("fresh"))
        loop = asyncio.get_running_loop()
        loop.call_later(0.02, lambda: site.control.tell(fresh=an_entry("fresh")))
        assert (await site.post(CHAT, ROOT_KEY, model="fresh")).status_code == 200


async def test_a_name_nobody_has_registered_is_refused_while_control_is_away() -> None:
    async with a_site() as site:
        site.control.away = True
        assert (await site.post(CHAT, ROOT_KEY, model="fresh")).status_code == 404
        assert (await site.post(CHAT, ROOT_KEY, model="finance")).status_code == 200
