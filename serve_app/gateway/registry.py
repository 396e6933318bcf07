"""Control, as a gateway sees it: the snapshot it published, and what is asked of it.

Requests are resolved from the snapshot alone. Control itself is asked for what changes adapters,
and, once, when a name is unknown here: another gateway may have registered it a moment ago.
"""

import asyncio
import logging

from ray.serve.handle import DeploymentHandle

from serve_app.adapters.catalog import Catalog
from serve_app.adapters.commands import Answer, Register
from serve_app.errors import RegistryUnavailable
from serve_app.feed import AnyCommand, Follower, Update
from serve_app.gateway.trials import Trials
from serve_app.tenancy.allot import Report, Shares
from serve_app.tenancy.keys import Keyring
from serve_app.tenancy.snapshot import Snapshot
from serve_app.tenancy.usage import Batch

LOGGER = logging.getLogger("ray.serve")
ANSWER_S = 15.0
"""How long control may take over anything but a registration."""
REGISTER_S = 1800.0
CATCH_UP_S = 0.5
AWAY_S = 1.0
"""Control that did not answer is not asked again for so long, unless something is asked of it."""


class Registry:
    """The snapshot in force, kept up to date until it is closed.

    Args:
        control: handle of the control deployment.
        base: the base model's public name.
        pepper: under which keys are fingerprinted.

    Attributes:
        snapshot: None until control has been heard for the first time.
        trials: every experiment.
    """

    def __init__(self, control: DeploymentHandle, base: str, pepper: bytes) -> None:
        self.snapshot: Snapshot | None = None
        self.trials = Trials()
        self._control = control
        self._base = base
        self._pepper = pepper
        self._catching_up = asyncio.Lock()
        self._asked_at = self._away_until = float("-inf")
        stream = control.options(stream=True)
        self._follower = Follower(lambda: stream.follow.remote(True), self._heard)

    async def manage(self, command: AnyCommand) -> Answer:
        """What control answers, once the effect can be seen here.

        Raises:
            RegistryUnavailable: control is away, or was lost while it was at it.
        """
        within_s = REGISTER_S if isinstance(command, Register) and command.wait else ANSWER_S
        try:
            async with asyncio.timeout(within_s):
                answer: Answer = await self._control.manage.remote(command)
        except TimeoutError:
            raise RegistryUnavailable("The registry does not answer; try again.") from None
        except Exception as error:
            LOGGER.warning("control failed on a command: %r", error)
            raise RegistryUnavailable(
                "The registry was lost while it was at it; trying again is safe."
            ) from None
        await self._follower.reached(answer.revision, CATCH_UP_S)
        return answer

    async def record(self, batch: Batch) -> None:
        """Have control write a batch down. It raises whatever Ray does if that was not done."""
        await self._control.record.remote(batch)

    async def share(self, report: Report) -> Shares:
        """What this gateway may use of limits. It raises whatever Ray does if control is away."""
        shares: Shares = await self._control.share.remote(report)
        return shares

    async def caught_up(self) -> bool:
        """Whether anything was published that had not reached this gateway, which it now has.

        However many requests ask at once, control is asked once, and not while it is away.
        """
        loop = asyncio.get_running_loop()
        came_at, before = loop.time(), self._follower.revision
        async with self._catching_up:
            if self._asked_at < came_at and loop.time() >= self._away_until:
                self._asked_at = loop.time()
                await self._catch_up()
        return self._follower.revision > before

    async def close(self) -> None:
        await self._follower.close()

    async def _catch_up(self) -> None:
        try:
            async with asyncio.timeout(CATCH_UP_S):
                revision = await self._control.revision.remote()
        except Exception as error:
            LOGGER.info("control is away: %r", error)
            self._away_until = asyncio.get_running_loop().time() + AWAY_S
            return
        await self._follower.reached(revision, CATCH_UP_S)

    def _heard(self, update: Update) -> None:
        """Take an update in. The first one a gateway hears is whole."""
        if not update:
            return
        before = self.snapshot
        if before is None or update.whole:
            before = Snapshot(self._base, Keyring({}, self._pepper), {}, Catalog())
            self.trials = Trials()
        self.trials = self.trials.changed(update.experiments)
        tenants = {**before.tenants, **update.tenants}
        self.snapshot = Snapshot(
            before.base,
            before.keyring.changed(update.keys) if update.keys else before.keyring,
            {id_: tenant for id_, tenant in tenants.items() if tenant}
            if update.tenants
            else before.tenants,
            before.catalog.changed(update.entries),
        )
