"""A replica's adapters tied to control: what it orders is done, what is here is reported.

Control may be away, at the start too: a call brings its version itself, and files that are on this
node need nobody.
"""

import asyncio
import logging
from pathlib import Path
from typing import Any

from serve_app.adapters.artifacts import Artifacts, bring
from serve_app.adapters.report import Report
from serve_app.adapters.version import Version
from serve_app.engine.following import Following
from serve_app.engine.interface import Engine
from serve_app.engine.preloading import Preloading
from serve_app.engine.reporting import Reporting
from serve_app.engine.residency import Residency
from serve_app.engine.stays import Witness
from serve_app.errors import AdapterLoading, ApiError
from serve_app.feed import Follower, Update
from serve_app.settings import RegistrySettings

LOGGER = logging.getLogger("ray.serve")


class Lifecycle:
    """Residency, and all that moves it besides requests.

    Args:
        replica: this replica's id.
        control: Ray's handle of the control deployment.
    """

    def __init__(
        self,
        engine: Engine,
        settings: RegistrySettings,
        control: Any,
        replica: str,
        witness: Witness,
    ) -> None:
        self._replica = replica
        self._control = control
        self._streams = control.options(stream=True)
        self._artifacts = Artifacts(settings.artifacts_dir)
        self.residency = Residency(engine, self._stage, witness, self._changed)
        self._preloading = Preloading(self.residency)
        self._following = Following(self.residency, self._preloading, settings.drain_s)
        self._follower = Follower(lambda: self._streams.follow.remote(False), self._heard)
        self._reporting = Reporting(self._report, self._send)

    async def close(self) -> None:
        await asyncio.gather(
            self._follower.close(), self._reporting.close(), self._preloading.close()
        )

    async def _stage(self, version: Version) -> Path:
        """A version's files on this node, from control if they are not here.

        Raises:
            AdapterLoading: control, or the disk, did not give them; another time may be better.
        """
        try:
            return await bring(self._artifacts, version, self._streams.read.remote)
        except ApiError:
            raise
        except Exception as error:
            LOGGER.warning("files of adapter %s cannot be had: %s", version.name, error)
            raise AdapterLoading(
                f"adapter {version.adapter!r}: its files cannot be fetched now", retry_after_s=5
            ) from None

    def _heard(self, update: Update) -> None:
        self._following.heard(update)
        if update.revision != self._follower.revision:
            self._reporting.changed()

    def _changed(self) -> None:
        self._preloading.look()
        self._reporting.changed()

    def _report(self) -> Report:
        return Report(self._replica, self._follower.revision, self.residency.held())

    async def _send(self, report: Report) -> None:
        await self._control.report.remote(report)
