"""Several gateways' limiters over one authority, which may be away, slow, or another one."""

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from serve_app.control.authority import Authority
from serve_app.errors import TooManyRequests
from serve_app.gateway.asked import Asked
from serve_app.gateway.limiter import Limiter
from serve_app.telemetry.access_log import Access
from serve_app.tenancy.allot import Report, Shares
from serve_app.tenancy.keys import Key
from serve_app.tenancy.limits import Limits
from serve_app.tenancy.snapshot import Identity
from serve_app.tenancy.tenant import Tenant
from tests.unit.fake_gateway import RecordedMetrics
from tests.unit.fakes import until

SUBJECT = ("tenant", "acme")


class Control:
    """An authority somewhere else.

    Attributes:
        ahead_s: its clock and the gateways' go so much before the real one.
        hangs, away: it does not answer, or fails.
    """

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self.hangs = self.away = False
        self.begin()

    def clock(self) -> float:
        return time.monotonic() + self.ahead_s

    def begin(self, learning_s: float = 0.0) -> None:
        """There is a new authority, which knows nothing."""
        self.authority = Authority(self.clock, lambda _: (0, 0), learning_s)

    async def share(self, report: Report) -> Shares:
        if self.away:
            raise ConnectionError("away")
        if self.hangs:
            await asyncio.sleep(3600)
        return self.authority.share(report)

    def limiter(self, gateway: str) -> Limiter:
        return Limiter(gateway, self.share, RecordedMetrics(), self.clock)


class Customer:
    """Asks gateways; what it has running is over when ``end`` is called."""

    def __init__(self, id_: str = "acme", **limits: int) -> None:
        tenant = Tenant(id_, frozenset(), None, base=True, cache_salt="", limits=Limits(**limits))
        self._identity = Identity(tenant, Key("k", id_))
        self._held: list[ExitStack] = []

    async def ask(self, limiter: Limiter) -> bool:
        held = ExitStack()
        request: Any = SimpleNamespace(
            state=SimpleNamespace(access=Access("r", "/", 200), held=held)
        )
        try:
            await limiter.admit(Asked(request, self._identity))
        except TooManyRequests:
            return False
        self._held.append(held)
        return True

    async def served(self, limiter: Limiter, times: int) -> int:
        return sum([await self.ask(limiter) for _ in range(times)])

    def end(self) -> None:
        while self._held:
            self._held.pop().close()


@pytest.fixture
def control() -> Control:
    return Control()


async def closing(*limiters: Limiter) -> None:
    for limiter in limiters:
        await limiter.close()


async def test_what_one_gateway_does_not_use_comes_over_while_a_request_waits(
    control: Control,
) -> None:
    customer, one, other = (
        Customer(concurrent_requests=3),
        control.limiter("1"),
        control.limiter("2"),
    )
    for _ in range(3):
        assert await customer.served(one, 3) == 3
        customer.end()
        assert await customer.ask(other)
        customer.end()
    await closing(one, other)


async def test_a_limit_that_is_used_up_elsewhere_is_used_up(control: Control) -> None:
    customer, one, other = (
        Customer(requests_per_minute=5),
        control.limiter("1"),
        control.limiter("2"),
    )
    assert await customer.served(one, 5) == 5
    assert await customer.served(other, 3) == 0
    await closing(one, other)


async def test_what_left_the_window_elsewhere_is_free_though_nothing_was_said_of_it(
    control: Control,
) -> None:
    customer, one, other = (
        Customer(requests_per_minute=6),
        control.limiter("1"),
        control.limiter("2"),
    )
    assert await customer.ask(other)
    assert await customer.served(one, 5) == 5
    customer.end()
    control.ahead_s += 61.5
    assert await customer.served(other, 6) == 6
    await closing(one, other)


async def test_a_tenant_that_is_quiet_is_let_go_of(control: Control) -> None:
    customer, one = Customer(requests_per_minute=5), control.limiter("1")
    assert await customer.ask(one)
    customer.end()
    await until(lambda: control.authority._told[SUBJECT]["1"].claim.used[2] == 0)
    control.ahead_s += 63
    await until(lambda: not one._tallies)
    await until(lambda: not control.authority._told[SUBJECT])
    await until(lambda: one._reporting is not None and one._reporting.done())
    assert await customer.served(one, 6) == 5
    await closing(one)


async def test_what_a_gateway_holds_is_free_when_it_ends(control: Control) -> None:
    customer, one, other = (
        Customer(requests_per_minute=9),
        control.limiter("1"),
        control.limiter("2"),
    )
    assert await customer.served(one, 2) == 2
    customer.end()
    await closing(one)
    assert await customer.served(other, 8) == 7
    await closing(other)


def hangs(control: Control) -> None:
    control.hangs = True


def is_away(control: Control) -> None:
    control.away = True


@pytest.mark.parametrize("trouble", [hangs, is_away])
async def test_who_can_ask_nobody_goes_on_with_a_part(
    control: Control, trouble: Callable[[Control], None]
) -> None:
    trouble(control)
    customer, one = Customer(requests_per_minute=20), control.limiter("1")
    assert await customer.served(one, 4) == 3
    await closing(one)


async def test_an_authority_that_comes_back_is_told_what_is_held(control: Control) -> None:
    customer, one, other = (
        Customer(requests_per_minute=20),
        control.limiter("1"),
        control.limiter("2"),
    )
    assert await customer.served(one, 15) == 15
    control.away = True
    await until(lambda: one._away)
    control.begin(learning_s=1.5)
    control.away = False
    assert await customer.served(other, 20) <= 5
    await until(lambda: len(control.authority._told[SUBJECT]) == 2)
    assert control.authority.used(SUBJECT)[0] <= 20
    await closing(one, other)


async def test_a_fleet_of_tenants_is_told_once_and_not_again(control: Control) -> None:
    """Who is quiet costs nothing, however many they are."""
    told: list[int] = []

    async def share(report: Report) -> Shares:
        told.append(len(report.claims))
        return control.authority.share(report)

    customer, one = Customer(requests_per_minute=5), control.limiter("1")
    one._authority = share
    assert await customer.ask(one)
    customer.end()
    await until(lambda: len(told) >= 5)
    assert sum(told) <= 3
    await closing(one)
