"""Limits: divided among this application's gateways and, where there is a Redis, with other sites.

Without one nothing of it is imported, and nothing waits.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from serve_app.control.authority import Authority
from serve_app.control.times import Times
from serve_app.settings import LimitsSettings
from serve_app.tenancy.allot import Report, Shares, Subject
from serve_app.tenancy.parts import Part
from serve_app.tenancy.usage import Batch
from serve_app.tenancy.window import WINDOW_S

if TYPE_CHECKING:
    from serve_app.control.sites import Sites

Spent = Callable[[Subject], tuple[int, int]]


class Sharing:
    """The limits of all tenants and keys.

    Args:
        spent: tokens a subject has spent here this day and this month.

    Raises:
        ConfigError: Redis' URL cannot be used.
    """

    def __init__(self, settings: LimitsSettings, spent: Spent, times: Times) -> None:
        self._times = times
        parts: dict[Subject, Part] | None = None if settings.redis_url is None else {}
        self._authority = Authority(times.monotonic, spent, times.learning_s, parts)
        self._sites: Sites | None = None
        self._going_on: asyncio.Task[None] | None = None
        self._renewed_at = times.monotonic()
        if parts is not None:
            self._sites = _joined(settings, self._authority, parts, spent, times)

    def start(self) -> None:
        """Share with other sites from now on, if there are any."""
        if self._sites is not None:
            self._going_on = asyncio.get_running_loop().create_task(self._sites.go_on())

    @property
    def apart(self) -> bool | None:
        """Whether nothing is heard of other sites; None where this is the only one."""
        return None if self._sites is None else self._sites.apart

    async def share(self, report: Report) -> Shares:
        """What a gateway may use of all it has claimed; and of what it should claim anew."""
        if self._sites is None:
            return self._authority.share(report)
        return await self._sites.share(report)

    async def used(self, subject: Subject) -> tuple[int, ...]:
        """What all gateways of all sites use, in the order of ``LIMITS``."""
        if self._sites is None:
            return self._authority.used(subject)
        others, spent = await self._sites.elsewhere(subject)
        *measures, day, month = self._authority.used(subject, others)
        return *measures, day + spent[0], month + spent[1]

    def recorded(self, batch: Batch) -> None:
        """Usage is written down."""
        if self._sites is not None:
            for record in batch.records:
                self._sites.recorded((("tenant", record.tenant), ("key", record.key)))

    def sweep(self) -> None:
        """Let go of what counts no more. To be called often."""
        self._authority.sweep()
        now = self._times.monotonic()
        if self._sites is not None and now - self._renewed_at >= WINDOW_S:
            self._renewed_at = now
            self._sites.renew()

    async def close(self) -> None:
        """Leave what no gateway holds to other sites."""
        sites, self._sites = self._sites, None
        while self._going_on is not None and not self._going_on.done():
            self._going_on.cancel()  # more than once: Python 3.11's wait_for may lose one
            await asyncio.wait([self._going_on], timeout=0.1)
        if sites is not None:
            await sites.close()


def _joined(
    settings: LimitsSettings,
    authority: Authority,
    parts: dict[Subject, Part],
    spent: Spent,
    times: Times,
) -> "Sites":
    from serve_app.control.board import Board  # noqa: PLC0415 - Redis' client is an extra
    from serve_app.control.sites import Sites  # noqa: PLC0415

    assert settings.redis_url is not None
    assert settings.site is not None
    board = Board(settings.redis_url.get_secret_value(), settings.site, settings.prefix)
    return Sites(board, authority, parts, spent, times)
