"""Has every request's usage recorded at control, once.

Records are on disk within ``WRITE_S``, so a gateway that is killed loses what it had seen end in
that time and no more. Control counts a batch once, however often it is sent.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from serve_app.gateway.spool import Spool, orphans
from serve_app.telemetry.access_log import CLIENT_GONE, Access
from serve_app.telemetry.gateway_metrics import GatewayMetrics
from serve_app.tenancy.usage import Batch, UsageRecord

LOGGER = logging.getLogger("ray.serve")
WRITE_S = 0.25
RETRY_S = 1.0
MAX_FINISH = 32
ORPHANS_S = 5.0
ANSWER_S = 10.0
MOST = 100_000
"""Records kept in memory while the disk takes none; those after them are lost, and counted."""


class Meter:
    """Used from one event loop.

    Args:
        gateway: this gateway's id.
        folder: where batches wait, of all gateways of this machine.
        record: has control write a batch down; raises if that was not done.
    """

    def __init__(
        self,
        gateway: str,
        folder: Path,
        record: Callable[[Batch], Awaitable[None]],
        metrics: GatewayMetrics,
    ) -> None:
        self._gateway = gateway
        self._folder = folder
        self._record = record
        self._metrics = metrics
        self._records: list[UsageRecord] = []
        self._number = 0
        self._waiting = 0
        self._spool: Spool | None = None
        self._orphans_at = 0.0
        self._metering = asyncio.get_running_loop().create_task(self._forever())

    def note(self, access: Access) -> None:
        """An inference request is over."""
        if access.operation is None or access.tenant is None:
            return
        if len(self._records) >= MOST:
            self._metrics.usage_lost(1)
            return
        self._records.append(usage_of(access, int(time.time())))

    async def close(self) -> None:
        """Write down what there is, and have control record it if it is there."""
        self._metering.cancel()
        await asyncio.wait([self._metering])
        try:
            await self._write()
            if self._spool is not None:
                await self._send(self._spool)
                await asyncio.to_thread(self._spool.close)
        except Exception as error:
            LOGGER.warning("usage is left on disk for another gateway: %r", error)

    async def _forever(self) -> None:
        while True:
            await asyncio.sleep(WRITE_S)
            try:
                await self._write()
                if self._spool is not None and self._waiting:
                    await self._send(self._spool)
                    self._waiting = 0
                await self._adopt()
            except Exception as error:
                LOGGER.warning("usage was not recorded, and will be tried again: %r", error)
                await asyncio.sleep(RETRY_S)

    async def _write(self) -> None:
        if not self._records:
            return
        if self._spool is None:
            self._spool = await asyncio.to_thread(Spool, self._folder, self._gateway)
        records = tuple(self._records)
        self._number += 1
        await asyncio.to_thread(self._spool.write, Batch(self._gateway, self._number, records))
        del self._records[: len(records)]
        self._waiting += 1

    async def _send(self, spool: Spool) -> None:
        """In order; what control did not take stays."""
        batches = await asyncio.to_thread(lambda: list(spool.batches()))
        self._metrics.spooled(sum(len(batch.records) for batch in batches))
        for batch in batches:
            async with asyncio.timeout(ANSWER_S):
                await self._record(batch)
            await asyncio.to_thread(spool.remove, batch.number)
            self._metrics.recorded(len(batch.records))

    async def _adopt(self) -> None:
        """See to what gateways that have died left behind."""
        if time.monotonic() - self._orphans_at < ORPHANS_S or not self._folder.is_dir():
            return
        self._orphans_at = time.monotonic()
        for spool in await asyncio.to_thread(lambda: list(orphans(self._folder, self._gateway))):
            try:
                await self._send(spool)
            finally:
                await asyncio.to_thread(spool.close)


def usage_of(access: Access, at: int) -> UsageRecord:
    """What is recorded of a request."""
    good, assigned = access.status == 200, access.assigned
    counted = assigned is not None and (good or access.failed or access.status == CLIENT_GONE)
    return UsageRecord(
        request_id=access.request_id,
        at=at,
        tenant=access.tenant or "",
        key=access.key or "",
        operation=access.operation or "",
        adapter=(access.adapter or "").rpartition("@")[0],
        version=access.version or 0,
        arm=assigned.label if assigned else "",
        outcome=access.outcome,
        prompt_tokens=access.prompt_tokens,
        cached_tokens=access.cached_tokens,
        completion_tokens=access.completion_tokens,
        first_token_s=access.first_byte_s if good else None,
        duration_s=access.duration_s,
        experiment=assigned.experiment.salt if assigned else "",
        unit=assigned.unit if assigned and counted else "",
        epoch=assigned.epoch if assigned else 0,
        finish=access.finish[:MAX_FINISH],
        streamed=access.streamed,
        failed=access.failed,
        answer=access.answer,
    )
